"""When rows and STATEs move on: decisions alone, with a session that only writes down what it is asked for."""

from __future__ import annotations

import time

import pytest

from target_postgres.loader import Limits, Loader
from target_postgres.rows import Rows
from target_postgres.worker import Worker

FAR = 10**9


class Session:
    """What was loaded, committed and rolled back, in order."""

    def __init__(self):
        self.done = []
        self.repeatable = []

    def transact(self, work, *, repeatable):
        self.repeatable.append(repeatable)
        work()

    def commit(self, **_):
        self.done.append("commit")

    def rollback(self):
        self.done.append("rollback")


class Stream:
    """Takes rows for a table."""

    def __init__(self, session, name="t", *, keyed=True):
        self._session, self.table_name, self.keyed = session, name, keyed
        self.fresh, self.covered = Rows(), Rows()

    def take(self):
        return self.covered.take()

    def load(self, batch):
        self._session.done.append((self.table_name, b"".join(batch.data()).split()))


class Run:
    def __init__(self, rows=FAR, size=FAR, seconds=FAR, *, overwrite=False, emit=None):
        self.session, self.worker = Session(), Worker()
        emit = emit or self.session.done.append
        limits = Limits(rows, size, seconds)
        self.loader = Loader(self.session, self.worker, limits, emit, overwrite=overwrite)
        self.stream = Stream(self.session)

    def rows(self, *rows, stream=None):
        to = stream or self.stream
        for row in rows:
            to.fresh.add(row + b"\n", 1)
            self.loader.added(to, 1, len(row) + 1)

    @property
    def done(self):
        self.worker.wait()
        return self.session.done


def test_nothing_moves_before_a_limit():
    run = Run()
    run.rows(b"1", b"2")
    run.loader.state(b"s")
    run.loader.tick(time.monotonic())
    assert run.done == []


def begun(**limits):
    """A run that has given away its first batch, the one that waits for less than the others."""
    run = Run(**limits)
    run.rows(b"0")
    run.loader.state(b"r")
    run.loader.checkpoint()
    assert run.done == [("t", [b"0"]), "commit", b"r"]
    run.done.clear()
    return run


def test_the_first_batch_waits_for_an_eighth_of_the_limit():
    run = Run(rows=16)
    run.rows(b"1")
    run.loader.state(b"s")
    assert run.done == []
    run.rows(b"2")
    run.loader.state(b"t")
    assert run.done == [("t", [b"1", b"2"]), "commit", b"t"]
    run.rows(b"3", b"4")
    run.loader.state(b"u")
    assert run.done[3:] == []


def test_a_state_waits_for_the_limit_of_rows():
    run = begun(rows=3)
    run.rows(b"1", b"2")
    run.loader.state(b"s")
    assert run.done == []
    run.rows(b"3")  # the third asks for room, which the covered two make
    assert run.done == [("t", [b"1", b"2"]), "commit", b"s"]


def test_bytes_count_like_rows():
    run = begun(size=10)
    run.rows(b"12345678")
    run.loader.state(b"s")
    assert run.done == []
    run.rows(b"9")
    assert run.done == [("t", [b"12345678"]), "commit", b"s"]


def test_a_silent_tap_gets_its_state_after_some_seconds():
    run = Run(seconds=5)
    run.rows(b"1")
    run.loader.state(b"s")
    now = time.monotonic()
    run.loader.tick(now + 4)
    assert run.done == []
    run.loader.tick(now + 6)
    assert run.done == [("t", [b"1"]), "commit", b"s"]


def test_uncovered_rows_are_loaded_but_not_committed():
    run = Run(rows=2)
    run.rows(b"1", b"2", b"3", b"4")
    assert run.done == [("t", [b"1", b"2"]), ("t", [b"3", b"4"])]
    run.loader.state(b"s")
    assert run.done[2:] == ["commit", b"s"]
    # Only the first could begin again: what follows hangs on it.
    assert run.session.repeatable == [True, False, False]
    run.rows(b"5")
    run.loader.state(b"t")
    run.loader.commit()
    assert run.done[4:] == [("t", [b"5"]), "commit", b"t"]
    assert run.session.repeatable[-1]


def test_covered_and_uncovered_rows_never_share_a_transaction():
    run = Run(rows=4)
    run.rows(b"1")
    run.loader.state(b"s")
    run.rows(b"2", b"3", b"4", b"5", b"6")
    assert run.done == [("t", [b"1"]), "commit", b"s", ("t", [b"2", b"3", b"4", b"5"])]


def test_failing_commits_what_is_covered_and_no_more():
    run = Run()
    run.rows(b"1")
    run.loader.state(b"s")
    run.rows(b"2")
    run.loader.abort()
    assert run.done == [("t", [b"1"]), "commit", b"s"]


def test_failing_rolls_uncovered_rows_back():
    run = Run(rows=1)
    run.rows(b"1")
    run.loader.abort()
    assert run.done == [("t", [b"1"]), "rollback"]


def test_the_end_takes_all_rows_and_the_last_state():
    run = Run()
    run.rows(b"1")
    run.loader.state(b"s")
    run.rows(b"2")
    run.loader.finish(lambda: run.session.done.append("last"))
    assert run.done == [("t", [b"1", b"2"]), "last", "commit", b"s"]


def test_a_state_that_repeats_itself_is_told_once():
    run = Run(seconds=0)
    for _ in range(3):
        run.loader.state(b"s")
        run.loader.commit()
    assert run.done == ["commit", b"s", "commit", "commit"]


def test_overwriting_acknowledges_nothing_before_the_end():
    run = Run(rows=1, overwrite=True)
    run.rows(b"1")
    run.loader.state(b"s")
    run.rows(b"2")
    run.loader.tick(time.monotonic() + FAR)
    assert b"s" not in run.done
    run.loader.finish(lambda: None)
    assert run.done[-2:] == ["commit", b"s"]


def test_tables_come_in_one_order():
    run = Run()
    streams = [Stream(run.session, name) for name in ("b", "c", "a")]
    for stream in streams:
        run.rows(b"1", stream=stream)
    run.loader.finish(lambda: None)
    assert [table for table, _ in run.done[:3]] == ["a", "b", "c"]


def test_dropping_keeps_in_mind_whose_rows_they_were():
    run = Run()
    run.rows(b"1")
    run.loader.drop_uncovered()
    assert run.loader.uncovered_sinks == {run.stream}
    run.loader.finish(lambda: None)
    assert b"1" not in [row for done in run.done if isinstance(done, tuple) for row in done[1]]


@pytest.mark.parametrize("covered", [True, False])
def test_what_waits_stays_below_the_limit(covered):
    """One batch that fills, beside the one that is being loaded."""
    run, most = Run(rows=100), 0
    for number in range(1000):
        run.rows(b"%d" % number)
        if covered and number % 30 == 0:
            run.loader.state(b"%d" % number)
        most = max(most, run.stream.fresh.count + run.stream.covered.count)
    assert most <= 100
    run.loader.finish(lambda: None)
    loaded = [int(row) for done in run.done if isinstance(done, tuple) for row in done[1]]
    assert loaded == list(range(1000))


def test_a_failure_of_the_worker_is_not_hidden_by_more_work():
    def fail(_):
        raise OSError("nobody reads")

    run = Run(rows=1, emit=fail)
    run.rows(b"1")
    run.loader.state(b"s")
    with pytest.raises(OSError, match="nobody reads"):
        run.rows(b"2", b"3")
    run.loader.abort()  # has nothing to save, and says nothing
