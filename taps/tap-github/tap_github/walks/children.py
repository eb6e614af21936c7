"""What hangs on a row: the reviews of a pull request, the jobs of a run. Read for rows that have changed only.

Each stream decides by its own bookmark which rows have changed for it, so that one which is selected later begins at
its own beginning. What GraphQL can answer is asked for by the batch, all streams in the same query.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from singer_kit.rest import SkippedError
from tap_github.graphql import Nodes
from tap_github.queries import PARTS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from singer_kit.rest import Page
    from tap_github.client import Answer
    from tap_github.rows import Row
    from tap_github.streams.spec import StreamSpec
    from tap_github.walks.reading import Member, Reading

logger = logging.getLogger("tap-github")


def with_leaders(reading: Reading, rows: Sequence[Row]) -> Iterator[Page]:
    """Send rows of the leader and what hangs on them; only then do bookmarks know of them."""
    lead = reading.lead
    if lead.stream.selected:
        yield lead.page([lead.stamp(row) for row in rows if lead.wants(row)])
    yield from read(reading, rows)
    for row in rows:
        lead.note(row)


def read(reading: Reading, leaders: Sequence[Row]) -> Iterator[Page]:
    """Read what hangs on some rows of the leader, and note that it was."""
    yield from read_of(reading, reading.lead.spec.name, leaders)


def read_of(reading: Reading, leader: str, rows: Sequence[Row]) -> Iterator[Page]:
    """The same for the rows of a stream that hangs on another one itself."""
    members = [member for member in reading.members if member.spec.leader == leader]
    batched = [member for member in members if member.spec.batched and reading.config["use_graphql"]]
    if batched:
        yield from _read_batch(reading, batched, rows)
    for member in members:
        if member not in batched:
            yield from _read_each(reading, member, rows)
        for row in rows:
            member.note(row)
            for nested in reading.members:
                if nested.spec.leader == member.spec.name:
                    nested.note(
                        {name: row.get(source) for name, source in member.spec.inherit.items()} | {"id": row["id"]}
                    )


def _read_batch(reading: Reading, members: Sequence[Member], leaders: Sequence[Row]) -> Iterator[Page]:
    """Ask GraphQL for many rows at once; which parts, is the same for all of them."""
    groups: dict[tuple[str, ...], list[Row]] = {}
    for leader in leaders:
        if names := tuple(member.spec.name for member in members if member.wants(leader)):
            groups.setdefault(names, []).append(leader)
    of = {member.spec.name: member for member in members}
    for names, wanted in groups.items():
        # Rows of REST have `node_id`, those of GraphQL are nodes themselves.
        rows = {str(leader.get("node_id") or leader["id"]): leader for leader in wanted}
        nodes = Nodes(reading.github, names[0], names, reading.config["graphql_page_size"])
        for key, node in nodes.read(list(rows)):
            try:
                whole = reading.check_node(node, of[names[0]].spec)
            except SkippedError as error:
                skip(of[names[0]], str(error))  # a row that vanished meanwhile has nothing hanging on it
                continue
            for name in names:
                yield from _read_node(reading, nodes, of[name], whole, rows[key])


def _read_node(reading: Reading, nodes: Nodes, member: Member, node: Row, leader: Row) -> Iterator[Page]:
    make = member.spec.batched
    assert make is not None  # noqa: S101 - chosen for it
    # What the rows are read under, so that URLs can be put together.
    place = {**member.columns, **{column: leader.get(source) for column, source in member.spec.inherit.items()}}
    if not PARTS[member.spec.name].nodes:
        yield member.page([member.stamp(make(node, place, member.urls), leader)])
        return
    for page in nodes.pages(node, member.spec.name):
        rows = [member.stamp(make(row, place, member.urls), leader) for row in page if row]
        yield member.page(rows)
        yield from read_of(reading, member.spec.name, rows)


def _read_each(reading: Reading, member: Member, leaders: Sequence[Row]) -> Iterator[Page]:
    for leader in leaders:
        if not member.wants(leader):
            continue
        if member.spec.within:
            yield member.page(member.stamp(row, leader) for row in leader[member.spec.within])
            continue
        try:
            for rows in _listed(reading, member, leader):
                yield member.page(member.stamp(row, leader) for row in rows)
        except SkippedError as error:
            skip(member, str(error))


def _listed(reading: Reading, member: Member, leader: Row) -> Iterator[list[Row]]:
    """The listings of one row, page by page."""
    spec = member.spec
    values = {name: leader[source] for name, source in {**spec.inherit, **spec.fill}.items()}
    numbers: list[dict[str, Any]] = [{}]
    if spec.counts_up:
        ((name, source),) = spec.fill.items()
        numbers = [{name: number} for number in range(1, (leader[source] or 0) + 1)]
    # Of leaders that are read whole each time, only ETags tell for which of them something has changed.
    known: dict[str, str] | None = None
    if member.conditional and not member.stream.replication_key:
        known = member.state.get("digests", {})
    for number in numbers:
        for variant in spec.variants or ({},):
            name = " ".join(map(str, (leader.get("id"), *variant.values())))
            etag = known.get(name) if known else None
            pages = reading.github.pages(
                reading.path(spec, **{**values, **number}),
                {**spec.params, **reading.filters(spec), **variant},
                stream=spec.name,
                tolerate=reading.tolerated(spec),
                etag=etag,
                accept=spec.accept,
                paged=spec.paged,
            )
            if spec.goes_on:
                yield _joined(reading, spec, pages)
                continue
            for place, answer in enumerate(pages):
                tag = etag if answer.unchanged else answer.etag
                if known is not None and not place and answer.next is None and tag:
                    member.digests[name] = tag
                if not answer.unchanged and reading.check(answer, spec):
                    yield [{**row, **variant} for row in reading.rows_of(answer.body, spec)]


def _joined(reading: Reading, spec: StreamSpec, pages: Iterator[Answer]) -> list[Row]:
    """One row, whose list goes on over all pages."""
    bodies = [answer.body for answer in pages if reading.check(answer, spec)]
    return [{**bodies[0], spec.goes_on: [item for body in bodies for item in body.get(spec.goes_on, ())]}]


def skip(member: Member, reason: str) -> None:
    """Tell of one row whose rows cannot be read, and that this is tolerated."""
    logger.warning("Stream '%s': rows are skipped: %s.", member.spec.name, reason)
    member.stream.rest_tap.skipped[member.spec.name] += 1
