"""Real PgBouncer and real OpenSSH in front of the database, as plain processes on free ports.

Neither comes from a Python package: `apt-get install pgbouncer openssh-server`, or name the programs in
`IPAI_TEST_PGBOUNCER` and `IPAI_TEST_SSHD`. What is missing fails.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import asyncssh
import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from singer_kit.errors import ConfigurationError, ConnectionFailedError
from singer_kit.retry import UnavailableError
from target_postgres.connection import Connector, is_transient
from target_postgres.target import TargetPostgres

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_CANARY = "canary-c41b"


def _program(name: str) -> str:
    given = os.environ.get(f"IPAI_TEST_{name.upper()}")
    found = given or shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin")
    if not found:
        pytest.fail(
            f"There is no {name} here: apt-get install pgbouncer openssh-server, or set IPAI_TEST_{name.upper()}."
        )
    return found


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(100):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        assert process.poll() is None, log.read_text()
        time.sleep(0.1)
    pytest.fail(log.read_text())


@contextlib.contextmanager
def _running(command: list[str], port: int, log: Path, **more: Any) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("ab") as output, subprocess.Popen(command, stdout=output, stderr=output, **more) as process:
        try:
            _wait_for(port, process, log)
            yield process
        finally:
            process.terminate()


@pytest.fixture
def folder() -> Iterator[Path]:
    """One that the account of a server may enter, too."""
    folder = Path(tempfile.mkdtemp(prefix="ipai-connections-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def role(database: str) -> Iterator[dict[str, Any]]:
    """The parts of the address for a role named as in Supabase's pooler: name.project."""
    name = f"postgres.{os.urandom(4).hex()}"
    place = conninfo_to_dict(database)
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(f"create role \"{name}\" login password '{_CANARY}'".encode())
        connection.execute(f'grant create on database "{place["dbname"]}" to "{name}"'.encode())
        parts = {"host": place["host"], "port": int(place["port"]), "database": place["dbname"]}
        yield {**parts, "user": name, "password": _CANARY}
        connection.execute(f'drop owned by "{name}"; drop role "{name}"'.encode())


# PgBouncer


@pytest.fixture
def pooler(role: dict[str, Any], folder: Path) -> Iterator[Callable[..., Any]]:
    """Start PgBouncer; the settings for a connection through it."""
    with contextlib.ExitStack() as stack:

        def start(mode: str, **settings: Any) -> dict[str, Any]:
            port = _free_port()
            lines = {
                "listen_addr": "127.0.0.1",
                "listen_port": port,
                "unix_socket_dir": "",
                "auth_type": "scram-sha-256",
                "auth_file": folder / "users",
                "pool_mode": mode,
                "server_login_retry": 1,
                **settings,
            }
            (folder / "users").write_text(f'"{role["user"]}" "{_CANARY}"\n')
            (folder / "pgbouncer.ini").write_text(
                f"[databases]\n* = host={role['host']} port={role['port']}\n[pgbouncer]\n"
                + "".join(f"{name} = {value}\n" for name, value in lines.items())
            )
            # It does not run as root.
            user = {"user": pwd.getpwnam("nobody").pw_uid} if os.geteuid() == 0 else {}
            command = [_program("pgbouncer"), str(folder / "pgbouncer.ini")]
            stack.enter_context(_running(command, port, folder / "log", **user))
            return {**role, "host": "127.0.0.1", "port": port, "connection_retry_seconds": 5}

        yield start


def _load(settings: dict[str, Any], *messages: dict[str, Any]) -> list[str]:
    stdout = io.StringIO()
    with contextlib.redirect_stdout(stdout):
        target = TargetPostgres(config={**settings, "default_target_schema": "bronze"})
        target.process_lines(io.BytesIO(b"".join(json.dumps(message).encode() + b"\n" for message in messages)))
        target.process_endofpipe()
    return stdout.getvalue().splitlines()


SCHEMA = {
    "type": "SCHEMA",
    "stream": "t",
    "key_properties": ["id"],
    "schema": {"properties": {"id": {"type": "integer"}, "at": {"type": "string", "format": "date-time"}}},
}


def _record(id_: int) -> dict[str, Any]:
    return {"type": "RECORD", "stream": "t", "record": {"id": id_, "at": "2024-01-02T03:04:05"}}


