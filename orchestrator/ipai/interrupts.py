"""Ctrl-C, SIGTERM and SIGHUP: they end what is under way in order, and never in the middle of a statement.

A signal handler that raises may do so between any two instructions. Inside a database driver that leaves a connection
that no longer knows what it was doing, and the run could not even be recorded as cancelled. So a signal waits while
something that must not be cut in two is under way; a second one does not, in case that something hangs.
"""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType


class Terminated(KeyboardInterrupt):
    """SIGTERM, or SIGHUP: the terminal is gone. Like Ctrl-C it ends both plugins and records the run as cancelled."""


_depth = 0
_waiting: KeyboardInterrupt | None = None
_ask: Callable[[], None] | None = None
_asked: KeyboardInterrupt | None = None


@contextmanager
def handled() -> Iterator[None]:
    """Turn signals into `KeyboardInterrupt` and `Terminated`. Threads but the main one get no signals anyway."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = [signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]
    before = {number: signal.signal(number, _interrupt) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def deferred() -> Iterator[None]:
    """Let a signal wait for the end of the block, whatever the block ends with."""
    global _depth, _waiting  # noqa: PLW0603 - signals are the process's
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _depth += 1
    try:
        yield
    finally:
        _depth -= 1
        if _depth == 0 and _waiting is not None:
            waiting, _waiting = _waiting, None
            raise waiting


@contextmanager
def asking(ask: Callable[[], None]) -> Iterator[None]:
    """Let the first signal ask what is under way to end, by calling `ask`, and be raised once it has.

    A second one does not wait.
    """
    global _ask, _asked  # noqa: PLW0603
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _ask = ask
    try:
        yield
    finally:
        _ask, asked, _asked = None, _asked, None
        if asked is not None:
            raise asked


def _interrupt(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
    global _waiting, _asked  # noqa: PLW0603
    interrupt = KeyboardInterrupt() if number == signal.SIGINT else Terminated()
    if _ask is not None and _asked is None:
        _asked = interrupt
        _ask()
        return
    if _depth and _waiting is None:
        _waiting = interrupt
        return
    _waiting = None
    raise interrupt
