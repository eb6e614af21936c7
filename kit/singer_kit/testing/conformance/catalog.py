"""A discovered catalog: its streams, keys and selection, and the same with another selection."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection


@dataclass(frozen=True)
class Stream:
    """One entry of a catalog."""

    entry: dict[str, Any]

    @property
    def name(self) -> str:
        return str(self.entry["tap_stream_id"])

    @property
    def properties(self) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = self.entry["schema"].get("properties", {})
        return found

    @property
    def keys(self) -> list[str]:
        found: list[str] = self.entry.get("key_properties") or self.metadata().get("table-key-properties") or []
        return found

    @property
    def replication_key(self) -> str | None:
        found: str | None = self.entry.get("replication_key") or self.metadata().get("replication-key")
        return found

    @property
    def incremental(self) -> bool:
        method = self.entry.get("replication_method") or self.metadata().get("forced-replication-method")
        return method == "INCREMENTAL"

    def metadata(self, *breadcrumb: str) -> dict[str, Any]:
        """Metadata of the stream, or with `"properties", name` of a property."""
        return next(
            (each["metadata"] for each in self.entry.get("metadata", []) if list(each["breadcrumb"]) == [*breadcrumb]),
            {},
        )

    def select(self, selected: bool, *breadcrumb: str) -> None:
        """Write the selection into the entry."""
        for each in self.entry.setdefault("metadata", []):
            if list(each["breadcrumb"]) == [*breadcrumb]:
                each["metadata"]["selected"] = selected
                return
        self.entry["metadata"].append({"breadcrumb": [*breadcrumb], "metadata": {"selected": selected}})

    @property
    def selected(self) -> bool:
        metadata = self.metadata()
        return bool(metadata.get("selected", metadata.get("selected-by-default", True)))


@dataclass(frozen=True)
class Catalog:
    """What `--discover` printed."""

    document: dict[str, Any]

    @property
    def streams(self) -> list[Stream]:
        return [Stream(entry) for entry in self.document["streams"]]

    @property
    def chosen(self) -> list[Stream]:
        """The selected streams."""
        return [stream for stream in self.streams if stream.selected]

    @property
    def keys(self) -> dict[str, list[str]]:
        """Keys by stream."""
        return {stream.name: stream.keys for stream in self.streams}

    def selecting(self, names: Collection[str]) -> Catalog:
        """Select just these streams; with none, what is selected stays so, and if nothing is, all.

        Raises:
            ValueError: there is no such stream.

        """
        if strangers := set(names) - {stream.name for stream in self.streams}:
            raise ValueError(f"there is no stream {', '.join(sorted(strangers))}")
        wanted = set(names) or {stream.name for stream in self.chosen} or {stream.name for stream in self.streams}
        changed = Catalog(copy.deepcopy(self.document))
        for stream in changed.streams:
            stream.select(stream.name in wanted)
        return changed

    def without(self, stream: str, *breadcrumb: str) -> Catalog:
        """Deselect a stream, or with `"properties", name` one of its properties."""
        changed = Catalog(copy.deepcopy(self.document))
        for each in changed.streams:
            if each.name == stream:
                each.select(False, *breadcrumb)
        return changed
