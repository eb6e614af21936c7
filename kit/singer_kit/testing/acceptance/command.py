"""Starting a target as its users do: a process with pipes on all three ends."""

from __future__ import annotations

import array
import contextlib
import fcntl
import json
import os
import subprocess
import tempfile
import termios
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from singer_kit.testing.acceptance.messages import encoded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from singer_kit.testing.acceptance.scenario import Run


@dataclass(frozen=True)
class Finished:
    """How a run ended. `exit_code` is None if it had to be killed because it hung."""

    exit_code: int | None
    printed: list[str]  # lines of stdout
    stderr: str


@dataclass(frozen=True)
class TargetCommand:
    """A target's command line.

    Args:
        argv: the command without `--config`.
        config: settings for every run, beneath those of the place, the scenario and the run.
        environment: added to this process's own.
        timeout_seconds: after which a run counts as hung.

    """

    argv: tuple[str, ...]
    config: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    timeout_seconds: float = 60

    def finish(
        self,
        run: Run,
        settings: Mapping[str, Any],
        *,
        at_state: Callable[[str], None],
        meanwhile: Callable[[], None],
    ) -> Finished:
        """Start the target, give it the run's lines, and wait for its end.

        Args:
            run: lines, and how they end.
            settings: of the place, the scenario and the run.
            at_state: called with each line of stdout as soon as it is there.
            meanwhile: called after `run.hold_seconds`, before input ends.

        """
        with tempfile.TemporaryDirectory(prefix="acceptance-") as name:
            folder = Path(name)
            config = folder / "config.json"
            config.touch(mode=0o600)
            config.write_text(json.dumps({**self.config, **settings}))
            with (folder / "stderr").open("w+b") as stderr:
                process = subprocess.Popen(
                    [*self.argv, "--config", str(config)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=stderr,
                    env={**os.environ, "PYTHONWARNINGS": "", **self.environment},
                    cwd=folder,
                )
                printed: list[str] = []
                threads = _feed(process, run, folder), _listen(process, printed, at_state)
                exit_code = self._end(process, run, threads, meanwhile)
                stderr.seek(0)
                return Finished(exit_code, printed, stderr.read().decode(errors="replace"))

    def _end(
        self,
        process: subprocess.Popen[bytes],
        run: Run,
        threads: tuple[threading.Thread, threading.Thread],
        meanwhile: Callable[[], None],
    ) -> int | None:
        feeder, listener = threads
        deadline = time.monotonic() + self.timeout_seconds
        assert process.stdin is not None  # noqa: S101
        try:
            feeder.join(self.timeout_seconds)
            if run.hold_seconds and not feeder.is_alive():
                _wait_until_read(process, deadline)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(run.hold_seconds)
                meanwhile()
            if run.kill:
                process.kill()
            elif not feeder.is_alive():
                with contextlib.suppress(BrokenPipeError):
                    process.stdin.close()
            return process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            return None
        finally:
            process.kill()
            process.wait()
            feeder.join()
            listener.join()
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()


def _wait_until_read(process: subprocess.Popen[bytes], deadline: float) -> None:
    """Wait until the pipe is empty: a target that starts slowly would sit out the whole hold before its first line."""
    assert process.stdin is not None  # noqa: S101
    unread = array.array("i", [1])
    while process.poll() is None and time.monotonic() < deadline:
        fcntl.ioctl(process.stdin, termios.FIONREAD, unread)
        if not unread[0]:
            return
        time.sleep(0.02)


def _started(function: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=function, daemon=True)
    thread.start()
    return thread


def _feed(process: subprocess.Popen[bytes], run: Run, folder: Path) -> threading.Thread:
    def write() -> None:
        assert process.stdin is not None  # noqa: S101
        with contextlib.suppress(BrokenPipeError):  # it has ended early: its exit code tells why
            for line in run.lines:
                process.stdin.write(encoded(line, folder))
            process.stdin.flush()

    return _started(write)


def _listen(process: subprocess.Popen[bytes], printed: list[str], at_state: Callable[[str], None]) -> threading.Thread:
    def read() -> None:
        assert process.stdout is not None  # noqa: S101
        stdout: Iterable[bytes] = process.stdout
        with process.stdout:
            for line in stdout:
                printed.append(line.decode(errors="replace").rstrip("\r\n"))
                at_state(printed[-1])

    return _started(read)
