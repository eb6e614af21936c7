"""Applying `sql/supabase/migrations`, in the same book that `supabase db push` keeps.

The Supabase CLI records what it has applied in `supabase_migrations.schema_migrations` (version, statements, name).
This keeps the very same table, so either tool sees what the other one did and neither applies a file twice.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ipai.errors import DatabaseError
from ipai.resources import resource

if TYPE_CHECKING:
    from pathlib import Path

    from psycopg import Connection

_FILE_NAME = re.compile(r"^(?P<version>\d{14})_(?P<name>\w+)\.sql$")
_LOCK = 4_702_111_234_474_983_745  # the advisory lock other migration tools on Postgres use too

_BOOK = """
create schema if not exists supabase_migrations;
create table if not exists supabase_migrations.schema_migrations (
    version text not null primary key, statements text[], name text
)
"""


@dataclass(frozen=True)
class Migration:
    """One numbered file."""

    version: str
    name: str
    path: Path


def migrations() -> list[Migration]:
    """The migrations that belong to this version of the platform, oldest first."""
    found = []
    for path in sorted((resource("sql") / "supabase" / "migrations").glob("*.sql")):
        if not (match := _FILE_NAME.match(path.name)):
            raise DatabaseError(f"{path.name}: a migration is called <14 digits>_<name>.sql")
        found.append(Migration(match["version"], match["name"], path))
    return found


def applied_versions(connection: Connection[Any]) -> set[str]:
    """What the database's book says has been applied."""
    if not connection.execute("select to_regclass('supabase_migrations.schema_migrations')").fetchone()[0]:  # type: ignore[index]
        return set()
    rows = connection.execute("select version from supabase_migrations.schema_migrations")
    return {version for (version,) in rows}


def migrate(connection: Connection[Any]) -> list[Migration]:
    """Apply what is missing, each file in a transaction of its own; return what was applied.

    Args:
        connection: in autocommit mode.
    """
    applied = []
    connection.execute("select pg_advisory_lock(%s)", [_LOCK])
    try:
        done = applied_versions(connection)
        for migration in migrations():
            if migration.version in done:
                continue
            statements = migration.path.read_text(encoding="utf-8")
            with connection.transaction():
                connection.execute(_BOOK)
                connection.execute(statements.encode())
                connection.execute(
                    "insert into supabase_migrations.schema_migrations (version, statements, name) values (%s, %s, %s)",
                    [migration.version, [statements], migration.name],
                )
            applied.append(migration)
    finally:
        connection.execute("select pg_advisory_unlock(%s)", [_LOCK])
    return applied
