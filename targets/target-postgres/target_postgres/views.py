"""Views that stand on a column whose type must change: set aside for the change, then put back as they were.

Postgres does not change the type of a column that a view uses. So the views, and the views on those, are dropped and
made anew in the same transaction: nobody ever sees them missing. They come back with owner, grants, comments,
options, column defaults, rules, triggers, security labels and indexes; materialized views are filled again. What the
catalog cannot give back is never dropped: DROP runs without CASCADE, and whatever else depends on a view ends the
change with its name.

Locks are taken in the order in which readers take them, outer views first and the table last, so that reader and
writer do not wait for each other in a ring. Definitions are read under those locks: a dbt run that replaces a view
meanwhile comes before or after, never in between.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from graphlib import TopologicalSorter
from typing import TYPE_CHECKING

import psycopg

from singer_kit.errors import ConfigurationError, DataError
from target_postgres.errors import from_postgres
from target_postgres.naming import literal, quote

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from target_postgres.database import Database
    from target_postgres.naming import TableName

_ATTEMPTS = 5

# Who uses the columns, of the table or of its partitions, and who uses those: pairs of (used, view).
_DEPENDENTS = """
WITH RECURSIVE family AS (
  SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname = {schema} AND c.relname = {table}
  UNION
  SELECT i.inhrelid FROM pg_inherits i JOIN family f ON f.oid = i.inhparent
), uses AS (
  SELECT d.refobjid AS used, d.refobjsubid AS attnum, v.oid AS view
  FROM pg_depend d
  JOIN pg_rewrite r ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid
  JOIN pg_class v ON v.oid = r.ev_class AND v.relkind IN ('v', 'm')
  WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid <> v.oid
), found AS (
  SELECT u.used, u.view FROM family f
  JOIN pg_attribute a ON a.attrelid = f.oid AND a.attname IN ({columns})
  JOIN uses u ON u.used = f.oid AND u.attnum = a.attnum
  UNION
  SELECT u.used, u.view FROM found JOIN uses u ON u.used = found.view
)
SELECT used, view FROM found
"""

_IDENTITY = """
SELECT format('%I.%I', n.nspname, c.relname), CASE c.relkind WHEN 'm' THEN 'MATERIALIZED VIEW' ELSE 'VIEW' END,
  pg_get_userbyid(c.relowner), quote_ident(pg_get_userbyid(c.relowner))
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.oid = {oid}
"""

# What follows the name in CREATE. The search path is empty while this runs, so that names are written in full.
_DEFINITION = """
SELECT c.relkind = 'm' AND c.relispopulated,
  CASE WHEN am.amname IS NULL THEN '' ELSE format(' USING %I', am.amname) END
    || coalesce((SELECT ' WITH (' || string_agg(format('%I = %L', o.option_name, o.option_value), ', ') || ')'
                 FROM pg_options_to_table(c.reloptions) o), '')
    || CASE WHEN s.spcname IS NULL THEN '' ELSE format(' TABLESPACE %I', s.spcname) END
    || ' AS ' || rtrim(pg_get_viewdef(c.oid), ';')
    || CASE c.relkind WHEN 'm' THEN ' WITH NO DATA' ELSE '' END
