"""Selecting streams in a discovered Singer catalog, whatever tap it came from."""

from __future__ import annotations

import copy
import difflib
import json
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from ipai.errors import SpecError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from ipai.specs import StreamRule

Catalog = dict[str, Any]
Entry = dict[str, Any]


def parse_catalog(text: str) -> Catalog:
    """Read a Singer catalog.

    Raises:
        SpecError: it is none; the text completes "this is …".
    """
    try:
        catalog = json.loads(text)
    except ValueError:
        start = " ".join(text.split())[:100]
        raise SpecError(f"no Singer catalog but {start!r}") from None
    if not isinstance(catalog, dict) or not isinstance(catalog.get("streams"), list):
        raise SpecError("JSON without a list of streams, so no Singer catalog")
    for entry in catalog["streams"]:
        if not isinstance(entry, dict) or not isinstance(entry.get("stream") or entry.get("tap_stream_id"), str):
            raise SpecError("JSON with a stream that has no name, so no Singer catalog")
        # Some taps write null where they have nothing to say.
        for key, nothing in (("metadata", []), ("schema", {})):
            entry[key] = entry.get(key) or nothing
    return catalog


def catalog_problems(catalog: Catalog) -> Iterator[str]:
    """What keeps a catalog from being used: each problem names its stream."""
    seen: set[str] = set()
    for entry in catalog["streams"]:
        if not isinstance(entry, dict) or not isinstance(entry.get("tap_stream_id"), str):
            yield "a stream has no tap_stream_id"
            continue
        name = entry["tap_stream_id"]
        if name in seen:
            yield f"{name}: is there twice"
        seen.add(name)
        properties = entry.get("schema", {}).get("properties")
        if not isinstance(properties, dict) or not properties:
            yield f"{name}: its schema has no properties"
            continue
        for key in [*(entry.get("key_properties") or []), *filter(None, [entry.get("replication_key")])]:
            if key not in properties:
                yield f"{name}: {key!r} is a key but no property"


def stream_name(entry: Entry) -> str:
    """What the stream is called in RECORD messages and bookmarks."""
    return str(entry.get("stream") or entry["tap_stream_id"])


def selected_streams(catalog: Catalog) -> list[str]:
    """The streams that a tap given this catalog would sync."""
    return [stream_name(entry) for entry in catalog["streams"] if _is_selected(entry)]


def selected_bookmarks(catalog: Catalog) -> set[str]:
    """The names under which bookmarks of those streams may stand: `stream`, and `tap_stream_id` if it differs."""
    return {name for entry in catalog["streams"] if _is_selected(entry) for name in _names(entry)}


def _names(entry: Entry) -> set[str]:
    return {stream_name(entry), str(entry.get("tap_stream_id") or stream_name(entry))}


def _matches(entry: Entry, pattern: str) -> bool:
    return any(fnmatchcase(name, pattern) for name in _names(entry))


def select(catalog: Catalog, rules: Sequence[StreamRule], only: Collection[str] | None = None) -> Catalog:
    """A copy of the catalog with the streams of an instance selected.

    Args:
        catalog: as discovered.
        rules: the instance's; without any, what the tap itself selects, or else everything.
        only: the streams asked for with `--stream`; they are taken whether or not the rules name them.

    Raises:
        SpecError: a rule or a name matches no stream.
    """
    chosen = copy.deepcopy(catalog)
    names = [stream_name(entry) for entry in chosen["streams"]]
    for wanted in [*(rule.pattern for rule in rules), *(only or ())]:
        if not any(_matches(entry, wanted) for entry in chosen["streams"]):
            near = difflib.get_close_matches(wanted, names, n=3)
            raise SpecError(
                f"The source has no stream {wanted!r}.",
                hint=f"Did you mean {', '.join(near)}?" if near else "ipai discover NAME lists what there is.",
            )
    for rule in rules:
        _check_excluded(rule, chosen["streams"])
    everything = not rules and not any(_is_selected(entry) for entry in chosen["streams"])
    for entry in chosen["streams"]:
        matching = [rule for rule in rules if _matches(entry, rule.pattern)]
        by_rule = bool(matching) if rules else everything or _is_selected(entry)
        _set_selected(entry, any(_matches(entry, each) for each in only) if only else by_rule)
        for rule in matching:
            _apply(entry, rule)
    return chosen


def _root(entry: Entry) -> dict[str, Any]:
    """The stream's own metadata, made when missing."""
    for item in entry.setdefault("metadata", []):
        if not item["breadcrumb"]:
            metadata: dict[str, Any] = item["metadata"]
            return metadata
    metadata = {}
    entry["metadata"].append({"breadcrumb": [], "metadata": metadata})
    return metadata


def _is_selected(entry: Entry) -> bool:
    metadata = _root(entry)
    if "selected" in metadata:
        return bool(metadata["selected"])
    if "selected-by-default" in metadata:
        return bool(metadata["selected-by-default"])
    return bool(entry.get("schema", {}).get("selected"))


def _set_selected(entry: Entry, selected: bool) -> None:
    _root(entry)["selected"] = selected
    # Taps from before catalog metadata look here.
    entry.setdefault("schema", {})["selected"] = selected


def deselect(entry: Entry) -> None:
    """Leave a stream out."""
    _set_selected(entry, selected=False)


def replication_of(entry: Entry) -> tuple[str | None, str | None]:
    """The replication method and key in force."""
    metadata = _root(entry)
    method = (
        entry.get("replication_method")
        or metadata.get("forced-replication-method")
        or metadata.get("replication-method")
    )
    return method, entry.get("replication_key") or metadata.get("replication-key")


def parent_of(entry: Entry) -> str | None:
    """The stream whose records this one walks over, where the tap says so."""
    parent = _root(entry).get("parent-tap-stream-id")
    return str(parent) if parent else None


def _properties(entry: Entry) -> set[str]:
    return set(entry.get("schema", {}).get("properties", {}))


def _check_excluded(rule: StreamRule, entries: Sequence[Entry]) -> None:
    """A glob may name a property that only some of its streams have, but not one that none has."""
    known = set().union(*(_properties(entry) for entry in entries if _matches(entry, rule.pattern)))
    for excluded in sorted(rule.exclude - known):
        near = difflib.get_close_matches(excluded, known, n=1)
        raise SpecError(
            f"{rule.pattern} has no property {excluded!r} to exclude.",
            hint=f"Did you mean {near[0]!r}?" if near else None,
        )


def _apply(entry: Entry, rule: StreamRule) -> None:
    metadata = _root(entry)
    if rule.replication_method:
        entry["replication_method"] = rule.replication_method
        entry["forced_replication_method"] = rule.replication_method
        metadata["replication-method"] = rule.replication_method
        metadata["forced-replication-method"] = rule.replication_method
    if rule.replication_key:
        entry["replication_key"] = rule.replication_key
        metadata["replication-key"] = rule.replication_key
    if rule.key_properties is not None:
        entry["key_properties"] = list(rule.key_properties)
        metadata["table-key-properties"] = list(rule.key_properties)
    for excluded in rule.exclude & _properties(entry):
        breadcrumb = ["properties", excluded]
        item = next((each for each in entry["metadata"] if each["breadcrumb"] == breadcrumb), None)
        if item is None:
            item = {"breadcrumb": breadcrumb, "metadata": {}}
            entry["metadata"].append(item)
        item["metadata"]["selected"] = False
