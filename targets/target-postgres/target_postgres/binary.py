"""COPY's binary format: what stands around the scanner's rows, constants in them, and cutting them apart."""

from __future__ import annotations

import struct
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
"""Before the first row: the signature, no flags, no extension."""

TRAILER = b"\xff\xff"
"""After the last row."""

EPOCH = datetime(2000, 1, 1, tzinfo=timezone.utc)
"""From which Postgres counts."""

_INT16, _INT32, _INT64 = struct.Struct(">h"), struct.Struct(">i"), struct.Struct(">q")


def microseconds(moment: datetime) -> int:
    """A timestamp as Postgres keeps it."""
    return (moment - EPOCH) // timedelta(microseconds=1)


def constant(value: datetime | int | str | None) -> bytes | None:
    """The contents of a field that is the same in each row; None is NULL.

    Args:
        value: for a column of the type timestamp with time zone (it must have a zone), bigint, or text.

    """
    if isinstance(value, datetime):
        return _INT64.pack(microseconds(value))
    if isinstance(value, int):
        return _INT64.pack(value)
    return None if value is None else value.encode()


def field(contents: bytes | None) -> bytes:
    """A field as it stands in a row: its length, then its contents."""
    return _INT32.pack(-1) if contents is None else _INT32.pack(len(contents)) + contents


def rows_of(data: bytes) -> Iterator[bytes]:
    """Cut rows apart, without header and trailer. Slow, for the moments when one of them is refused."""
    start = 0
    while start < len(data):
        (fields,) = _INT16.unpack_from(data, start)
        end = start + _INT16.size
        for _ in range(fields):
            (length,) = _INT32.unpack_from(data, end)
            end += _INT32.size + max(length, 0)
        yield data[start:end]
        start = end
