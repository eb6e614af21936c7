"""Whole listings: read from the first page to the last, but only if something in them has changed.

That is known before by the survey (there is nothing), by the ETags of all pages (each may be asked for free), or
afterwards by a digest, where the answer came with something else. Streams with a replication key send what is newer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tap_github.walks import children
from tap_github.walks.reading import digest
from tap_github.walks.steady import SteadyPages

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from singer_kit.rest import Page
    from tap_github.rows import Row
    from tap_github.walks.reading import Reading

_MOST_PAGES = 30  # whose ETags are kept in the state


def read(reading: Reading) -> Iterator[Page]:
    """Read a listing, and what hangs on its rows."""
    spec = reading.lead.spec
    if (given := reading.place.given.get(spec.name)) is not None:
        yield from read_given(reading, reading.rows_of(given, spec))
        return
    if reading.has_nothing():
        return
    conditional = all(member.spec.within for member in reading.members)
    kept: list[list[str]] | None = reading.common("pages") if conditional and reading.is_conditional else None
    if kept and unchanged(reading, kept):
        return
    etags: list[list[str]] | None = []
    for variant in spec.variants or ({},):
        steady = SteadyPages(reading)
        for _, rows in steady.read(reading.url, {**spec.params, **variant}):
            yield from _emit(reading, rows, variant)
        for _, rows in steady.again():
            yield from _emit(reading, rows, variant)
        etags = None if etags is None or steady.etags is None else etags + steady.etags
    if etags is None or len(etags) > _MOST_PAGES or not reading.is_conditional or not conditional:
        etags = None
    yield from reading.finish(pages=etags)


def read_given(reading: Reading, rows: list[Row]) -> Iterator[Page]:
    """Rows that came with another answer: sent if they are not those of last time."""
    lead = reading.lead
    found = digest(rows)
    if lead.conditional and lead.state.get("digest") == found:
        return
    yield lead.page(map(lead.stamp, rows))
    yield lead.page(state=lead.bookmark(digest=found if lead.conditional else None))


def unchanged(reading: Reading, pages: list[list[str]]) -> bool:
    """Whether GitHub says so of each page; costs nothing of the quota if it does."""
    spec = reading.lead.spec
    return all(
        reading.github.get(
            url, stream=spec.name, etag=etag, accept=spec.accept, tolerate=reading.tolerated(spec)
        ).unchanged
        for url, etag in pages
    )


def _emit(reading: Reading, rows: list[Row], variant: Mapping[str, Any]) -> Iterator[Page]:
    lead = reading.lead
    if lead.stream.selected:
        yield lead.page([{**lead.stamp(row), **variant} for row in rows if lead.wants(row) and _is_new(reading, row)])
    yield from children.read(reading, rows)
    for row in rows:
        lead.note(row)


def _is_new(reading: Reading, row: Row) -> bool:
    """Whether a row has changed, where it had to be read for what hangs on it."""
    lead = reading.lead
    if not lead.conditional or all(member.spec.within for member in reading.members):
        return True
    name = str(row["id"])
    lead.digests[name] = digest(row)
    return bool(lead.state.get("digests", {}).get(name) != lead.digests[name])
