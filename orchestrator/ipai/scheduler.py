"""The tick: whatever time makes due. Any number of schedulers may tick at once; each thing is done by one of them.

    stalled runs         ended, and retried by their tier
    due runs             given a job (retries, runs that were put off)
    due schedules        a run each, exactly one, and the next time
    late instances       told, once
    secrets that expire  told, once

Beside it, each in a thread of its own and so never in its way, notifications are delivered and old rows deleted.
"""

from __future__ import annotations

import logging
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from ipai.control_plane import NEVER
from ipai.errors import DatabaseError
from ipai.heartbeat import BEAT_SECONDS, Heartbeat, member_name
from ipai.lineage import Lineage
from ipai.retention import run_daily
from ipai.schedule import Decision, decide

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from ipai.control_plane import ControlPlane, Schedule
    from ipai.secrets import SecretKeys

_BATCH = 10_000
_SECONDS = 1.0
_LATE_SECONDS = 30.0
_END_SECONDS = 10.0

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Ticked:
    """What one tick did."""

    stalled: int
    scheduled: int
    deferred: int


def tick(control_plane: ControlPlane, now: datetime | None = None) -> Ticked:
    """Do what is due.

    Args:
        now: the moment for schedules; the database's clock if left out.
    """
    stalled = control_plane.runs.reap()
    for run in stalled:
        _logger.warning("run %s of %s: its worker %s disappeared", run.id, run.instance, run.worker)
        Lineage.lost(control_plane, run)
    scheduled = enqueue_due(control_plane, now or control_plane.schedules.now())
    return Ticked(len(stalled), scheduled, control_plane.runs.defer_due())


def enqueue_due(control_plane: ControlPlane, now: datetime) -> int:
    """Enqueue a run for each schedule that is due, and move all of them on."""
    with control_plane.transaction():
        due = control_plane.schedules.due(now, _BATCH)
        if not due:
            return 0
        decided = [(schedule, _decide(schedule, now)) for schedule in due]
        runs = [(schedule, decision.run_at) for schedule, decision in decided if decision.run_at is not None]
        if runs:
            control_plane.schedules.enqueue(runs)
        control_plane.schedules.move_on(
            # What never comes true again is put where no tick looks.
            [(schedule, decision.next_at or NEVER, decision.due_at) for schedule, decision in decided]
        )
        return len(runs)


def _decide(schedule: Schedule, now: datetime) -> Decision:
    """What to do with one; whatever somebody has written into a row, it must not keep the others."""
    try:
        decision = decide(schedule, schedule.next_at, now)
    except Exception as error:  # noqa: BLE001
        _logger.warning("schedule %s of %s cannot be read: %s", schedule.name, schedule.instance, error)
        return Decision(None, None, None)
    if decision.next_at is None:
        _logger.warning("schedule %s of %s is never due again: %s", schedule.name, schedule.instance, schedule.cron)
    return decision


def run_scheduler(connect: Callable[[], ControlPlane], stop: threading.Event, keys: SecretKeys | None = None) -> None:
    """Tick every second until `stop` is set; a database that is away is waited for.

    Args:
        keys: open the secrets of notification channels.
    """
    with _beside(connect, keys):
        _tick_until(connect, stop)


@contextmanager
def _beside(connect: Callable[[], ControlPlane], keys: SecretKeys | None) -> Iterator[None]:
    """What a scheduler does besides ticking."""
    from ipai.notifications.deliverer import run_deliverer  # noqa: PLC0415 - its HTTP client is slow to import

    stop = threading.Event()
    threads = [
        threading.Thread(target=work, args=(connect, stop), name=name, daemon=True)
        for name, work in (("deliverer", partial(run_deliverer, keys=keys)), ("daily", run_daily))
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join(_END_SECONDS)


def _tick_until(connect: Callable[[], ControlPlane], stop: threading.Event) -> None:
    told_late_at = beat_at = float("-inf")
    heartbeat = Heartbeat(member_name("scheduler"))
    while not stop.is_set():
        try:
            with connect() as control_plane:
                while not stop.is_set():
                    started = time.monotonic()
                    tick(control_plane)
                    if started - beat_at >= BEAT_SECONDS:
                        beat_at = started
                        heartbeat.beat(control_plane)
                    if started - told_late_at >= _LATE_SECONDS:
                        told_late_at = started
                        control_plane.schedules.tell_late(control_plane.schedules.now())
                        control_plane.secrets.tell_expiring()
                    stop.wait(max(0.0, _SECONDS - (time.monotonic() - started)))
                heartbeat.end(control_plane)
        except DatabaseError as error:
            if error.hint == "Run ipai init.":
                raise
            _logger.warning("The database is away, trying again: %s", error)
            stop.wait(_SECONDS)
        except Exception:
            _logger.exception("A tick failed")
            stop.wait(_SECONDS)