def test_all_that_a_session_needs(pooler, role):
    with Connector(pooler("session")).open() as connection:
        assert connection.execute("show timezone").fetchone() == ("UTC",)
        assert connection.execute("select current_user").fetchone() == (role["user"],)
        connection.commit()
        connection.execute("create temporary table t (a int)")
        connection.execute("select pg_advisory_lock(1)")
        connection.execute("set search_path to pg_temp")
        connection.commit()
        with connection.cursor() as cursor, cursor.copy("copy t from stdin") as copy:
            copy.write(b"1\n2\n")
        connection.execute("savepoint s")
        with pytest.raises(psycopg.errors.DivisionByZero):
            connection.execute("select 1 / 0")
        connection.execute("rollback to savepoint s")
        connection.commit()
        for _ in range(10):  # often enough to be prepared
            assert connection.execute("select count(*) from t where a > %s", [0]).fetchone() == (2,)
        assert connection.execute("select pg_advisory_unlock(1)").fetchone() == (True,)


def test_the_target_loads_through_a_session_pooler(pooler, database):
    settings = pooler("session")
    assert _load(settings, SCHEMA, _record(1), {"type": "STATE", "value": 1}) == ["1"]
    assert _load(settings, SCHEMA, _record(1), _record(2), {"type": "STATE", "value": 2}) == ["2"]
    with psycopg.connect(database) as connection:
        connection.execute("set time zone 'UTC'")
        rows = connection.execute("select id, at::text from bronze.t order by id").fetchall()
    assert rows == [(1, "2024-01-02 03:04:05+00"), (2, "2024-01-02 03:04:05+00")]


def test_a_session_is_not_left_as_it_was_to_the_next_one(pooler):
    settings = pooler("session", default_pool_size=1)
    with Connector({**settings, "lock_timeout_seconds": 5}).open() as connection:
        pid = connection.execute("select pg_backend_pid()").fetchone()
    place = {name: settings[name] for name in ("host", "port", "user", "password")}
    with psycopg.connect(**place, dbname=settings["database"]) as connection:
        assert connection.execute("select pg_backend_pid()").fetchone() == pid
        assert connection.execute("show lock_timeout").fetchone() == ("0",)


def test_a_pool_of_one_session_is_no_transaction_pooler(pooler):
    with Connector(pooler("session", default_pool_size=1)).open() as connection:
        assert connection.execute("select 42").fetchone() == (42,)


@pytest.mark.parametrize("mode", ["transaction", "statement"])
def test_other_modes_are_refused_with_the_next_step(pooler, mode):
    settings = pooler(mode)
    with pytest.raises(ConfigurationError, match=r"transaction mode.* Next: use its session mode") as caught:
        Connector(settings).open()
    assert f":{settings['port']}" in str(caught.value)


def test_what_it_refuses_at_the_start(pooler):
    settings = pooler("session")
    url = "postgresql://{user}:{password}@{host}:{port}/{database}?options=-c%20work_mem%3D12MB".format(**settings)
    with pytest.raises(ConnectionFailedError, match=r"unsupported startup parameter.*Next: take that parameter out"):
        Connector({"sqlalchemy_url": url}).open()


def test_a_wrong_password_is_not_tried_again(pooler):
    with pytest.raises(ConnectionFailedError) as caught:
        Connector({**pooler("session"), "password": f"wrong {_CANARY}"}).open()
    assert not isinstance(caught.value, UnavailableError)
    assert _CANARY not in str(caught.value)


def test_a_full_pooler_is_waited_for(pooler):
    settings = pooler("session", max_client_conn=1)
    first = Connector(settings).open()
    with pytest.raises(UnavailableError, match="no more connections allowed"):
        Connector({**settings, "connection_retry_seconds": 0}).open()
    first.close()
    Connector(settings).open().close()


def test_a_server_that_is_lost_behind_it_passes(pooler, database):
    connection = Connector(pooler("session")).open()
    ((pid,),) = connection.execute("select pg_backend_pid()").fetchall()
    with psycopg.connect(database, autocommit=True) as admin:
        admin.execute("select pg_terminate_backend(%s)", [pid])
    with pytest.raises(psycopg.Error) as caught:
        connection.execute("select 1")
    assert is_transient(caught.value)
    connection.close()


# OpenSSH


class Bastion(NamedTuple):
    start: Callable[..., dict[str, Any]]
    """With options of sshd; the setting `ssh_tunnel` for it."""
    cut: Callable[[], None]


