"""Trying again: how long, how often, and what ends it."""

from __future__ import annotations

import pytest

from singer_kit import retry
from singer_kit.errors import ConnectionFailedError
from singer_kit.retry import UnavailableError, retried


class Clock:
    """Time that passes only by sleeping."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        self.pauses: list[float] = []
        monkeypatch.setattr(retry.time, "monotonic", lambda: self.now)

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def failing(times: int) -> list[Exception]:
    return [UnavailableError(f"No answer {number}.") for number in range(times)]


def attempts(errors: list[Exception]):
    """Raise these one by one, then succeed."""
    left = iter(errors)

    def attempt() -> str:
        for error in left:
            raise error
        return "here"

    return attempt


def test_pauses_grow_and_vary(clock: Clock) -> None:
    assert retried(attempts(failing(8)), seconds=600, sleep=clock.sleep) == "here"
    longest = [0.5, 1, 2, 4, 8, 10, 10, 10]
    assert all(most / 2 <= pause <= most for pause, most in zip(clock.pauses, longest, strict=True))
    assert len(set(clock.pauses)) == len(clock.pauses)


def test_the_budget_ends_it_with_the_last_reason(clock: Clock) -> None:
    with pytest.raises(UnavailableError, match=r"^No answer \d+\. \(Tried \d+ times in 20 seconds\.\)$"):
        retried(attempts(failing(99)), seconds=20, sleep=clock.sleep)
    assert clock.now == pytest.approx(20)


def test_without_a_budget_there_is_one_attempt(clock: Clock) -> None:
    with pytest.raises(UnavailableError, match=r"^No answer 0\.$"):
        retried(attempts(failing(2)), seconds=0, sleep=clock.sleep)
    assert clock.pauses == []


def test_a_refusal_is_not_tried_again(clock: Clock) -> None:
    with pytest.raises(ConnectionFailedError, match="password"):
        retried(attempts([*failing(1), ConnectionFailedError("Wrong password.")]), seconds=60, sleep=clock.sleep)
    assert len(clock.pauses) == 1


def test_whoever_waits_is_told_why(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    retried(attempts(failing(1)), seconds=60, sleep=clock.sleep)
    assert caplog.messages == ["No answer 0. Trying again, for 60 more seconds."]


def test_a_signal_may_end_the_waiting() -> None:
    def interrupted(_: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        retried(attempts(failing(1)), seconds=60, sleep=interrupted)
