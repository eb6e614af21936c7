"""Checking records against their schema, compiled once per stream."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import fastjsonschema

from singer_kit.errors import DataError
from target_postgres.encoding import is_integral, is_special_number
from target_postgres.errors import shorten


class Validator:
    """Raises DataError with the field and the reason; the caller knows stream and line."""

    def __init__(self, schema: dict[str, Any], *, stream: str) -> None:
        self._schema = schema
        try:
            self._check = fastjsonschema.compile(
                _without_draft_4(schema),
                # A schema is data: it must not make the target fetch addresses.
                handlers={"http": _refuse, "https": _refuse, "file": _refuse, "ftp": _refuse},
                use_default=False,  # a record is loaded as it is
                use_formats=False,  # Postgres reads dates itself
            )
        except Exception as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise DataError(
                f"Stream {stream!r}: its SCHEMA cannot be used to check records: {shorten(reason)}. "
                "Next: have the tap fix it, or set validate_records to false."
            ) from error

    def __call__(self, record: dict[str, Any]) -> None:
        try:
            self._check(record)
        except Exception:  # noqa: BLE001 - Decimal trips code that was generated for floats
            self._check_slowly(record)

    def _check_slowly(self, record: dict[str, Any]) -> None:
        """Judge again with numbers as the generated code knows them: 1.0 is an integer, fractions are floats."""
        try:
            self._check(_plain(record, self._schema))
        except fastjsonschema.JsonSchemaValueException as error:
            field = ".".join(str(part) for part in error.path[1:])
            reason = str(error.message).replace(str(error.name), "value", 1)
            raise DataError(f"field {field!r}: {reason[:200]}; it is {shorten(error.value)}") from None


def _without_draft_4(schema: Any) -> Any:
    """Up to draft 4 `exclusiveMaximum` was a boolean beside `maximum`; a newer reader would take true for 1."""
    if isinstance(schema, list):
        return [_without_draft_4(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    made = {name: _without_draft_4(item) for name, item in schema.items()}
    for limit, exclusive in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
        if isinstance(made.get(exclusive), bool) and made.pop(exclusive) and limit in made:
            made[exclusive] = made.pop(limit)
    return made


def _names(declared: Any) -> list[str]:
    return [declared] if isinstance(declared, str) else list(declared or [])


def _refuse(address: str) -> Any:
    raise ValueError(f"it refers to {address}")


def _plain(value: Any, definition: Any) -> Any:
    """Write numbers as floats and integers, and 0 for the words that stand for a number, wherever one may be."""
    if isinstance(value, Decimal):
        return int(value) if is_integral(value) else float(value)
    if not isinstance(definition, dict):
        definition = {}
    if isinstance(value, dict):
        properties = definition.get("properties") or {}
        return {name: _plain(item, properties.get(name)) for name, item in value.items()}
    if isinstance(value, list):
        return [_plain(item, definition.get("items")) for item in value]
    return 0 if is_special_number(value) and "number" in _names(definition.get("type")) else value
