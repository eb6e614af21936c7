"""Rate limits that refuse: a quota for a window of time, and points for the last seconds."""

from __future__ import annotations

import math
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal, Protocol

from singer_kit.testing.api.exchange import Answer, Request

Key = Callable[[Request], str]
Cost = Callable[[Request], int]


class Limit(Protocol):
    """What `FakeApi.limits` holds."""

    def admit(self, request: Request, in_flight: int) -> Answer | None:
        """Count a request, or refuse it with an answer."""

    def stamp(self, request: Request, answer: Answer) -> Answer:
        """Add the limit's headers to an answer, and give back what it does not cost after all."""


def by_credential(request: Request) -> str:
    """Each credential has its own limit; so have those who bring none."""
    return request.credential


@dataclass(frozen=True)
class QuotaHeaders:
    """Names of the headers, and how the reset is told: as a moment in (milli)seconds of the epoch, or in how long."""

    prefix: str = "x-ratelimit-"
    reset: Literal["epoch", "epoch_ms", "delta"] = "epoch"

    def written(self, limit: int, remaining: int, reset: datetime, now: datetime) -> dict[str, str]:
        """The three headers."""
        moment = {
            "epoch": math.ceil(reset.timestamp()),
            "epoch_ms": math.ceil(reset.timestamp() * 1000),
            "delta": max(0, math.ceil((reset - now).total_seconds())),
        }[self.reset]
        return {
            f"{self.prefix}limit": str(limit),
            f"{self.prefix}remaining": str(max(0, remaining)),
            f"{self.prefix}reset": str(moment),
        }


def _always(request: Request) -> bool:  # noqa: ARG001
    return True


def _one(request: Request) -> int:  # noqa: ARG001
    return 1


@dataclass
class Quota:
    """So many points for each window, which begins with its first request: a primary limit.

    Args:
        points: of a window.
        window: its length.
        refusal: the answer to a request beyond it; the headers come on top.
        applies: which requests count.
        key: whose window a request counts in.
        cost: points of a request.
        free: whether an answer costs nothing after all, such as GitHub's 304.
        headers: how the answers tell it; None: they do not.
        more: further headers, such as the name of the resource.

    """

    points: int
    window: timedelta
    refusal: Answer = field(default_factory=lambda: Answer({"message": "API rate limit exceeded"}, 429))
    applies: Callable[[Request], bool] = _always
    key: Key = by_credential
    cost: Cost = _one
    free: Callable[[Answer], bool] = lambda _: False
    headers: QuotaHeaders | None = field(default_factory=QuotaHeaders)
    more: dict[str, str] = field(default_factory=dict)
    refused: int = field(default=0, init=False)
    _windows: dict[str, tuple[datetime, int]] = field(default_factory=dict, init=False)  # its end, points used

    def used(self, key: str = "", now: datetime | None = None) -> int:
        """Points used in the window of a key."""
        end, used = self._windows.get(key, (None, 0))
        return 0 if end is None or (now is not None and now >= end) else used

    def spend(self, key: str, points: int, now: datetime) -> None:
        """Take points, whoever asked for them: for a test that begins with little left."""
        end, used = self._window(key, now)
        self._windows[key] = end, used + points

    def admit(self, request: Request, in_flight: int) -> Answer | None:  # noqa: ARG002
        if not self.applies(request):
            return None
        key, cost = self.key(request), self.cost(request)
        _, used = self._window(key, request.now)
        if used + cost > self.points:
            self.refused += 1
            return self.refusal
        self.spend(key, cost, request.now)
        return None

    def stamp(self, request: Request, answer: Answer) -> Answer:
        if not self.applies(request):
            return answer
        key = self.key(request)
        end, used = self._window(key, request.now)
        if self.free(answer):
            used -= self.cost(request)
            self._windows[key] = end, used
        if self.headers is None:
            return answer
        return answer.with_headers(
            {**self.headers.written(self.points, self.points - used, end, request.now), **self.more}
        )

    def _window(self, key: str, now: datetime) -> tuple[datetime, int]:
        end, used = self._windows.get(key, (now, 0))
        if now >= end:
            end, used = now + self.window, 0
            self._windows[key] = end, used
        return end, used


@dataclass
class Burst:
    """So many points within the last seconds, and so many requests at once: a secondary limit.

    Args:
        points: within `window`; a refused request counts too where `punishes`.
        window: that slides.
        concurrent: requests under way at once; None: any number.
        refusal: the answer to a request beyond it.
        retry_after: whether the refusal tells in how many seconds there is room.
        punishes: whether asking on while refused makes it longer, as GitHub's does.
        applies, key, cost: as those of `Quota`.

    """

    points: int
    window: timedelta = timedelta(minutes=1)
    concurrent: int | None = None
    refusal: Answer = field(default_factory=lambda: Answer({"message": "Too many requests"}, 429))
    retry_after: bool = True
    punishes: bool = False
    applies: Callable[[Request], bool] = _always
    key: Key = by_credential
    cost: Cost = _one
    refused: int = field(default=0, init=False)
    _spent: dict[str, deque[tuple[datetime, int]]] = field(default_factory=lambda: defaultdict(deque), init=False)

    def admit(self, request: Request, in_flight: int) -> Answer | None:
        if not self.applies(request):
            return None
        spent, cost = self._spent[self.key(request)], self.cost(request)
        while spent and spent[0][0] <= request.now - self.window:
            spent.popleft()
        over = sum(points for _, points in spent) + cost > self.points
        if not over and (self.concurrent is None or in_flight <= self.concurrent):
            spent.append((request.now, cost))
            return None
        self.refused += 1
        if self.punishes:
            spent.append((request.now, cost))
        if not self.retry_after:
            return self.refusal
        first = spent[0][0] if over and spent else request.now
        wait = (first + self.window - request.now).total_seconds() if over else 1
        return self.refusal.with_headers({"retry-after": str(max(1, math.ceil(wait)))})

    def stamp(self, request: Request, answer: Answer) -> Answer:  # noqa: ARG002
        return answer
