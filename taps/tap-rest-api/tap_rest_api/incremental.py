"""Reading only what is new: cursors, where a run begins and ends, and windows of time.

A bookmark is a moment in UTC, a number or a text. Rows on it are read again (`>=`): a key makes that harmless, and a
row that shares its second with the last one is not lost. A bookmark is never later than a minute before the run began,
by the server's clock: rows that commit with an earlier time while they are being read come with the next run.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeAlias

from singer_kit.errors import DataError
from tap_rest_api.moments import UTC, MomentFormat, from_rfc3339, time_zone, to_rfc3339, unambiguous
from tap_rest_api.templates import as_moment, as_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tap_rest_api.language import Bound, Incremental

Point: TypeAlias = Any  # datetime, int or str, all of one cursor the same; None: nothing is known

_DAY = timedelta(days=1)
_SECOND = timedelta(seconds=1)
_QUARTER = timedelta(minutes=15)


@dataclass(frozen=True)
class Span:
    """What one sequence of requests asks for: from a point, up to one that is left out; None is open.

    `last` tells that nothing follows it in this run, so that rows behind its end are not another span's.
    """

    start: Point = None
    end: Point = None
    last: bool = True


class Cursor:
    """The `incremental` of one stream, compiled.

    Args:
        incremental: of the manifest.
        start_date: of the config, for a stream that has no `initial`.
    """

    def __init__(self, incremental: Incremental, start_date: str | None = None) -> None:
        self.spec = incremental
        self.field = incremental.cursor
        self._zone = time_zone(incremental.timezone) if incremental.timezone else UTC
        names = [incremental.format] if isinstance(incremental.format, str) else incremental.format
        self._formats = [MomentFormat(name, self._zone) for name in names]
        self._start_date = start_date

    # Values

    def point(self, record: Mapping[str, Any]) -> Point:
        """Where a record stands; None where it has no cursor.

        Raises:
            DataError: its cursor cannot be read.
        """
        value = record.get(self.field)
        if value is None or value == "":
            return None
        return self._read(value)

    def _read(self, value: Any) -> Point:
        kind = self.spec.type
        if kind == "string":
            return as_text(value)
        try:
            if kind == "integer":
                return int(value)
            return self._read_moment(value)
        except (ValueError, TypeError, ArithmeticError) as error:
            wanted = "an integer" if kind == "integer" else " or ".join(one.name for one in self._formats)
            raise DataError(
                f"cursor '{self.field}' holds {value!r}, which is not {wanted} ({error}). "
                "Next: correct incremental.type or incremental.format."
            ) from None

    def _read_moment(self, value: Any) -> datetime:
        for form in self._formats[:-1]:
            try:
                return form.read(value)
            except ValueError:
                continue
        return self._formats[-1].read(value)

    def dump(self, point: Point) -> Any:
        """A point as the STATE has it."""
        if not isinstance(point, datetime):
            return point
        return point.date().isoformat() if self.spec.type == "date" else to_rfc3339(point)

    def load(self, value: Any) -> Point:
        """A point from the STATE or from `initial`.

        Raises:
            DataError: it is none of this cursor's type.
        """
        if self.spec.type in {"datetime", "date"}:
            try:
                return as_moment(value)
            except ValueError:
                return self._read(value)
        return self._read(value)

    def write(self, point: Point, bound: Bound) -> Any:
        """A point as a request parameter has it."""
        return MomentFormat(bound.format, self._zone).write(point) if isinstance(point, datetime) else point

    def local(self, point: Point) -> Point:
        """A point for templates: in the zone in which the API writes."""
        return point.astimezone(self._zone) if isinstance(point, datetime) else point

    # Where a run begins and ends

    def begin(self, state: Mapping[str, Any], scope: Mapping[str, Any]) -> Point:
        """Where to begin: the bookmark less `lookback`, or `initial`; None is the beginning of all."""
        bookmark = state.get("replication_key_value")
        if bookmark is not None:
            return self._looked_back(self.load(bookmark))
        initial = self.spec.initial.render(scope) if self.spec.initial else None
        if initial is None and self.spec.type in {"datetime", "date"}:
            initial = self._start_date
        return None if initial is None else self._aligned(self.load(initial))

    def upper(self, started: datetime) -> Point:
        """What is not read in this run any more; None for cursors that are not times."""
        if self.spec.type not in {"datetime", "date"}:
            return None
        end = self.spec.delay.before(started) if self.spec.delay else started
        return self._aligned(end)

    def bookmark(self, point: Point, horizon: datetime, former: Point = None) -> dict[str, Any] | None:
        """The STATE of a partition that has been read up to a point.

        Args:
            point: all before it has been read.
            horizon: no bookmark is later, rows may still come in before it.
            former: the bookmark so far; the new one is never before it.
        """
        if point is None:
            return None
        if isinstance(point, datetime):
            point = min(point, horizon)
        if former is not None:
            point = max(point, former)
        return {"replication_key": self.field, "replication_key_value": self.dump(point)}

    def spans(self, begin: Point, started: Callable[[], datetime]) -> Iterator[Span]:
        """The windows from where the run begins to where it ends, or all of it in one.

        Args:
            begin: of `begin`.
            started: when the run began; asked for each window, because the first answer tells the server's clock.
        """
        window = self.spec.window
        if window is None:
            yield Span(begin, self.upper(started()))
            return
        if begin is None:
            raise DataError(
                f"cursor '{self.field}' is read in windows, and nothing says where the first begins. "
                "Next: set incremental.initial, or start_date in the config."
            )
        while begin < (upper := self.upper(started())):
            asked: datetime = window.step.after(begin)
            end = self._aligned(asked)
            while end <= begin:  # the step ends in a repeated hour that has just begun: take in the whole hour
                asked += _QUARTER
                end = self._aligned(asked)
            end = min(end, upper)
            yield Span(begin, end, last=end >= upper)
            begin = end

    def split(self, span: Span) -> tuple[Span, Span] | None:
        """Two halves of a window; None if they would be shorter than `min_step`."""
        window = self.spec.window
        if window is None or not isinstance(span.start, datetime) or not isinstance(span.end, datetime):
            return None
        middle = self._aligned(span.start + (span.end - span.start) / 2)
        if middle <= span.start or (middle - span.start).total_seconds() < window.min_step.seconds:
            return None
        return Span(span.start, middle, last=False), Span(middle, span.end, span.last)

    def asked(self, span: Span) -> Point:
        """The start to ask for: a step before it where the server leaves out what it is given."""
        if self.spec.inclusive or span.start is None or isinstance(span.start, str):
            return span.start
        if isinstance(span.start, datetime):
            return span.start - (_DAY if self.spec.type == "date" else _SECOND)
        return span.start - 1

    def _aligned(self, point: Point) -> Point:
        if not isinstance(point, datetime):
            return point
        if self.spec.type == "date":
            return point.astimezone(self._zone).replace(hour=0, minute=0, second=0, microsecond=0).astimezone(UTC)
        return unambiguous(point.replace(microsecond=0), self._zone)

    def _looked_back(self, point: Point) -> Point:
        lookback = self.spec.lookback
        if lookback is None:
            return self._aligned(point)
        if isinstance(point, datetime):
            return self._aligned(lookback.before(point))
        if isinstance(point, int):
            return point - int(lookback.seconds)
        # A period such as 2024-05 is a text that can be counted back.
        if match := re.fullmatch(r"\d{4}-\d\d(-\d\d)?", point):
            return lookback.before(from_rfc3339(point)).strftime("%Y-%m-%d" if match[1] else "%Y-%m")
        return point
