"""Rows that wait to be loaded, ready for COPY, and the input line that each came from."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import TYPE_CHECKING

from target_postgres.binary import rows_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence


class Block:
    """A piece of the input: whole lines."""

    def __init__(self, data: bytes, first_line: int) -> None:
        self._data = data
        self._first_line = first_line
        self._lines: list[bytes] | None = None

    def line(self, number: int) -> bytes:
        if self._lines is None:
            self._lines = self._data.split(b"\n")
        return self._lines[number - self._first_line]


@dataclass(frozen=True)
class Part:
    """Some rows in a row.

    Attributes:
        data: the rows: lines of COPY's text format, or what `binary` says.
        lines: the number of each row's input line.
        source: where those lines can still be read; None unless rows that are refused are to be kept.
        binary: the rows are in COPY's binary format.
    """

    data: bytes
    lines: Sequence[int]
    source: Block | None = None
    binary: bool = False

    def rows(self) -> list[bytes]:
        return list(rows_of(self.data)) if self.binary else self.data.splitlines(keepends=True)


@dataclass(frozen=True)
class Batch:
    """Rows to be loaded together, in order."""

    parts: Sequence[Part]
    rows: int
    size: int

    @classmethod
    def of(cls, row: bytes, line: int) -> Batch:
        """A single row."""
        return cls([Part(row, (line,))], 1, len(row))

    def stretches(self) -> Iterator[tuple[bool, Batch]]:
        """The batch cut where its rows change between text and binary; whether each piece is binary."""
        for binary, parts in groupby(self.parts, key=lambda part: part.binary):
            some = list(parts)
            yield binary, Batch(some, sum(len(part.lines) for part in some), sum(len(part.data) for part in some))

    def data(self) -> Iterable[bytes]:
        return (part.data for part in self.parts)

    def line(self, row: int) -> int:
        """The input line of a row, counted from 0."""
        part, index = self._find(row)
        return part.lines[index]

    def raw(self, row: int) -> bytes | None:
        """The input line itself, if it was kept."""
        part, index = self._find(row)
        return None if part.source is None else part.source.line(part.lines[index])

    def split(self, *at: int) -> Iterator[Batch]:
        """Cut before some rows; pieces without rows are left out."""
        begin = 0
        for end in (*at, self.rows):
            if end > begin:
                yield self._slice(begin, end)
            begin = end

    def _find(self, row: int) -> tuple[Part, int]:
        for part in self.parts:
            if row < len(part.lines):
                return part, row
            row -= len(part.lines)
        raise IndexError(row)

    def _slice(self, begin: int, end: int) -> Batch:
        parts, first = [], 0
        for part in self.parts:
            low, high = max(begin - first, 0), min(end - first, len(part.lines))
            if low < high:
                parts.append(replace(part, data=b"".join(part.rows()[low:high]), lines=part.lines[low:high]))
            first += len(part.lines)
        return Batch(parts, end - begin, sum(len(part.data) for part in parts))


@dataclass
class Rows:
    """Gathers rows until they are taken as a batch."""

    count: int = 0
    size: int = 0
    _parts: list[Part] = field(default_factory=list)
    _open: list[bytes] = field(default_factory=list)
    _open_lines: list[int] = field(default_factory=list)

    def add(self, row: bytes, line: int, source: Block | None = None) -> None:
        self.count += 1
        self.size += len(row)
        if source is not None:
            self._close()
            self._parts.append(Part(row, (line,), source))
            return
        self._open.append(row)
        self._open_lines.append(line)

    def extend(self, part: Part) -> None:
        self._close()
        self._parts.append(part)
        self.count += len(part.lines)
        self.size += len(part.data)

    def absorb(self, later: Rows) -> None:
        """Take over the rows of another, which is empty afterwards."""
        self._close()
        later._close()
        self._parts += later._parts
        self.count += later.count
        self.size += later.size
        later.clear()

    def take(self) -> Batch:
        self._close()
        batch = Batch(self._parts, self.count, self.size)
        self.clear()
        return batch

    def clear(self) -> None:
        self._parts, self._open, self._open_lines = [], [], []
        self.count = self.size = 0

    def _close(self) -> None:
        if self._open:
            self._parts.append(Part(b"".join(self._open), self._open_lines))
            self._open, self._open_lines = [], []
