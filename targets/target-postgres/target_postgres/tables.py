"""Bringing a table to what a stream needs: created, columns added, types widened where nothing is lost.

The catalog is read first, so that a table that fits already costs one query and no lock; only then an advisory lock
is taken, which lets two targets create, or change, one schema or table at once.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import psycopg

from singer_kit.errors import ConfigurationError, DataError
from target_postgres import evolution
from target_postgres.errors import from_postgres
from target_postgres.lattice import fitted, frozen, outgrown
from target_postgres.naming import quote

if TYPE_CHECKING:
    from collections.abc import Sequence

    from target_postgres.database import Database
    from target_postgres.evolution import Existing, Found, Policy
    from target_postgres.naming import TableName
    from target_postgres.types import ColumnType

MAX_COLUMNS = 1600

_logger = logging.getLogger(__name__)

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
    """A table that fits its stream.

    Attributes:
        columns: those to write, with the types that they have in the table.
        unique_key: a unique index stands on exactly the key columns, so that ON CONFLICT works.
        left_out: names of columns that the stream has and a frozen table has not: not to be written.

    """

    name: TableName
    columns: tuple[Column, ...]
    unique_key: bool
    left_out: frozenset[str] = frozenset()


def prepare(
    database: Database,
    stream: str,
    name: TableName,
    columns: Sequence[Column],
    *,
    unique: bool,
    policy: Policy = "evolve",
) -> Table:
    """Make the table fit. A table that does not exist is created, whatever the policy.

    Args:
        database: statements run in its open transaction; committing is the caller's. A failure leaves what was
            in the transaction before.
        stream: for messages.
        name: of the table.
        columns: as the stream wants them.
        unique: a new table gets a primary key on the key columns.
        policy: for a table that does not fit. `evolve` adds columns, widens types and drops NOT NULL; `freeze`
            leaves the table as it is, tells in a warning what does not fit, and values that do not fit are for
            `lattice.guard` and Postgres to refuse; `fail` refuses the stream.

    Raises:
        DataError: the table cannot be made to fit, or the policy is `fail` and it does not.
        ConfigurationError: a right is missing, or something else has the table's name.

    """
    if len(columns) > MAX_COLUMNS:
        raise DataError(
            f"Stream {stream!r} needs {len(columns)} columns; a table of Postgres holds at most "
            f"{MAX_COLUMNS}. "
            "Next: deselect properties in the tap, or drop some with stream_maps."
        )
    found = _look(database, stream, name)
    if found.kind is None:
        evolution.lock(database, name.quoted)
        _create(database, stream, name, columns, unique=unique)
        found = _look(database, stream, name)
    if changes := evolution.missing(columns, found):
        if policy == "fail":
            raise evolution.refused(stream, name, changes)
        if policy == "evolve":
            evolution.lock(database, name.quoted)
            # Another target may have changed it while we waited.
            if changes := evolution.missing(columns, _look(database, stream, name)):
                evolution.apply(database, stream, name, changes)
            found = _look(database, stream, name)
    kept = [column for column in columns if column.name in found.columns]
    left_out = frozenset(column.name for column in columns if column.name not in found.columns)
    if policy == "freeze":
        _tell_what_is_frozen(stream, name, columns, found)
    return Table(
        name,
        tuple(_settled(column, found.columns[column.name]) for column in kept),
        unique_key=_has_unique_key(database, name, columns),
        left_out=left_out,
    )


def widened_for(column: Column, value: Any) -> ColumnType | None:
    """The type that a column needs for one value; None: its type is not what keeps the value out.

    So an integer beyond bigint wants numeric, a text too long for varchar(n) text, digits beyond numeric(p,s) numeric.

    Args:
        column: of a `Table`.
        value: of its property in a record, not None.

    """
    return outgrown(column.type, value)


def widen(database: Database, stream: str, name: TableName, column: Column, to: ColumnType) -> Column:
    """Widen one column of a table that rows are being loaded into; the column as it is then.

    Args:
        database: rows that this transaction has written into the table stay in it; those that wait must have been
            written, or be encoded anew.
        stream: for messages.
        name: of the table.
        column: of a `Table`.
        to: from `widened_for`.

    Raises:
        DataError, ConfigurationError: as `prepare`; the transaction is as it was before.

    """
    evolution.lock(database, name.quoted)
    found = _look(database, stream, name)
    existing = found.columns.get(column.name)
    if existing is None:
        raise DataError(f"Stream {stream!r}: column {column.name!r} of {name.quoted} is gone. Next: run again.")
    wanted = replace(column, type=to)
    only = evolution.Found(found.kind, {column.name: replace(existing, required=False)})
    if changes := evolution.missing([wanted], only):
        evolution.apply(database, stream, name, changes)
    return _settled(wanted, _look(database, stream, name).columns[column.name])


def _settled(column: Column, existing: Existing) -> Column:
    return replace(column, type=fitted(column.type, existing.sql) or frozen(existing.sql))


def _has_unique_key(database: Database, name: TableName, columns: Sequence[Column]) -> bool:
    keys = sorted(column.name for column in columns if column.key)
    return bool(keys) and any(row[0] == keys for row in database.rows(_UNIQUE, (name.schema, name.table)))


def _look(database: Database, stream: str, name: TableName) -> Found:
    found = evolution.look(database, name)
    if found.kind not in {None, "r", "p"}:
        raise ConfigurationError(
            f"Stream {stream!r} goes to {name.quoted}, which exists and is no table. Next: set table_name or "
            "default_target_schema."
        )
    return found


def _tell_what_is_frozen(stream: str, name: TableName, columns: Sequence[Column], found: Found) -> None:
    """One warning with everything in it.

    Raises:
        DataError: without a key column rows cannot be told apart.

    """
    absent = [column for column in columns if column.name not in found.columns]
    for column in absent:
        if column.key:
            raise DataError(
                f"Stream {stream!r}: {name.quoted} has no column {column.name!r}, which is a key property, and "
                "schema_policy is 'freeze'. Next: add the column, or set schema_policy to 'evolve'."
            )
    narrow = [
        f"{column.name} is {found.columns[column.name].sql} and not {column.type.sql}"
        for column in columns
        if column.name in found.columns and fitted(column.type, found.columns[column.name].sql) is None
    ]
    told = [f"left out: {', '.join(column.name for column in absent)}"] if absent else []
    told += [f"records whose values do not fit are refused: {', '.join(narrow)}"] if narrow else []
    if told:
        _logger.warning(
            "Stream '%s': table %s is kept as it is (schema_policy freeze); %s", stream, name.quoted, "; ".join(told)
        )


def _create(database: Database, stream: str, name: TableName, columns: Sequence[Column], *, unique: bool) -> None:
    doing = f"Stream {stream!r}: creating table {name.quoted}"
    if not database.rows("SELECT 1 FROM pg_namespace WHERE nspname = %s", (name.schema,)):
        evolution.lock(database, quote(name.schema))
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
