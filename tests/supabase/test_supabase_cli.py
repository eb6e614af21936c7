"""The Supabase CLI and `ipai init` apply the same migrations and keep the same book of them."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ipai.service import Platform

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.timeout(600)  # the CLI is installed first

PACKAGE = "supabase@2.122.1"
SQL = Path(__file__).parents[2] / "sql"

# Everything a migration can make, as text.
SCHEMA = """
with ours as (select oid, nspname from pg_namespace where nspname in ('connectors', 'supabase_migrations'))
select format('column %s.%s %s %s not null %s default %s %s', n.nspname, c.relname, a.attname,
              format_type(a.atttypid, a.atttypmod), a.attnotnull, pg_get_expr(d.adbin, d.adrelid),
              col_description(c.oid, a.attnum))
from pg_attribute a join pg_class c on c.oid = a.attrelid join ours n on n.oid = c.relnamespace
left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum where a.attnum > 0 and not a.attisdropped
union all select format('relation %s.%s %s rls %s %s acl %s options %s %s', n.nspname, c.relname, c.relkind,
    c.relrowsecurity, c.relforcerowsecurity, c.relacl, c.reloptions, obj_description(c.oid, 'pg_class'))
from pg_class c join ours n on n.oid = c.relnamespace
union all select format('view %s %s', c.oid::regclass, pg_get_viewdef(c.oid))
from pg_class c join ours n on n.oid = c.relnamespace where c.relkind in ('v', 'm')
union all select format('constraint %s %s %s', c.conrelid::regclass, c.conname, pg_get_constraintdef(c.oid))
from pg_constraint c join ours n on n.oid = c.connamespace
union all select pg_get_indexdef(i.indexrelid) from pg_index i join pg_class c on c.oid = i.indrelid
    join ours n on n.oid = c.relnamespace
union all select format('%s acl %s', pg_get_functiondef(p.oid), p.proacl)
from pg_proc p join ours n on n.oid = p.pronamespace
union all select pg_get_triggerdef(t.oid) from pg_trigger t join pg_class c on c.oid = t.tgrelid
    join ours n on n.oid = c.relnamespace where not t.tgisinternal
union all select format('policy %s %s', p.polrelid::regclass, row_to_json(q)) from pg_policy p
    join pg_class c on c.oid = p.polrelid join ours n on n.oid = c.relnamespace
    join pg_policies q on q.policyname = p.polname and q.tablename = c.relname and q.schemaname = n.nspname
union all select format('schema %s acl %s', nspname, nspacl) from pg_namespace where oid in (select oid from ours)
union all select format('defaults %s %s %s', n.nspname, d.defaclobjtype, d.defaclacl)
    from pg_default_acl d join ours n on n.oid = d.defaclnamespace
order by 1
"""
BOOK = "select version, name from supabase_migrations.schema_migrations order by 1"


@dataclass
class Supabase:
    """The CLI, on a copy of the project: it leaves files of its own beside the migrations."""

    command: Path
    project: Path

    def __call__(self, database: Any, *arguments: str) -> str:
        url = f"{database.url}?sslmode=disable"
        done = subprocess.run(
            [self.command, *arguments, "--workdir", self.project, "--db-url", url],
            capture_output=True, text=True, timeout=120, check=False, stdin=subprocess.DEVNULL,
            env={**os.environ, "NO_COLOR": "1", "DO_NOT_TRACK": "1", "HOME": str(self.project.parent)},
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def versions(self, database: Any) -> list[tuple[str, str]]:
        """What `migration list` shows: each version here, and there."""
        cells = [line.replace("`", "").split("|") for line in self(database, "migration", "list").splitlines()]
        return [(row[0].strip(), row[1].strip()) for row in cells if len(row) == 3 and "2" in row[0] + row[1]]


@pytest.fixture(scope="session")
def command(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The CLI's executable, installed from npm."""
    if (npm := shutil.which("npm")) is None:
        pytest.skip("npm is not on PATH")
    folder = tmp_path_factory.mktemp("npm")
    install = [npm, "install", "--prefix", folder, "--no-audit", "--no-fund", PACKAGE]
    done = subprocess.run(install, capture_output=True, text=True, timeout=400, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "node_modules" / ".bin" / "supabase"


@pytest.fixture
def supabase(command: Path, tmp_path: Path) -> Supabase:
    ignored = shutil.ignore_patterns(".temp", "target", "logs", "dbt_packages")
    return Supabase(command, shutil.copytree(SQL, tmp_path / "sql", ignore=ignored))


def test_push_then_init(supabase: Supabase, create_database: Callable[..., Any], tmp_path: Path) -> None:
    pushed, initialised = create_database(), create_database()
    files = sorted(path.name for path in (SQL / "supabase" / "migrations").glob("*.sql"))
    said = supabase(pushed, "db", "push", "--yes")
    assert all(name in said for name in files)
    assert Platform(tmp_path, pushed.url).init() == []

    assert [migration.path.name for migration in Platform(tmp_path, initialised.url).init()] == files
    assert initialised.rows(SCHEMA) == pushed.rows(SCHEMA) != []
    assert initialised.rows(BOOK) == pushed.rows(BOOK) == [tuple(name[:-4].split("_", 1)) for name in files]


def test_init_then_push(supabase: Supabase, create_database: Callable[..., Any], tmp_path: Path) -> None:
    database = create_database()
    versions = [migration.version for migration in Platform(tmp_path, database.url).init()]
    before = database.rows(SCHEMA)
    assert "up to date" in supabase(database, "db", "push", "--yes")
    assert supabase.versions(database) == [(version, version) for version in versions] != []
    assert database.rows(SCHEMA) == before


def test_push_of_a_newer_version_then_init(
    supabase: Supabase, create_database: Callable[..., Any], tmp_path: Path
) -> None:
    """A migration that only one side knows shows as such, and does not keep the other from working."""
    database = create_database()
    versions = [migration.version for migration in Platform(tmp_path, database.url).init()]
    newer = supabase.project / "supabase" / "migrations" / "29991231000000_newer.sql"
    newer.write_text("create table connectors.newer (id integer);")
    assert supabase.versions(database) == [*((version, version) for version in versions), ("29991231000000", "")]
    supabase(database, "db", "push", "--yes")
    assert Platform(tmp_path, database.url).init() == []
    assert supabase.versions(database)[-1] == ("29991231000000", "29991231000000")
