"""What a command costs: seconds on the clock, CPU seconds of it and of Postgres, peak memory. Linux only."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import psycopg

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_SAMPLE_SECONDS = 0.02
_TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


class FailedError(Exception):
    """A measured command did not end well; the text holds the end of what it said."""


@dataclass(frozen=True)
class Cost:
    """What one run of a command cost: seconds on the clock, CPU seconds, peak memory in MB."""

    seconds: float
    client_cpu: float
    server_cpu: float
    memory: float

    @property
    def cpu(self) -> float:
        return self.client_cpu + self.server_cpu


def run(
    command: Sequence[str],
    postmaster: int,
    *,
    stdin: Path | None = None,
    environment: Mapping[str, str] | None = None,
    consume: Callable[[IO[bytes]], None] | None = None,
    timeout: float = 3600,
) -> Cost:
    """Run a command to its end and measure it.

    Args:
        command: program and arguments.
        postmaster: process id of the server that works for it, see `find_postmaster`.
        stdin: a file; nothing if left out.
        environment: variables on top of this process' own.
        consume: reads the command's output to its end; if left out, the output is dropped.
        timeout: seconds after which the command is killed.

    Raises:
        FailedError: exit code other than 0, or too slow.

    """
    before = server_cpu(postmaster)
    with tempfile.TemporaryFile() as errors, (stdin or Path(os.devnull)).open("rb") as source:
        begun = time.perf_counter()
        process = subprocess.Popen(
            command,
            stdin=source,
            stdout=subprocess.PIPE if consume else subprocess.DEVNULL,
            stderr=errors,
            env={**_environment(), **(environment or {})},
        )
        try:
            watch = _Watch(process.pid, begun + timeout)
            if consume:
                assert process.stdout is not None
                consume(process.stdout)
                process.stdout.close()
            memory = watch.result()
        except BaseException:
            process.kill()
            raise
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - begun
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            size = errors.seek(0, os.SEEK_END)
            errors.seek(max(0, size - 3000))
            text = errors.read().decode(errors="replace")
            raise FailedError(f"exit code {process.returncode} after {seconds:.1f} s: {' '.join(command)}\n{text}")
    return Cost(seconds, usage.ru_utime + usage.ru_stime, server_cpu(postmaster) - before, memory)


def _environment() -> dict[str, str]:
    """Inherited, but modules stay compiled from the first start to the next, as they do for a user."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


class _Watch:
    """Reads a process' peak memory until it ends, and kills it at the deadline.

    Not `ru_maxrss`: that of a child begins with the peak of the process that started it.
    """

    def __init__(self, pid: int, deadline: float) -> None:
        self._status = Path(f"/proc/{pid}/status")
        self._pid = pid
        self._deadline = deadline
        self._peak = 0
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def result(self) -> float:
        """Wait for the process' end; its peak in MB."""
        self._thread.join()
        return self._peak / 1024

    def _look(self) -> None:
        descriptor = os.pidfd_open(self._pid)
        try:
            while not select.select([descriptor], [], [], _SAMPLE_SECONDS)[0]:
                found = [line for line in self._status.read_text().splitlines() if line.startswith("VmHWM:")]
                self._peak = int(found[0].split()[1]) if found else self._peak
                if time.perf_counter() > self._deadline:
                    os.kill(self._pid, signal.SIGKILL)
        finally:
            os.close(descriptor)


def find_postmaster(place: str | Mapping[str, Any]) -> int:
    """Process id of the server behind a connection; it must run on this machine."""
    url, parts = (place, {}) if isinstance(place, str) else ("", dict(place))
    with psycopg.connect(url, **parts) as connection:
        try:
            return int(_stat(connection.info.backend_pid)[1])
        except OSError:
            raise SystemExit("The server's processes cannot be seen: does it run on this machine?") from None


def server_cpu(postmaster: int) -> float:
    """CPU seconds of the postmaster, its children, and those that have ended."""
    while True:
        # A child that ends in between would count twice or not at all.
        before, children, after = _stat(postmaster), _children(postmaster), _stat(postmaster)
        if before[11:15] == after[11:15]:
            return (sum(map(int, after[11:15])) + children) / _TICKS


def _children(postmaster: int) -> int:
    """Clock ticks of the living ones."""
    ticks = 0
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                fields = _stat(int(entry.name))
                ticks += sum(map(int, fields[11:13])) if int(fields[1]) == postmaster else 0
    return ticks


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat behind the name: state, parent, ..."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
