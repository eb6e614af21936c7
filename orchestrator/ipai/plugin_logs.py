"""What plugins say on stderr: metrics in the Singer convention, and everything else.

Both generations of Singer libraries log a metric as one line that holds
`METRIC: {"type": "counter", "metric": "record_count", "value": 42, "tags": {"stream": "orders"}}`; the older one calls
the stream `endpoint`. Counters count since their last line, timers give seconds.

A target may say in the same way which SCHEMA it has received, before it does anything else about it:
`SCHEMA_RECEIVED: {"stream": "orders", "schema": {…}, "key_properties": ["id"], "bookmark_properties": []}`.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from ipai.control_plane import StreamMetrics
from ipai.drift import StreamSchema

_METRIC = re.compile(r"METRIC: (\{.*\})")
_SCHEMA = re.compile(r"SCHEMA_RECEIVED: (\{.*\})")
# `2026-01-01 10:00:00,000 | INFO     | tap-x    | text` and `time=… name=… level=CRITICAL message=text`
_LOG_PREFIX = re.compile(
    r"^[\d:\-, .TZ]*\|\s*[A-Z]+\s*\|[^|]*\|\s*|^.*?level=[A-Z]+ message=|^(CRITICAL|ERROR|WARNING|INFO) "
)
_LARGEST = 2.0**62  # what a sum of some still fits bigint; NaN and infinity are not below it
_ROWS, _BYTES, _SYNC_SECONDS, _LOAD_SECONDS, _RETRIES, _HTTP_REQUESTS = (
    "record_count",
    "record_bytes",
    "sync_duration",
    "batch_processing_time",
    "http_retry_count",
    "http_request_count",
)


@dataclass(frozen=True)
class Metric:
    """One measurement of one stream."""

    stream: str
    name: str
    value: float


def parse_metric(line: str) -> Metric | None:
    """The metric a log line holds, if it holds one that belongs to a stream."""
    if not (match := _METRIC.search(line)):
        return None
    try:
        point: dict[str, Any] = json.loads(match[1])
        tags = point["tags"]
        stream, value = str(tags.get("stream") or tags["endpoint"]), float(point["value"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError):
        return None
    return Metric(stream, str(point["metric"]), value) if abs(value) < _LARGEST and "\0" not in stream else None


def parse_schema(line: str) -> StreamSchema | None:
    """The SCHEMA that a target says it has received."""
    if not (match := _SCHEMA.search(line)):
        return None
    try:
        said: dict[str, Any] = json.loads(match[1])
        stream, schema, keys = said["stream"], said["schema"], said.get("key_properties") or []
        bookmark = said.get("bookmark_properties") or []
        texts = [stream, *keys, *bookmark]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    if not isinstance(schema, dict) or not all(isinstance(each, str) for each in texts):
        return None
    return StreamSchema.of(stream, schema, keys, ", ".join(bookmark) or None)


def is_metric(line: str) -> bool:
    """Whether a log line is one for machines: a metric, of a stream or not, or a SCHEMA."""
    return _METRIC.search(line) is not None or _SCHEMA.search(line) is not None


def message_of(line: str) -> str:
    """A log line without its time, level and logger."""
    return _LOG_PREFIX.sub("", line).strip()


@dataclass
class Meter:
    """Adds up the metrics of one run."""

    _sums: dict[tuple[str, str, str], float] = field(default_factory=lambda: defaultdict(float))

    def add(self, side: str, metric: Metric) -> None:
        self._sums[side, metric.stream, metric.name] += metric.value

    def streams(self) -> list[StreamMetrics]:
        """Per stream: rows as the target counted them, or else the tap; bytes and seconds where somebody says."""
        names = sorted({stream for _, stream, _ in self._sums})
        return [
            StreamMetrics(
                stream=name,
                rows=_whole(self._first(name, ("target", _ROWS), ("tap", _ROWS))),
                bytes=_whole(self._first(name, ("target", _BYTES), ("tap", _BYTES))),
                seconds=self._first(name, ("tap", _SYNC_SECONDS), ("target", _LOAD_SECONDS)),
                retries=_whole(self._first(name, ("tap", _RETRIES))),
                http_requests=_whole(self._first(name, ("tap", _HTTP_REQUESTS))),
            )
            for name in names
        ]

    def _first(self, stream: str, *sources: tuple[str, str]) -> float | None:
        return next(
            (self._sums[side, stream, name] for side, name in sources if (side, stream, name) in self._sums),
            None,
        )


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)