FROM pg_class c
LEFT JOIN pg_am am ON am.oid = c.relam
LEFT JOIN pg_tablespace s ON s.oid = c.reltablespace
WHERE c.oid = {oid}
"""

# Statements that give a view what CREATE does not; `rank` puts indexes before what is said of them.
_BELONGINGS = """
WITH one AS (
  SELECT c.oid, c.relacl, c.relowner, format('%I.%I', n.nspname, c.relname) AS name,
    CASE c.relkind WHEN 'm' THEN 'MATERIALIZED VIEW' ELSE 'VIEW' END AS kind
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = {oid}
), columns AS (
  SELECT a.attnum, a.attacl, quote_ident(a.attname) AS name, a.atthasdef FROM pg_attribute a
  WHERE a.attrelid = {oid} AND a.attnum > 0 AND NOT a.attisdropped
), grants AS (
  SELECT x.grantee, x.is_grantable, NULL AS attribute, x.privilege_type
  FROM one, aclexplode(one.relacl) x
  UNION ALL
  SELECT x.grantee, x.is_grantable, columns.name, x.privilege_type FROM columns, aclexplode(columns.attacl) x
), statements(rank, text) AS (
  SELECT 1, format('ALTER VIEW %s ALTER COLUMN %s SET DEFAULT %s', one.name, columns.name,
                   pg_get_expr(d.adbin, d.adrelid))
  FROM one, columns JOIN pg_attrdef d ON d.adrelid = {oid} AND d.adnum = columns.attnum
  UNION ALL
  SELECT 2, rtrim(pg_get_ruledef(oid), ';') FROM pg_rewrite WHERE ev_class = {oid} AND rulename <> '_RETURN'
  UNION ALL
  SELECT 3, pg_get_triggerdef(oid) FROM pg_trigger WHERE tgrelid = {oid} AND NOT tgisinternal
  UNION ALL
  SELECT 4, pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = {oid}
  UNION ALL
  SELECT 5, format('ALTER MATERIALIZED VIEW %s CLUSTER ON %I', one.name, c.relname)
  FROM one, pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE i.indrelid = {oid} AND i.indisclustered
  UNION ALL
  SELECT 6, format('COMMENT ON %s IS %L', t.subject, d.description)
  FROM one, pg_description d JOIN LATERAL (
    SELECT one.kind || ' ' || one.name AS subject
    WHERE d.classoid = 'pg_class'::regclass AND d.objoid = one.oid AND d.objsubid = 0
    UNION ALL
    SELECT format('COLUMN %s.%s', one.name, columns.name) FROM columns
    WHERE d.classoid = 'pg_class'::regclass AND d.objoid = one.oid AND d.objsubid = columns.attnum
    UNION ALL
    SELECT format('INDEX %I.%I', n.nspname, c.relname)
    FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE d.classoid = 'pg_class'::regclass AND d.objoid = i.indexrelid AND i.indrelid = one.oid
    UNION ALL
    SELECT format('RULE %I ON %s', rulename, one.name) FROM pg_rewrite
    WHERE d.classoid = 'pg_rewrite'::regclass AND d.objoid = pg_rewrite.oid AND ev_class = one.oid
    UNION ALL
    SELECT format('TRIGGER %I ON %s', tgname, one.name) FROM pg_trigger
    WHERE d.classoid = 'pg_trigger'::regclass AND d.objoid = pg_trigger.oid AND tgrelid = one.oid
  ) t ON true
  UNION ALL
  SELECT 7, format('SECURITY LABEL FOR %I ON %s IS %L', l.provider,
                   coalesce('COLUMN ' || one.name || '.' || columns.name, one.kind || ' ' || one.name), l.label)
  FROM one, pg_seclabel l LEFT JOIN columns ON columns.attnum = l.objsubid
  WHERE l.classoid = 'pg_class'::regclass AND l.objoid = {oid}
  UNION ALL
  SELECT 8, format('REVOKE ALL ON %s FROM %I', one.name, pg_get_userbyid(one.relowner))
  FROM one WHERE one.relacl IS NOT NULL
  UNION ALL
  SELECT 9, format('GRANT %s ON %s TO %s%s',
                   string_agg(g.privilege_type || coalesce(' (' || g.attribute || ')', ''), ', '), one.name,
                   CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(g.grantee)) END,
                   CASE WHEN g.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
  FROM one, grants g GROUP BY one.name, g.grantee, g.is_grantable
)
SELECT text FROM statements ORDER BY rank
"""

# What default privileges have given a new view.
_GIVEN = """
SELECT format('REVOKE ALL ON %I.%I FROM %s', n.nspname, c.relname,
              CASE x.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(x.grantee)) END)
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
CROSS JOIN LATERAL aclexplode(c.relacl) x
WHERE c.oid = {name}::regclass AND x.grantee <> c.relowner
GROUP BY n.nspname, c.relname, x.grantee
"""


@dataclass(frozen=True)
class _View:
    name: str
    kind: str
    owner: str
    quoted_owner: str


@dataclass(frozen=True)
class _Saved:
    """A view as it was."""

    view: _View
    filled: bool
    definition: str
    belongings: tuple[str, ...]


@contextmanager
def set_aside(database: Database, name: TableName, columns: Sequence[str], *, doing: str) -> Iterator[list[str]]:
    """Take the views that use some columns out of the way for a block, and put them back at its end.

    To be used within a savepoint: an error leaves the views dropped, and only rolling back brings them back.

    Args:
        database: in an open transaction.
        name: the table, which stays locked to the end of the transaction.
        columns: whose type is to change.
        doing: for messages, such as `Stream 's': changing "a"."b", column 'c' from bigint to numeric`.

    Yields:
        the names of the views, quoted, the inner ones first.

    Raises:
        ConfigurationError: a view belongs to a role whose rights the target's user does not have.
        DataError: something other than a view depends on one of them, or one cannot be made on the new types.

    """
    oids = _locked(database, name, columns, doing)
    if not oids:
        yield []
        return
    path = database.rows("SELECT current_setting('search_path')")[0][0]
    _set_path(database, "")
    all_saved = [_read(database, oid) for oid in oids]
    for saved in reversed(all_saved):
        _drop(database, saved.view, doing)
    _set_path(database, path)
    yield [saved.view.name for saved in all_saved]
    for saved in all_saved:
        view = saved.view
        try:
            _set_path(database, "")
            _make(database, saved)
            _set_path(database, path)
            if saved.filled:
                # Functions in it may count on the session's search path.
                database.connection.execute(f"REFRESH MATERIALIZED VIEW {view.name}".encode())
        except psycopg.errors.InsufficientPrivilege as error:
            raise _not_ours(database, view, doing, error) from error
        except psycopg.OperationalError as error:
            raise from_postgres(error, doing) from error
        except psycopg.Error as error:
            raise DataError(
                f"{doing}: {view.kind.lower()} {view.name} cannot stand on the new type: "
                f"{error.diag.message_primary}. Nothing was changed. "
                f"Next: DROP {view.kind} {view.name} CASCADE; run again, and make it anew with a cast."
            ) from error


def _locked(database: Database, name: TableName, columns: Sequence[str], doing: str) -> list[int]:
    """Lock the dependent views and then the table; the views' object ids, inner ones first."""
    for _ in range(_ATTEMPTS):
        found = _dependents(database, name, columns)
        try:
            with database.connection.transaction():
                for oid in reversed(found):
                    _lock_view(database, oid, doing)
                database.connection.execute(f"LOCK TABLE {name.quoted} IN ACCESS EXCLUSIVE MODE".encode())
                if _dependents(database, name, columns) == found:
                    return found
        except (psycopg.errors.UndefinedTable, psycopg.errors.WrongObjectType):
            continue  # replaced while we waited for it
    raise DataError(f"{doing}: the views on it keep changing. Next: run again when dbt has finished.")


