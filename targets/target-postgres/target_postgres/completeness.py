"""What the input proves: a tap that was killed ends it like one that has finished."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class Completeness:
    """Watches messages go by.

    Args:
        vouched: whoever started the target says that the input ends only when the tap has succeeded.

    Attributes:
        versions: the version that each stream has announced last.
        has_state: whether the tap has sent a STATE.
    """

    def __init__(self, *, vouched: bool) -> None:
        self.vouched = vouched
        self.versions: dict[str, int] = {}
        self.has_state = False
        self._started: set[str] = set()
        self._announced_behind: set[str] = set()

    def records(self, streams: Iterable[str]) -> None:
        streams = set(streams)
        self._started.update(streams)
        self._announced_behind.difference_update(streams)

    def announced(self, stream: str, version: int) -> None:
        """An ACTIVATE_VERSION: one behind the records ends them, one before them is told by records or another."""
        if stream in self._started or self.versions.get(stream) == version:
            self._announced_behind.add(stream)
        self.versions[stream] = version

    def is_whole(self, stream: str) -> bool:
        """Whether all records of the announced version have come."""
        return self.vouched or stream in self._announced_behind
