"""The plain path from a line to a row, and the comparison of its rows with the scanner's."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec
from decoding import decoded, fields_of, read

from singer_kit.errors import DataError
from target_postgres.encoding import NULL, encoder
from target_postgres.lineage import DELETED_AT, PER_ROW
from target_postgres.validation import Validator

if TYPE_CHECKING:
    from collections.abc import Callable

    from target_postgres.plans import Plan

_decode = msgspec.json.Decoder(float_hook=Decimal).decode
_TIMESTAMP = encoder("timestamp", sanitize=False)
_INTEGER = encoder("integer", sanitize=False)
_CURSOR = encoder("text", sanitize=True)


class PlainPath:
    """From a line to a row with Python's means alone: what the scanner must not differ from."""

    def __init__(self, schema: dict[str, Any], plan: Plan, *, validate: bool) -> None:
        self._check = Validator(schema, stream="s") if validate else None
        self._plan = plan
        self._encoders = [(column.name, encoder(column.kind, sanitize=False)) for column in plan.columns]

    def row(self, line: bytes, sequence: int) -> list[str]:
        """The row's fields as COPY's text format has them, without the plan's constants.

        Raise DataError, ValueError or RecursionError for a line that is no record or that is refused.
        """
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
        return fields


def _or_null(encode: Callable[[Any], str], value: Any) -> str:
    return NULL if value is None else encode(value)


def _read(line: bytes) -> Any:
    try:
        return _decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return json.loads(line.decode("utf-8-sig"), parse_float=Decimal, parse_constant=Decimal)


def types_of(plan: Plan) -> list[str]:
    """Of a row's fields, those of the plan's constants aside."""
    types = [column.sql for column in plan.columns]
    if plan.lineage:
        return types + [found.sql for _, found in PER_ROW]
    return types + ["bigint"] * plan.sequence


def difference(plan: Plan, native: bytes, plain: list[str]) -> str | None:
    """Say where two rows would be stored differently; None: nowhere."""
    types, fields = types_of(plan), fields_of(native)
    count = len(fields) - len(plan.constants)
    if tuple(fields[count:]) != plan.constants or not count == len(types) == len(plain):
        return f"{fields}, not {plain} and {plan.constants}"
    for number, (sql, field, text) in enumerate(zip(types, fields[:count], plain, strict=True)):
        if decoded(sql, field) != read(sql, text):
            return f"field {number} ({sql}): {field!r}, not {text!r}"
    return None
