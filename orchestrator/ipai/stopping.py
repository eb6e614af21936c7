"""Asking a run to end, from another thread: by its user, by a deploy, or because it is no longer ours."""

from __future__ import annotations

import threading
from enum import Enum

from ipai.errors import IpaiError


class Reason(Enum):
    """Why a run is to end before its time."""

    CANCELLED = "cancelled"  # its user wants it to end; the next run goes on from the bookmark
    INTERRUPTED = "interrupted"  # this process ends; another worker goes on from the bookmark
    LOST = "lost"  # the lease is gone: somebody else runs the instance, and nothing more may be written


class Stop:
    """A request to end; the first reason counts, except that a lost lease overrides it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._reason: Reason | None = None

    def request(self, reason: Reason) -> None:
        with self._lock:
            if self._reason is None or reason is Reason.LOST:
                self._reason = reason

    @property
    def reason(self) -> Reason | None:
        return self._reason


class StoppedError(IpaiError):
    """A run ended because it was asked to."""

    exit_code = 130
    code = "stopped"

    def __init__(self, reason: Reason) -> None:
        super().__init__(_SAID[reason])
        self.reason = reason


_SAID = {
    Reason.CANCELLED: "Cancelled. The next run goes on from the last bookmark.",
    Reason.INTERRUPTED: "The worker was stopped. Another run goes on from the last bookmark.",
    Reason.LOST: "Another worker has taken this run over.",
}
