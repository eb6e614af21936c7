"""From a table to a stream's definition: which properties it has, their JSON schemas, and the SQL that yields each."""

from __future__ import annotations

import fnmatch
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from psycopg import sql

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tap_odoo.discovery import Column, Table

DATED_BY = "write_date"
# Rows of these are merged and deleted all the time without a trace, so only a whole reading is right.
SNAPSHOT_TABLES = frozenset({"stock_quant"})
INTEGERS = frozenset({"int2", "int4", "int8"})
TIMESTAMPS = frozenset({"timestamp", "timestamptz"})

_ANY_JSON = {"type": ["object", "array", "string", "number", "boolean"]}
_STRING = {"type": ["string"]}
# Postgres type -> (JSON schema, SQL of a value, SQL of an array). The session's time zone is UTC, and so is
# every timestamp in Odoo, hence the plain casts. What `row_to_json` already writes exactly needs no expression.
# json (unlike jsonb) keeps its author's white space, and a raw line break would end the message.
_ONE_LINE = "translate({}::text, E'\\n\\r\\t', '   ')::json"
_TYPES: dict[str, tuple[dict[str, Any], str, str]] = {
    **dict.fromkeys(INTEGERS, ({"type": ["integer"]}, "{}", "{}")),
    "oid": ({"type": ["integer"]}, "{}::bigint", "{}::bigint[]"),
    **dict.fromkeys(("numeric", "float4", "float8"), ({"type": ["number"]}, "{}", "{}")),
    "bool": ({"type": ["boolean"]}, "{}", "{}"),
    **dict.fromkeys(("text", "varchar", "bpchar", "name"), (_STRING, "{}", "{}")),
    "date": ({"type": ["string"], "format": "date"}, "{}", "{}"),
    "timestamp": ({"type": ["string"], "format": "date-time"}, "{}::timestamptz", "{}::timestamptz[]"),
    "timestamptz": ({"type": ["string"], "format": "date-time"}, "{}", "{}"),
    "time": ({"type": ["string"], "format": "time"}, "{}", "{}"),
    "timetz": ({"type": ["string"], "format": "time"}, "{}", "{}"),
    "uuid": ({"type": ["string"], "format": "uuid"}, "{}", "{}"),
    "jsonb": (_ANY_JSON, "{}", "{}"),
    "json": (_ANY_JSON, _ONE_LINE, _ONE_LINE + "[]"),
    "bytea": (
        {"type": ["string"], "contentEncoding": "base64"},
        "translate(encode({}, 'base64'), E'\\n', '')",
        "{}::text[]",
    ),
}
_OTHER = (_STRING, "{}::text", "{}::text[]")


@dataclass(frozen=True)
class Field:
    """One property: its JSON schema, and a `psycopg.sql.SQL` template to fill with the columns it is made of."""

    name: str
    schema: Mapping[str, Any]
    template: str
    columns: tuple[str, ...]

    def expression(self) -> sql.Composed:
        return sql.SQL(self.template).format(*(sql.Identifier("t", column) for column in self.columns))


@dataclass(frozen=True)
class Source:
    """What a stream reads.

    Attributes:
        name: the stream's name.
        fields: its properties, in order.
        key: its key properties; each is a column of the same name.
        timestamps: the table's timestamp columns, by name, with their types.
        sequence: the key column, when it is one integer: rows can be read in its order and resumed behind it.
        incremental: whether it is read incrementally unless the catalog says otherwise.
        condition: a template and its columns that a row must satisfy.
    """

    name: str
    schema: str
    table: str
    fields: tuple[Field, ...]
    key: tuple[str, ...]
    timestamps: Mapping[str, str] = field(default_factory=dict)
    sequence: str | None = None
    incremental: bool = False
    condition: Field | None = None

    def json_schema(self) -> dict[str, Any]:
        return {"type": "object", "properties": {item.name: dict(item.schema) for item in self.fields}}


