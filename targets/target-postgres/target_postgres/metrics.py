"""What the target has done, as Singer metrics: one line of JSON each on stderr, which orchestrators add up."""

from __future__ import annotations

import json
import logging
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from target_postgres.layout import StreamSchema

_logger = logging.getLogger("singer_sdk.metrics")


class StreamMeter:
    """Counts one stream's records and their bytes, and times its loading."""

    def __init__(self, stream: str) -> None:
        self._tags = {"stream": stream, "pid": os.getpid()}
        self._rows = self._bytes = 0
        self._seconds = 0.0

    def count(self, rows: int, size: int) -> None:
        self._rows += rows
        self._bytes += size

    def loaded(self, seconds: float) -> None:
        self._seconds += seconds

    def report(self) -> None:
        """Log what has gathered since the last report: counters and timers give their increase."""
        if self._rows:
            self._log("counter", "record_count", self._rows)
            self._log("counter", "record_bytes", self._bytes)
            self._rows = self._bytes = 0
        if self._seconds:
            self._log("timer", "batch_processing_time", self._seconds, status="succeeded")
            self._seconds = 0.0

    def _log(self, kind: str, metric: str, value: float, **tags: str) -> None:
        point = {"type": kind, "metric": metric, "value": value, "tags": {**self._tags, **tags}}
        _logger.info("METRIC: %s", json.dumps(point, separators=(",", ":")))


def report_schema(source: StreamSchema) -> None:
    """Log a SCHEMA as it came."""
    said = {
        "stream": source.stream,
        "schema": source.schema,
        "key_properties": source.keys,
        "bookmark_properties": source.bookmark,
    }
    _logger.info("SCHEMA_RECEIVED: %s", json.dumps(said, separators=(",", ":")))
