"""One thread that loads while the input is read on.

Scanning a batch and loading the one before overlap: the scanner and libpq both leave the interpreter free. Steps run
one after the other, one at a time, and at most one is under way: what waits in memory is one batch being loaded and
one being filled.
"""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextmanager
def _no_signals() -> Iterator[None]:
    """Threads that start here get none: one that reaches them does not wake up the main thread, which handles them."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class Worker:
    """Runs steps in order. A step that fails ends it: its exception is raised at every later call."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._step: Callable[[], None] | None = None
        self._failure: BaseException | None = None
        self._thread: threading.Thread | None = None

    @property
    def busy(self) -> bool:
        return self._step is not None

    @property
    def failed(self) -> bool:
        return self._failure is not None

    def submit(self, step: Callable[[], None]) -> None:
        """Start a step as soon as the one under way has ended."""
        if self._thread is None:
            # A daemon: a statement that hangs does not keep the process.
            self._thread = threading.Thread(target=self._run, name="loading", daemon=True)
            with _no_signals():
                self._thread.start()
        self.wait()
        with self._changed:
            self._step = step
            self._changed.notify_all()

    def wait(self) -> None:
        """Return when nothing is under way."""
        with self._changed:
            while self._step is not None:
                self._changed.wait()
        self.check()

    def wait_at_most(self, seconds: float) -> bool:
        """Whether nothing is under way any more."""
        with self._changed:
            return self._changed.wait_for(lambda: self._step is None, seconds)

    def check(self) -> None:
        """Raise what a step has failed with."""
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        while True:
            with self._changed:
                while self._step is None:
                    self._changed.wait()
                step = self._step
            try:
                step()
            except BaseException as error:  # noqa: BLE001 - raised where the step was given
                self._failure = error
            with self._changed:
                self._step = None
                self._changed.notify_all()
            if self._failure is not None:
                return
