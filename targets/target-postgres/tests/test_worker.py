"""The thread that loads: one step at a time, in order, and a failure that nobody can overlook."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest

from target_postgres.worker import Worker


def test_steps_run_in_order_and_one_at_a_time():
    worker, seen, running = Worker(), [], threading.Lock()

    def step(number):
        assert running.acquire(blocking=False)
        time.sleep(0.001)
        seen.append(number)
        running.release()

    for number in range(50):
        worker.submit(lambda number=number: step(number))
    worker.wait()
    assert seen == list(range(50))
    assert not worker.busy


def test_a_step_is_under_way_while_the_next_is_prepared():
    worker, go_on = Worker(), threading.Event()
    worker.submit(go_on.wait)
    assert worker.busy  # and `submit` has returned
    go_on.set()
    worker.wait()
    assert not worker.busy


@pytest.mark.parametrize("later", ["check", "wait", "submit"])
def test_a_failure_is_raised_at_every_later_call(later):
    worker, seen = Worker(), []

    def fail():
        raise KeyError("the cause")

    worker.submit(fail)
    while worker.busy:
        time.sleep(0.001)
    assert worker.failed
    call = {"check": worker.check, "wait": worker.wait, "submit": lambda: worker.submit(lambda: seen.append(1))}[later]
    for _ in range(3):
        with pytest.raises(KeyError, match="the cause"):
            call()
    assert seen == []


def test_a_step_behind_one_that_fails_is_not_done():
    worker, seen, go_on = Worker(), [], threading.Event()

    def fail():
        go_on.wait()
        raise KeyError

    worker.submit(fail)
    threading.Timer(0.05, go_on.set).start()
    with pytest.raises(KeyError):
        worker.submit(lambda: seen.append(1))
    assert seen == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_waiting_ends_when_a_signal_handler_raises(number):
    """And the worker can still be waited for afterwards."""
    worker, go_on = Worker(), threading.Event()

    class Ended(Exception):  # noqa: N818 - a signal's
        pass

    def handler(*_):
        raise Ended

    before = signal.signal(number, handler)
    try:
        worker.submit(go_on.wait)
        threading.Timer(0.05, os.kill, [os.getpid(), number]).start()
        with pytest.raises(Ended):
            worker.wait()
        assert worker.busy
    finally:
        signal.signal(number, before)
        go_on.set()
    worker.wait()
    assert not worker.failed
