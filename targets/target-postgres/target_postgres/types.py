"""Which Postgres type a property gets, and whether a column that exists already can take it.

The lattice for a property that allows several types (`null` aside):

    integer + number                 numeric
    the same type twice              that type
    anything with object or array    jsonb
    any other mixture                text
    no type at all                   jsonb
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal[
    "integer",
    "number",
    "text",
    "boolean",
    "date",
    "timestamp",
    "time",
    "uuid",
    "base64",
    "base16",
    "jsonb",
    "other",
]

_BIGINT_MIN, _BIGINT_MAX = -(2**63), 2**63 - 1
_FORMATS: dict[str, tuple[str, Kind]] = {
    "date-time": ("timestamp with time zone", "timestamp"),
    "date": ("date", "date"),
    "time": ("time without time zone", "time"),
    "uuid": ("uuid", "uuid"),
    "singer.decimal": ("numeric", "number"),
    "x-singer.decimal": ("numeric", "number"),
}
# What `x-sql-datatype` may ask for, by the names people write; `other` values are given to Postgres as they
# are.
_SQL_TYPES: dict[str, tuple[str, Kind]] = {
    "smallint": ("smallint", "integer"),
    "int2": ("smallint", "integer"),
    "integer": ("integer", "integer"),
    "int": ("integer", "integer"),
    "int4": ("integer", "integer"),
    "bigint": ("bigint", "integer"),
    "int8": ("bigint", "integer"),
    "numeric": ("numeric", "number"),
    "decimal": ("numeric", "number"),
    "real": ("real", "number"),
    "float4": ("real", "number"),
    "double precision": ("double precision", "number"),
    "float8": ("double precision", "number"),
    "text": ("text", "text"),
    "varchar": ("character varying", "text"),
    "character varying": ("character varying", "text"),
    "boolean": ("boolean", "boolean"),
    "bool": ("boolean", "boolean"),
    "date": ("date", "date"),
    "time": ("time without time zone", "time"),
    "timetz": ("time with time zone", "other"),
    "timestamp": ("timestamp without time zone", "timestamp"),
    "timestamptz": ("timestamp with time zone", "timestamp"),
    "timestamp with time zone": ("timestamp with time zone", "timestamp"),
    "timestamp without time zone": ("timestamp without time zone", "timestamp"),
    "uuid": ("uuid", "uuid"),
    "json": ("json", "jsonb"),
    "jsonb": ("jsonb", "jsonb"),
    "interval": ("interval", "other"),
    "inet": ("inet", "other"),
    "cidr": ("cidr", "other"),
    "macaddr": ("macaddr", "other"),
}
_SIZED = re.compile(r"(numeric|decimal|varchar|character varying)\s*\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?\)")
_INTEGERS = frozenset({"smallint", "integer", "bigint"})
_TEXTS = frozenset({"text", "character varying"})
# Casting these to text and on to the new column loses nothing.
_TO_TEXT = _INTEGERS | {"numeric", "boolean", "date", "uuid"}
_TO_JSONB = _INTEGERS | {"numeric", "boolean", "text", "character varying"}


@dataclass(frozen=True)
class ColumnType:
    """A Postgres type as `format_type` prints it, and how values are written for it.

    `staged` is the type of the column that COPY fills: it differs where an assignment from it is exact and
    reading the text straight is not, as for a timestamp with a zone that goes to a column without one.
    """

    sql: str
    kind: Kind
    staged: str


def _make(sql: str, kind: Kind) -> ColumnType:
    return ColumnType(sql, kind, "timestamp with time zone" if kind == "timestamp" else sql)


JSONB = _make("jsonb", "jsonb")
TEXT = _make("text", "text")
BIGINT = _make("bigint", "integer")
NUMERIC = _make("numeric", "number")
TIMESTAMPTZ = _make("timestamp with time zone", "timestamp")


def column_type(schema: Any, *, content_encoding: bool) -> ColumnType:
    """Choose the Postgres type for a property.

    Args:
        schema: the property's JSON schema.
        content_encoding: whether base64 and base16 strings become bytea.

    """
    found: set[ColumnType] = set()
    _collect(schema, content_encoding, found)
    if len(found) == 1:
        return found.pop()
    if not found or JSONB in found:
        return JSONB
    return NUMERIC if found <= {BIGINT, NUMERIC} else TEXT


def _collect(schema: Any, content_encoding: bool, found: set[ColumnType]) -> None:
    if not isinstance(schema, dict):
        found.add(JSONB)
        return
    if isinstance(name := schema.get("x-sql-datatype"), str) and (asked := named_type(name)):
        found.add(asked)
        return
    names = schema.get("type")
    if names is None:
        variants = [*schema.get("anyOf", ()), *schema.get("oneOf", ()), *schema.get("allOf", ())[:1]]
        if not variants and ("enum" in schema or "const" in schema):
            values = schema.get("enum", [schema.get("const")])
            variants = [{"type": _json_type(value)} for value in values]
        for variant in variants:
            _collect(variant, content_encoding, found)
        if not variants:
            found.add(JSONB)
        return
    found.update(
        _single(name, schema, content_encoding)
        for name in ([names] if isinstance(names, str) else names)
        if name != "null"
    )


def _json_type(value: Any) -> str:
    for kind, name in (
        (bool, "boolean"),
        (int, "integer"),
        (float, "number"),
        (str, "string"),
        (type(None), "null"),
    ):
        if isinstance(value, kind):
            return name
    return "object"


def _single(name: str, schema: dict[str, Any], content_encoding: bool) -> ColumnType:
    if name == "integer":
        limits = (schema.get("minimum", 0), schema.get("maximum", 0))
        fits = all(not isinstance(limit, (int, float)) or _BIGINT_MIN <= limit <= _BIGINT_MAX for limit in limits)
        return BIGINT if fits else NUMERIC
    if name == "number":
        return NUMERIC
    if name == "boolean":
        return _make("boolean", "boolean")
    if name != "string":
        return JSONB
    if content_encoding and schema.get("contentEncoding") in {"base64", "base16"}:
        return _make("bytea", "base64" if schema["contentEncoding"] == "base64" else "base16")
    asked = _FORMATS.get(str(schema.get("format")))
    return _make(*asked) if asked else TEXT


def named_type(name: str) -> ColumnType | None:
    """Read `x-sql-datatype`; None for what is not on the list."""
    lowered = " ".join(name.lower().split())
    if known := _SQL_TYPES.get(lowered):
        return _make(*known)
    if not (sized := _SIZED.fullmatch(lowered)):
        return None
    if sized[1] in {"numeric", "decimal"}:
        return _make(f"numeric({int(sized[2])},{int(sized[3] or 0)})", "number")
    return _make(f"character varying({int(sized[2])})", "text") if sized[3] is None else None


def fitted(wanted: ColumnType, actual: str) -> ColumnType | None:
    """How values of a property are written into a column of the type that the table has; None: they do not fit."""
    if wanted.sql == actual:
        return wanted
    scalar = wanted.kind not in {"base64", "base16", "jsonb"}
    fits: Kind | None = None
    if wanted.kind == "integer" and (actual in _INTEGERS or actual.startswith("numeric")):
        fits = "integer"
    elif wanted.kind == "number" and actual == "numeric":
        fits = "number"
    elif scalar and actual in _TEXTS:
        fits = "text"
    elif wanted.kind in {"date", "timestamp"} and actual.startswith("timestamp with"):
        fits = "timestamp"
    elif actual in {"jsonb", "json"} and (scalar or wanted.kind == "jsonb"):
        fits = "jsonb"
    return _make(actual, fits) if fits else None


def widened(wanted: ColumnType, actual: str) -> tuple[ColumnType, str] | None:
    """The type that holds both the column's old values and the new ones, and the cast; None: there is none.

    The cast is a format string with `{}` for the quoted column.
    """
    if wanted.kind == "number" and actual in _INTEGERS:
        return NUMERIC, "{}::numeric"
    if wanted.kind == "timestamp" and actual == "date":
        return TIMESTAMPTZ, "{}::timestamp at time zone 'UTC'"
    if wanted.sql == "text" and actual in _TO_TEXT:
        return TEXT, "{}::text"
    if wanted.kind == "jsonb" and actual in _TO_JSONB:
        return JSONB, "to_jsonb({})"
    return None
