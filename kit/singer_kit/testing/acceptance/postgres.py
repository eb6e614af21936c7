"""Reading back from Postgres: one schema for each scenario, values as text so that no driver rounds or refuses them."""

from __future__ import annotations

import contextlib
import datetime as dt
import uuid
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from singer_kit.testing.acceptance.destination import Stored
from singer_kit.testing.acceptance.values import from_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_KINDS = {
    **dict.fromkeys(("int2", "int4", "int8"), "integer"),
    **dict.fromkeys(("float4", "float8"), "float"),
    **dict.fromkeys(("text", "varchar", "bpchar"), "text"),
    **dict.fromkeys(("time", "timetz"), "time"),
    **dict.fromkeys(("timestamp", "timestamptz"), "timestamp"),
    **dict.fromkeys(("json", "jsonb"), "json"),
    "numeric": "decimal",
    "bool": "boolean",
    "bytea": "bytes",
    "date": "date",
    "uuid": "uuid",
}
_COLUMNS = """
select c.relname, c.relkind = 'v', a.attname, coalesce(d.typname, t.typname), t.typelem <> 0 and t.typlen = -1
from pg_class c join pg_namespace n on n.oid = c.relnamespace
join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
join pg_type t on t.oid = a.atttypid left join pg_type d on d.oid = t.typbasetype
where n.nspname = %s and c.relkind in ('r', 'p', 'v') order by c.relname, a.attnum
"""


def _time(text: str) -> dt.time:
    # Before 3.11, Python knows no offset of hours alone.
    return dt.time.fromisoformat(text + ":00" if text[-3:-2] in "+-" else text)


def _timestamp(text: str) -> dt.datetime:
    text = text + ":00" if text[-3:-2] in "+-" else text
    whole, point, rest = text.partition(".")
    if point:
        digits = rest.split("+")[0].split("-")[0]
        text = f"{whole}.{digits.ljust(6, '0')}{rest[len(digits) :]}"
    return dt.datetime.fromisoformat(text)


_PARSERS: dict[str, Callable[[str], Any]] = {
    "integer": int,
    "decimal": Decimal,
    "float": Decimal,
    "boolean": "true".__eq__,
    "date": dt.date.fromisoformat,
    "time": _time,
    "timestamp": _timestamp,
    "uuid": uuid.UUID,
    "bytes": lambda text: bytes.fromhex(text[2:]),
    "json": from_json,
    "array": from_json,
}


def _parsed(text: str | None, kind: str) -> Any:
    """A value of Postgres in Python; as text where Python has none, as for `infinity` and years beyond 9999."""
    if text is None or kind not in _PARSERS:
        return text
    try:
        return _PARSERS[kind](text)
    except (ValueError, RecursionError):
        return text


def _expression(column: str, kind: str) -> sql.Composed:
    # Arrays as JSON: their own text form would need a parser of its own.
    form = "to_jsonb({})::text" if kind == "array" else "{}::text"
    return sql.SQL(form).format(sql.Identifier(column))


@dataclass
class Schema:
    """A `Place` that is one schema."""

    connection: psycopg.Connection[Any]
    name: str
    settings: Mapping[str, Any]
    table_of: Callable[[str], str] | None

    def names_of(self, stream: str) -> tuple[str, ...]:
        # Most targets for Postgres follow `database-schema-table`.
        return (self.table_of(stream),) if self.table_of else (stream, stream.rsplit("-", maxsplit=1)[-1])

    def tables(self) -> dict[str, Stored]:
        found: dict[str, dict[str, str]] = {}
        views = set()
        for table, view, column, kind, array in self.connection.execute(_COLUMNS, (self.name,)):
            found.setdefault(table, {})[column] = "array" if array else _KINDS.get(kind, "other")
            if view:
                views.add(table)
        return {table: Stored(kinds, self._rows(table, kinds), table in views) for table, kinds in found.items()}

    def _rows(self, table: str, kinds: Mapping[str, str]) -> list[Mapping[str, Any]]:
        query = sql.SQL("select {} from {}").format(
            sql.SQL(", ").join(_expression(column, kind) for column, kind in kinds.items()),
            sql.Identifier(self.name, table),
        )
        return [
            {column: _parsed(text, kind) for (column, kind), text in zip(kinds.items(), row, strict=True)}
            for row in self.connection.execute(query)
        ]

    def make_view(self, name: str, table: str, columns: tuple[str, ...]) -> None:
        self.connection.execute(
            sql.SQL("create view {} as select {} from {}").format(
                sql.Identifier(self.name, name),
                sql.SQL(", ").join(map(sql.Identifier, columns)),
                sql.Identifier(self.name, table),
            )
        )


@dataclass(frozen=True)
class PostgresDestination:
    """A database.

    Args:
        url: as libpq reads it.
        table_of: the table's name for a stream's, if the target does not follow `database-schema-table`.
        settings: the target's settings by the place's schema; if unset, MeltanoLabs' `host` … `default_target_schema`.

    """

    url: str
    table_of: Callable[[str], str] | None = None
    settings: Callable[[str], Mapping[str, Any]] | None = None
    offers: frozenset[str] = field(default=frozenset({"views"}), init=False)

    @contextlib.contextmanager
    def open(self) -> Iterator[Schema]:
        name = f"acceptance_{uuid.uuid4().hex[:12]}"
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute("set time zone 'UTC'")
            connection.execute("set bytea_output = 'hex'")
            connection.execute("set extra_float_digits = 1")
            settings = self.settings(name) if self.settings else self._parts(name)
            try:
                yield Schema(connection, name, settings, self.table_of)
            finally:
                connection.execute(sql.SQL("drop schema if exists {} cascade").format(sql.Identifier(name)))

    def _parts(self, schema: str) -> dict[str, Any]:
        parts = conninfo_to_dict(self.url)
        return {
            "host": parts.get("host", "localhost"),
            "port": int(parts.get("port") or 5432),
            "user": parts.get("user"),
            "password": parts.get("password") or "",
            "database": parts.get("dbname"),
            "default_target_schema": schema,
        }
