"""One tap piped into one target, as two operating-system processes.

The tap's stdout is the target's stdin: rows never pass through here. What does come here is what both say on stderr
and each STATE the target prints once it has committed what came before.

A target cannot tell a tap that finished from one that was killed: both end its input. So this keeps a copy of the
pipe's write end open until the tap has exited with 0. Then, and only then, the target sees the end of its input; after
any other end of the tap it gets SIGTERM instead.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any, Literal

from ipai import interrupts
from ipai.processes import end_guard, has_ended, signal_group, start_guard

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping, Sequence

Side = Literal["tap", "target"]
_TAIL_LINES = 20
_QUEUE_LINES = 10_000  # a flood of log lines waits in the plugin, not in our memory
_LONGEST_LINE = 65_536
_ORPHAN_SECONDS = 5.0
_WHOLE = "SCHEMA_RECEIVED: {"  # near its beginning: a line that is of no use when cut, see `ipai.plugin_logs`


@dataclass(frozen=True)
class Command:
    """A process to start."""

    argv: Sequence[str]
    env: Mapping[str, str]


@dataclass(frozen=True)
class Said:
    """A line on stderr, or one on the target's stdout that is no STATE."""

    side: Side
    text: str


@dataclass(frozen=True)
class Acknowledged:
    """A STATE that the target printed: everything before it is committed."""

    state: dict[str, Any]


@dataclass(frozen=True)
class Exit:
    """How a process ended. `code` is negative for a signal, as in `subprocess`."""

    side: Side
    code: int
    tail: tuple[str, ...]

    @property
    def signal(self) -> str | None:
        number = -self.code if self.code < 0 else self.code - 128
        try:
            return signal.Signals(number).name if self.code < 0 or self.code > 128 else None  # noqa: PLR2004
        except ValueError:
            return None

    @property
    def by_broken_pipe(self) -> bool:
        """Whether it only ended because nobody read it any more."""
        return self.signal == "SIGPIPE" or any("BrokenPipeError" in line or "Broken pipe" in line for line in self.tail)


@dataclass(frozen=True)
class Finished:
    """The last event.

    Args:
        cause: the exit to blame; None means that both sides finished, or were stopped.
        stopped: whether they were ended on request before they had finished.
    """

    tap: Exit
    target: Exit
    cause: Exit | None
    stopped: bool = False


@dataclass(frozen=True)
class Quiet:
    """Nothing happened for a moment; whoever listens can see to what is due."""


Event = Said | Acknowledged | Quiet | Finished


@dataclass(frozen=True)
class _Closed:
    """A reader came to the end of its pipe."""


