"""Types from samples: what has been seen, nullable, and widened where samples differ.

A field that was null in all samples is left out: it is declared when its first value comes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

_MANY = 60  # members after which an object is taken for a map with keys of its own
_DATE_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d([.]\d+)?([Zz]|[+-]\d\d:\d\d)")
_ORDER = ("object", "array", "string", "number", "integer", "boolean")


def infer(records: Iterable[Mapping[str, Any]], *, numbers_as_decimal: bool = False) -> dict[str, Any]:
    """The properties of a stream's schema.

    Args:
        records: samples.
        numbers_as_decimal: numbers with a point become `singer.decimal` text.
    """
    return _properties(list(records), decimals=numbers_as_decimal)


def decimal_fields(properties: Mapping[str, Any]) -> list[str]:
    """The fields that are declared as decimal text."""
    return [name for name, schema in properties.items() if schema.get("format") == "singer.decimal"]


def _properties(objects: list[Mapping[str, Any]], *, decimals: bool) -> dict[str, Any]:
    names = {name: None for record in objects for name in record}  # in the order of their first appearance
    found = {}
    for name in names:
        values = [value for record in objects if (value := record.get(name)) is not None]
        if values:
            found[name] = _schema(values, decimals=decimals)
    return found


def _schema(values: list[Any], *, decimals: bool) -> dict[str, Any]:
    kinds = {_kind(value) for value in values}
    if kinds >= {"integer", "number"}:
        kinds.remove("integer")
    if kinds == {"number"} and decimals:
        return {"type": ["string", "null"], "format": "singer.decimal"}
    schema: dict[str, Any] = {"type": [*(kind for kind in _ORDER if kind in kinds), "null"]}
    if kinds == {"string"} and all(_DATE_TIME.fullmatch(value) for value in values):
        schema["format"] = "date-time"
    if "object" in kinds:
        inner = _properties([value for value in values if isinstance(value, Mapping)], decimals=False)
        if 0 < len(inner) <= _MANY:
            schema["properties"] = inner
        schema["additionalProperties"] = True
    if "array" in kinds and (items := [item for value in values if isinstance(value, list) for item in value]):
        present = [item for item in items if item is not None]
        if present:
            schema["items"] = _schema(present, decimals=False)
    return schema


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "integer"
    if isinstance(value, float | Decimal):
        return "number"
    if isinstance(value, str):
        return "string"
    return "array" if isinstance(value, list) else "object"
