"""From settings to a session that is ready, whatever the server's defaults and however long it takes to answer."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import asyncssh
import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from singer_kit.errors import ConfigurationError, ConnectionFailedError
from target_postgres.connection import Connector, is_transient

if TYPE_CHECKING:
    from collections.abc import Iterator

CANARY = "canary-9e21"


def value(connection: psycopg.Connection[Any], query: str) -> Any:
    ((found,),) = connection.execute(query.encode()).fetchall()
    return found


def opened(**settings: Any) -> psycopg.Connection[Any]:
    return Connector({"connection_retry_seconds": 0, **settings}).open()


@pytest.fixture
def role(database: str) -> Iterator[dict[str, Any]]:
    """The parts of the database's address for a role with a password of its own."""
    name = f"role.{os.urandom(4).hex()}"
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(f"create role \"{name}\" login password '{CANARY}'".encode())
        place = conninfo_to_dict(database)
        parts = {"host": place["host"], "port": int(place["port"]), "database": place["dbname"]}
        yield {**parts, "user": name, "password": CANARY}
        connection.execute(f'drop owned by "{name}"; drop role "{name}"'.encode())


# The session


def test_a_session_is_ready_whatever_the_roles_defaults_are(database, role):
    hostile = {
        "timezone": "Asia/Tokyo",
        "datestyle": "SQL, DMY",
        "client_encoding": "latin1",
        "standard_conforming_strings": "off",
        "statement_timeout": "1s",
        "lock_timeout": "1s",
        "idle_in_transaction_session_timeout": "1s",
        "idle_session_timeout": "1s",
    }
    with psycopg.connect(database, autocommit=True) as connection:
        for name, setting in hostile.items():
            connection.execute(f"alter role \"{role['user']}\" set {name} = '{setting}'".encode())
    with opened(**role) as connection:
        assert not connection.autocommit
        assert {name: value(connection, f"show {name}") for name in hostile} == {
            "timezone": "UTC",
            "datestyle": "ISO, MDY",
            "client_encoding": "UTF8",
            "standard_conforming_strings": "on",
            "statement_timeout": "0",
            "lock_timeout": "0",
            "idle_in_transaction_session_timeout": "0",
            "idle_session_timeout": "0",
        }
        connection.rollback()
        # A rollback takes nothing of it away.
        assert value(connection, "show timezone") == "UTC"


@pytest.mark.parametrize(
    ("setting", "in_url", "shown"),
    [(None, "", "target-postgres"), (None, "?application_name=url", "url"), ("set", "?application_name=url", "set")],
)
def test_application_name(database, setting, in_url, shown):
    with opened(sqlalchemy_url=database + in_url, application_name=setting) as connection:
        assert value(connection, "select application_name from pg_stat_activity where pid = pg_backend_pid()") == shown


def test_statement_timeout(database):
    with opened(sqlalchemy_url=database, statement_timeout_seconds=0.1) as connection:
        with pytest.raises(psycopg.errors.QueryCanceled) as caught:
            connection.execute("select pg_sleep(10)")
        assert not is_transient(caught.value)


def test_lock_timeout_is_worth_another_try(database):
    with psycopg.connect(database) as holder, opened(sqlalchemy_url=database, lock_timeout_seconds=0.1) as connection:
        holder.execute("create table t (a int)")
        holder.commit()
        holder.execute("lock table t")
        with pytest.raises(psycopg.errors.LockNotAvailable) as caught:
            connection.execute("select * from t")
        assert is_transient(caught.value)


# Where


def test_parts(role):
    with opened(**role) as connection:
        assert value(connection, "select current_user") == role["user"]


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg", "postgresql+psycopg2"])
def test_urls(database, scheme):
    with opened(sqlalchemy_url=database.replace("postgresql", scheme, 1)) as connection:
        assert value(connection, "select current_database()") == urlsplit(database).path[1:]


def test_query_parameters_of_a_url(database):
    url = f"{database}?options=-c%20work_mem%3D12MB&connect_timeout=3&sslmode=disable"
    with opened(sqlalchemy_url=url) as connection:
        assert value(connection, "show work_mem") == "12MB"


