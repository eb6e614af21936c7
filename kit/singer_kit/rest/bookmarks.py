"""Bookmarks of a stream's partitions, in the form of the SDK's STATE.

    {"bookmarks": {"issues": {"partitions": [{"context": {"repo_id": 7}, "replication_key_value": "…"}, …]}}}

The SDK looks for a partition from the front of the list each time, which is quadratic, and moves a bookmark to
whatever the last record says, which with a lookback is backwards. Here a partition is found by its context, and its
bookmark is what its reader says once the rows are written.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from singer_kit.rest.page import State


class PartitionBookmarks:
    """A view of one stream's part of the STATE, which it changes in place.

    Args:
        state: `stream_state` of the stream.
    """

    def __init__(self, state: dict[str, Any]) -> None:
        self._state = state
        self._index: dict[str, dict[str, Any]] = {}
        for entry in state.get("partitions", []):
            entry.pop("progress_markers", None)
            self._index[_key(entry.get("context", {}))] = entry

    def read(self, context: Mapping[str, Any]) -> State:
        """The bookmark of a partition; empty if it has none."""
        entry = self._index.get(_key(context), {}) if context else self._state
        return {name: value for name, value in entry.items() if name not in {"context", "partitions"}}

    def write(self, context: Mapping[str, Any], bookmark: State) -> None:
        """Put another bookmark in the place of a partition's."""
        if not context:
            kept = {name: self._state[name] for name in ("partitions",) if name in self._state}
            self._state.clear()
            self._state.update(kept, **bookmark)
            return
        entry = self._index.get(_key(context))
        if entry is None:
            entry = self._index[_key(context)] = {}
            self._state.setdefault("partitions", []).append(entry)
        entry.clear()
        entry.update(context=dict(context), **bookmark)

    def forget_others(self, contexts: list[Mapping[str, Any]]) -> None:
        """Drop bookmarks of partitions that are not among those."""
        kept = {_key(context) for context in contexts}
        self._index = {key: entry for key, entry in self._index.items() if key in kept}
        if "partitions" in self._state:
            self._state["partitions"] = list(self._index.values())


def _key(context: Mapping[str, Any]) -> str:
    return json.dumps(context, sort_keys=True, default=str)
