"""Field by field, what a row of COPY BINARY holds, and what the plain path's text for the same field means.

Both sides become the same Python values: integers; numerics as Postgres prints them; floats by their bytes; days and
microseconds since 2000-01-01; text; JSON with its numbers' digits.
"""

from __future__ import annotations

import json
import re
import struct
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

if TYPE_CHECKING:
    from collections.abc import Callable

_EPOCH = datetime(2000, 1, 1)  # noqa: DTZ001 - all that is computed with it is UTC
_MICROSECOND = timedelta(microseconds=1)
_TIMESTAMP = re.compile(r"(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d:\d\d(?:\.\d+)?))?(?:Z|([+-])(\d\d):?(\d\d)?)?")
_UNESCAPED = {"t": "\t", "n": "\n", "r": "\r", "\\": "\\"}


def fields_of(row: bytes) -> list[bytes | None]:
    """The contents of one row's fields."""
    (count,) = struct.unpack_from(">h", row)
    place, fields = 2, []
    for _ in range(count):
        (length,) = struct.unpack_from(">i", row, place)
        place += 4
        fields.append(None if length < 0 else row[place : place + length])
        place += max(length, 0)
    assert place == len(row)
    return fields


def decoded(sql: str, field: bytes | None) -> Any:
    """What a field holds, for a column of this type."""
    return None if field is None else _DECODERS[sql](field)


def read(sql: str, text: str) -> Any:
    """What Postgres would read from a field of COPY's text format, for a column of this type."""
    if text == "\\N":
        return None
    return _READERS[sql](re.sub(r"\\(.)", lambda found: _UNESCAPED[found[1]], text, flags=re.DOTALL))


def _integer(length: int) -> Callable[[bytes], int]:
    def decode(field: bytes) -> int:
        assert len(field) == length
        return int.from_bytes(field, "big", signed=True)

    return decode


def _numeric(field: bytes) -> str:
    count, weight, sign, scale, *groups = struct.unpack(f">hhHh{len(field) // 2 - 4}H", field)
    assert len(groups) == count
    assert sign in {0, 0x4000}
    assert not groups or (groups[0] and groups[-1] and max(groups) < 10_000)
    assert groups or not sign
    # By its digits: arithmetic would round them.
    digits = tuple(map(int, "".join(f"{group:04}" for group in groups)))
    return _printed(Decimal((int(sign > 0), digits, 4 * (weight - count + 1))), scale)


def _printed(number: Decimal, scale: int) -> str:
    text = f"{number:f}" if number else "0"  # which has no sign
    whole, _, fraction = text.partition(".")
    assert not fraction[scale:].strip("0")
    return whole + ("." + fraction[:scale].ljust(scale, "0") if scale else "")


def _read_numeric(text: str) -> str:
    number = Decimal(text)
    return _printed(number, max(0, -int(number.as_tuple().exponent)))


def _read_date(text: str) -> int:
    return (datetime.fromisoformat(text) - _EPOCH).days


def _read_time(text: str) -> int:
    return _moment("2000-01-01", text)


def _read_timestamp(text: str) -> int:
    found = _TIMESTAMP.fullmatch(text)
    assert found, text
    date, time, sign, hours, minutes = found.groups()
    offset = (int(hours or 0) * 60 + int(minutes or 0)) * 60_000_000
    return _moment(date, time or "00:00:00") - (-offset if sign == "-" else offset)


def _moment(date: str, time: str) -> int:
    clock, _, fraction = time.partition(".")
    assert not fraction[6:].strip("0")
    return (datetime.fromisoformat(f"{date}T{clock}") - _EPOCH) // _MICROSECOND + int(fraction[:6].ljust(6, "0"))


def _jsonb(field: bytes) -> Any:
    assert field[0] == 1
    return _json(field[1:])


def _json(text: str | bytes) -> Any:
    return json.loads(text, parse_float=_digits, parse_int=_digits)


def _digits(text: str) -> Any:
    return Decimal(text).as_tuple()


_DECODERS: dict[str, Callable[[bytes], Any]] = {
    "smallint": _integer(2),
    "integer": _integer(4),
    "bigint": _integer(8),
    "numeric": _numeric,
    "real": bytes,
    "double precision": bytes,
    "text": bytes.decode,
    "character varying": bytes.decode,
    "boolean": {b"\0": False, b"\1": True}.__getitem__,
    "date": _integer(4),
    "timestamp with time zone": _integer(8),
    "time without time zone": _integer(8),
    "uuid": lambda field: UUID(bytes=field),
    "json": _json,
    "jsonb": _jsonb,
}
_READERS: dict[str, Callable[[str], Any]] = {
    "smallint": int,
    "integer": int,
    "bigint": int,
    "numeric": _read_numeric,
    "real": lambda text: struct.pack(">f", float(text)),
    "double precision": lambda text: struct.pack(">d", float(text)),
    "text": str,
    "character varying": str,
    "boolean": {"f": False, "t": True}.__getitem__,
    "date": _read_date,
    "timestamp with time zone": _read_timestamp,
    "time without time zone": _read_time,
    "uuid": UUID,
    "json": _json,
    "jsonb": _json,
}
