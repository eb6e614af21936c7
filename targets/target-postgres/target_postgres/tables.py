"""Bringing a table to what a stream needs: created, columns added, types widened where nothing is lost.

A column is never dropped or narrowed. The catalog is read first, so that a table that fits already costs one
query and no lock; only then an advisory lock is taken, which lets two targets create one schema or table at once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import psycopg

from singer_kit.errors import ConfigurationError, DataError
from target_postgres.errors import from_postgres
from target_postgres.naming import literal, quote
from target_postgres.types import fitted, widened

if TYPE_CHECKING:
    from collections.abc import Sequence

    from target_postgres.database import Database
    from target_postgres.naming import TableName
    from target_postgres.types import ColumnType

MAX_COLUMNS = 1600

_COLUMNS = """
SELECT a.attname, format_type(a.atttypid, a.atttypmod),
  a.attnotnull AND NOT EXISTS (
    SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary AND a.attnum = ANY (i.indkey)
  ),
  c.relkind
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE n.nspname = %s AND c.relname = %s AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S', 'c')
"""
# Unique indexes that ON CONFLICT can use, each as its list of columns.
_UNIQUE = """
SELECT array_agg(a.attname::text ORDER BY a.attname)
FROM pg_index i
JOIN pg_class c ON c.oid = i.indrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
CROSS JOIN LATERAL unnest(i.indkey) WITH ORDINALITY AS k(attnum, position)
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum
WHERE n.nspname = %s AND c.relname = %s
  AND i.indisunique AND i.indisvalid AND i.indimmediate AND i.indpred IS NULL AND i.indexprs IS NULL
  AND k.position <= i.indnkeyatts
GROUP BY i.indexrelid
"""


@dataclass(frozen=True)
class Column:
    """A column that a stream needs: its name in the table and its type there."""

    name: str
    type: ColumnType
    key: bool = False


@dataclass(frozen=True)
class Table:
    """A table that fits its stream."""

    name: TableName
    columns: tuple[Column, ...]
    # Whether a unique index stands on exactly the key columns, so that ON CONFLICT works.
    unique_key: bool


@dataclass(frozen=True)
class _Found:
    types: dict[str, str]
    # NOT NULL, and not because of the primary key.
    required: frozenset[str]
    exists: bool


def prepare(database: Database, stream: str, name: TableName, columns: Sequence[Column], *, unique: bool) -> Table:
    """Make the table fit.

    Args:
        database: statements run in its open transaction; committing is the caller's.
        stream: for messages.
        name: of the table.
        columns: as the stream wants them.
        unique: a new table gets a primary key on the key columns.

    Raises:
        DataError: a column exists with a type that cannot take the stream's values.
        ConfigurationError: a right is missing.

    """
    if len(columns) > MAX_COLUMNS:
        raise DataError(
            f"Stream {stream!r} needs {len(columns)} columns; a table of Postgres holds at most "
            f"{MAX_COLUMNS}. "
            "Next: deselect properties in the tap, or drop some with stream_maps."
        )
    found = _look(database, stream, name)
    if _changes(columns, found):
        _lock(database, name.quoted)
        if not found.exists:
            _create(database, stream, name, columns, unique=unique)
        found = _look(database, stream, name)
        for column, change in _changes(columns, found):
            _apply(database, stream, name, column, found.types.get(column.name), change)
        found = _look(database, stream, name)
    settled = []
    for column in columns:
        fit = fitted(column.type, found.types[column.name])
        if fit is None:
            raise _unfit(stream, name, column, found.types[column.name])
        settled.append(replace(column, type=fit))
    keys = sorted(column.name for column in columns if column.key)
    indexes = [row[0] for row in database.rows(_UNIQUE, (name.schema, name.table))] if keys else []
    return Table(name, tuple(settled), unique_key=any(sorted(index) == keys for index in indexes))


def _look(database: Database, stream: str, name: TableName) -> _Found:
    rows = database.rows(_COLUMNS, (name.schema, name.table))
    if rows and rows[0][3] not in {"r", "p"}:
        raise ConfigurationError(
            f"Stream {stream!r} goes to {name.quoted}, which exists and is no table. Next: set table_name or "
            "default_target_schema."
        )
    columns = [row for row in rows if row[0] is not None]
    return _Found({row[0]: row[1] for row in columns}, frozenset(row[0] for row in columns if row[2]), bool(rows))


def _changes(columns: Sequence[Column], found: _Found) -> list[tuple[Column, str]]:
    """The columns to act on and the statement's tail for each."""
    changes = []
    for column in columns:
        actual = found.types.get(column.name)
        quoted = quote(column.name)
        if actual is None:
            changes.append((column, f"ADD COLUMN {quoted} {column.type.sql}"))
        elif fitted(column.type, actual) is None and (wider := widened(column.type, actual)):
            using = wider[1].format(quoted)
            changes.append((column, f"ALTER COLUMN {quoted} TYPE {wider[0].sql} USING {using}"))
        if actual is not None and not column.key and column.name in found.required:
            changes.append((column, f"ALTER COLUMN {quoted} DROP NOT NULL"))
    return changes