@pytest.fixture
def bastion(folder: Path) -> Iterator[Bastion]:
    """OpenSSH's server. It lets in whoever runs the tests."""
    key = asyncssh.generate_private_key("ssh-ed25519")
    host_key = asyncssh.generate_private_key("ssh-ed25519")
    secret = folder / "ssh"
    secret.mkdir(mode=0o700)
    host_key.write_private_key(secret / "host_key")
    (secret / "host_key").chmod(0o600)
    (secret / "authorized_keys").write_bytes(key.export_public_key())
    user = pwd.getpwuid(os.geteuid()).pw_name
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # its privilege separation asks for it
    processes: list[subprocess.Popen[bytes]] = []
    with contextlib.ExitStack() as stack:

        def start(port: int = 0, **options: str) -> dict[str, Any]:
            port = port or _free_port()
            lines = {
                "Port": port,
                "ListenAddress": "127.0.0.1",
                "HostKey": secret / "host_key",
                "AuthorizedKeysFile": secret / "authorized_keys",
                "StrictModes": "no",
                "UsePAM": "no",
                "PidFile": "none",
                "PasswordAuthentication": "no",
                **options,
            }
            (secret / "config").write_text("".join(f"{name} {value}\n" for name, value in lines.items()))
            command = [_program("sshd"), "-D", "-e", "-f", str(secret / "config")]
            processes.append(stack.enter_context(_running(command, port, secret / "log")))
            return {
                "enable": True,
                "host": "127.0.0.1",
                "port": port,
                "username": user,
                "private_key": key.export_private_key().decode(),
                "host_key": host_key.get_fingerprint(),
            }

        def cut() -> None:
            """End the server, and the processes that hold its connections."""
            listening = processes.pop()
            children = subprocess.run(["pgrep", "-P", str(listening.pid)], capture_output=True, text=True, check=False)
            for process in [listening.pid, *map(int, children.stdout.split())]:
                os.kill(process, signal.SIGKILL)
            listening.wait()

        yield Bastion(start, cut)


def _through(role: dict[str, Any], tunnel: dict[str, Any], **settings: Any) -> Connector:
    return Connector({"connection_retry_seconds": 0, **role, "ssh_tunnel": tunnel, **settings})


@contextlib.contextmanager
def _opened(connector: Connector) -> Iterator[psycopg.Connection[Any]]:
    try:
        with connector.open() as connection:
            yield connection
    finally:
        connector.close()


def test_a_query_through_openssh(role, bastion):
    with _opened(_through(role, bastion.start())) as connection:
        assert connection.execute("select 42").fetchone() == (42,)


def test_the_target_loads_through_openssh(role, bastion, database):
    assert _load({**role, "ssh_tunnel": bastion.start()}, SCHEMA, _record(1), {"type": "STATE", "value": 1}) == ["1"]
    with psycopg.connect(database) as connection:
        assert connection.execute("select id from bronze.t").fetchall() == [(1,)]


def test_openssh_with_another_host_key(role, bastion):
    tunnel = {**bastion.start(), "host_key": asyncssh.generate_private_key("ssh-ed25519").get_fingerprint()}
    with pytest.raises(ConfigurationError, match="another host key"), _opened(_through(role, tunnel)):
        pass


def test_openssh_does_not_know_the_key(role, bastion):
    key = asyncssh.generate_private_key("ssh-ed25519").export_private_key().decode()
    with (
        pytest.raises(ConnectionFailedError, match="authorized_keys"),
        _opened(_through(role, {**bastion.start(), "private_key": key})),
    ):
        pass


@pytest.mark.parametrize("options", [{"AllowTcpForwarding": "no"}, {"PermitOpen": "127.0.0.1:1"}])
def test_openssh_does_not_forward(role, bastion, options):
    tunnel = bastion.start(**options)
    with (
        pytest.raises(ConnectionFailedError, match="Next: have its owner allow it") as caught,
        _opened(_through(role, tunnel)),
    ):
        pass
    assert not isinstance(caught.value, UnavailableError)


def test_openssh_that_goes_away_and_comes_back(role, bastion):
    tunnel = bastion.start()
    connector = _through(role, tunnel, connection_retry_seconds=20)
    connection = connector.open()
    bastion.cut()
    with pytest.raises(psycopg.OperationalError) as caught:
        connection.execute("select 1")
    assert is_transient(caught.value)
    connection.close()
    bastion.start(tunnel["port"])
    with _opened(connector) as again:
        assert again.execute("select 42").fetchone() == (42,)
