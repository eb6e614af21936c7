"""Which Postgres type a property gets; `lattice` tells what becomes of a column that exists already.

For a property that allows several types (`null` aside):

    the same type twice              that type
    integers and numbers             numeric
    anything with object or array    jsonb
    any other mixture                text
    no type at all                   jsonb
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Literal

Kind = Literal[
    "integer",
    "number",
    "text",
    "boolean",
    "date",
    "timestamp",
    "time",
    "timetz",
    "uuid",
    "base64",
    "base16",
    "jsonb",
    "other",
]

INTEGERS = {"smallint": 2**15, "integer": 2**31, "bigint": 2**63}
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
    "timetz": ("time with time zone", "timetz"),
    "time with time zone": ("time with time zone", "timetz"),
    "time without time zone": ("time without time zone", "time"),
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


@dataclass(frozen=True)
class ColumnType:
    """A Postgres type as `format_type` prints it, and how values are written for it.

    Attributes:
        staged: the type of the column that COPY fills: it differs where an assignment from it is exact and
            reading the text straight is not, as for a timestamp with a zone that goes to a column without one.
        limit: of integers the greatest magnitude that the values may have; None: any.
        guarded: Postgres would round or cut some values without a word, so `lattice.guard` must stand before it.

    """

    sql: str
    kind: Kind
    staged: str
    limit: int | None = None
    guarded: bool = False


def make(sql: str, kind: Kind, limit: int | None = None, *, guarded: bool = False) -> ColumnType:
    return ColumnType(sql, kind, "timestamp with time zone" if kind == "timestamp" else sql, limit, guarded)


JSONB = make("jsonb", "jsonb")
TEXT = make("text", "text")
BIGINT = make("bigint", "integer", INTEGERS["bigint"])
NUMERIC = make("numeric", "number")
TIMESTAMPTZ = make("timestamp with time zone", "timestamp")


def column_type(schema: Any, *, content_encoding: bool) -> ColumnType:
    """Choose the Postgres type for a property.

    Args:
        schema: the property's JSON schema.
        content_encoding: whether base64 and base16 strings become bytea.

    """
    found: set[ColumnType] = set()
    _collect(schema, content_encoding, found)
    kinds, count = {one.kind for one in found}, len(found)
    if not found or "jsonb" in kinds:
        return JSONB
    if len({replace(one, limit=None) for one in found}) == 1:
        limits = [one.limit for one in found if one.limit is not None]
        return replace(found.pop(), limit=max(limits) if len(limits) == count else None)
    return NUMERIC if kinds <= {"integer", "number"} else TEXT


def _collect(schema: Any, content_encoding: bool, found: set[ColumnType]) -> None:
    if not isinstance(schema, dict):
        found.add(JSONB)
        return
    if isinstance(name := schema.get("x-sql-datatype"), str) and (asked := named_type(name)):
        found.add(asked)
        return
    names = schema.get("type")
    if names is None:
        variants = [*schema.get("anyOf", ()), *schema.get("oneOf", ())]
        if every := [part for part in schema.get("allOf", ()) if isinstance(part, dict)]:
            variants.append({name: value for part in every for name, value in part.items()})
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
        ((float, Decimal), "number"),
        (str, "string"),
        (type(None), "null"),
    ):
        if isinstance(value, kind):
            return name
    return "object"


def _single(name: str, schema: dict[str, Any], content_encoding: bool) -> ColumnType:
    if name == "integer":
        return _integer(schema)
    if name == "number":
        return NUMERIC
    if name == "boolean":
        return make("boolean", "boolean")
    if name != "string":
        return JSONB
    if content_encoding and schema.get("contentEncoding") in {"base64", "base16"}:
        return make("bytea", "base64" if schema["contentEncoding"] == "base64" else "base16")
    asked = _FORMATS.get(str(schema.get("format")))
    return make(*asked) if asked else TEXT


def _integer(schema: dict[str, Any]) -> ColumnType:
    """A bigint whatever the limits say, unless they go beyond it; they tell which narrower columns will do."""
    limits = [schema.get(name) for name in ("minimum", "maximum")]
    known = [limit for limit in limits if isinstance(limit, (int, float, Decimal)) and math.isfinite(limit)]
    # Of two's complement numbers the lowest reaches one further than the highest.
    magnitude = max((-limit if limit < 0 else limit + 1 for limit in map(int, known)), default=0)
    if magnitude > INTEGERS["bigint"]:
        return NUMERIC
    return replace(BIGINT, limit=magnitude) if len(known) == len(limits) else BIGINT


def named_type(name: str) -> ColumnType | None:
    """Read `x-sql-datatype`; None for what is not on the list."""
    lowered = " ".join(name.lower().split())
    if known := _SQL_TYPES.get(lowered):
        return make(*known, limit=INTEGERS.get(known[0]))
    if not (sized := _SIZED.fullmatch(lowered)):
        return None
    if sized[1] in {"numeric", "decimal"}:
        return make(f"numeric({int(sized[2])},{int(sized[3] or 0)})", "number", guarded=True)
    if sized[3] is not None:
        return None
    return make(f"character varying({int(sized[2])})", "text", guarded=True)
