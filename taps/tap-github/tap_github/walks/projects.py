"""Projects of an organization and what lies on them, which only GraphQL has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tap_github.graphql import Nodes
from tap_github.walks import children

if TYPE_CHECKING:
    from collections.abc import Iterator

    from singer_kit.rest import Page
    from tap_github.walks.reading import Reading


def read(reading: Reading) -> Iterator[Page]:
    """Read all projects, and the items of those that have changed."""
    lead = reading.lead
    name = lead.spec.name
    row = reading.github.get(f"orgs/{reading.place.path['org']}", stream=name).body
    nodes = Nodes(reading.github, name, [name], 1)
    ((_, found),) = nodes.read([row["node_id"]])
    organization = reading.check_node(found, lead.spec)
    make = lead.spec.batched
    assert make is not None  # noqa: S101 - this walk is for streams that have it
    for page in nodes.pages(organization, name):
        rows = [lead.stamp(make(row, dict(reading.place.columns), lead.urls)) for row in page if row]
        if lead.stream.selected:
            yield lead.page([row for row in rows if lead.wants(row)])
        yield from children.read(reading, rows)
        for row in rows:
            lead.note(row)
    yield from reading.finish()
