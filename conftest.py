"""What every package's tests share: a real Postgres."""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import psycopg
import pytest

from ipai.local import LocalPostgres

if TYPE_CHECKING:
    from collections.abc import Iterator

# Tests kill processes, never the machine: durability would only cost time.
_FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "max_connections": "200"}


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The URL of a superuser on a running server: `IPAI_TEST_DATABASE_URL`, or a server of the session's own."""
    if url := os.environ.get("IPAI_TEST_DATABASE_URL"):
        yield url
        return
    with _server(_FAST) as server:
        yield server.url("postgres")


@pytest.fixture
def own_server() -> Iterator[LocalPostgres]:
    """A server of the test's own, which it may stop; it has no role but the superuser."""
    with _server({"fsync": "off"}) as server:
        yield server


@contextmanager
def _server(settings: dict[str, str]) -> Iterator[LocalPostgres]:
    folder = Path(tempfile.mkdtemp(prefix="ipai-test-"))
    folder.chmod(0o755)  # as root, the server runs as an account that must be able to enter
    server = LocalPostgres(folder / "postgres", settings=settings)
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


# What a test may leave in a database besides schemas. One that has any of it is not used again.
_ALTERED = """
select exists (select from pg_db_role_setting s join pg_database d on d.oid = s.setdatabase
               where d.datname = current_database())
    or exists (select from pg_database where datname = current_database() and datacl is not null)
    or exists (select from pg_foreign_data_wrapper) or exists (select from pg_default_acl)
    or exists (select from pg_event_trigger) or exists (select from pg_publication)
    or (select count(*) > 1 from pg_extension)
"""
_EMPTY = """
do $$ declare name text; begin
  perform pg_terminate_backend(pid) from pg_stat_activity
    where datname = current_database() and pid <> pg_backend_pid();
  for name in select nspname from pg_namespace where nspname !~ '^pg_' and nspname <> 'information_schema' loop
    execute format('drop schema %I cascade', name);
  end loop;
  create schema public authorization pg_database_owner;
  grant usage on schema public to public;
end $$
"""


@pytest.fixture(scope="session")
def _spare_databases() -> list[str]:
    """Emptied ones: making a database takes longer than most tests."""
    return []


@pytest.fixture
def database(postgres_server: str, _spare_databases: list[str]) -> Iterator[str]:
    """The URL of an empty database that no other test uses at the same time."""
    if _spare_databases:
        name = _spare_databases.pop()
    else:
        name = f"test_{uuid.uuid4().hex[:12]}"
        with psycopg.connect(postgres_server, autocommit=True) as connection:
            connection.execute(f'create database "{name}"')
    url = urlsplit(postgres_server)._replace(path=f"/{name}").geturl()
    yield url
    if _emptied(url):
        _spare_databases.append(name)
        return
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute(f'drop database "{name}" with (force)')


def _emptied(url: str) -> bool:
    try:
        with psycopg.connect(url, autocommit=True) as connection:
            if connection.execute(_ALTERED).fetchone() != (False,):
                return False
            connection.execute(_EMPTY)
    except psycopg.Error:
        return False  # too many objects for one transaction, say
    return True
