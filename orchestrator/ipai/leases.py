"""Keeping the leases of the runs under way in this process.

One thread and one connection renew them all. A run whose lease cannot be renewed, because it was taken away or because
the database has not answered for as long as the lease lasts, is stopped: from then on somebody else may run the
instance.
"""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ipai.errors import DatabaseError
from ipai.stopping import Reason, Stop

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from typing_extensions import Self

    from ipai.control_plane import ControlPlane, Run

LEASE_SECONDS = 30.0
_RENEWALS = 10  # within a lease; a request to cancel is seen as often


@dataclass
class _Held:
    run: Run
    stop: Stop
    ours_until: float  # on the monotonic clock


class LeaseKeeper:
    """Renews leases in the background while any is held.

    Args:
        connect: opens a connection of its own.
        lease_seconds: how long a run is safe from others without word from here.
    """

    def __init__(self, connect: Callable[[], ControlPlane], lease_seconds: float = LEASE_SECONDS) -> None:
        self.lease_seconds = lease_seconds
        self._connect = connect
        self._connection: ControlPlane | None = None
        self._held: dict[int, _Held] = {}
        self._changed = threading.Condition()
        self._closed = False
        self._stopping: Reason | None = None
        self._thread = threading.Thread(target=self._work, name="leases", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    @contextmanager
    def hold(self, run: Run, stop: Stop) -> Iterator[None]:
        """Keep a run that has just been claimed; `stop` hears of a request to cancel, and of the loss of the lease."""
        with self._changed:
            self._held[run.id] = _Held(run, stop, time.monotonic() + self.lease_seconds)
            if self._stopping is not None:
                stop.request(self._stopping)
            self._changed.notify()
        try:
            yield
        finally:
            with self._changed:
                del self._held[run.id]

    def stop_all(self, reason: Reason) -> None:
        """Stop the runs that are held, and those that were claimed in this very moment."""
        with self._changed:
            self._stopping = reason
            for held in self._held.values():
                held.stop.request(reason)

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or self._held, timeout=None)
                if not self._closed:
                    self._changed.wait_for(lambda: self._closed, timeout=self.lease_seconds / _RENEWALS)
                if self._closed:
                    break
                held = list(self._held.values())
            if held:
                self._renew(held)
        self._disconnect()

    def _renew(self, held: list[_Held]) -> None:
        asked_at = time.monotonic()
        try:
            if self._connection is None:
                self._connection = self._connect()
            answers = self._connection.runs.renew([each.run for each in held], self.lease_seconds)
        except DatabaseError:
            self._disconnect()
            for each in held:
                if time.monotonic() > each.ours_until:
                    each.stop.request(Reason.LOST)
            return
        for each in held:
            if each.run.id not in answers:
                if each.run.id in self._held:  # otherwise it has just ended
                    each.stop.request(Reason.LOST)
                continue
            each.ours_until = asked_at + self.lease_seconds
            if answers[each.run.id]:
                each.stop.request(Reason.CANCELLED)

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.__exit__()
            self._connection = None
