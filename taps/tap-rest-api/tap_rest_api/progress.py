"""How far a partition has been read, and which of its rows are new."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from singer_kit.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from tap_rest_api.extraction import Record
    from tap_rest_api.incremental import Cursor, Point, Span

_logger = logging.getLogger("tap_rest_api")


class Progress:
    """Of one partition of an incremental stream. The bookmark never goes back.

    Args:
        cursor: of the stream.
        horizon: no bookmark is later.
        state: the partition's bookmark so far.
        emits_from: rows before it are left out; None: none are.
        stream: for the log.
    """

    def __init__(
        self,
        cursor: Cursor,
        horizon: Callable[[], datetime],
        state: Mapping[str, Any],
        emits_from: Point,
        stream: str,
    ) -> None:
        self._cursor, self._horizon, self._emits_from, self._stream = cursor, horizon, emits_from, stream
        value = state.get("replication_key_value")
        self._former: Point = None if value is None else cursor.load(value)
        self._reached: Point = self._former
        self._newest: Point = None
        self._ascending = cursor.spec.order == "asc"

    def keep(self, records: list[Record], span: Span) -> list[Record]:
        """The rows of a page that belong to this run and this span.

        Raises:
            DataError: a row has no cursor, and `missing_cursor` is `fail`.
        """
        kept = []
        lowest = self._newest
        for record in records:
            point = self._cursor.point(record)
            if point is None:
                if self._cursor.spec.missing_cursor == "fail":
                    raise DataError(
                        f"a row has no cursor '{self._cursor.field}'. Next: set incremental.missing_cursor to include "
                        "or exclude."
                    )
                if self._cursor.spec.missing_cursor == "include":
                    kept.append(record)
                continue
            if not span.last and span.end is not None and point >= span.end:
                continue  # the next window has it, and only there it is sure to be complete
            if self._ascending and lowest is not None and point < lowest:
                self._ascending = False
                _logger.warning(
                    "Stream '%s': rows do not come in ascending order of '%s'; the bookmark moves at the end only. "
                    "Next: set incremental.order to none.", self._stream, self._cursor.field,
                )  # fmt: skip
            self._newest = lowest = point if lowest is None else max(lowest, point)
            if self._emits_from is None or point >= self._emits_from:
                kept.append(record)
        return kept

    def reach(self, point: Point) -> None:
        """All before this point has been read."""
        if point is not None:
            self._reached = point if self._reached is None else max(self._reached, point)

    @property
    def between(self) -> dict[str, Any] | None:
        """The bookmark behind a page: only where rows come in order."""
        if not self._ascending or self._cursor.spec.window is not None:
            return None
        self.reach(self._newest)
        return self.bookmark

    @property
    def bookmark(self) -> dict[str, Any] | None:
        """The bookmark at what has been reached."""
        return self._cursor.bookmark(self._reached, self._horizon(), self._former)

    def finished(self) -> dict[str, Any] | None:
        """The bookmark once all of the partition has been read."""
        if self._cursor.spec.window is None:
            self.reach(self._newest)
        return self.bookmark
