"""The native scanner: from RECORD lines straight to rows of COPY BINARY, without a Python object per record.

It is a small C library (native/) without Python's API, so one build fits every Python and calls leave other threads
alone. Where it was not built, everything takes the Python path.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, NamedTuple, overload

from target_postgres.binary import EPOCH, field, microseconds
from target_postgres.lineage import DELETED_AT, PER_ROW
from target_postgres.plans import ANYTHING, Value
from target_postgres.types import TIMESTAMPTZ

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from target_postgres.plans import Plan

LIBRARY = "_target_postgres_scan"
"""Where the import system finds it, though it is no module: hatch_build.py puts it beside the package."""

_OFF = "TARGET_POSTGRES_PURE_PYTHON"
_INTERFACE = 3
_NONE = -1
_LEAST, _MOST = -(2**63), 2**63 - 1
_TYPES = {"null": 1, "boolean": 2, "integer": 4, "number": 8, "string": 16, "object": 32, "array": 64}
_NO_COLUMN = 0
_COLUMN_TYPES = {
    "smallint": 1,
    "integer": 2,
    "bigint": 3,
    "numeric": 4,
    "real": 5,
    "double precision": 6,
    "text": 7,
    "character varying": 7,
    "boolean": 8,
    "date": 9,
    "timestamp with time zone": 10,
    "time without time zone": 11,
    "uuid": 12,
    "json": 13,
    "jsonb": 14,
}


class _Value(ctypes.Structure):
    _fields_ = (
        ("minimum", ctypes.c_int64),
        ("maximum", ctypes.c_int64),
        ("max_length", ctypes.c_int64),
        ("items", ctypes.c_int32),
        ("first", ctypes.c_uint32),
        ("count", ctypes.c_uint32),
        ("types", ctypes.c_uint8),
        ("closed", ctypes.c_uint8),
    )


class _Member(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_char_p),
        ("length", ctypes.c_size_t),
        ("value", ctypes.c_int32),
        ("type", ctypes.c_uint8),
        ("key", ctypes.c_uint8),
        ("required", ctypes.c_uint8),
    )


class _Plan(ctypes.Structure):
    _fields_ = (
        ("values", ctypes.POINTER(_Value)),
        ("members", ctypes.POINTER(_Member)),
        ("tail", ctypes.c_char_p),
        ("value_count", ctypes.c_size_t),
        ("member_count", ctypes.c_size_t),
        ("tail_length", ctypes.c_size_t),
        ("columns", ctypes.c_uint32),
        ("fields", ctypes.c_uint32),
        ("cursor", ctypes.c_int32),
        ("deleted", ctypes.c_int32),
        ("lineage", ctypes.c_uint8),
        ("sequence", ctypes.c_uint8),
        ("stamps", ctypes.c_uint8),
    )


class _Result(ctypes.Structure):
    _fields_ = (
        ("stop", ctypes.c_size_t),
        ("lines", ctypes.c_uint64),
        ("rows", ctypes.c_uint64),
        ("chunks", ctypes.c_size_t),
    )


class _Chunk(ctypes.Structure):
    _fields_ = (
        ("data", ctypes.c_void_p),
        ("lines", ctypes.c_void_p),
        ("length", ctypes.c_size_t),
        ("rows", ctypes.c_size_t),
        ("taken", ctypes.c_uint64),
        ("number", ctypes.c_int32),
    )


def load(path: str) -> ctypes.CDLL | None:
    """Load the library from a file; None: it does not load, or belongs to another version of this module."""
    try:
        library = ctypes.CDLL(path)
        library.scan_interface.restype = ctypes.c_uint32
        if library.scan_interface() != _INTERFACE:
            return None
    except (OSError, AttributeError):
        return None
    size, pointer, counter = ctypes.c_size_t, ctypes.c_void_p, ctypes.c_uint64
    library.scan_new.restype = pointer
    library.scan_free.argtypes = (pointer,)
    library.scan_free.restype = None
    library.scan_set.argtypes = (pointer, ctypes.c_char_p, size, ctypes.c_int32, ctypes.POINTER(_Plan))
    library.scan_set.restype = ctypes.c_bool
    library.scan_run.argtypes = (pointer, pointer, size, size, counter, counter, counter, ctypes.POINTER(_Result))
    library.scan_run.restype = None
    library.scan_get.argtypes = (pointer, size, ctypes.POINTER(_Chunk))
    library.scan_get.restype = None
    return library


@cache
def _installed() -> ctypes.CDLL | None:
    spec = importlib.util.find_spec(LIBRARY)
    return load(spec.origin) if spec and spec.origin else None


def available() -> bool:
    """Whether the library is there and wanted: TARGET_POSTGRES_PURE_PYTHON=1 in the environment turns it off."""
    return os.environ.get(_OFF, "") in {"", "0"} and _installed() is not None


class LineNumbers(Sequence[int]):
    """The line of the input that each row of a chunk comes from; worked out when asked for."""

    __slots__ = ("_first", "_offsets")

    def __init__(self, first: int, offsets: memoryview) -> None:
        self._first = first
        self._offsets = offsets

    def __len__(self) -> int:
        return len(self._offsets)

    @overload
    def __getitem__(self, place: int) -> int: ...
    @overload
    def __getitem__(self, place: slice) -> LineNumbers: ...
    def __getitem__(self, place: int | slice) -> int | LineNumbers:
        if isinstance(place, slice):
            return LineNumbers(self._first, self._offsets[place])
        return self._first + int(self._offsets[place])


class Chunk(NamedTuple):
    """Rows of one stream."""

    stream: str
    data: bytes
    """The rows as COPY's binary format has them, without its header and trailer: `binary` has these."""
    rows: int
    size: int
    """How many bytes of input they come from: their lines, with the ends of these."""
    line_numbers: LineNumbers


