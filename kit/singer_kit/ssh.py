"""Reaching a server through an SSH server (bastion): local ports that lead to its far side.

AsyncSSH does the work, on an event loop in a thread of its own. It is the extra `ssh`: without it, importing this
module raises a `ConfigurationError`.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from singer_kit.errors import ConfigurationError, ConnectionFailedError
from singer_kit.pem import is_pem, with_line_ends
from singer_kit.retry import UnavailableError

try:
    import asyncssh
except ImportError:
    raise ConfigurationError(
        "An SSH tunnel needs the package asyncssh, which is not installed. "
        "Next: install the plugin with its extra ssh, as in pip install 'ipai-target-postgres[ssh]'."
    ) from None

if TYPE_CHECKING:
    from collections.abc import Coroutine

_Result = TypeVar("_Result")

_KEEPALIVE_SECONDS = 15
_CLOSE_SECONDS = 5.0


@dataclass(frozen=True)
class Bastion:
    """An SSH server, and how it is told that we are we and how it shows that it is itself.

    Args:
        private_key: a path, or the key's text; None tries the keys of ssh-agent and of `~/.ssh`.
        host_key: a fingerprint (`SHA256:…`), a public key (`ssh-ed25519 AAAA…`), or `any` to trust whoever answers;
            None leaves it to the file `known_hosts`.
        connect_timeout: seconds.
    """

    host: str
    port: int = 22
    username: str | None = None
    private_key: str | None = None
    private_key_password: str | None = None
    host_key: str | None = None
    known_hosts: str = "~/.ssh/known_hosts"
    connect_timeout: float = 15

    @property
    def name(self) -> str:
        return f"SSH server {self.host}:{self.port}"


class Tunnel:
    """Local ports that lead through a bastion. It connects when it is first needed, and again when it was cut.

    Raises:
        ConfigurationError: a key cannot be read.
    """

    def __init__(self, bastion: Bastion) -> None:
        # It tells each step of each connection.
        logging.getLogger("asyncssh").setLevel(logging.ERROR)
        self._bastion = bastion
        self._options = {**_identity(bastion), **_trust(bastion)}
        self._connection: asyncssh.SSHClientConnection | None = None
        self._ports: dict[tuple[str, int], int] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def forward(self, host: str, port: int) -> int:
        """The port on 127.0.0.1 that leads to this host and port as the bastion sees them.

        Raises:
            UnavailableError: the bastion does not answer.
            ConnectionFailedError: it refuses us.
            ConfigurationError: it is not the one that is expected.
        """
        return self._run(self._forward(host, port))

    def obstacle(self, host: str, port: int) -> ConnectionFailedError | None:
        """Why the bastion cannot reach a place, if it says so: a local port's connections just end then."""
        with suppress(ConnectionFailedError):
            return self._run(self._obstacle(host, port))
        return None

    def close(self) -> None:
        """Cut what is open. The next `forward` connects again."""
        if self._loop is None or self._thread is None:
            return
        with suppress(Exception):
            asyncio.run_coroutine_threadsafe(self._disconnect(), self._loop).result(_CLOSE_SECONDS)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._loop = self._thread = None

    def _run(self, work: Coroutine[Any, Any, _Result]) -> _Result:
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(target=self._loop.run_forever, name="ssh tunnel", daemon=True)
            self._thread.start()
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _forward(self, host: str, port: int) -> int:
        if self._connection is None or self._connection.is_closed():
            self._ports.clear()
            self._connection = await self._connect()
        if (host, port) not in self._ports:
            listener = await self._connection.forward_local_port("127.0.0.1", 0, host, port)
            self._ports[host, port] = listener.get_port()
        return self._ports[host, port]

    async def _obstacle(self, host: str, port: int) -> ConnectionFailedError | None:
        if self._connection is None or self._connection.is_closed():
            return None
        try:
            _, writer = await self._connection.open_connection(host, port)
        except asyncssh.ChannelOpenError as error:
            kind: type[ConnectionFailedError] = UnavailableError
            advice = "check the database's host and port as they are named from there, and that it runs"
            if error.code == asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED:
                kind = ConnectionFailedError
                advice = "have its owner allow it (AllowTcpForwarding, PermitOpen)"
            return kind(
                f"{self._bastion.name} opens no way to {host}:{port}: {error.reason.rstrip('.')}. Next: {advice}."
            )
        except (asyncssh.Error, OSError):
            return None
        writer.close()
        return None

    async def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            await self._connection.wait_closed()
            self._connection = None
        # What was closed has callbacks left.
        await asyncio.sleep(0)

    async def _connect(self) -> asyncssh.SSHClientConnection:
        bastion = self._bastion
        shown: list[asyncssh.SSHKey] = []

        class Client(asyncssh.SSHClient):
            """Asked about a host key that nothing so far has vouched for."""

            def validate_host_public_key(
                self,
                host: str,  # noqa: ARG002
                addr: str,  # noqa: ARG002
                port: int,  # noqa: ARG002
                key: asyncssh.SSHKey,
            ) -> bool:
                shown.append(key)
                return key.get_fingerprint() == (bastion.host_key or "").strip()

        try:
            return await asyncssh.connect(
                bastion.host,
                bastion.port,
                username=bastion.username or (),
                client_factory=Client,
                config=None,
                connect_timeout=bastion.connect_timeout,
                login_timeout=bastion.connect_timeout,
                keepalive_interval=_KEEPALIVE_SECONDS,
                preferred_auth="publickey",
                **self._options,
            )
        except asyncssh.HostKeyNotVerifiable as error:
            raise ConfigurationError(self._stranger(shown[-1] if shown else None, error.reason)) from None
        except asyncssh.PermissionDenied:
            user = f" as {bastion.username}" if bastion.username else ""
            raise ConnectionFailedError(
                f"{bastion.name} refuses to let us in{user}{self._with_key()}. "
                "Next: see that this key's public half is in that user's authorized_keys there."
            ) from None
        except asyncssh.KeyExchangeFailed as error:
            raise ConnectionFailedError(
                f"{bastion.name} shares no method with us: {error.reason.rstrip('.')}. "
                "Next: renew its SSH software, or correct the key that is expected of it."
            ) from None
        except socket.gaierror as error:
            kind = ConnectionFailedError if error.errno == socket.EAI_NONAME else UnavailableError
            raise kind(f"{bastion.name} has no address: {error.strerror}. Next: check its name.") from None
        except (asyncssh.Error, OSError, asyncio.TimeoutError) as error:
            reason = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else str(error)
            reason = reason or f"no answer within {bastion.connect_timeout:g} seconds"  # a timeout has no text
            raise UnavailableError(
                f"{bastion.name} cannot be reached: {reason.rstrip('.')}. Next: check its host and port, "
                "and that it runs and lets us through."
            ) from None

    def _with_key(self) -> str:
        keys = self._options.get("client_keys") or ()
        return f" with the key {keys[0].get_fingerprint()}" if keys else ""

    def _stranger(self, key: asyncssh.SSHKey | None, reason: str) -> str:
        bastion = self._bastion
        if key is None:
            return (
                f"{bastion.name} does not show who it is: {reason.rstrip('.')}. Next: ask its owner for its host key."
            )
        shown = f"{key.get_algorithm()} {key.get_fingerprint()}"
        if bastion.host_key:
            return (
                f"{bastion.name} shows another host key than host_key: {shown}. Somebody may be listening in between. "
                "Next: ask its owner whether that is its key, and only then change host_key."
            )
        return (
            f"{bastion.name} shows a host key that {bastion.known_hosts} does not hold: {shown}. "
            f"Next: ask its owner whether that is its key, and if so set host_key to {key.get_fingerprint()}."
        )


