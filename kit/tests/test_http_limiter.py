"""What may be sent when: a clock of the test's own, real threads where they matter."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from singer_kit.http import Budget, Call, Limiter, QuotaExhaustedError, QuotaHeaders, StoppedError, Token
from singer_kit.http.limiter import LimitedBy

NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)
CALL = Call("x", stream="s")


class Time:
    """Moves only when somebody waits."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept = 0.0
        self._lock = threading.Lock()

    def __call__(self) -> float:
        return self.now

    def pause(self, seconds: float) -> None:
        with self._lock:
            self.now += seconds
            self.slept += seconds


def make(*budgets, headers=None, **settings):
    time = Time()
    return Limiter(budgets, headers=headers, clock=time, pause=time.pause, **settings), time


def told(remaining, reset=None, bucket=None):
    names = {"x-ratelimit-remaining": remaining, "x-ratelimit-reset": reset, "x-bucket": bucket}
    return {name: str(value) for name, value in names.items() if value is not None}


def test_a_budget_holds_over_any_period() -> None:
    limiter, time = make(Budget(3, 10))
    taken = []
    for _ in range(9):
        limiter.settle(limiter.acquire("h", [], CALL), {}, NOW)
        taken.append(time.now - 1000)
        time.now += 1
    assert taken == [0, 1, 2, 10, 11, 12, 20, 21, 22]


@given(
    st.integers(1, 6),
    st.floats(0.5, 20),
    st.lists(st.tuples(st.floats(0, 5), st.integers(1, 8)), min_size=1, max_size=40),
)
def test_no_period_ever_holds_more_than_the_budget(limit, per, calls) -> None:
    limiter, time = make(Budget(limit, per))
    taken = []
    for gap, weight in calls:
        time.now += gap
        limiter.settle(limiter.acquire("h", [], Call("x", weight=weight)), {}, NOW)
        taken.append((time.now, weight))
    for begin, _ in taken:
        within = [weight for when, weight in taken if begin <= when < begin + per * (1 - 1e-9)]
        assert sum(within) <= limit or len(within) == 1


def test_eight_threads_never_exceed_a_budget() -> None:
    limiter = Limiter([Budget(20, 0.3)])
    taken = []

    def ask(_):
        lease = limiter.acquire("h", [], CALL)
        taken.append(lease.since)
        limiter.settle(lease, {}, NOW)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(ask, range(70)))
    taken.sort()
    assert all(later - earlier >= 0.3 for earlier, later in zip(taken, taken[20:], strict=False))


def test_a_heavy_call_gets_the_whole_budget_and_only_matching_ones_count() -> None:
    limiter, time = make(Budget(5, 10, matches=lambda call: call.bucket == "graphql"))
    limiter.acquire("h", [], Call("x", bucket="graphql", weight=50))
    limiter.acquire("h", [], Call("x"))
    assert time.slept == 0
    limiter.acquire("h", [], Call("x", bucket="graphql", weight=50))
    assert time.slept == pytest.approx(10)


def test_budgets_are_each_credentials_own_unless_they_are_the_hosts() -> None:
    one, two = Token("one", "1"), Token("two", "2")
    limiter, time = make(Budget(1, 10))
    assert {limiter.acquire("h", [one, two], CALL).credential for _ in range(2)} == {one, two}
    assert time.slept == 0
    limiter, time = make(Budget(1, 10, scope="host"))
    limiter.acquire("h", [one, two], CALL)
    limiter.acquire("h", [one, two], CALL)
    assert time.slept == pytest.approx(10)


