"""What plugins say on stderr: metrics in the Singer convention, and everything else.

Both generations of Singer libraries log a metric as one line that holds
`METRIC: {"type": "counter", "metric": "record_count", "value": 42, "tags": {"stream": "orders"}}`; the older one calls
the stream `endpoint`. Counters count since their last line, timers give seconds.

A target may say in the same way which SCHEMA it has received, before it does anything else about it:
`SCHEMA_RECEIVED: {"stream": "orders", "schema": {…}, "key_properties": ["id"], "bookmark_properties": []}`.

HTTP calls: the SDK's `http_request_count` counts answers that were good, and a timer `http_request_duration` is logged
for every answer; so the calls are whichever says more. Retries have no metric in the SDK. What tells them is the line
`Backing off f(...) for 1.0s` of the library `backoff`, through which the SDK and most other taps try again.

Other lines come in four forms: the SDK's console (`time | LEVEL | logger | text`), the SDK's structured one (a JSON
object), singer-python's (`LEVEL text`), and `time=… name=… level=… message=…`.
"""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ipai.control_plane import StreamMetrics
from ipai.drift import StreamSchema

if TYPE_CHECKING:
    from collections.abc import Collection

_METRIC = re.compile(r"METRIC: (\{.*\})")
_SCHEMA = re.compile(r"SCHEMA_RECEIVED: (\{.*\})")
_LEVELS = {
    "debug": "debug", "info": "info", "warning": "warning", "warn": "warning", "error": "error",
    "critical": "critical", "fatal": "critical",
}  # fmt: skip
_FORMS = (
    re.compile(r"^[\d:\-, .TZ]*\|\s*(?P<level>[A-Z]+)\s*\|\s*(?P<logger>[^|]*?)\s*\|\s*(?P<text>.*)$"),
    re.compile(r"^(?:.*? )?name=(?P<logger>\S+) (?:.*? )?level=(?P<level>[A-Z]+) message=(?P<text>.*)$"),
    re.compile(r"^.*?level=(?P<level>[A-Z]+) message=(?P<text>.*)$"),
    re.compile(r"^(?P<level>CRITICAL|FATAL|ERROR|WARNING|WARN|INFO|DEBUG)[ :]\s*(?P<text>.*)$"),
)
# `Stream 'orders'`, `"orders"`, `stream: orders`, `stream orders`
_NAMED = re.compile(r"""(?:\bstream[ :=]+|['"`])([^\s'"`,:;]+)""", re.IGNORECASE)
_BACKING_OFF = re.compile(r"\bBacking off [\w.<>]+\(\.\.\.\) for ")
_LARGEST = 2.0**62  # what a sum of some still fits bigint; NaN and infinity are not below it
_ROWS, _BYTES, _SYNC_SECONDS, _LOAD_SECONDS, _RETRIES, _HTTP_REQUESTS, _HTTP_SECONDS = (
    "record_count",
    "record_bytes",
    "sync_duration",
    "batch_processing_time",
    "http_retry_count",
    "http_request_count",
    "http_request_duration",
)
_BACKOFFS = "backing off"


@dataclass(frozen=True)
class Metric:
    """One measurement of one stream."""

    stream: str
    name: str
    value: float


@dataclass(frozen=True)
class PluginLine:
    """A line that is no metric, in parts; None where it does not say."""

    level: str | None
    logger: str | None
    stream: str | None
    text: str


def parse_line(line: str, streams: Collection[str] = ()) -> PluginLine:
    """Take a log line apart.

    Args:
        streams: the names that a stream may have.
    """
    if (said := _structured(line)) is not None:
        level, logger = str(said["level"]).lower(), said.get("logger_name")
        text, stream = str(said["message"]), said.get("stream_name")
    else:
        match = next(filter(None, (form.match(line) for form in _FORMS)), None)
        parts = match.groupdict() if match else {}
        level, logger = parts.get("level", "").lower(), parts.get("logger")
        text, stream = parts.get("text", line), None
    # The SDK's streams log as `tap-x.stream`.
    stream = stream or (logger or "").partition(".")[2]
    if stream not in streams:
        stream = next((name for name in _NAMED.findall(text) if name in streams), None)
    return PluginLine(_LEVELS.get(level), logger or None, stream, text)


def _structured(line: str) -> dict[str, Any] | None:
    if not line.startswith("{"):
        return None
    try:
        said = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return said if isinstance(said, dict) and said.keys() >= {"level", "message"} else None


def _metric_point(line: str) -> dict[str, Any] | None:
    if match := _METRIC.search(line):
        point: dict[str, Any] = json.loads(match[1])
        return point
    if '"metric_info"' in line and (said := _structured(line)) is not None:
        return said.get("metric_info")
    return None


def parse_metric(line: str) -> Metric | None:
    """The metric a log line holds, if it holds one that belongs to a stream."""
    try:
        if (point := _metric_point(line)) is None:
            return None
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
    if _METRIC.search(line) is not None or _SCHEMA.search(line) is not None:
        return True
    return '"metric_info"' in line and _structured(line) is not None


def parse_backoff(line: PluginLine) -> Metric | None:
    """The retry that a line tells of, if its stream is known."""
    return Metric(line.stream, _BACKOFFS, 1) if line.stream and _BACKING_OFF.search(line.text) else None


def message_of(line: str) -> str:
    """A log line without its time, level and logger."""
    return parse_line(line).text.strip()


@dataclass
class Meter:
    """Adds up the metrics of one run."""

    _sums: dict[tuple[str, str, str], float] = field(default_factory=lambda: defaultdict(float))

    _counts: Counter[tuple[str, str, str]] = field(default_factory=Counter)

    def add(self, side: str, metric: Metric) -> None:
        key = side, metric.stream, metric.name
        self._sums[key] += metric.value
        self._counts[key] += 1

    def streams(self) -> list[StreamMetrics]:
        """Per stream: rows as the target counted them, or else the tap; bytes and seconds where somebody says."""
        names = sorted({stream for _, stream, _ in self._sums})
        return [
            StreamMetrics(
                stream=name,
                rows=_whole(self._first(name, ("target", _ROWS), ("tap", _ROWS))),
                bytes=_whole(self._first(name, ("target", _BYTES), ("tap", _BYTES))),
                seconds=self._first(name, ("tap", _SYNC_SECONDS), ("target", _LOAD_SECONDS)),
                retries=_whole(self._first(name, ("tap", _RETRIES), ("tap", _BACKOFFS))),
                http_requests=self._http_requests(name),
            )
            for name in names
        ]

    def _http_requests(self, stream: str) -> int | None:
        said = self._first(stream, ("tap", _HTTP_REQUESTS))
        answers = self._counts["tap", stream, _HTTP_SECONDS]
        return max(int(said or 0), answers) if said is not None or answers else None

    def _first(self, stream: str, *sources: tuple[str, str]) -> float | None:
        return next(
            (self._sums[side, stream, name] for side, name in sources if (side, stream, name) in self._sums),
            None,
        )


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)