def _identity(bastion: Bastion) -> dict[str, Any]:
    """What AsyncSSH is told of our key."""
    if not bastion.private_key:
        return {"passphrase": bastion.private_key_password}
    text = bastion.private_key
    if not is_pem(text):
        path = Path(text).expanduser()
        try:
            text = path.read_text()
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "no text"
            raise ConfigurationError(
                f"The private key for {bastion.name}: {str(path)!r} cannot be read ({reason}), and it is no key's text."
            ) from None
    try:
        key = asyncssh.import_private_key(with_line_ends(text), bastion.private_key_password or None)
    except asyncssh.KeyEncryptionError:
        raise ConfigurationError(
            f"The private key for {bastion.name} does not open with private_key_password. Next: check the pass phrase."
        ) from None
    except asyncssh.KeyImportError as error:
        # Without a pass phrase for a key that has one, too.
        advice = (
            "set private_key_password"
            if "passphrase" in str(error).lower() and not bastion.private_key_password
            else "check that all of the key is there, from the line BEGIN to the line END"
        )
        raise ConfigurationError(f"The private key for {bastion.name} cannot be read. Next: {advice}.") from None
    # Only this key: servers hang up after a few that they do not know.
    return {"client_keys": [key], "agent_path": None}


def _trust(bastion: Bastion) -> dict[str, Any]:
    """What AsyncSSH is told of the bastion's key."""
    expected = (bastion.host_key or "").strip()
    if expected == "any":
        return {"known_hosts": None}
    if expected.startswith("SHA256:"):
        return {"known_hosts": ([], [], [])}
    if expected:
        try:
            return {"known_hosts": ([asyncssh.import_public_key(expected)], [], [])}
        except asyncssh.KeyImportError:
            raise ConfigurationError(
                f"The host key for {bastion.name} cannot be read. Next: write its fingerprint (SHA256:…, as "
                "ssh-keygen -l shows it), or its public key (ssh-ed25519 AAAA…, as ssh-keyscan shows it)."
            ) from None
    path = Path(bastion.known_hosts).expanduser()
    try:
        return {"known_hosts": asyncssh.read_known_hosts(str(path))} if path.exists() else {"known_hosts": ([], [], [])}
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"The file of known SSH servers, {str(path)!r}, cannot be read: {error}.") from None