def _lock(database: Database, key: str) -> None:
    """Held to the end of the transaction; one key a table, so that targets wait only for who shapes the same one."""
    database.rows(f"SELECT pg_advisory_xact_lock(hashtext('target-postgres ddl'), hashtext({literal(key)}))")


def _create(database: Database, stream: str, name: TableName, columns: Sequence[Column], *, unique: bool) -> None:
    doing = f"Stream {stream!r}: creating table {name.quoted}"
    if not database.rows("SELECT 1 FROM pg_namespace WHERE nspname = %s", (name.schema,)):
        _lock(database, quote(name.schema))
        try:
            database.connection.execute(f"CREATE SCHEMA IF NOT EXISTS {quote(name.schema)}".encode())
        except psycopg.errors.InsufficientPrivilege as error:
            dbname, user = database.connection.info.dbname, database.connection.info.user
            raise ConfigurationError(
                f"{doing}: user {user!r} may not create schema {name.schema!r}. "
                f"Next: GRANT CREATE ON DATABASE {quote(dbname)} TO {quote(user)}; or create the schema and "
                f"GRANT USAGE, CREATE ON SCHEMA {quote(name.schema)} TO {quote(user)};"
            ) from error
        except psycopg.Error as error:
            raise from_postgres(error, doing) from error
    keys = [quote(column.name) for column in columns if column.key]
    parts = [f"{quote(column.name)} {column.type.sql}" for column in columns]
    if keys and unique:
        parts.append(f"PRIMARY KEY ({', '.join(keys)})")
    try:
        database.connection.execute(f"CREATE TABLE IF NOT EXISTS {name.quoted} ({', '.join(parts)})".encode())
    except psycopg.errors.InsufficientPrivilege as error:
        user = database.connection.info.user
        raise ConfigurationError(
            f"{doing}: user {user!r} may not create tables in schema {name.schema!r}. "
            f"Next: GRANT USAGE, CREATE ON SCHEMA {quote(name.schema)} TO {quote(user)};"
        ) from error
    except psycopg.Error as error:
        raise from_postgres(error, doing) from error


def _apply(database: Database, stream: str, name: TableName, column: Column, actual: str | None, change: str) -> None:
    doing = f"Stream {stream!r}: changing column {column.name!r} of {name.quoted}"
    try:
        database.connection.execute(f"ALTER TABLE {name.quoted} {change}".encode())
    except psycopg.errors.FeatureNotSupported as error:
        raise DataError(
            f"{doing} from {actual} to {column.type.sql} failed: {error.diag.message_primary} "
            f"({error.diag.message_detail}). "
            "Next: drop the view, run again, and create the view anew."
        ) from error
    except psycopg.Error as error:
        raise from_postgres(error, doing) from error


def _unfit(stream: str, name: TableName, column: Column, actual: str) -> DataError:
    return DataError(
        f"Stream {stream!r}: column {column.name!r} of {name.quoted} is {actual}, the stream now sends "
        f"{column.type.sql}, "
        f"and {actual} cannot take that without loss. "
        "Next: rename the column (the target then adds a new one), or change its type by hand with ALTER "
        "TABLE."
    )