@dataclass
class Pipeline:
    """Runs once; iterate over `events`.

    Args:
        grace: seconds a process gets to end after SIGTERM, before it is killed.
    """

    tap: Command
    target: Command
    grace: float = 30.0
    _queue: queue.Queue[Said | Acknowledged | Exit | _Closed] = field(
        default_factory=lambda: queue.Queue(_QUEUE_LINES), init=False
    )
    _processes: dict[Side, subprocess.Popen[bytes]] = field(default_factory=dict, init=False)
    _tails: dict[Side, deque[str]] = field(
        default_factory=lambda: {"tap": deque(maxlen=_TAIL_LINES), "target": deque(maxlen=_TAIL_LINES)},
        init=False,
    )
    _signal_at: dict[Side, float] = field(default_factory=dict, init=False)
    _terminated: set[Side] = field(default_factory=set, init=False)
    _orphans_at: dict[Side, float] = field(default_factory=dict, init=False)
    _guard: subprocess.Popen[bytes] | None = field(default=None, init=False)
    _stopping: threading.Event = field(default_factory=threading.Event, init=False)
    _killed: threading.Event = field(default_factory=threading.Event, init=False)

    def stop(self) -> None:
        """Ask both to end, from any thread: the tap first, then the target, which commits what a STATE covers.

        What they still say, and each STATE, comes out of `events` before `Finished`. A tap that has finished already
        leaves its target the time of the grace to load the rest.
        """
        self._stopping.set()

    def kill(self) -> None:
        """End both at once, from any thread: nothing more may be written."""
        self._killed.set()

    def events(self) -> Generator[Event, None, None]:
        """Start both processes and yield what happens; `Finished` comes last.

        Closing the iterator early ends both processes.
        """
        read_end, write_end = os.pipe()
        held: int | None = write_end
        ended: list[Side] = []
        give_up_at = float("inf")
        try:
            try:
                with interrupts.deferred():  # a process that has started is known to whoever ends it
                    self._start("target", self.target, stdin=read_end, stdout=subprocess.PIPE)
                    self._start("tap", self.tap, stdin=subprocess.DEVNULL, stdout=write_end)
                    self._guard = start_guard([*self._processes.values()])
            finally:
                os.close(read_end)  # so that the tap's write fails once the target is gone
            open_pipes = self._watch()
            while (open_pipes or len(ended) < len(self._processes)) and time.monotonic() < give_up_at:
                self._heed_requests(ended)
                self._signal_what_is_due()
                event = self._next()
                if isinstance(event, _Closed):
                    open_pipes -= 1
                elif isinstance(event, Exit):
                    if event.side not in ended:
                        ended.append(event.side)
                        self._orphans_at[event.side] = time.monotonic() + _ORPHAN_SECONDS
                    # A tap that ends because it is told to has not finished, whatever its exit code.
                    if event.side == "target" or (event.code == 0 and "tap" not in self._terminated):
                        _close(held)
                        held = None
                    # The other side may be ending by itself, with something to say: it gets a moment.
                    if event.side == "target" and "tap" not in ended:
                        self._signal_at["tap"] = time.monotonic() + 1.0
                    if event.side == "tap" and held is not None and "target" not in ended:
                        self._signal_at["target"] = time.monotonic() + 0.3
                        if has_ended(self._processes["target"]):
                            # Nobody told it to end, so it went first and the tap followed; only its news is late.
                            ended.insert(0, "target")
                else:
                    yield event
                if len(ended) == len(self._processes) and not isinstance(event, Quiet):
                    # What they said last is still coming in. A grandchild may hold a pipe open for ever, though.
                    give_up_at = time.monotonic() + 2.0
            tap, target = self._exit("tap"), self._exit("target")
            stopped = bool(self._terminated) and (self._stopping.is_set() or self._killed.is_set())
            yield Finished(tap, target, self._cause(tap, target, ended[0]), stopped)
        finally:
            self._end(held)

    def _start(self, side: Side, command: Command, *, stdin: int, stdout: int) -> None:
        # A session of its own: Ctrl-C in a terminal reaches us, and we end both in the right order.
        self._processes[side] = subprocess.Popen(
            list(command.argv), env=dict(command.env), stdin=stdin, stdout=stdout, stderr=subprocess.PIPE,
            start_new_session=True,
        )  # fmt: skip

    def _watch(self) -> int:
        """Start a thread per pipe and per process; return how many pipes there are."""
        for side, process in self._processes.items():
            threading.Thread(target=self._read_stderr, args=(side, process.stderr), daemon=True).start()
            threading.Thread(target=self._wait, args=(side,), daemon=True).start()
        threading.Thread(target=self._read_states, args=(self._processes["target"].stdout,), daemon=True).start()
        return len(self._processes) + 1

    def _read_stderr(self, side: Side, pipe: IO[bytes]) -> None:
        for line in _lines(pipe):
            self._queue.put(Said(side, line))
        self._queue.put(_Closed())

    def _read_states(self, pipe: IO[bytes]) -> None:
        for line in _lines(pipe, longest=None):
            try:
                state = json.loads(line)
            except (ValueError, RecursionError):
                state = None
            self._queue.put(Acknowledged(state) if isinstance(state, dict) else Said("target", line))
        self._queue.put(_Closed())

    def _wait(self, side: Side) -> None:
        code = self._processes[side].wait()
        self._queue.put(Exit(side, code, ()))  # its last words may still be on their way

    def _next(self) -> Said | Acknowledged | Quiet | Exit | _Closed:
        try:
            event = self._queue.get(timeout=0.1)
        except queue.Empty:
            return Quiet()
        if isinstance(event, Said):
            self._tails[event.side].append(event.text)
        return event

    def _exit(self, side: Side) -> Exit:
        return Exit(side, self._processes[side].wait(), tuple(self._tails[side]))

    def _heed_requests(self, ended: Sequence[Side]) -> None:
        if self._killed.is_set():
            for side in ("target", "tap"):  # the target first, so that it cannot take anything for the end of its input
                if side not in ended:
                    signal_group(self._processes[side], signal.SIGKILL)
                    self._terminated.add(side)
        elif self._stopping.is_set():
            if "tap" not in ended:
                self._signal_at.setdefault("tap", time.monotonic())
            else:
                self._signal_at.setdefault("target", time.monotonic() + self.grace)

    def _signal_what_is_due(self) -> None:
        """SIGTERM first, SIGKILL when the grace is over; and an end to what a process has left in its group."""
        for side in [side for side, moment in self._orphans_at.items() if time.monotonic() >= moment]:
            # Whatever it was, it holds a pipe open, and the other side would wait for it for ever.
            del self._orphans_at[side]
            signal_group(self._processes[side], signal.SIGKILL)
        for side, moment in self._signal_at.items():
            process = self._processes[side]
            if time.monotonic() < moment or process.poll() is not None:
                continue
            signal_group(process, signal.SIGKILL if side in self._terminated else signal.SIGTERM)
            self._terminated.add(side)
            self._signal_at[side] = time.monotonic() + self.grace

    def _cause(self, tap: Exit, target: Exit, first: Side) -> Exit | None:
        """Who failed; when both did, who did first, since the other one only followed."""
        tap_failed = tap.code != 0 and "tap" not in self._terminated
        target_failed = target.code != 0 and "target" not in self._terminated
        # The end of the input comes after the tap's, so a target that went first has not read everything.
        target_failed |= first == "target" and "target" not in self._terminated
        if tap_failed and target_failed:
            return target if first == "target" or tap.by_broken_pipe else tap
        if tap_failed:
            return tap
        return target if target_failed else None

    def _end(self, held: int | None) -> None:
        """Leave no process behind: the tap first, then the target, which commits what it may."""
        try:
            for process in reversed(self._processes.values()):
                if process.poll() is None:
                    signal_group(process, signal.SIGTERM)
                    try:
                        process.wait(self.grace)
                    except subprocess.TimeoutExpired:
                        signal_group(process, signal.SIGKILL)
                        process.wait()
        finally:
            # Also when a second Ctrl-C came meanwhile: a target must not take our end for the end of its input.
            for process in self._processes.values():
                signal_group(process, signal.SIGKILL)
            if self._guard is not None:
                end_guard(self._guard)
            _close(held)


def _lines(pipe: IO[bytes], longest: int | None = _LONGEST_LINE) -> Iterator[str]:
    with pipe:
        for line in pipe:
            text = line.decode("utf-8", "replace").replace("\0", "").rstrip("\r\n")
            whole = longest is None or len(text) <= longest or _WHOLE in text[:200]
            yield text if whole else text[:longest] + " …"


def _close(descriptor: int | None) -> None:
    if descriptor is not None:
        os.close(descriptor)