class Scanned(NamedTuple):
    """What a scan took of a block."""

    stop: int
    """The first byte that was not taken: the start of a declined line, or of the block's unfinished last one."""
    lines: int
    """Blank ones too."""
    rows: int
    chunks: list[Chunk]


class Scanner:
    """Turns RECORD lines of streams with a plan into rows. Not for several threads at once.

    Args:
        library: as `load` returned it; the installed one by default.

    """

    def __init__(self, library: ctypes.CDLL | None = None) -> None:
        library = library or _installed()
        if library is None:
            raise RuntimeError("The native scanner is not installed: ask available() first.")
        self._library = library
        self._numbers: dict[str, int] = {}
        self._streams: list[str] = []
        self._handle = library.scan_new()
        if not self._handle:
            raise MemoryError

    def __del__(self) -> None:
        if handle := getattr(self, "_handle", None):
            self._library.scan_free(handle)

    def set(self, stream: str, plan: Plan | None) -> None:
        """Give a stream a plan, or take it away: then its lines are declined."""
        try:
            name = stream.encode()
        except UnicodeEncodeError:
            return  # nor can it stand in a line of UTF-8
        number = self._numbers.setdefault(stream, len(self._streams))
        if number == len(self._streams):
            self._streams.append(stream)
        described = None if plan is None else ctypes.byref(_described(plan))
        self._library.scan_set(self._handle, name, len(name), number, described)

    def scan(
        self, block: bytes, start: int, *, line: int, sequence: int, rows: int, read_at: datetime = EPOCH
    ) -> Scanned:
        """Take complete lines from `start` on, until one has to be left to the Python path.

        Args:
            block: lines; the last one may be unfinished.
            start: where a line begins in it.
            line: that line's number.
            sequence: of the first row; each row's is one more than the last one's.
            rows: how many to take at most.
            read_at: when the block was read, for plans with `stamps`.

        """
        result, chunk = _Result(), _Chunk()
        self._library.scan_run(
            self._handle, block, len(block), start, sequence, rows, microseconds(read_at), ctypes.byref(result)
        )
        chunks = []
        for number in range(result.chunks):
            self._library.scan_get(self._handle, number, ctypes.byref(chunk))
            chunks.append(
                Chunk(
                    self._streams[chunk.number],
                    ctypes.string_at(chunk.data, chunk.length),
                    chunk.rows,
                    chunk.taken,
                    LineNumbers(line, memoryview(ctypes.string_at(chunk.lines, 4 * chunk.rows)).cast("I")),
                )
            )
        return Scanned(result.stop, result.lines, result.rows, chunks)


class _Layout:
    """A plan's values and members, flattened into two arrays; the record comes first in both."""

    def __init__(self) -> None:
        self.values: list[_Value] = []
        self.members: list[_Member] = []

    def add(self, value: Value, columns: Sequence[tuple[str, int, bool]], others: Mapping[str, Value | None]) -> int:
        """Add an object whose members are `columns` (name, type, key) of `others`, then the rest of these."""
        number, first = len(self.values), len(self.members)
        laid_out = _Value(
            minimum=_LEAST if value.minimum is None else max(_LEAST, min(value.minimum, _MOST)),
            maximum=_MOST if value.maximum is None else max(_LEAST, min(value.maximum, _MOST)),
            max_length=_NONE if value.max_length is None else max(0, min(value.max_length, _MOST)),
            items=_NONE,
            first=first,
            types=sum(_TYPES[name] for name in value.types),
            closed=value.closed,
        )
        self.values.append(laid_out)
        written = {name: (column_type, key) for name, column_type, key in columns}
        members = {**{name: others[name] for name in written}, **others}
        for name in members:
            column_type, key = written.get(name, (_NO_COLUMN, False))
            encoded = name.encode()
            self.members.append(_Member(encoded, len(encoded), _NONE, column_type, key, name in value.required))
        laid_out.count = len(members)
        for place, item in enumerate(members.values(), first):
            self.members[place].value = self._nested(item)
        laid_out.items = self._nested(value.items)
        return number

    def _nested(self, value: Value | None) -> int:
        if value is None or value == ANYTHING:
            return _NONE
        unnamed = dict.fromkeys(sorted(value.required - value.properties.keys()))
        return self.add(value, (), {**value.properties, **unnamed})


def _described(plan: Plan) -> _Plan:
    columns = [(column.name, _COLUMN_TYPES[column.sql], column.key) for column in plan.columns]
    members: dict[str, Value | None] = {column.name: column.value for column in plan.columns}
    members |= plan.others
    members |= dict.fromkeys(sorted(plan.ignored - members.keys()))
    deleted = plan.lineage and DELETED_AT in members
    if deleted:
        columns.append((DELETED_AT, _COLUMN_TYPES[TIMESTAMPTZ.sql], False))
    layout = _Layout()
    layout.add(Value(required=plan.required, closed=True), columns, members)
    tail = b"".join(map(field, plan.constants))
    names = [name for name, _, _ in columns]
    names += [name for name in members if name not in names]
    return _Plan(
        values=(_Value * len(layout.values))(*layout.values),
        members=(_Member * len(layout.members))(*layout.members),
        tail=tail,
        value_count=len(layout.values),
        member_count=len(layout.members),
        tail_length=len(tail),
        columns=len(plan.columns),
        fields=len(plan.columns) + (len(PER_ROW) if plan.lineage else plan.sequence) + len(plan.constants),
        cursor=names.index(plan.cursor) if plan.cursor in names else _NONE,
        deleted=names.index(DELETED_AT) if deleted else _NONE,
        lineage=plan.lineage,
        sequence=plan.sequence,
        stamps=plan.stamps,
    )
