"""What the native scanner must know of a stream: which values a record surely may hold, and the row it becomes.

A plan promises less than JSON Schema, never more: what it lets through passes `Validator` too. A schema whose rules
cannot be told this way has no plan, and the stream's records take the Python path.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from target_postgres.lineage import DELETED_AT, SDK_NAMES

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from target_postgres.types import Kind

TYPES = frozenset({"null", "boolean", "integer", "number", "string", "object", "array"})
_WHOLE = frozenset({"null", "integer"})
# In nested objects the scanner ticks required members off in one machine word.
MOST_REQUIRED = 64

# Assertions of any draft that the scanner does not check. What is neither here nor read below asserts nothing: `title`,
# `format` (Postgres reads dates itself), `x-sql-datatype` and whatever else taps write.
_UNCHECKED = frozenset(
    {
        *("$ref", "$dynamicRef", "$recursiveRef", "extends", "disallow"),
        *("allOf", "not", "if", "then", "else", "const", "enum"),
        *("multipleOf", "divisibleBy", "exclusiveMinimum", "exclusiveMaximum"),
        *("minLength", "pattern", "contentEncoding", "contentMediaType", "contentSchema"),
        *("additionalItems", "prefixItems", "minItems", "maxItems", "uniqueItems"),
        *("contains", "minContains", "maxContains", "unevaluatedItems"),
        *("minProperties", "maxProperties", "patternProperties", "propertyNames", "unevaluatedProperties"),
        *("dependencies", "dependentSchemas", "dependentRequired"),
    }
)
_CHECKED = frozenset(
    {"properties", "required", "items", "additionalProperties", "minimum", "maximum", "maxLength", "anyOf", "oneOf"}
)
# The columns that the scanner writes, and which values into them. A type with a modifier is not among them: Postgres
# rounds and cuts by it when it reads text, and not when it reads binary.
WRITTEN: dict[str, frozenset[Kind]] = {
    "smallint": frozenset({"integer"}),
    "integer": frozenset({"integer"}),
    "bigint": frozenset({"integer"}),
    "numeric": frozenset({"integer", "number"}),
    "real": frozenset({"integer", "number"}),
    "double precision": frozenset({"integer", "number"}),
    "text": frozenset({"text"}),
    "character varying": frozenset({"text"}),
    "boolean": frozenset({"boolean"}),
    "date": frozenset({"date"}),
    "timestamp with time zone": frozenset({"timestamp"}),
    "time without time zone": frozenset({"time"}),
    "uuid": frozenset({"uuid"}),
    "json": frozenset({"jsonb"}),
    "jsonb": frozenset({"jsonb"}),
}


@dataclass(frozen=True)
class Value:
    """What a JSON value surely may be.

    `integer` stands for numbers without fraction and exponent, `number` for these and all others. Limits are inclusive
    and bind numbers, `max_length` counts a string's characters, `properties` and what follows them bind objects,
    `items` binds arrays.
    """

    types: frozenset[str] = TYPES
    minimum: int | None = None
    maximum: int | None = None
    max_length: int | None = None
    properties: Mapping[str, Value] = field(default_factory=dict)
    required: frozenset[str] = frozenset()
    closed: bool = False
    """No other properties may be there."""
    items: Value | None = None


ANYTHING = Value()


@dataclass(frozen=True)
class PlanColumn:
    """A property that is loaded; `value` is None where nothing is checked."""

    name: str
    kind: Kind
    sql: str
    """The type of the column that COPY fills, as `format_type` prints it."""
    value: Value | None
    key: bool


@dataclass(frozen=True)
class Plan:
    """How a stream's records become rows."""

    columns: tuple[PlanColumn, ...]
    """In the order of the row."""
    lineage: bool
    """Then the columns of `lineage.PER_ROW` follow."""
    sequence: bool
    """Without lineage: one more column with the sequence."""
    cursor: str | None
    """The one bookmark property, for `_sdc_cursor`."""
    required: frozenset[str]
    ignored: frozenset[str]
    """Properties that are not loaded; a record with any other property is declined."""
    constants: tuple[bytes | None, ...]
    """The contents of the fields at the end of each row, as `binary.constant` makes them."""
    others: Mapping[str, Value] = field(default_factory=dict)
    """What is checked but is no column."""
    stamps: int = 0
    """So many of the constants, from the first on, are timestamps that become the time of reading."""


class _UnsureError(Exception):
    """The schema asks for what the scanner cannot check."""


