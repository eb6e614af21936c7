"""Listings that GraphQL gives for many repositories at once: one question instead of one for each of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tap_github.graphql import Nodes
from tap_github.walks import children
from tap_github.walks.reading import digest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from singer_kit.rest import Page
    from tap_github.rows import Row
    from tap_github.walks.reading import Member, Reading

_MOST_PAGES = 10  # of 100 rows, held until it is known whether anything has changed


def read(reading: Reading) -> Iterator[Page]:
    """Read the connection of one repository, whose first page came with those of others."""
    node = reading.check_node(reading.lead.stream.first_pages().get(reading.place), reading.lead.spec)
    nodes = Nodes(reading.github, reading.lead.spec.name, [reading.lead.spec.name], 1)
    if reading.lead.stream.replication_key:
        yield from _read_newest(reading, nodes, node)
    else:
        yield from _read_all(reading, nodes, node)


def _read_newest(reading: Reading, nodes: Nodes, node: Row) -> Iterator[Page]:
    """One that begins with the newest, up to what is known."""
    lead = reading.lead
    floor = reading.floor
    for page in nodes.pages(node, lead.spec.name):
        rows = _rows(reading, page)
        yield from children.with_leaders(reading, rows)
        if floor is not None and any((when := lead.when(row)) is not None and when < floor for row in rows):
            break
    yield from reading.finish()


def _read_all(reading: Reading, nodes: Nodes, node: Row) -> Iterator[Page]:
    """One without an order in time: sent if it is not what it was."""
    lead = reading.lead
    held: list[Row] = []
    pages = 0
    for page in nodes.pages(node, lead.spec.name):
        pages += 1
        held += _rows(reading, page)
        if pages > _MOST_PAGES:
            yield _page(lead, held)
            held = []
    if pages > _MOST_PAGES:
        yield _page(lead, held)
        yield lead.page(state=lead.bookmark())
        return
    found = digest(held)
    if lead.conditional and lead.state.get("digest") == found:
        return
    yield _page(lead, held)
    yield lead.page(state=lead.bookmark(digest=found if lead.conditional else None))


def _page(lead: Member, rows: list[Row]) -> Page:
    return lead.page([lead.stamp(row) for row in rows])


def _rows(reading: Reading, page: list[Any]) -> list[Row]:
    make = reading.lead.spec.batched
    assert make is not None  # noqa: S101 - this walk is for streams that have it
    return [make(row, dict(reading.place.columns), reading.lead.urls) for row in page if row]
