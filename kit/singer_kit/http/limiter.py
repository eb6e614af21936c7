"""What may be sent when, and with which credential: one place for all threads of a tap.

A server counts what a credential asks for, mostly by kinds of requests ("buckets") and by a rule of its own that its
headers tell (`QuotaHeaders`); what it does not tell is a `Budget` here. Of several credentials the one with the most
left is taken, so that none runs dry while another is full.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from singer_kit.http.credentials import Credential
from singer_kit.http.errors import QuotaExhaustedError
from singer_kit.http.waits import Unit, seconds_to_wait

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from singer_kit.http.call import Call

_logger = logging.getLogger("singer_kit")

# Long waits are cut into slices, so that whoever is asked to stop does.
_SLICE = 1.0  # seconds
_WORTH_TELLING = 5.0  # seconds
# Servers tell resets in whole seconds: who comes at the very instant may be early.
_ROUNDED = 0.5

ANONYMOUS = Credential("anonymous")


class StoppedError(Exception):
    """The tap is about to end; nobody waits for an answer any more."""


@dataclass(frozen=True)
class QuotaHeaders:
    """Which headers of an answer tell what is left.

    Attributes:
        bucket: names the bucket that the request was counted in, if the server has several.
        unit: of `reset`, see `waits`.
    """

    remaining: str = "x-ratelimit-remaining"
    reset: str = "x-ratelimit-reset"
    unit: Unit = "auto"
    bucket: str = ""


@dataclass(frozen=True)
class Budget:
    """So much in any period of so many seconds.

    Attributes:
        limit: the sum of the calls' weights.
        per: seconds.
        matches: which calls count.
        weigh: what one takes.
        scope: whether each credential has its own, or the host counts all together.
    """

    limit: int
    per: float
    matches: Callable[[Call], bool] = lambda call: True  # noqa: ARG005
    weigh: Callable[[Call], int] = lambda call: call.weight
    scope: Literal["credential", "host"] = "credential"


@dataclass
class _Quota:
    """What is known of one credential's bucket. Instants are of the monotonic clock."""

    remaining: float = math.inf
    reset_at: float = 0.0
    paused_until: float = 0.0
    paused_at: float = -math.inf
    strikes: int = 0
    in_flight: int = 0


@dataclass
class _Spent:
    """What a budget has given away in its period, oldest first."""

    when: deque[tuple[float, int]] = field(default_factory=deque)
    total: int = 0

    def forget(self, before: float) -> None:
        while self.when and self.when[0][0] <= before:
            self.total -= self.when.popleft()[1]

    def add(self, now: float, weight: int) -> None:
        self.when.append((now, weight))
        self.total += weight

    def ready_at(self, now: float, budget: Budget, weight: int) -> float:
        """When there is room for the weight; one heavier than the whole budget waits for an empty one."""
        self.forget(now - budget.per)
        over = self.total + min(weight, budget.limit) - budget.limit
        ready = now
        for when, each in self.when:
            if over <= 0:
                break
            over -= each
            ready = when + budget.per
        return ready


@dataclass(frozen=True)
class LimitedBy:
    """A refusal to be asked now, see `Verdict.limited`."""

    wait: float | None
    least: float
    scope: Literal["bucket", "credential"]


@dataclass(frozen=True)
class Lease:
    """The right to send one call now; belongs back to the limiter, see `Limiter.settle`."""

    credential: Credential
    host: str
    bucket: str
    since: float