@dataclass(frozen=True)
class Translations:
    """How translated columns come out.

    Attributes:
        languages: preferred languages, best first; empty leaves the columns as they are.
        columns: (table, column) to the Odoo model's name; None when the database cannot say.
        table: whether there is an `ir_translation` table (Odoo 15 and older).
    """

    languages: tuple[str, ...] = ()
    columns: Mapping[tuple[str, str], str] | None = None
    table: bool = False


class FieldFilter:
    """Whether a column is left out, from globs on `column` or `table.column`."""

    def __init__(self, globs: Iterable[str]) -> None:
        plain: list[str] = []
        dotted: list[str] = []
        for glob in globs:
            (dotted if "." in glob else plain).append(fnmatch.translate(glob))
        self._plain = re.compile("|".join(plain) or r"(?!)")
        self._dotted = re.compile("|".join(dotted) or r"(?!)")

    def excludes(self, table: str, column: str) -> bool:
        return bool(self._plain.match(column) or self._dotted.match(f"{table}.{column}"))


def table_source(table: Table, excluded: FieldFilter, translations: Translations) -> Source:
    """Define the stream of a table or view."""
    timestamps = {
        column.name: column.type for column in table.columns if column.type in TIMESTAMPS and not column.array
    }
    fields = tuple(
        _field(table, column, translations)
        for column in table.columns
        if not excluded.excludes(table.name, column.name)
    )
    names = {item.name for item in fields}
    # A key with a hidden part would call different rows the same.
    key = table.key if names.issuperset(table.key) else ()
    column = table.column(key[0]) if len(key) == 1 else None
    return Source(
        name=table.name,
        schema=table.schema,
        table=table.name,
        fields=fields,
        key=key,
        timestamps=timestamps,
        sequence=column.name if column and column.type in INTEGERS and not column.array else None,
        # Without a key a changed row could not find its older self downstream.
        incremental=bool(key) and DATED_BY in timestamps and DATED_BY in names and table.name not in SNAPSHOT_TABLES,
    )


def _field(table: Table, column: Column, translations: Translations) -> Field:
    if translations.languages and (translated := _translated(table, column, translations)):
        return translated
    base, scalar, array = _TYPES.get(column.type, _OTHER)
    schema: dict[str, Any] = {**base, "type": ["null", *base["type"]]}
    if column.array:
        if column.type == "bytea":
            schema = {"type": ["null", "string"]}
        for _ in range(max(column.dimensions, 1)):
            schema = {"type": ["null", "array"], "items": schema}
    if not column.nullable and column.name in table.key:
        schema["type"] = schema["type"][1:]
    return Field(column.name, schema, array if column.array else scalar, (column.name,))


def _translated(table: Table, column: Column, translations: Translations) -> Field | None:
    """Define the one text of a translated column: in the first of the languages that has one, else in English."""
    if translations.columns is None:
        # Without Odoo's registry: a name that holds JSON can only be one name in several languages.
        model = table.name.replace("_", ".") if (column.name, column.type) == ("name", "jsonb") else None
    else:
        model = translations.columns.get((table.name, column.name))
    if model is None or column.array:
        return None
    schema = {"type": ["null", "string"]}
    if column.type == "jsonb":
        languages = dict.fromkeys([*translations.languages, "en_US"])
        texts = ", ".join(f"{{0}} ->> {_literal(language)}" for language in languages)
        return Field(column.name, schema, f"coalesce({texts})", (column.name,))
    if not translations.table or table.column("id") is None:
        return None
    # The column itself is the English text; whatever comes after English in the list can never be reached.
    texts = ""
    for language in translations.languages:
        if language == "en_US":
            break
        texts += (
            f"(select x.value from {_identifier(table.schema)}.ir_translation x"  # noqa: S608 - quoted
            f" where x.type = 'model' and x.name = {_literal(f'{model},{column.name}')}"
            f" and x.lang = {_literal(language)} and x.res_id = {{1}} and x.value <> '' limit 1), "
        )
    return Field(column.name, schema, f"coalesce({texts}{{0}})", (column.name, "id"))


def _literal(value: str) -> str:
    """Quote a text for a template, in which braces mean something."""
    return _template(sql.quote(value))


def _identifier(name: str) -> str:
    return _template(sql.Identifier(name).as_string())


def _template(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")
