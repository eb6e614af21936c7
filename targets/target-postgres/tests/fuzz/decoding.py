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
from typing import Any
from uuid import UUID

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
    if field is None:
        return None
    if sql in {"smallint", "integer", "bigint", "date", "timestamp with time zone", "time without time zone"}:
        assert len(field) == {"smallint": 2, "integer": 4, "date": 4}.get(sql, 8)
        return int.from_bytes(field, "big", signed=True)
    if sql == "numeric":
        return _numeric(field)
    if sql == "boolean":
        return {b"\0": False, b"\1": True}[field]
    if sql == "uuid":
        return UUID(bytes=field)
    if sql == "jsonb":
        assert field[0] == 1
        return _json(field[1:].decode())
    if sql == "json":
        return _json(field.decode())
    return field if sql in {"real", "double precision"} else field.decode()


def _numeric(field: bytes) -> str:
    count, weight, sign, scale, *groups = struct.unpack(f">hhHh{len(field) // 2 - 4}H", field)
    assert len(groups) == count
    assert sign in {0, 0x4000}
    assert not groups or (groups[0] and groups[-1] and max(groups) < 10_000)
    total = sum(Decimal(group).scaleb(4 * (weight - place)) for place, group in enumerate(groups))
    assert groups or not sign
    return _printed(-total if sign else Decimal(total), scale)


def _printed(number: Decimal, scale: int) -> str:
    text = f"{number:f}" if number else "0"
    whole, _, fraction = text.partition(".")
    assert not fraction[scale:].strip("0")
    return whole + ("." + fraction[:scale].ljust(scale, "0") if scale else "")


def read(sql: str, text: str) -> Any:
    """What Postgres would read from a field of COPY's text format, for a column of this type."""
    if text == "\\N":
        return None
    text = re.sub(r"\\(.)", lambda found: _UNESCAPED[found[1]], text, flags=re.DOTALL)
    if sql in {"smallint", "integer", "bigint"}:
        return int(text)
    if sql == "numeric":
        number = Decimal(text)
        return _printed(abs(number) if not number else number, max(0, -int(number.as_tuple().exponent)))
    if sql in {"real", "double precision"}:
        return struct.pack(">f" if sql == "real" else ">d", float(text))
    if sql == "boolean":
        return {"t": True, "f": False}[text]
    if sql == "uuid":
        return UUID(text)
    if sql in {"json", "jsonb"}:
        return _json(text)
    if sql == "date":
        return (datetime.fromisoformat(text) - _EPOCH).days
    if sql == "time without time zone":
        return _moment("2000-01-01", text)
    return _timestamp(text) if sql == "timestamp with time zone" else text


def _timestamp(text: str) -> int:
    found = _TIMESTAMP.fullmatch(text)
    assert found, text
    date, time, sign, hours, minutes = found.groups()
    offset = (int(hours or 0) * 60 + int(minutes or 0)) * 60_000_000
    return _moment(date, time or "00:00:00") - (-offset if sign == "-" else offset)


def _moment(date: str, time: str) -> int:
    clock, _, fraction = time.partition(".")
    assert not fraction[6:].strip("0")
    return (datetime.fromisoformat(f"{date}T{clock}") - _EPOCH) // _MICROSECOND + int(fraction[:6].ljust(6, "0"))


def _json(text: str) -> Any:
    return json.loads(text, parse_float=_digits, parse_int=_digits)


def _digits(text: str) -> Any:
    return Decimal(text).as_tuple()
