"""Listings that begin with the newest: read until what is known already.

A row that changes meanwhile moves to the front, which shifts others to later pages: some come twice, none is missed.
The bookmark is written when all is read, because the newest come first. The first reading of a large repository takes
hours; after each page it leaves in the state where it is, and a run after it goes on there.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from tap_github.times import instant, written
from tap_github.walks import children
from tap_github.walks.steady import SteadyPages

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from singer_kit.rest import Page
    from tap_github.rows import Row
    from tap_github.walks.reading import Reading

logger = logging.getLogger("tap-github")


def read(reading: Reading) -> Iterator[Page]:
    """Read a listing that begins with the newest, and what hangs on its rows."""
    if reading.has_nothing():
        return
    spec = reading.lead.spec
    url, params = reading.url, spec.params
    etag = reading.common("etag") if reading.is_conditional else None
    if resume := reading.common("resume"):
        for member in reading.selected:
            member.take_up(member.state.get("progress", {}))
        url, params, etag = _resumed(reading, resume), {}, None
    steady = SteadyPages(reading)
    tag, newest, oldest = None, None, None
    for answer, rows in steady.read(url, params, etag):
        if answer.unchanged:
            return
        times = [moment for row in rows if (moment := _place(reading, row))]
        tag, newest, oldest = tag or answer.etag, newest or max(times, default=None), min(times, default=oldest)
        yield from children.with_leaders(reading, rows)
        if _is_known(reading, oldest):
            break
        if answer.next and oldest:
            yield from _leave_mark(reading, answer.next, oldest)
    else:
        _warn_of_gap(reading, oldest)
    if spec.deletable:
        # What is newer than all that was read is the next run's.
        for _, rows in steady.again(
            lambda row: (place := _place(reading, row)) is None or not newest or place <= newest
        ):
            yield from children.with_leaders(reading, rows)
    yield from reading.finish(etag=tag if reading.is_conditional and not resume else None)


def _is_known(reading: Reading, oldest: datetime | None) -> bool:
    """Whether all further rows are older than what any stream wants."""
    floor = reading.floor
    return floor is not None and oldest is not None and oldest < floor - reading.lead.spec.lookback


def _leave_mark(reading: Reading, url: str, oldest: datetime) -> Iterator[Page]:
    """Where a first reading is, so that it can go on if it is interrupted."""
    if any(member.value is not None for member in reading.selected):
        return
    for member in reading.selected:
        resume = {"url": url, "oldest": written(oldest)}
        yield member.page(state={"resume": resume, "progress": member.progress() or {}})


def _place(reading: Reading, row: Row) -> datetime | None:
    """What the listing is ordered by."""
    spec = reading.lead.spec
    return instant(row.get(spec.ordered_by or spec.replication_key or ""))


def _resumed(reading: Reading, resume: Mapping[str, Any]) -> str:
    """Where to go on; rows that were deleted since have moved others to pages that were read."""
    spec = reading.lead.spec
    url, oldest = str(resume["url"]), instant(resume["oldest"])
    logger.info("Stream '%s': going on at %s, where the last run was interrupted.", spec.name, url)
    while True:
        answer = reading.github.get(url, stream=spec.name, accept=spec.accept)
        rows = reading.rows_of(answer.body, spec)
        newest = max(filter(None, (_place(reading, row) for row in rows)), default=None)
        if answer.previous is None or (newest is not None and oldest is not None and newest >= oldest):
            return url
        url = answer.previous


def _warn_of_gap(reading: Reading, oldest: datetime | None) -> None:
    """GitHub keeps the last 300 events only."""
    lead = reading.lead
    if lead.spec.name == "events" and lead.value is not None and oldest is not None and oldest > lead.value:
        logger.warning(
            "Stream 'events': %s has had more events since the last run than GitHub keeps (300, or 30 days): those "
            "between %s and %s are lost. Next: run more often.",
            "/".join(reading.place.path.values()), written(lead.value), written(oldest),
        )  # fmt: skip
