"""Starting a tap as its users do: a process with files for what it is given and pipes for what it says."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import tempfile
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_SMALL_PIPE = 4096  # bytes: a tap that nobody reads soon waits in the middle of its rows
_CHUNK = 4096


@dataclass(frozen=True)
class Finished:
    """How a run ended.

    Attributes:
        exit_code: negative for a signal; None if it had to be killed because it did not end.
        stdout: every byte, of a run that was interrupted too.
        reached: whether the run lasted until the moment at which it was to be interrupted.

    """

    exit_code: int | None
    stdout: bytes
    stderr: str
    reached: bool = True

    @property
    def last_words(self) -> str:
        """The end of stderr in one line, for a problem's text."""
        return " ".join(self.stderr.split())[-300:] or "(nothing on stderr)"


@dataclass(frozen=True)
class Interruption:
    """What is done to a run after so many bytes of its output: a signal, or with none its reader goes away."""

    after: int
    signal: signal.Signals | None


@dataclass(frozen=True)
class TapCommand:
    """A tap's command line.

    Args:
        argv: the command without its options.
        environment: added to this process's own.
        timeout_seconds: after which a run is killed.
        grace_seconds: how long it may take to end after an interruption.

    """

    argv: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    timeout_seconds: float = 300
    grace_seconds: float = 30

    def run(
        self, *options: str, interruption: Interruption | None = None, **files: Mapping[str, Any] | None
    ) -> Finished:
        """Start it and wait for its end.

        Args:
            options: of its command line.
            interruption: what happens to it meanwhile.
            files: `config`, `catalog`, `state`: given as files where they are not None.

        """
        with tempfile.TemporaryDirectory(prefix="conformance-") as name:
            folder = Path(name)
            arguments = [*self.argv, *options]
            for option, content in files.items():
                if content is not None:
                    path = folder / f"{option}.json"
                    path.touch(mode=0o600)
                    path.write_text(json.dumps(content))
                    arguments += [f"--{option}", str(path)]
            with (folder / "stderr").open("w+b") as stderr:
                process = subprocess.Popen(
                    arguments,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=stderr,
                    env={**os.environ, "PYTHONWARNINGS": "", **self.environment},
                    cwd=folder,
                    start_new_session=True,
                    pipesize=-1 if interruption is None else _SMALL_PIPE,
                )
                with self._killed_when_late(process) as late:
                    stdout, reached = self._read(process, interruption)
                    process.wait()
                stderr.seek(0)
                exit_code = None if late.is_set() else process.returncode
                return Finished(exit_code, stdout, stderr.read().decode(errors="replace"), reached)

    @contextlib.contextmanager
    def _killed_when_late(self, process: subprocess.Popen[bytes]) -> Iterator[threading.Event]:
        late = threading.Event()

        def kill() -> None:
            late.set()
            _kill(process)

        timer = threading.Timer(self.timeout_seconds, kill)
        timer.start()
        try:
            yield late
        finally:
            timer.cancel()
            _kill(process)
            process.wait()

    def _read(self, process: subprocess.Popen[bytes], interruption: Interruption | None) -> tuple[bytes, bool]:
        assert process.stdout is not None  # noqa: S101
        with process.stdout as pipe:
            if interruption is None:
                return pipe.read(), True
            head = b""
            while len(head) < interruption.after:
                part = os.read(pipe.fileno(), min(_CHUNK, interruption.after - len(head)))
                if not part:
                    return head, False
                head += part
            if interruption.signal is None:
                pipe.close()
                with _killed_after(self.grace_seconds, process):
                    process.wait()
                return head, True
            if interruption.signal is signal.SIGKILL:
                _kill(process)
            else:
                process.send_signal(interruption.signal)
            with _killed_after(self.grace_seconds, process):
                return head + pipe.read(), True


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End it and what it has started: a wrapper's child would go on alone."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


@contextlib.contextmanager
def _killed_after(seconds: float, process: subprocess.Popen[bytes]) -> Iterator[None]:
    timer = threading.Timer(seconds, _kill, (process,))
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