def test_libpqs_own_form(database):
    place = conninfo_to_dict(database)
    text = " ".join(f"{name}='{part}'" for name, part in place.items())
    with opened(sqlalchemy_url=text) as connection:
        assert value(connection, "select current_database()") == place["dbname"]


@pytest.mark.parametrize(
    ("settings", "part"),
    [
        ({"sqlalchemy_url": None}, "Setting host is missing"),
        ({"sqlalchemy_url": None, "host": "h", "user": "u"}, "Setting database is missing"),
        ({"sqlalchemy_url": f"mysql://u:{CANARY}@h/d"}, "postgresql://"),
        ({"sqlalchemy_url": f"postgresql://u:{CANARY}@more@h/d"}, "percent-encoded"),
        ({"sqlalchemy_url": f"postgresql://u:{CANARY}@h/d?pgbouncer=true"}, "parameter pgbouncer"),
        ({"sqlalchemy_url": f"host=h password={CANARY} {CANARY}"}, "single quotes"),
        ({"sqlalchemy_url": f"host=h pasword={CANARY}"}, "single quotes"),
        ({"port": "5432"}, "Setting port must be of type integer"),
        ({"password": 12}, "Setting password must be of type string, not the one given"),
        ({"connect_timeout": 0}, "at least 2"),
        ({"ssl_mode": "sometimes"}, "verify-full"),
        ({"ssh_tunnel": {"enable": True}}, "Setting ssh_tunnel.host is missing"),
        ({"ssh_tunnel": {"enable": True, "host": "h"}}, "Setting ssh_tunnel.username is missing"),
        ({"ssh_tunnel": {"enable": True, "host": "h", "user": "u"}}, "There is no setting ssh_tunnel.user"),
        ({"ssh_tunnel": {"enable": True, "private_key": 1}}, "ssh_tunnel.private_key must be of type string"),
        (
            {"ssh_tunnel": {"enable": True, "host": "h", "username": "u", "private_key": f"-----BEGIN {CANARY}"}},
            "private key for SSH server h:22",
        ),
    ],
)
def test_settings_that_are_wrong(settings, part):
    with pytest.raises(ConfigurationError) as caught:
        Connector({"sqlalchemy_url": "postgresql://u@h/d", **settings})
    assert part in str(caught.value)
    assert CANARY not in str(caught.value)


# When


@contextmanager
def door(database: str, *, after: float) -> Iterator[int]:
    """A port that leads to the database, and refuses before that time."""
    place = conninfo_to_dict(database)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    over = threading.Event()

    def carry(source: socket.socket, sink: socket.socket) -> None:
        while data := source.recv(1 << 16):
            sink.sendall(data)

    def work() -> None:
        over.wait(after)
        with (
            socket.create_server(("127.0.0.1", port)) as listener,
            listener.accept()[0] as client,
            socket.create_connection((place["host"], int(place["port"]))) as server,
        ):
            back = threading.Thread(target=carry, args=(server, client))
            back.start()
            carry(client, server)
            server.shutdown(socket.SHUT_RDWR)
            back.join()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    yield port
    over.set()
    thread.join(10)


def test_a_server_that_is_late(role, database, caplog):
    with door(database, after=1) as port:
        began = time.monotonic()
        with Connector({**role, "host": "127.0.0.1", "port": port}).open() as connection:
            assert value(connection, "select 42") == 42
        assert time.monotonic() - began >= 1
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert "Connection refused" in warnings[0]
    assert "Trying again" in warnings[0]
    assert CANARY not in caplog.text


def test_a_server_without_a_free_connection(role, database):
    with psycopg.connect(database, autocommit=True) as admin:
        admin.execute(f'alter role "{role["user"]}" connection limit 1'.encode())
        first = opened(**role)
        timer = threading.Timer(1, first.close)
        timer.start()
        with Connector(role).open() as second:
            assert value(second, "select 42") == 42
        timer.join()


