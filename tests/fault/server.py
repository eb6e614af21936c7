"""A Postgres of the campaign's own, which it may restart, and whose databases live on a small disk that can be full."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg

from ipai.local import LocalPostgres

if TYPE_CHECKING:
    from collections.abc import Iterator

_DISK_MB = 96
# Tests kill processes, never the machine: durability would only cost time.
_SETTINGS = {"fsync": "off", "full_page_writes": "off", "max_connections": "40"}


class Server:
    """An embedded Postgres in a temporary folder; `close` removes everything."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="ipai-fault-"))
        self.folder.chmod(0o755)
        self._server = LocalPostgres(self.folder / "postgres", settings=_SETTINGS)
        self._server.start()
        self._disk = self.folder / "disk"
        self.has_small_disk = self._mount()

    @property
    def url(self) -> str:
        """Of a database that the runs leave alone."""
        return self._server.url("postgres")

    def database(self) -> str:
        """The URL of a fresh database, on the small disk if there is one."""
        name = f"fault_{uuid.uuid4().hex[:12]}"
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f'create database "{name}"{" tablespace small" if self.has_small_disk else ""}')
        return self._server.url(name)

    def drop(self, url: str) -> None:
        self._server.drop_database(url.rpartition("/")[2])

    def kill(self) -> None:
        """End it as a crash would: at once, with a recovery at the next start."""
        pid = int((self.folder / "postgres" / "data" / "postmaster.pid").read_text().split()[0])
        os.kill(pid, signal.SIGQUIT)
        while _alive(pid):
            time.sleep(0.01)

    def start(self) -> None:
        self._server.start()

    @contextlib.contextmanager
    def busy(self) -> Iterator[None]:
        """Have a neighbour write all the time, as on any server that others use: numbers of transactions are taken.

        Those that a crash takes back are given again, and then belong to somebody else.
        """
        over = threading.Event()

        def write() -> None:
            while not over.is_set():
                with (
                    contextlib.suppress(psycopg.Error),  # the server is away; try again at once
                    psycopg.connect(self.url, autocommit=True) as connection,
                ):
                    while not over.wait(0.001):
                        connection.execute("select pg_current_xact_id()")

        thread = threading.Thread(target=write)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def fill_disk(self, spare: int) -> None:
        """Leave so many bytes on the small disk, or less if others write to it meanwhile."""
        with (self._disk / "filler").open("wb") as file:
            full = False
            while not full:
                disk = os.statvfs(self._disk)
                size = disk.f_bavail * disk.f_frsize - spare
                with contextlib.suppress(OSError):  # others were faster
                    os.posix_fallocate(file.fileno(), 0, max(size, 1))
                    full = True

    def free_disk(self) -> None:
        (self._disk / "filler").unlink(missing_ok=True)

    def close(self) -> None:
        self._server.stop()
        if self.has_small_disk:
            subprocess.run(["umount", "--lazy", self._disk], check=False)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _mount(self) -> bool:
        """Mount a small file system in memory, which only root may do."""
        self._disk.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={_DISK_MB}m,mode=755", "tmpfs", self._disk]
        if os.geteuid() != 0 or subprocess.run(command, check=False, capture_output=True).returncode:
            return False
        owner = (self.folder / "postgres" / "data").stat()
        home = self._disk / "tables"
        home.mkdir(mode=0o700)
        os.chown(home, owner.st_uid, owner.st_gid)
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f"create tablespace small location '{home}'")
        return True


def _alive(pid: int) -> bool:
    """Whether a process runs; one that nobody has reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
