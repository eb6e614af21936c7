"""Real workers and schedulers, as processes of their own, over one database."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from ipai.service import Platform

Declare = Any
ORDERS = [["orders", number] for number in range(1, 6)]
ITEMS = [["items", number] for number in range(1, 4)]


def test_a_worker_executes_what_is_enqueued(
    platform: Platform, declare: Declare, start: Any, loaded: Callable[[], list[Any]]
) -> None:
    name = declare({})
    queued = platform.enqueue(name)
    assert (queued.status, queued.started_at) == ("queued", None)
    start("worker")
    ended = platform.wait(queued.id, timeout=120)
    assert (ended.id, ended.status) == (queued.id, "succeeded")
    assert loaded() == [*ORDERS, *ITEMS, "end"]


def test_asking_twice_for_what_waits_is_one_run(platform: Platform, declare: Declare) -> None:
    name = declare({})
    first = platform.enqueue(name)
    assert platform.enqueue(name).id == first.id
    assert platform.enqueue(name, streams=["orders"]).id != first.id
    assert platform.cancel(first.id) == "cancelled"
    assert platform.enqueue(name).id != first.id


def test_a_worker_that_is_killed_is_found_and_its_run_goes_on_elsewhere(
    platform: Platform, declare: Declare, start: Any, rows: Any, loaded: Callable[[], list[Any]], until: Any
) -> None:
    name = declare({"fail_after": ["orders", 3], "how": "hang"})
    rows("update connectors.sla_tiers set first_delay = '1 second' returning 1")
    queued = platform.enqueue(name)
    victim = start("worker", "--lease-seconds", "3")
    until(lambda: platform.state(name) == {"bookmarks": {"orders": {"id": 3}}})
    declare({})  # the source is well again
    victim.kill()
    start("up", "--lease-seconds", "3")
    ended = platform.wait(queued.id, timeout=150)
    assert (ended.status, ended.trigger, ended.attempt) == ("succeeded", "retry", 2)
    assert loaded() == [*ORDERS, *ITEMS, "end"]
    stalled = platform.status(name, limit=2)[1].run
    assert (stalled.status, stalled.error_kind) == ("failed", "stalled")


def test_a_zombie_is_refused(platform: Platform, declare: Declare, start: Any, rows: Any, until: Any) -> None:
    """A worker that slept through its lease wakes up beside the run that took its place."""
    name = declare({"streams": {"orders": 200}, "pause": 0.05})
    rows("update connectors.sla_tiers set first_delay = '1 second' returning 1")
    queued = platform.enqueue(name)
    zombie = start("worker", "--lease-seconds", "2")
    until(lambda: platform.state(name))
    zombie.send_signal(signal.SIGSTOP)
    start("up", "--lease-seconds", "30")
    until(lambda: platform.status(name, limit=1)[0].run.trigger == "retry")
    until(lambda: platform.status(name, limit=1)[0].run.status == "running")
    zombie.send_signal(signal.SIGCONT)
    ended = platform.wait(queued.id, timeout=150)
    assert (ended.status, ended.attempt) == ("succeeded", 2)
    assert platform.state(name) == {"bookmarks": {"orders": {"id": 200}}}
    first = platform.status(name, limit=2)[1].run
    assert (first.status, first.error_kind) == ("failed", "stalled")
    assert rows("select count(*) from connectors.connector_runs") == [(2,)]


def test_sigterm_hands_the_run_on(
    platform: Platform, declare: Declare, start: Any, loaded: Callable[[], list[Any]], until: Any
) -> None:
    name = declare({"streams": {"orders": 40}, "pause": 0.05})
    queued = platform.enqueue(name)
    first = start("worker")
    until(lambda: platform.state(name))
    first.terminate()
    assert first.wait(90) == 0
    interrupted = platform.status(name, limit=2)[1].run
    assert (interrupted.status, interrupted.error_kind) == ("cancelled", "interrupted")
    start("worker")
    ended = platform.wait(queued.id, timeout=120)
    assert (ended.status, ended.trigger, ended.attempt) == ("succeeded", "resume", 1)
    assert platform.state(name) == {"bookmarks": {"orders": {"id": 40}}}
    assert {number for _, number in (row for row in loaded() if row != "end")} == set(range(1, 41))


def test_cancelling_ends_a_run_at_its_last_state(platform: Platform, declare: Declare, start: Any, until: Any) -> None:
    name = declare({"fail_after": ["orders", 3], "how": "hang"})
    queued = platform.enqueue(name)
    start("worker", "--lease-seconds", "5")
    until(lambda: platform.state(name))
    assert platform.cancel(queued.id) == "running"
    ended = platform.wait(queued.id, timeout=120)
    assert (ended.status, ended.error_kind) == ("cancelled", "cancelled")
    assert platform.state(name) == {"bookmarks": {"orders": {"id": 3}}}
    assert len(platform.status(name, limit=5)) == 1  # nobody tries it again