def test_the_budget_ends_and_the_cause_is_named(role):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    began = time.monotonic()
    with pytest.raises(ConnectionFailedError, match=f"127.0.0.1:{port}/.* as .*refused.*Next:.*Tried .* in 2 seconds"):
        Connector({**role, "host": "127.0.0.1", "port": port, "connection_retry_seconds": 2}).open()
    assert 2 <= time.monotonic() - began < 10


def test_a_wrong_password_is_not_tried_again(role):
    began = time.monotonic()
    with pytest.raises(ConnectionFailedError, match="password authentication failed") as caught:
        Connector({**role, "password": f"wrong {CANARY}"}).open()
    assert time.monotonic() - began < 5
    assert CANARY not in str(caught.value)


def test_waiting_can_be_ended(role):
    class Ended(Exception):  # noqa: N818 - a signal's
        pass

    def sleep(_: float) -> None:
        raise Ended

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(Ended):
        Connector({**role, "port": port}, sleep=sleep).open()


def test_a_connection_that_is_ended_can_be_opened_again(database):
    connector = Connector({"sqlalchemy_url": database})
    connection = connector.open()
    with psycopg.connect(database, autocommit=True) as admin:
        admin.execute("select pg_terminate_backend(%s)", [connection.info.backend_pid])
    with pytest.raises(psycopg.OperationalError) as caught:
        connection.execute("select 1")
    assert is_transient(caught.value)
    connection.close()
    with connector.open() as again:
        assert value(again, "select 42") == 42


def test_a_deadlock_is_worth_another_try(database):
    with opened(sqlalchemy_url=database) as one, opened(sqlalchemy_url=database) as two:
        one.execute("create table a (); create table b ()")
        one.commit()
        one.execute("set deadlock_timeout = '1min'")  # the other one notices, and gives way
        one.execute("lock table a")
        two.execute("lock table b")
        waiting = threading.Thread(target=one.execute, args=("lock table b",))
        waiting.start()
        with pytest.raises(psycopg.errors.DeadlockDetected) as caught:
            two.execute("lock table a")
        assert is_transient(caught.value)
        two.rollback()
        waiting.join()


# Through SSH; the tunnel itself is the kit's, and tested there


@pytest.fixture
def bastion() -> Iterator[dict[str, Any]]:
    """The settings for an SSH server that lets one key in, and on to everywhere."""
    key = asyncssh.generate_private_key("ssh-ed25519")
    host_key = asyncssh.generate_private_key("ssh-ed25519")

    class Server(asyncssh.SSHServer):
        def validate_public_key(self, username: str, offered: asyncssh.SSHKey) -> bool:
            return username == "loader" and offered == key.convert_to_public()

        def public_key_auth_supported(self) -> bool:
            return True

        def connection_requested(self, *_: Any) -> bool:
            return True

    async def listen() -> Any:
        return await asyncssh.listen("127.0.0.1", 0, server_host_keys=[host_key], server_factory=Server)

    async def end() -> None:
        listener.close()
        await listener.wait_closed()

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    listener = asyncio.run_coroutine_threadsafe(listen(), loop).result(20)
    yield {
        "enable": True,
        "host": "127.0.0.1",
        "port": listener.get_port(),
        "username": "loader",
        "private_key": key.export_private_key().decode(),
        "private_key_password": "",
        "host_key": host_key.get_fingerprint(),
    }
    asyncio.run_coroutine_threadsafe(end(), loop).result(20)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.mark.parametrize("form", ["parts", "url"])
def test_through_ssh(database, role, bastion, form):
    connector = Connector({**(role if form == "parts" else {"sqlalchemy_url": database}), "ssh_tunnel": bastion})
    with connector.open() as connection:
        assert value(connection, "select current_database()") == urlsplit(database).path[1:]
    connector.close()


def test_a_tunnel_that_is_not_enabled_is_not_opened(role):
    with opened(**role, ssh_tunnel={"enable": False, "host": "nowhere.invalid"}) as connection:
        assert value(connection, "select 42") == 42


def test_an_ssh_server_that_is_not_itself_is_not_tried_again(role, bastion):
    connector = Connector({**role, "ssh_tunnel": {**bastion, "host_key": "SHA256:somebody"}})
    with pytest.raises(ConfigurationError, match="another host key"):
        connector.open()
    connector.close()