def _dependents(database: Database, name: TableName, columns: Sequence[str]) -> list[int]:
    query = _DEPENDENTS.format(
        schema=literal(name.schema), table=literal(name.table), columns=", ".join(literal(one) for one in columns)
    )
    users: dict[int, set[int]] = {}
    for used, view in database.rows(query):
        users.setdefault(view, set()).add(used)
    order = TopologicalSorter({view: sorted(used) for view, used in sorted(users.items())}).static_order()
    return [oid for oid in order if oid in users]


def _lock_view(database: Database, oid: int, doing: str) -> None:
    """Giving a view to its owner changes nothing, but needs the right to drop it and takes the same lock.

    LOCK would take the tables under it too, also those that have nothing to do with this.
    """
    view = _identity(database, oid)
    try:
        database.connection.execute(f"ALTER {view.kind} {view.name} OWNER TO {view.quoted_owner}".encode())
    except psycopg.errors.InsufficientPrivilege as error:
        raise _not_ours(database, view, doing, error) from error


def _identity(database: Database, oid: int) -> _View:
    rows = database.rows(_IDENTITY.format(oid=oid))
    if not rows:
        raise psycopg.errors.UndefinedTable
    return _View(*rows[0])


def _read(database: Database, oid: int) -> _Saved:
    [(filled, definition)] = database.rows(_DEFINITION.format(oid=oid))
    belongings = tuple(text for (text,) in database.rows(_BELONGINGS.format(oid=oid)))
    return _Saved(_identity(database, oid), filled, definition, belongings)


def _drop(database: Database, view: _View, doing: str) -> None:
    try:
        database.connection.execute(f"DROP {view.kind} {view.name}".encode())
    except psycopg.errors.DependentObjectsStillExist as error:
        detail = " ".join((error.diag.message_detail or error.diag.message_primary or "").split())
        raise DataError(
            f"{doing}: {view.kind.lower()} {view.name} stands on it and cannot be made anew, for {detail}. "
            f"Nothing was changed. Next: DROP {view.kind} {view.name} CASCADE; run again, and make anew what was "
            "dropped."
        ) from error


def _make(database: Database, saved: _Saved) -> None:
    connection, view = database.connection, saved.view
    connection.execute(f"CREATE {view.kind} {view.name}{saved.definition}".encode())
    connection.execute(f"ALTER {view.kind} {view.name} OWNER TO {view.quoted_owner}".encode())
    for (statement,) in database.rows(_GIVEN.format(name=literal(view.name))):
        connection.execute(statement.encode())
    for statement in saved.belongings:
        connection.execute(statement.encode())


def _not_ours(database: Database, view: _View, doing: str, error: psycopg.Error) -> ConfigurationError:
    user = database.connection.info.user
    return ConfigurationError(
        f"{doing}: {view.kind.lower()} {view.name} stands on it and must be made anew, but user {user!r} may not do "
        f"that for its owner {view.owner!r} ({error.diag.message_primary}). Nothing was changed. "
        f"Next: GRANT {view.quoted_owner} TO {quote(user)}; or DROP {view.kind} {view.name} CASCADE; run again, and "
        "make it anew."
    )


def _set_path(database: Database, path: str) -> None:
    """For this transaction. With an empty path Postgres writes, and reads, every name in full."""
    database.rows(f"SELECT set_config('search_path', {literal(path)}, true)")
