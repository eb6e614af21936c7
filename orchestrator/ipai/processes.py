"""Child processes that lead a group of their own and do not outlive us, nor do our secrets on disk."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path


def start_guard(processes: Sequence[subprocess.Popen[bytes]]) -> subprocess.Popen[bytes]:
    """Should we be killed ourselves, the guard's input ends and it kills the processes, in this order."""
    return _guard('kill -s KILL -- "$@" 2>/dev/null', *(f"-{process.pid}" for process in processes))


def guard_folder(folder: Path) -> subprocess.Popen[bytes]:
    """Should we be killed ourselves, the guard deletes the folder."""
    return _guard('rm -rf -- "$@"', str(folder))


def _guard(command: str, *arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        ["/bin/sh", "-c", f"read _; {command}", "guard", *arguments],
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        env={"PATH": os.defpath},  # ours may hold secrets
    )  # fmt: skip


def end_guard(guard: subprocess.Popen[bytes]) -> None:
    guard.kill()
    guard.communicate()


@contextmanager
def guarded(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Keep one process from outliving us or the block."""
    guard = start_guard([process])
    try:
        yield
    finally:
        if process.poll() is None:
            signal_group(process, signal.SIGKILL)
            process.wait()
        end_guard(guard)


def signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """Signal a process and whatever it started: each of ours leads a group of its own."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)


def has_ended(process: subprocess.Popen[bytes]) -> bool:
    """Also where its thread has not heard yet: `poll` knows nothing while another thread waits for the process."""
    if not hasattr(os, "waitid"):
        return process.poll() is not None
    try:
        return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return True