def compile_plan(
    schema: Mapping[str, Any],
    columns: Sequence[tuple[str, Kind, str]],
    *,
    keys: Collection[str],
    validate: bool,
    lineage: bool,
    sequence: bool,
    bookmark: Sequence[str],
    ignored: Collection[str],
    constants: tuple[bytes | None, ...],
    stamps: int = 0,
) -> Plan | None:
    """Make the plan of a stream; None: its records take the Python path.

    Args:
        schema: of the stream, as its SCHEMA message has it.
        columns: the properties that are loaded, in the order of the row, how each is written, and the SQL type
            (as `format_type` prints it) of the column that COPY fills.
        keys: the columns that must not be null.
        validate: whether records are checked against the schema.
        lineage: whether the columns of `lineage.PER_ROW` follow.
        sequence: whether, without lineage, a column with the sequence follows.
        bookmark: the stream's bookmark properties.
        ignored: properties beyond the schema of which the user has been told that they are not loaded.
        constants: the contents of the fields that end each row, as `binary.constant` makes them.
        stamps: so many of them, from the first on, are timestamps that become the time of reading.

    """
    if any(kind not in WRITTEN.get(sql, ()) for _, kind, sql in columns):
        return None
    names = [name for name, _, _ in columns]
    # What the record says of its deletion goes to the column of the lineage.
    if lineage and (len(bookmark) > 1 or DELETED_AT in names):
        return None
    try:
        record = _value(schema) if validate else ANYTHING
    except (_UnsureError, RecursionError):
        return None
    others = {name: value for name, value in record.properties.items() if name not in names}
    # Like the ignored ones they are no surprise, whether or not the schema has them.
    known = set() if record.closed else ({*ignored, *SDK_NAMES} - set(names) - set(others))
    if "object" not in record.types or not record.required <= {*names, *others, *known}:
        return None
    if not all(map(_is_utf8, (*names, *others, *known))):
        return None
    return Plan(
        columns=tuple(
            PlanColumn(name, kind, sql, _loaded(record.properties.get(name, ANYTHING), kind), name in keys)
            for name, kind, sql in columns
        ),
        lineage=lineage,
        sequence=sequence and not lineage,
        cursor=bookmark[0] if lineage and bookmark else None,
        required=record.required,
        ignored=frozenset(known),
        constants=constants,
        others=others,
        stamps=stamps,
    )


def _loaded(value: Value, kind: Kind) -> Value | None:
    # An integer may go to a column that takes fractions too.
    return _or_none(replace(value, types=value.types & _WHOLE) if kind == "integer" else value)


def _or_none(value: Value) -> Value | None:
    return None if value == ANYTHING else value


def _is_utf8(name: str) -> bool:
    return name.encode(errors="ignore").decode() == name


def _value(schema: Any) -> Value:
    if schema is True:
        return ANYTHING
    if not isinstance(schema, Mapping) or not _UNCHECKED.isdisjoint(schema):
        raise _UnsureError
    types = _types(schema["type"]) if "type" in schema else TYPES
    for keyword in ("anyOf", "oneOf"):
        if keyword in schema:
            if _CHECKED.intersection(schema) != {keyword}:
                raise _UnsureError
            found = _union(schema[keyword], exactly_one=keyword == "oneOf")
            return replace(found, types=found.types & types)
    minimum, maximum = _integer(schema.get("minimum")), _integer(schema.get("maximum"))
    if "boolean" in types and not minimum is maximum is None:
        raise _UnsureError  # to Python, and so to the validator, true is a number
    properties, required = _members(schema)
    closed = _is_closed(schema)
    if closed and not required <= properties.keys():
        raise _UnsureError
    return Value(
        types=types,
        minimum=minimum,
        maximum=maximum,
        max_length=_integer(schema.get("maxLength")),
        properties=properties,
        required=required,
        closed=closed,
        items=_or_none(_nested(schema["items"])) if "items" in schema else None,
    )


def _nested(schema: Any) -> Value:
    value = _value(schema)
    if len(value.required) > MOST_REQUIRED:
        raise _UnsureError
    return value


def _types(declared: Any) -> frozenset[str]:
    names = [declared] if isinstance(declared, str) else declared
    if not isinstance(names, list) or not names or not all(isinstance(name, str) and name in TYPES for name in names):
        raise _UnsureError
    return frozenset(names) | ({"integer"} if "number" in names else set())


def _integer(limit: Any) -> int | None:
    if limit is None:
        return None
    if isinstance(limit, bool) or not isinstance(limit, (int, float)) or limit != limit // 1:
        raise _UnsureError
    return int(limit)


def _members(schema: Mapping[str, Any]) -> tuple[dict[str, Value], frozenset[str]]:
    properties, required = schema.get("properties", {}), schema.get("required", [])
    if not isinstance(properties, Mapping) or not isinstance(required, list):
        raise _UnsureError
    if not all(isinstance(name, str) for name in (*properties, *required)):
        raise _UnsureError
    return {name: _nested(definition) for name, definition in properties.items()}, frozenset(required)


def _is_closed(schema: Mapping[str, Any]) -> bool:
    more = schema.get("additionalProperties", True)
    if more is not True and more is not False and more != {}:
        raise _UnsureError
    return more is False


def _union(variants: Any, *, exactly_one: bool) -> Value:
    """Any of the variants: each rule is the one of the variant that takes values of its type."""
    if not isinstance(variants, list) or not variants:
        raise _UnsureError
    values = [_value(variant) for variant in variants]
    types = frozenset[str]().union(*(value.types for value in values))
    apart = sum(len(value.types) for value in values) == len(types)
    if not apart and (exactly_one or any(value != Value(types=value.types) for value in values)):
        raise _UnsureError
    numeric = _of_type("integer", values)
    container = _of_type("object", values)
    return Value(
        types=types,
        minimum=numeric.minimum,
        maximum=numeric.maximum,
        max_length=_of_type("string", values).max_length,
        properties=container.properties,
        required=container.required,
        closed=container.closed,
        items=_of_type("array", values).items,
    )


def _of_type(name: str, values: Sequence[Value]) -> Value:
    return next((value for value in values if name in value.types), ANYTHING)
