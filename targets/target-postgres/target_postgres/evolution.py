"""Changing a table that exists: columns added, widened, and no longer NOT NULL. Never dropped, never narrowed."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import psycopg

from singer_kit.errors import ConfigurationError, DataError
from target_postgres.errors import from_postgres
from target_postgres.lattice import fitted, widened
from target_postgres.naming import literal, quote
from target_postgres.views import set_aside

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from target_postgres.database import Database
    from target_postgres.naming import TableName
    from target_postgres.tables import Column

Policy = Literal["evolve", "freeze", "fail"]

_logger = logging.getLogger(__name__)

_COLUMNS = """
SELECT c.relkind, a.attname, format_type(a.atttypid, a.atttypmod),
  a.attnotnull AND NOT EXISTS (
    SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary AND a.attnum = ANY (i.indkey)
  ),
  CASE WHEN a.attgenerated = '' THEN pg_get_expr(d.adbin, d.adrelid) END,
  d.oid IS NOT NULL OR a.attidentity <> '',
  CASE WHEN a.attcollation <> t.typcollation
    THEN (SELECT format('%%I.%%I', m.nspname, l.collname) FROM pg_collation l
          JOIN pg_namespace m ON m.oid = l.collnamespace WHERE l.oid = a.attcollation)
  END
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_type t ON t.oid = a.atttypid
LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
WHERE n.nspname = %s AND c.relname = %s
"""
_WITH_COLLATION = frozenset({"text", "character varying"})


@dataclass(frozen=True)
class Existing:
    """A column that a table has.

    Attributes:
        required: NOT NULL, and not because of the primary key.
        default: an SQL expression.
        filled: Postgres has a value for rows that bring none.
        collation: quoted; None: the type's own.

    """

    sql: str
    required: bool
    default: str | None
    filled: bool
    collation: str | None


@dataclass(frozen=True)
class Found:
    """What is in the place of a table: `kind` as in `pg_class.relkind`, None if nothing."""

    kind: str | None
    columns: dict[str, Existing]


@dataclass(frozen=True)
class Change:
    """One thing that a table lacks for its stream.

    Attributes:
        was: the column's type, None for a column to add.
        becomes: its type then, or `NULL` where NOT NULL is to go.
        clauses: of ALTER TABLE.
        retypes: the column's type changes.

    """

    column: str
    was: str | None
    becomes: str
    clauses: tuple[str, ...]
    retypes: bool = False

    def __str__(self) -> str:
        return f"column {self.column!r} " + (
            f"to be added as {self.becomes}" if self.was is None else f"from {self.was} to {self.becomes}"
        )


def look(database: Database, name: TableName) -> Found:
    rows = database.rows(_COLUMNS, (name.schema, name.table))
    return Found(rows[0][0] if rows else None, {row[1]: Existing(*row[2:]) for row in rows if row[1] is not None})


def lock(database: Database, key: str) -> None:
    """Held to the end of the transaction; one key a table, so that targets wait only for who shapes the same one."""
    database.rows(f"SELECT pg_advisory_xact_lock(hashtext('target-postgres ddl'), hashtext({literal(key)}))")


def missing(columns: Sequence[Column], found: Found) -> list[Change]:
    """What has to change so that a table takes every value of its stream."""
    changes = []
    for column in columns:
        existing = found.columns.get(column.name)
        quoted = quote(column.name)
        if existing is None:
            clause = f"ADD COLUMN {quoted} {column.type.sql}"
            changes.append(Change(column.name, None, column.type.sql, (clause,)))
            continue
        if fitted(column.type, existing.sql) is None:
            changes.append(_retyping(column, existing))
        if existing.required and not column.key:
            changes.append(_nullable(column.name))
    sent = {column.name for column in columns}
    # A property that the stream has no more leaves its column empty in new rows.
    changes += [
        _nullable(name)
        for name, existing in found.columns.items()
        if name not in sent and existing.required and not existing.filled
    ]
    return changes


def _nullable(column: str) -> Change:
    return Change(column, "NOT NULL", "NULL", (f"ALTER COLUMN {quote(column)} DROP NOT NULL",))


def _retyping(column: Column, existing: Existing) -> Change:
    wider, cast = widened(column.type, existing.sql)
    alter = f"ALTER COLUMN {quote(column.name)}"
    collation = f" COLLATE {existing.collation}" if existing.collation and _is_text(wider.sql) else ""
    clauses = [f"{alter} TYPE {wider.sql}{collation} USING {cast.format(quote(column.name))}"]
    if existing.default is not None:
        # Postgres would have to cast it implicitly, which it cannot always.
        clauses = [f"{alter} DROP DEFAULT", *clauses, f"{alter} SET DEFAULT {cast.format(f'({existing.default})')}"]
    return Change(column.name, existing.sql, wider.sql, tuple(clauses), retypes=True)


def _is_text(sql: str) -> bool:
    return sql.partition("(")[0] in _WITH_COLLATION


def apply(database: Database, stream: str, name: TableName, changes: Sequence[Change]) -> None:
    """Carry changes out in one statement, which writes a large table anew only once.

    A failure leaves the transaction as it was before.

    Args:
        database: in an open transaction.
        stream: for messages.
        name: the table; `lock` is held for it.
        changes: at least one.

    Raises:
        DataError: something that depends on a column is in the way.
        ConfigurationError: a right is missing.

    """
    retyped = [change for change in changes if change.retypes]
    doing = f"Stream {stream!r}: changing {name.quoted}, {_listed(retyped or changes)}"
    clauses = ", ".join(clause for change in changes for clause in change.clauses)
    statement = f"ALTER TABLE {name.quoted} {clauses}"
    views: list[str] = []
    try:
        with database.connection.transaction():
            # Floats are written in full, whatever the role's default is.
            database.rows("SELECT set_config('extra_float_digits', '1', true)")
            if retyped:
                with set_aside(database, name, [change.column for change in retyped], doing=doing) as views:
                    database.connection.execute(statement.encode())
            else:
                database.connection.execute(statement.encode())
    except psycopg.errors.InsufficientPrivilege as error:
        owner = _owner(database, name)
        raise ConfigurationError(
            f"{doing}: {error.diag.message_primary}. Only the owner of a table may change it. "
            f"Next: GRANT {quote(owner)} TO {quote(database.connection.info.user)}; or set schema_policy to freeze."
        ) from error
    except (psycopg.errors.FeatureNotSupported, psycopg.errors.InvalidTableDefinition) as error:
        detail = f" ({error.diag.message_detail})" if error.diag.message_detail else ""
        raise DataError(
            f"{doing}: {error.diag.message_primary}{detail}. Nothing was changed. "
            "Next: drop what depends on the column, run again, and make it anew; or set schema_policy to freeze."
        ) from error
    except psycopg.OperationalError as error:
        raise from_postgres(error, doing) from error
    except psycopg.Error as error:
        raise DataError(
            f"{doing}: {error.diag.message_primary}. Nothing was changed. "
            "Next: drop the constraint, index or trigger that needs the old type, or rename the column (a new one is "
            "added then); or set schema_policy to freeze."
        ) from error
    for change in changes:
        _logger.info("Stream '%s', table %s: %s", stream, name.quoted, change)
    if views:
        _logger.info("Stream '%s', table %s: made anew on it: %s", stream, name.quoted, ", ".join(views))


def refused(stream: str, name: TableName, changes: Sequence[Change]) -> DataError:
    """What the policy `fail` says to changes that are needed."""
    statements = ", ".join(clause for change in changes for clause in change.clauses)
    return DataError(
        f"Stream {stream!r} does not fit {name.quoted}: {_listed(changes)}; schema_policy is 'fail'. "
        f"Next: set it to 'evolve' for a run, or change the table yourself: ALTER TABLE {name.quoted} {statements}; or "
        "set it to 'freeze' to load what fits."
    )


def _listed(changes: Collection[Change], most: int = 5) -> str:
    texts = [str(change) for change in changes]
    more = f" and {len(texts) - most} more" if len(texts) > most else ""
    return ", ".join(texts[:most]) + more


def _owner(database: Database, name: TableName) -> str:
    rows = database.rows(
        "SELECT tableowner FROM pg_tables WHERE schemaname = %s AND tablename = %s", (name.schema, name.table)
    )
    return str(rows[0][0]) if rows else "the owner"