class Limiter:
    """Hands out leases, and learns from answers.

    Args:
        budgets: limits that the server does not tell.
        headers: how it tells the others; None if it does not.
        reserve: requests of each bucket, or of some by name, that are left untouched.
        max_wait: seconds that one call may wait in all.
        clock: monotonic seconds.
        pause: waits for some seconds, or less.
    """

    def __init__(
        self,
        budgets: Sequence[Budget] = (),
        *,
        headers: QuotaHeaders | None = None,
        reserve: int | Mapping[str, int] = 0,
        max_wait: float = 3900,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], object] | None = None,
    ) -> None:
        self._budgets = tuple(budgets)
        self._headers = headers
        self._reserve = reserve
        self.max_wait = max_wait
        self._clock = clock
        self._stopped = threading.Event()
        self._pause = pause or self._stopped.wait
        self._lock = threading.Lock()
        self._quotas: dict[tuple[str, str, str], _Quota] = {}
        self._spent: dict[tuple[int, str, str], _Spent] = {}

    def stop(self) -> None:
        """End all waiting: who waits, or asks from now on, gets a `StoppedError`."""
        self._stopped.set()

    def sleep(self, seconds: float) -> None:
        """Wait as long, in slices.

        Raises:
            StoppedError: `stop` was called.
        """
        end = self._clock() + seconds
        while (left := end - self._clock()) > 0:
            self._check()
            self._pause(min(left, _SLICE))
        self._check()

    def acquire(self, host: str, credentials: Sequence[Credential], call: Call, *, waited: float = 0.0) -> Lease:
        """Wait until a credential may send the call.

        Args:
            host: whose limits count.
            credentials: to choose from; empty for none.
            call: its bucket and weight count.
            waited: seconds that it has been held up before.

        Raises:
            QuotaExhaustedError: that would take too long.
            StoppedError: `stop` was called.
        """
        begun = self._clock()
        told = False
        while True:
            self._check()
            with self._lock:
                now = self._clock()
                ready_at, credential = self._first_ready(host, credentials or (ANONYMOUS,), call, now)
                if ready_at <= now:
                    return self._take(host, credential, call, now)
            wait = ready_at - now
            if waited + (now - begun) + wait > self.max_wait:
                raise QuotaExhaustedError(
                    f"Stream '{call.stream}': the limit of {host} for {call.bucket or 'requests'} is used up for "
                    f"another {wait:.0f} seconds, which is longer than max_wait_seconds ({self.max_wait:.0f}) allows; "
                    f"retry after {wait:.0f} seconds. Next: run again then, with the last state; or add credentials."
                )
            if wait >= _WORTH_TELLING and not told:
                _logger.warning("Rate limit of %s for %s: waiting %.0f seconds.", host, call.bucket or "requests", wait)
                told = True
            self._pause(min(wait, _SLICE))

    def settle(
        self, lease: Lease, headers: Mapping[str, str], now: datetime, *, limited: LimitedBy | None = None
    ) -> None:
        """Give a lease back with what its answer says.

        Args:
            lease: of `acquire`.
            headers: of the answer; empty if there was none.
            now: the server's clock.
            limited: the answer was a refusal to be asked now.
        """
        with self._lock:
            sent = self._quota(lease.host, lease.credential, lease.bucket)
            sent.in_flight -= 1
            monotonic = self._clock()
            counted = sent
            if self._headers is not None:
                if self._headers.bucket and (name := headers.get(self._headers.bucket)):
                    counted = self._quota(lease.host, lease.credential, name)
                self._learn(counted, headers, now, monotonic)
            if limited is None:
                if lease.since > sent.paused_at:
                    sent.strikes = 0
                return
            quotas = [sent, counted]
            if limited.scope == "credential":
                quotas = [self._quota(lease.host, lease.credential, ""), sent]
            # Answers to what was under way when the limit struck tell nothing new.
            if lease.since > sent.paused_at:
                sent.strikes += 1
                sent.paused_at = monotonic
            wait = limited.wait if limited.wait is not None else limited.least * 2 ** max(0, sent.strikes - 1)
            for quota in quotas:
                quota.paused_until = max(quota.paused_until, monotonic + wait)
                quota.paused_at = max(quota.paused_at, sent.paused_at)

    def _learn(self, quota: _Quota, headers: Mapping[str, str], now: datetime, monotonic: float) -> None:
        assert self._headers is not None  # noqa: S101
        try:
            remaining = float(headers[self._headers.remaining])
        except (KeyError, ValueError):
            return
        # Requests under way are not in the server's count yet.
        quota.remaining = remaining - quota.in_flight
        wait = seconds_to_wait(headers.get(self._headers.reset), now, self._headers.unit)
        if wait is not None:
            quota.reset_at = monotonic + wait + _ROUNDED

    def _first_ready(
        self, host: str, credentials: Sequence[Credential], call: Call, now: float
    ) -> tuple[float, Credential]:
        """When which credential may send: the soonest, of those that may now the one with the most left."""

        def rank(credential: Credential) -> tuple[float, float, int]:
            quota = self._quota(host, credential, call.bucket)
            return max(now, self._ready_at(host, credential, call, now)), -quota.remaining, quota.in_flight

        best = min(credentials, key=rank)
        return rank(best)[0], best

    def _ready_at(self, host: str, credential: Credential, call: Call, now: float) -> float:
        quota = self._quota(host, credential, call.bucket)
        ready = max(quota.paused_until, self._quota(host, credential, "").paused_until)
        reserve = self._reserve if isinstance(self._reserve, int) else self._reserve.get(call.bucket, 0)
        if quota.remaining - call.weight < reserve:
            if quota.reset_at > now:
                ready = max(ready, quota.reset_at)
            else:
                quota.remaining = math.inf  # refilled; the next answer tells to how much
        for number, budget in enumerate(self._budgets):
            if budget.matches(call):
                spent = self._spent_of(number, host, credential)
                ready = max(ready, spent.ready_at(now, budget, budget.weigh(call)))
        return ready

    def _take(self, host: str, credential: Credential, call: Call, now: float) -> Lease:
        quota = self._quota(host, credential, call.bucket)
        quota.remaining -= call.weight
        quota.in_flight += 1
        for number, budget in enumerate(self._budgets):
            if budget.matches(call):
                self._spent_of(number, host, credential).add(now, budget.weigh(call))
        return Lease(credential, host, call.bucket, now)

    def _quota(self, host: str, credential: Credential, bucket: str) -> _Quota:
        return self._quotas.setdefault((host, credential.name, bucket), _Quota())

    def _spent_of(self, number: int, host: str, credential: Credential) -> _Spent:
        shared = self._budgets[number].scope == "host"
        return self._spent.setdefault((number, host, "" if shared else credential.name), _Spent())

    def _check(self) -> None:
        if self._stopped.is_set():
            raise StoppedError