def test_the_credential_with_the_most_left_is_taken_and_none_below_the_reserve() -> None:
    one, two = Token("one", "1"), Token("two", "2")
    limiter, time = make(headers=QuotaHeaders(), reserve=50)
    for credential, remaining in ((one, 52), (two, 51)):
        limiter.settle(limiter.acquire("h", [credential], CALL), told(remaining, int(NOW.timestamp()) + 600), NOW)
    names = [limiter.acquire("h", [one, two], CALL).credential.name for _ in range(3)]
    assert sorted(names) == ["one", "one", "two"]
    assert time.slept == 0
    limiter.acquire("h", [one, two], CALL)
    assert time.slept == pytest.approx(600.5)


def test_a_quota_is_full_again_when_its_reset_has_passed() -> None:
    limiter, time = make(headers=QuotaHeaders(unit="delta"))
    limiter.settle(limiter.acquire("h", [], CALL), told(0, 30), NOW)
    limiter.acquire("h", [], CALL)
    limiter.acquire("h", [], CALL)
    assert time.slept == pytest.approx(30.5)


def test_buckets_are_counted_as_the_server_names_them() -> None:
    limiter, time = make(headers=QuotaHeaders(bucket="x-bucket", unit="delta"))
    limiter.settle(limiter.acquire("h", [], Call("x", bucket="core")), told(0, 30, "search"), NOW)
    limiter.acquire("h", [], Call("x", bucket="core"))
    assert time.slept == 0
    limiter.acquire("h", [], Call("x", bucket="search"))
    assert time.slept == pytest.approx(30.5)


def test_limits_without_a_time_wait_ever_longer_and_once_for_all_that_was_under_way() -> None:
    limiter, time = make()
    by = LimitedBy(None, 60, "bucket")
    leases = [limiter.acquire("h", [], CALL) for _ in range(4)]
    for lease in leases:
        limiter.settle(lease, {}, NOW, limited=by)
    waits = []
    for _ in range(3):
        before = time.now
        time.now += 0.001
        lease = limiter.acquire("h", [], CALL)
        waits.append(time.now - before)
        time.now += 0.001
        limiter.settle(lease, {}, NOW, limited=by)
    assert waits == pytest.approx([60, 120, 240], abs=0.1)
    before = time.now
    lease = limiter.acquire("h", [], CALL)
    assert time.now - before == pytest.approx(480, abs=0.1)
    limiter.settle(lease, {}, NOW)  # an answer: all is forgotten
    time.now += 1
    limiter.settle(limiter.acquire("h", [], CALL), {}, NOW, limited=by)
    before = time.now
    limiter.acquire("h", [], CALL)
    assert time.now - before == pytest.approx(60, abs=0.1)


def test_a_pause_of_the_credential_holds_all_its_buckets_and_no_other_credential() -> None:
    one, two = Token("one", "1"), Token("two", "2")
    limiter, time = make()
    limiter.settle(
        limiter.acquire("h", [one], Call("x", bucket="core")), {}, NOW, limited=LimitedBy(20, 1, "credential")
    )
    limiter.acquire("h", [two], Call("x", bucket="core"))
    assert time.slept == 0
    limiter.acquire("h", [one], Call("x", bucket="graphql"))
    assert time.slept == pytest.approx(20)


@pytest.mark.parametrize("waited", [0, 3500])
def test_too_long_a_wait_is_an_error_that_says_when_to_come_back(waited) -> None:
    limiter, time = make(headers=QuotaHeaders(unit="delta"), max_wait=3600)
    limiter.settle(limiter.acquire("h", [], CALL), told(0, 3700 - waited), NOW)
    with pytest.raises(QuotaExhaustedError, match=f"Stream 's': the limit of h .* retry after {3700 - waited} seconds"):
        limiter.acquire("h", [], CALL, waited=waited)
    assert time.slept == 0


def test_stop_ends_all_waiting() -> None:
    limiter = Limiter([Budget(1, 1000)])
    limiter.acquire("h", [], CALL)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(limiter.acquire, "h", [], CALL)
        limiter.stop()
        with pytest.raises(StoppedError):
            waiting.result(timeout=5)
    with pytest.raises(StoppedError):
        limiter.sleep(10)
