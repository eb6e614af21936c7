"""Dividing a catalog among the pipelines of one run, so that they take about as long as each other.

Streams that belong together stay in one pipeline: a child beside the parent whose records it walks over, and whatever
the instance says is to be kept `together`. What a stream costs is known from past runs; one that never ran counts as
the average of the others.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from ipai.singer_catalog import Catalog, deselect, parent_of, selected_streams, stream_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ipai.control_plane import StreamCost

_LEAST_SECONDS = 0.1  # what even an empty stream costs: a request, a table


def partition(
    catalog: Catalog, parts: int, costs: Mapping[str, StreamCost], together: Sequence[Sequence[str]] = ()
) -> list[Catalog]:
    """Split a catalog into at most `parts`, each with some of the streams selected and all of them described."""
    families = _families(catalog, together)
    wanted = min(parts, len(families))
    if wanted <= 1:
        return [catalog]
    known = [_seconds(costs[name]) for family in families for name in family if name in costs]
    average = sum(known) / len(known) if known else 1.0
    weighed = sorted(
        ((sum(_seconds(costs[name]) if name in costs else average for name in family), family) for family in families),
        key=lambda each: (-each[0], each[1]),
    )
    # The longest first, each to the pipeline with the least to do so far.
    loads = [0.0] * wanted
    chosen: list[set[str]] = [set() for _ in range(wanted)]
    for seconds, family in weighed:
        lightest = loads.index(min(loads))
        loads[lightest] += seconds
        chosen[lightest].update(family)
    return [_only(catalog, names) for names in chosen]


def _seconds(cost: StreamCost) -> float:
    return max(cost.seconds or (cost.rows or 0) / 10_000, _LEAST_SECONDS)


def _families(catalog: Catalog, together: Sequence[Sequence[str]]) -> list[list[str]]:
    """The selected streams, in groups that must not be parted."""
    selected = selected_streams(catalog)
    leader = {name: name for name in map(stream_name, catalog["streams"])}

    def find(name: str) -> str:
        while leader[name] != name:
            name = leader[name]
        return name

    by_id = {str(entry.get("tap_stream_id")): stream_name(entry) for entry in catalog["streams"]}
    for entry in catalog["streams"]:
        parent = by_id.get(parent_of(entry) or "")
        if parent is not None:
            leader[find(stream_name(entry))] = find(parent)
    for group in together:
        known = [name for name in group if name in leader]
        for name in known[1:]:
            leader[find(name)] = find(known[0])
    families: dict[str, list[str]] = {}
    for name in selected:
        families.setdefault(find(name), []).append(name)
    return list(families.values())


def _only(catalog: Catalog, names: set[str]) -> dict[str, Any]:
    part = copy.deepcopy(catalog)
    for entry in part["streams"]:
        if stream_name(entry) not in names:
            deselect(entry)
    return part
