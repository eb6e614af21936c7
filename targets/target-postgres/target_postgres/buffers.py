"""Rows that wait to be loaded, with the input line that each came from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection

    Entry = tuple[int, str]


class Buffer(Protocol):
    def add(self, key: str, entry: Entry) -> None: ...

    def take(self) -> Collection[Entry]:
        """All rows, in order; the buffer is empty afterwards."""

    def absorb(self, other: Buffer) -> None:
        """Take over the rows of a later buffer of the same kind."""

    def clear(self) -> None: ...


class Appended:
    """Keeps every row."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []

    def add(self, key: str, entry: Entry) -> None:  # noqa: ARG002
        self.entries.append(entry)

    def take(self) -> Collection[Entry]:
        taken, self.entries = self.entries, []
        return taken

    def absorb(self, other: Buffer) -> None:
        self.entries.extend(other.take())

    def clear(self) -> None:
        self.entries = []


class Keyed:
    """Keeps the last row of each key."""

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}

    def add(self, key: str, entry: Entry) -> None:
        self.entries[key] = entry

    def take(self) -> Collection[Entry]:
        taken, self.entries = self.entries, {}
        return taken.values()

    def absorb(self, other: Buffer) -> None:
        assert isinstance(other, Keyed)  # noqa: S101 - a sink has two of one kind
        if self.entries:
            self.entries.update(other.entries)
            other.clear()
        else:
            self.entries, other.entries = other.entries, {}

    def clear(self) -> None:
        self.entries = {}
