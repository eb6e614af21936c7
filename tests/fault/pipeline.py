"""One run: the tap's process, the target's process, and the pipe between them."""

from __future__ import annotations

import fcntl
import json
import os
import select
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .plan import ORCHESTRATED

if TYPE_CHECKING:
    from .plan import Plan, Step

REPOSITORY = Path(__file__).parents[2]
TIMEOUT = 90.0
_TICK = 0.005


class StuckError(Exception):
    """A run did not end in time."""


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Args:
        tap: its exit code.
        target: its exit code.
        bookmarks: those that the target printed.
        states_sent: how many STATEs the tap has begun to send.
        error: what the target wrote to stderr.

    """

    tap: int
    target: int
    bookmarks: list[dict[str, int]]
    states_sent: int
    error: str

    @property
    def complete(self) -> bool:
        return self.tap == 0 == self.target


class Run:
    """A tap and a target that have been started.

    Args:
        plan: how they behave.
        folder: for their files; made here.
        config: of the target.
        size: records that each stream has by now.
        state: where the tap begins.
        records: how many it will send.
        step: the disturbance, of which the tap does its part.

    """

    def __init__(
        self,
        plan: Plan,
        folder: Path,
        config: dict[str, Any],
        *,
        size: int,
        state: dict[str, Any] | None,
        records: int,
        step: Step | None,
    ) -> None:
        folder.mkdir()
        self.folder = folder
        self.step = step
        self.records = records
        (folder / "config.json").write_text(json.dumps(config))
        (folder / "count").touch()
        (folder / "state.json").write_text(json.dumps(state))
        reading, self._writing = os.pipe()
        fcntl.fcntl(reading, fcntl.F_SETPIPE_SZ, plan.pipe)
        self._told, telling = os.pipe()
        going, self._go = os.pipe()
        command = [
            sys.executable, "-m", "tests.fault.tap", "--seed", str(plan.seed), "--size", str(size),
            "--states", plan.states, "--every", str(plan.every), "--pause", str(plan.pause),
            "--count", str(folder / "count"), "--tell", str(telling), "--go", str(going), *self._stop(step),
            *(["--state", str(folder / "state.json")] if state else []),
            *(["--chunk", str(plan.chunk)] if plan.chunk else []),
        ]  # fmt: skip
        # Modules stay compiled from one start to the next.
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        program = str(Path(sys.executable).with_name("target-postgres"))
        with (folder / "out").open("wb") as out, (folder / "err").open("wb") as err:
            self.target = subprocess.Popen(
                [program, "--config", str(folder / "config.json")], stdin=reading, stdout=out, stderr=err,
                cwd=folder, env=environment, start_new_session=True,
            )  # fmt: skip
        with (folder / "tap.err").open("wb") as err:
            self.tap = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=self._writing, stderr=err, cwd=REPOSITORY,
                pass_fds=(telling, going), start_new_session=True,
            )  # fmt: skip
        for descriptor in (reading, telling, going):
            os.close(descriptor)
        self._open = {self._told, self._go, self._writing}
        self._orchestrated = plan.mode == ORCHESTRATED
        if not self._orchestrated:
            self._close(self._writing)
        self._deadline = time.monotonic() + TIMEOUT

    def _stop(self, step: Step | None) -> list[str]:
        if step is None or step.moment is None:
            return []
        kind = {"broken line": "broken line", "tap exits": "exit"}.get(step.fault, "wait" if step.hold else "tell")
        return ["--stop", kind, "--stop-after", str(int(step.moment * self.records))]

    def wait_for_moment(self) -> None:
        """Wait until the step's moment, or until one of the two has ended."""
        assert self.step is not None
        if self.step.moment is not None:
            while self._both_live() and not select.select([self._told], [], [], _TICK)[0]:
                self._check_time()
        until = time.monotonic() + self.step.seconds
        while self._both_live() and time.monotonic() < until:
            time.sleep(_TICK)

    def release(self) -> None:
        """Let the tap go on that waits at the moment."""
        self._close(self._go)

    def wait_for_target(self, seconds: float) -> bool:
        """Whether the target ends within so many seconds."""
        until = time.monotonic() + seconds
        while self.target.poll() is None and time.monotonic() < until:
            time.sleep(_TICK)
        return self.target.poll() is not None

    def finish(self) -> Outcome:
        """Wait for the end of both; a tap that fails ends its target if that is how runs are conducted.

        Raises:
            StuckError: they did not end in time; they are killed then.

        """
        self.release()
        told = False
        while self.tap.poll() is None or self.target.poll() is None:
            if self.tap.poll() == 0:
                self._close(self._writing)
            elif self.tap.poll() is not None and self._orchestrated and not told:
                self.target.send_signal(signal.SIGTERM)
                told = True
            self._check_time()
            time.sleep(_TICK)
        for descriptor in list(self._open):
            self._close(descriptor)
        lines = (self.folder / "out").read_bytes().split(b"\n")[:-1]
        return Outcome(
            self.tap.returncode,
            self.target.returncode,
            [json.loads(line)["bookmarks"] for line in lines],
            (self.folder / "count").stat().st_size,
            (self.folder / "err").read_text(errors="replace"),
        )

    def kill(self) -> None:
        for process in (self.target, self.tap):
            if process.poll() is None:
                process.kill()
            process.wait()
        for descriptor in list(self._open):
            self._close(descriptor)

    def _both_live(self) -> bool:
        return self.tap.poll() is None and self.target.poll() is None

    def _check_time(self) -> None:
        if time.monotonic() > self._deadline:
            running = [name for name in ("tap", "target") if getattr(self, name).poll() is None]
            self.kill()
            error = (self.folder / "err").read_text(errors="replace")[-500:]
            raise StuckError(f"after {TIMEOUT:.0f} s still running: {running}; the target said: {error}")

    def _close(self, descriptor: int) -> None:
        if descriptor in self._open:
            self._open.remove(descriptor)
            os.close(descriptor)
