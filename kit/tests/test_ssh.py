"""The tunnel, through an SSH server in this process. OpenSSH's own has its turn in tests/connections."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import asyncssh
import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from singer_kit.errors import ConfigurationError, ConnectionFailedError
from singer_kit.postgres import connect, is_transient
from singer_kit.retry import UnavailableError
from singer_kit.ssh import Bastion, Tunnel

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CANARY = "canary-7f3a"
KEY = asyncssh.generate_private_key("ssh-ed25519")
OTHER = asyncssh.generate_private_key("ssh-ed25519")
HOST_KEY = asyncssh.generate_private_key("ssh-ed25519")


class Server(asyncssh.SSHServer):
    """Lets `loader` in, with KEY, and on to everywhere but port 9."""

    def begin_auth(self, username: str) -> bool:  # noqa: ARG002
        return True

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        return username == "loader" and key == KEY.convert_to_public()

    def connection_requested(self, _host: str, dest_port: int, *_origin: Any) -> bool:
        if dest_port == 9:
            raise asyncssh.ChannelOpenError(asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED, "open failed")
        return True


class SshServer:
    """A server in a thread; `cut` ends it together with everything that goes through it."""

    def __init__(self, port: int = 0) -> None:
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.connections: list[Any] = []
        self.listener = self.run(self.listen(port))
        self.port = self.listener.get_port()

    async def listen(self, port: int) -> Any:
        return await asyncssh.listen(
            "127.0.0.1", port, server_host_keys=[HOST_KEY], server_factory=Server, acceptor=self.connections.append
        )

    def run(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(20)

    def cut(self) -> None:
        async def work() -> None:
            self.listener.close()
            for connection in self.connections:
                connection.abort()
            await self.listener.wait_closed()
            await asyncio.sleep(0.1)

        if not self.loop.is_closed():
            self.run(work())
            self.loop.call_soon_threadsafe(self.loop.stop)
            self.thread.join()
            self.loop.close()


@pytest.fixture
def server() -> Iterator[SshServer]:
    server = SshServer()
    yield server
    server.cut()


@pytest.fixture
def tunnel(server: SshServer) -> Iterator[Any]:
    """Make tunnels that are closed at the end."""
    made: list[Tunnel] = []

    def make(**settings: Any) -> Tunnel:
        given = {"port": server.port, "username": "loader", "private_key": text(KEY), "host_key": "any", **settings}
        made.append(Tunnel(Bastion("127.0.0.1", **given)))
        return made[-1]

    yield make
    for one in made:
        one.close()


def text(key: asyncssh.SSHKey, password: str | None = None) -> str:
    return key.export_private_key(passphrase=password).decode()


def number(url: str, tunnel: Tunnel) -> int:
    with connect(url, application_name="test", tunnel=tunnel) as connection:
        ((found,),) = connection.execute("select 42").fetchall()
    return found


def known_hosts(tmp_path: Path, port: int, key: asyncssh.SSHKey) -> str:
    path = tmp_path / "known_hosts"
    path.write_text(f"[127.0.0.1]:{port} {key.export_public_key().decode()}")
    return str(path)


# The way through


def test_a_query_through_the_tunnel(database: str, tunnel: Any) -> None:
    assert number(database, tunnel()) == 42


def test_the_key_may_be_a_file(database: str, tunnel: Any, tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text(text(KEY))
    assert number(database, tunnel(private_key=str(path))) == 42


def test_the_key_may_have_lost_its_line_ends(database: str, tunnel: Any) -> None:
    assert number(database, tunnel(private_key=text(KEY).replace("\n", "\\n"))) == 42


def test_the_key_may_have_a_pass_phrase(database: str, tunnel: Any) -> None:
    assert number(database, tunnel(private_key=text(KEY, CANARY), private_key_password=CANARY)) == 42


def test_a_megabyte_each_way(database: str, tunnel: Any) -> None:
    with connect(database, application_name="test", tunnel=tunnel()) as connection:
        value = os.urandom(1 << 20)
        assert connection.execute("select %b", [value]).fetchone() == (value,)


def test_two_connections_share_a_tunnel(database: str, tunnel: Any, server: SshServer) -> None:
    one = tunnel()
    with (
        connect(database, application_name="test", tunnel=one) as first,
        connect(database, application_name="test", tunnel=one) as second,
    ):
        assert first.execute("select 1").fetchone() == second.execute("select 1").fetchone()
    assert len(server.connections) == 1


def test_a_closed_tunnel_opens_again(database: str, tunnel: Any) -> None:
    one = tunnel()
    assert number(database, one) == 42
    one.close()
    assert number(database, one) == 42


# Whom it trusts


@pytest.mark.parametrize("form", ["fingerprint", "public key"])
def test_the_expected_host_key(database: str, tunnel: Any, form: str) -> None:
    key = HOST_KEY.get_fingerprint() if form == "fingerprint" else HOST_KEY.export_public_key().decode()
    assert number(database, tunnel(host_key=key)) == 42


def test_known_hosts(database: str, tunnel: Any, server: SshServer, tmp_path: Path) -> None:
    trusted = known_hosts(tmp_path, server.port, HOST_KEY)
    assert number(database, tunnel(host_key=None, known_hosts=trusted)) == 42


@pytest.mark.parametrize("form", ["fingerprint", "public key"])
def test_another_host_key_is_refused(database: str, tunnel: Any, form: str) -> None:
    key = OTHER.get_fingerprint() if form == "fingerprint" else OTHER.export_public_key().decode()
    with pytest.raises(ConfigurationError, match="another host key") as caught:
        number(database, tunnel(host_key=key))
    assert HOST_KEY.get_fingerprint() in str(caught.value)


def test_another_key_than_known_hosts_holds_is_refused(
    database: str, tunnel: Any, server: SshServer, tmp_path: Path
) -> None:
    with pytest.raises(ConfigurationError, match="does not hold"):
        number(database, tunnel(host_key=None, known_hosts=known_hosts(tmp_path, server.port, OTHER)))


def test_an_unknown_host_is_refused_and_its_key_shown(database: str, tunnel: Any, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        number(database, tunnel(host_key=None, known_hosts=str(tmp_path / "none")))
    assert f"set host_key to {HOST_KEY.get_fingerprint()}" in str(caught.value)


# What goes wrong


def test_a_wrong_key(database: str, tunnel: Any) -> None:
    with pytest.raises(ConnectionFailedError, match="authorized_keys") as caught:
        number(database, tunnel(private_key=text(OTHER)))
    assert not isinstance(caught.value, UnavailableError)
    assert OTHER.get_fingerprint() in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "part"),
    [
        ({"private_key": text(KEY, CANARY)}, "set private_key_password"),
        ({"private_key": text(KEY, "right"), "private_key_password": CANARY}, "check the pass phrase"),
        ({"private_key": f"-----BEGIN OPENSSH PRIVATE KEY-----\n{CANARY}\n"}, "all of the key"),
        ({"private_key": "/nowhere"}, "No such file"),
        ({"host_key": "nonsense"}, "SHA256:"),
    ],
)
def test_settings_that_cannot_be_read(tunnel: Any, settings: dict[str, Any], part: str) -> None:
    with pytest.raises(ConfigurationError, match=part) as caught:
        tunnel(**settings)
    assert CANARY not in str(caught.value)


def test_nobody_answers(database: str, tunnel: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(UnavailableError, match=f"SSH server 127.0.0.1:{port} cannot be reached: .*refused"):
        number(database, tunnel(port=port))


def test_somebody_else_answers(database: str, tunnel: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute, pytest.raises(UnavailableError, match="no answer within 1"):
        number(database, tunnel(port=mute.getsockname()[1], connect_timeout=1))


@pytest.mark.parametrize(("port", "passes"), [(1, True), (9, False)])
def test_the_database_cannot_be_reached_from_there(tunnel: Any, port: int, passes: bool) -> None:
    with pytest.raises(ConnectionFailedError, match=f"opens no way to 127.0.0.1:{port}: .* Next: ") as caught:
        number(f"postgresql://u@127.0.0.1:{port}/d", tunnel())
    assert isinstance(caught.value, UnavailableError) is passes


def test_a_socket_in_the_file_system_has_no_way_through(tunnel: Any) -> None:
    with pytest.raises(ConfigurationError, match="host and port"):
        number("host=/var/run/postgresql dbname=d", tunnel())


def test_the_servers_own_answer_comes_through(database: str, tunnel: Any) -> None:
    place = {**conninfo_to_dict(database), "password": CANARY}
    with pytest.raises(ConnectionFailedError, match="password authentication failed") as caught:
        connect(place, application_name="test", tunnel=tunnel())
    assert CANARY not in str(caught.value)
    assert f":{place['port']}/" in str(caught.value)


def test_a_tunnel_that_is_cut_passes(database: str, tunnel: Any, server: SshServer) -> None:
    one = tunnel()
    connection = connect(database, application_name="test", tunnel=one)
    connection.execute("create temporary table t (a int)")
    server.cut()
    with pytest.raises(psycopg.OperationalError) as caught:
        connection.execute("select 1")
    assert is_transient(caught.value)
    connection.close()
    with pytest.raises(UnavailableError, match="cannot be reached"):
        number(database, one)
    again = SshServer(server.port)
    try:
        assert number(database, one) == 42
    finally:
        one.close()
        again.cut()


def test_without_the_extra_the_error_names_it() -> None:
    code = (
        "import sys; sys.modules['asyncssh'] = None\n"
        "from singer_kit.errors import ConfigurationError\n"
        "try: import singer_kit.ssh\n"
        "except ConfigurationError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "asyncssh" in done.stdout
    assert "[ssh]" in done.stdout
