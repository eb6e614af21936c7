"""The plain path from a line to a row, and the comparison of its rows with the scanner's."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec

from singer_kit.errors import DataError
from target_postgres.encoding import NULL, encoder
from target_postgres.lineage import DELETED_AT
from target_postgres.validation import Validator

if TYPE_CHECKING:
    from collections.abc import Callable

    from target_postgres.plans import Plan
    from target_postgres.types import Kind

_decode = msgspec.json.Decoder(float_hook=Decimal).decode
_TIMESTAMP = encoder("timestamp", sanitize=False)
_INTEGER = encoder("integer", sanitize=False)
_CURSOR = encoder("text", sanitize=True)
LINEAGE_KINDS: tuple[Kind, ...] = ("timestamp", "timestamp", "integer", "integer", "text")


class PlainPath:
    """From a line to a row with Python's means alone: what the scanner must not differ from."""

    def __init__(self, schema: dict[str, Any], plan: Plan, *, validate: bool) -> None:
        self._check = Validator(schema, stream="s") if validate else None
        self._plan = plan
        self._encoders = [(column.name, encoder(column.kind, sanitize=False)) for column in plan.columns]

    def row(self, line: bytes, sequence: int) -> str:
        """Raise DataError, ValueError or RecursionError for a line that is no record or that is refused."""
        message = _read(line)
        record = message["record"] if isinstance(message, dict) and message.get("type") == "RECORD" else None
        if not isinstance(record, dict) or message.get("stream") != "s":
            raise DataError("not a record")
        if self._check:
            self._check(record)
        fields = [NULL if (value := record.get(name)) is None else encode(value) for name, encode in self._encoders]
        if any(column.key and field == NULL for column, field in zip(self._plan.columns, fields, strict=True)):
            raise DataError("no key")
        if self._plan.lineage:
            cursor = None if self._plan.cursor is None else record.get(self._plan.cursor)
            fields.append(_or_null(_TIMESTAMP, message.get("time_extracted")))
            fields.append(_or_null(_TIMESTAMP, record.get(DELETED_AT)))
            fields.append(str(sequence))
            fields.append(_or_null(_INTEGER, message.get("version")))
            fields.append(_or_null(_CURSOR, cursor))
        elif self._plan.sequence:
            fields.append(str(sequence))
        return "\t".join(fields) + self._plan.tail.decode()


def _or_null(encode: Callable[[Any], str], value: Any) -> str:
    return NULL if value is None else encode(value)


def _read(line: bytes) -> Any:
    try:
        return _decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return json.loads(line.decode("utf-8-sig"), parse_float=Decimal, parse_constant=Decimal)


def difference(plan: Plan, native: str, plain: str) -> str | None:
    """Say where two rows would be stored differently; None: nowhere."""
    if native == plain:
        return None
    kinds: list[Kind] = [column.kind for column in plan.columns]
    kinds += LINEAGE_KINDS if plan.lineage else ["integer"] * plan.sequence
    fields, wanted = native.split("\t"), plain.split("\t")
    if len(fields) != len(wanted):
        return f"{len(fields)} fields, not {len(wanted)}"
    for number, (field, other) in enumerate(zip(fields, wanted, strict=True)):
        kind = kinds[number] if number < len(kinds) else "text"
        if field != other and (NULL in {field, other} or not _same(kind, field, other)):
            return f"field {number} ({kind}): {field!r}, not {other!r}"
    return None


def _same(kind: Kind, field: str, other: str) -> bool:
    if kind == "number":  # 1e5 and 1E+5: the same digits, the same scale
        return Decimal(field).as_tuple() == Decimal(other).as_tuple()
    return kind == "jsonb" and _parsed(field) == _parsed(other)


def _parsed(field: str) -> Any:
    assert not any(character in field for character in "\t\r\n")
    return json.loads(field.replace("\\\\", "\\"), parse_float=_digits, parse_int=_digits)


def _digits(text: str) -> Any:
    return Decimal(text).as_tuple()
