"""Listings that can be asked for from an instant on, oldest first: issues and comments.

Ascending pages by number skip rows: while page 1 is read, one of its rows is changed and moves to the end, all others
move forward, and the first of page 2 is never seen. So where a link leads to a page by its number, the walk asks anew
from the time of the last row instead. Rows come in order: the bookmark moves with each page.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tap_github.times import instant, written
from tap_github.walks import children
from tap_github.walks.steady import SteadyPages, is_numbered

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from singer_kit.rest import Page
    from tap_github.client import Answer
    from tap_github.rows import Row
    from tap_github.walks.reading import Reading

_KEY = "updated_at"


def read(reading: Reading) -> Iterator[Page]:
    """Read a listing from the bookmark on, and what hangs on its rows."""
    if reading.has_nothing():
        return
    walk = _Walk(reading)
    first = reading.common("first") if reading.is_conditional else None
    # The same question as last time may be answered "unchanged"; one from the bookmark on would be another one.
    since = instant(first["since"]) if first and first["since"] else None if first else reading.floor
    answer, rows = walk.ask(since, first["etag"] if first else None)
    if answer.unchanged:
        return
    if first and answer.next:  # there is more since then than fits on a page
        since = reading.floor
        answer, rows = walk.ask(since)
    if answer.next is None:
        yield from walk.emit(rows)
        known = {"etag": answer.etag, "since": written(since) if since else None}
        yield from reading.finish(first=known if answer.etag and reading.is_conditional else None)
        return
    yield from walk.follow(answer, rows, since)
    yield from reading.finish()


class _Walk:
    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._end = reading.github.client.now()
        # What was sent of the second that the walk has reached.
        self._second: datetime | None = None
        self._sent: set[Any] = set()

    def ask(self, since: datetime | None, etag: str | None = None) -> tuple[Answer, list[Row]]:
        """The first page from an instant on."""
        self._steady = SteadyPages(self._reading)
        params = {**self._reading.lead.spec.params, "sort": "updated", "direction": "asc"}
        if since is not None:
            params["since"] = written(since.replace(microsecond=0))
        self._pages = self._steady.read(self._reading.url, params, etag)
        return next(self._pages)

    def follow(self, answer: Answer, rows: list[Row], since: datetime | None) -> Iterator[Page]:
        """Read on to the end, or to what has changed since the walk began."""
        while True:
            yield from self.emit(rows)
            yield from self._reading.finish()
            reached = _last(rows) or since
            if answer.next is None or (reached is not None and reached > self._end):
                yield from self._check_second()
                return
            if is_numbered(answer.next) and reached is not None and reached != since:
                yield from self._check_second()
                since = reached
                answer, rows = self.ask(since)
            else:
                # A cursor holds its place; and a second with more rows than a page has to be read by numbers.
                answer, rows = next(self._pages)

    def _check_second(self) -> Iterator[Page]:
        for _, rows in self._steady.again():
            yield from self.emit(rows)

    def emit(self, rows: list[Row]) -> Iterator[Page]:
        """Send what was not sent yet."""
        reading, lead = self._reading, self._reading.lead
        unsent = [row for row in rows if not self._was_sent(row)]
        for row in unsent:
            self._remember(row)
        unsent = [row for row in unsent if reading.is_wanted(row)]
        if lead.stream.selected:
            yield lead.page([lead.stamp(row) for row in unsent if lead.wants(row)])
        yield from children.read(reading, unsent)
        # One that is newer than its place says changed as the page was made, and will come again at its new place.
        last = _last(rows)
        for row in unsent:
            if last is None or (when := instant(row.get(_KEY))) is None or when <= last:
                lead.note(row)

    def _was_sent(self, row: Row) -> bool:
        return instant(row.get(_KEY)) == self._second and row["id"] in self._sent

    def _remember(self, row: Row) -> None:
        when = instant(row.get(_KEY))
        if when != self._second:
            self._second, self._sent = when, set()
        self._sent.add(row["id"])


def _last(rows: list[Row]) -> datetime | None:
    """Up to where a page has come."""
    return instant(rows[-1].get(_KEY)) if rows else None
