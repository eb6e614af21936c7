"""Workers and schedulers as processes that share a database and nothing else, and what they have started."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

LEASE_SECONDS = 5


@dataclass
class Member:
    """A worker or a scheduler; killed, it is started again under the same name.

    Args:
        arguments: of `ipai`.
        folder: its home and its temporary folder, nobody else's.
    """

    arguments: tuple[str, ...]
    folder: Path
    url: str
    bin: Path
    process: subprocess.Popen[bytes] | None = None
    starts: int = 0

    def start(self) -> None:
        temporary = self.folder / "tmp"
        temporary.mkdir(parents=True, exist_ok=True)
        environment = {
            **os.environ, "IPAI_DATABASE_URL": self.url, "IPAI_HOME": str(self.folder / "home"),
            "TMPDIR": str(temporary), "PATH": f"{self.bin}{os.pathsep}{os.environ['PATH']}",
        }  # fmt: skip
        self.starts += 1
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "ipai", *self.arguments], env=environment, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(number)

    def kill(self) -> None:
        self.signal(signal.SIGKILL)
        self.wait()

    def wait(self, seconds: float = 60) -> int:
        assert self.process is not None
        return self.process.wait(seconds)


@dataclass
class Fleet:
    """All members of one campaign."""

    folder: Path
    url: str
    bin: Path
    workers: list[Member] = field(default_factory=list)
    schedulers: list[Member] = field(default_factory=list)

    def start(self, workers: int, schedulers: int) -> None:
        for number in range(workers):
            arguments = ("worker", "--concurrency", "4", "--lease-seconds", str(LEASE_SECONDS))
            self.workers.append(Member(arguments, self.folder / f"worker{number}", self.url, self.bin))
        for number in range(schedulers):
            self.schedulers.append(Member(("scheduler",), self.folder / f"scheduler{number}", self.url, self.bin))
        for member in self.members:
            member.start()

    @property
    def members(self) -> list[Member]:
        return [*self.workers, *self.schedulers]

    def restart_the_dead(self) -> list[Member]:
        """Start again whoever is not there; those that ended by themselves, against the plan."""
        dead = [member for member in self.members if member.process is None or member.process.poll() is not None]
        for member in dead:
            member.start()
        return dead

    def plugins(self, kind: str) -> list[int]:
        """The processes of taps (`tap`) or targets (`target`) that run now."""
        wanted = {"tap": b"tests.chaos.tap", "target": b"target-postgres"}[kind]
        return [pid for pid, command in processes() if wanted in command and str(self.folder).encode() in command]

    def leftovers(self) -> list[str]:
        """What is still there although every member has ended: processes, and folders with settings."""
        found = [f"process {pid}: {command!r}" for pid, command in self._ours()]
        found += [f"folder {path}" for path in self.folder.glob("*/tmp/ipai-run-*")]
        return found

    def close(self) -> None:
        for member in self.members:
            if member.process is not None:
                member.signal(signal.SIGCONT)
                member.kill()
        for pid, _ in self._ours():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _ours(self) -> list[tuple[int, bytes]]:
        """Processes of this campaign, the server's aside."""
        ours, server = str(self.folder).encode(), str(self.folder / "postgres").encode()
        return [(pid, command) for pid, command in processes() if ours in command and server not in command]


def processes() -> Iterator[tuple[int, bytes]]:
    """Every living process with its command line; those that only wait to be reaped are none."""
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            command = (path / "cmdline").read_bytes().replace(b"\0", b" ")
            if command and (path / "stat").read_text().rpartition(")")[2].split()[0] != "Z":
                yield int(path.name), command
