"""Workflow runs, by the day that they were made.

GitHub gives the first 1,000 runs of a window of time: one with more is cut in two. A run may be run again long after
it was made, which only its `updated_at` tells; so each reading begins `runs_lookback_days` before the bookmark and
sends what has changed. Runs that had not ended when they fell out of the window are asked for one by one.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from tap_github.times import instant, written
from tap_github.walks import children
from tap_github.walks.listing import unchanged
from tap_github.walks.steady import SteadyPages

if TYPE_CHECKING:
    from collections.abc import Iterator

    from singer_kit.rest import Page
    from tap_github.rows import Row
    from tap_github.walks.reading import Reading

logger = logging.getLogger("tap-github")

_FIRST = datetime(2018, 10, 1, tzinfo=timezone.utc)  # Actions were announced later that month
_MOST_RESULTS = 1000
_SHORTEST = timedelta(minutes=1)
_MOST_OPEN = 500
_LONGEST = timedelta(days=36)
_MOST_PAGES = 10
_GONE = frozenset({404})


def read(reading: Reading) -> Iterator[Page]:
    """Read the runs that have changed, and their jobs."""
    yield from _Walk(reading).read()


class _Walk:
    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._sent: set[int] = set()
        self._open: dict[str, str] = {}  # by id: when it was made
        self._etags: list[list[str]] | None = []

    def read(self) -> Iterator[Page]:
        reading = self._reading
        waiting: dict[str, str] = reading.common("open_runs") or {}
        pages = reading.common("pages") if reading.is_conditional else None
        start = self._start(pages)
        if pages and reading.common("start") == written(start) and unchanged(reading, pages):
            self._etags = pages
            self._open = {number: made for number, made in waiting.items() if not _is_before(made, start)}
            if self._open == waiting:
                return
        else:
            yield from self._read_window(start, None)
        for number, made in waiting.items():
            if _is_before(made, start) and int(number) not in self._sent:
                yield from self._read_one(number)
        yield from reading.finish(
            open_runs=self._open or None,
            pages=self._etags if reading.is_conditional and self._etags else None,
            start=written(start),
        )

    def _start(self, pages: list[list[str]] | None) -> datetime:
        """Where the window begins: as last time, if all of it was on one page; else at a day's beginning."""
        floor = self._reading.floor
        if pages and len(pages) == 1 and (known := instant(self._reading.common("start"))):
            return known
        if floor is None:
            return _FIRST
        if all(member.value is None for member in self._reading.selected):
            return floor.replace(microsecond=0)  # start_date
        floor -= timedelta(days=self._reading.config["runs_lookback_days"])
        return max(_FIRST, floor.replace(hour=0, minute=0, second=0, microsecond=0))

    def _read_window(self, start: datetime, end: datetime | None) -> Iterator[Page]:
        """A window; one without an end reaches to now."""
        reading = self._reading
        created = f"{written(start)}..{written(end)}" if end else f">={written(start)}"
        steady = SteadyPages(reading)
        upto = end or reading.github.client.now().replace(microsecond=0)
        for number, (answer, rows) in enumerate(steady.read(reading.url, {"created": created})):
            total = (answer.body or {}).get("total_count", 0)
            if not number and total > _MOST_RESULTS:
                if upto - start > _SHORTEST:
                    middle = (start + (upto - start) / 2).replace(microsecond=0)
                    self._etags = None
                    yield from self._read_window(start, middle)
                    yield from self._read_window(middle, end)
                    return
                logger.warning(
                    "Stream '%s': %d runs were made within a minute (%s), and GitHub shows the first %d of them.",
                    reading.lead.spec.name, total, created, _MOST_RESULTS,
                )  # fmt: skip
            yield from self._emit(rows)
        for _, rows in steady.again():
            yield from self._emit(rows)
        if self._etags is not None:
            found = steady.etags
            self._etags = None if found is None or len(found) > _MOST_PAGES else self._etags + found

    def _read_one(self, number: str) -> Iterator[Page]:
        reading = self._reading
        answer = reading.github.get(f"{reading.url}/{number}", stream=reading.lead.spec.name, tolerate=_GONE)
        if answer.body is not None:
            yield from self._emit([answer.body])

    def _emit(self, rows: list[Row]) -> Iterator[Page]:
        lead = self._reading.lead
        fresh = [row for row in rows if row["id"] not in self._sent]
        for row in fresh:
            self._sent.add(row["id"])
            if self._is_open(row) and len(self._open) < _MOST_OPEN:
                self._open[str(row["id"])] = row["created_at"]
        if lead.stream.selected:
            yield lead.page([lead.stamp(row) for row in fresh if lead.wants(row)])
        yield from children.read(self._reading, fresh)
        for row in fresh:
            lead.note(row)

    def _is_open(self, row: Row) -> bool:
        """Whether a run may still end. GitHub itself ends those that take longer than 35 days."""
        begun = instant(row.get("run_started_at") or row.get("created_at"))
        alive = begun is None or begun > self._reading.github.client.now() - _LONGEST
        return row.get("status") != "completed" and alive


def _is_before(made: str, start: datetime) -> bool:
    moment = instant(made)
    return moment is not None and moment < start
