"""Syncing a span of the past again, beside the bookmarks.

A connector that knows how says in `backfill` which of the tap's settings bound a sync. For any other tap the span
begins at a bookmark made up for each incremental stream, and cannot be bounded at its end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ipai.errors import SpecError
from ipai.singer_catalog import Catalog, deselect, replication_of, selected_streams, stream_name

if TYPE_CHECKING:
    from ipai.control_plane import Run
    from ipai.specs import Connector


def backfill_settings(source: Connector, run: Run) -> dict[str, Any]:
    """The tap's settings for the span of a backfill.

    Raises:
        SpecError: the span has an end, and the connector does not say how to tell the tap.
    """
    assert run.backfill_from is not None  # noqa: S101 - every backfill has one
    names = source.backfill
    if run.backfill_to is not None and "to" not in names:
        raise SpecError(
            f"{source.name} cannot bound a backfill at its end.",
            hint="Leave out --to, or name the tap's setting in backfill.to of its connector.yaml.",
        )
    settings: dict[str, Any] = {}
    if "from" in names:
        settings[names["from"]] = run.backfill_from.isoformat()
    if run.backfill_to is not None:
        settings[names["to"]] = run.backfill_to.isoformat()
    return settings


def backfill_catalog(catalog: Catalog) -> tuple[Catalog, list[str]]:
    """Leave out what has no notion of time; return the catalog and the names of those streams."""
    left_out = []
    for entry in catalog["streams"]:
        if stream_name(entry) in selected_streams({"streams": [entry]}) and replication_of(entry)[0] == "FULL_TABLE":
            deselect(entry)
            left_out.append(stream_name(entry))
    return catalog, left_out


def backfill_state(source: Connector, catalog: Catalog, run: Run) -> dict[str, Any]:
    """The STATE a backfill starts from: none where a setting says when, else a bookmark where the span begins."""
    assert run.backfill_from is not None  # noqa: S101
    if "from" in source.backfill:
        return {}
    chosen = set(selected_streams(catalog))
    bookmarks = {
        stream_name(entry): {"replication_key": key, "replication_key_value": run.backfill_from.isoformat()}
        for entry in catalog["streams"]
        if stream_name(entry) in chosen and (key := replication_of(entry)[1])
    }
    return {"bookmarks": bookmarks}
