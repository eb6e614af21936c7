"""When a schedule is due: cron expressions in a time zone, over changes of the clock, blackouts and downtime.

A cron expression follows the wall clock of its time zone the way Debian's cron does: an hour that is skipped in spring
does not lose its runs (they are due right after the gap), and one that comes twice in autumn does not repeat those at a
fixed time. Pure functions; who calls them with what is the scheduler's business.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import datetime, time, timedelta, timezone
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

# A tick comes every second: what is found due this much later was due while no scheduler ran.
DOWNTIME = timedelta(minutes=5)
_NO_ZONE = (ZoneInfoNotFoundError, ValueError, OSError)
_DAY_MINUTES = 24 * 60
_MOST_WINDOWS = 50  # then the blackout is for ever, and is looked at again some time
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class Timed(Protocol):
    """What both a declared and a stored schedule know."""

    @property
    def cron(self) -> str: ...
    @property
    def time_zone(self) -> str: ...
    @property
    def jitter_seconds(self) -> int: ...
    @property
    def catch_up(self) -> str: ...
    @property
    def blackouts(self) -> Sequence[Mapping[str, Any]]: ...


@dataclass(frozen=True)
class Decision:
    """What a tick does with a schedule that is due.

    Args:
        run_at: when a run is to start; None for no run.
        due_at: the time it was due, if it was.
        next_at: when to look at it again; None if its cron expression never comes true any more.
    """

    run_at: datetime | None
    due_at: datetime | None
    next_at: datetime | None


def schedule_problems(schedule: Timed) -> Iterator[tuple[str, str]]:
    """What is wrong with a schedule, as key and text."""
    try:
        CronSim(schedule.cron, datetime(2026, 1, 1, tzinfo=ZoneInfo("UTC")))
    except CronSimError as error:
        yield "cron", f"{schedule.cron!r} is no cron expression: {error}"
    try:
        ZoneInfo(schedule.time_zone)
        there = schedule.time_zone != "localtime"  # a file on most machines, with another zone on each
    except _NO_ZONE:
        there = False
    if not there:
        yield "time_zone", f"there is no time zone {schedule.time_zone!r}; write an IANA name such as Asia/Manila"
    if _leaves_no_time(schedule.blackouts):
        yield "blackout", "these windows leave no time at all, so it would never start"


def _leaves_no_time(windows: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the windows cover every minute of a week."""
    closed: set[int] = set()
    for window in windows:
        start, end = (
            moment.hour * 60 + moment.minute for moment in (time.fromisoformat(window[key]) for key in ("from", "to"))
        )
        minutes = range(start, end if end > start else end + _DAY_MINUTES)
        for day in window.get("days", _DAYS):
            first = _DAYS.index(day) * _DAY_MINUTES
            closed.update((first + minute) % (7 * _DAY_MINUTES) for minute in minutes)
    return len(closed) == 7 * _DAY_MINUTES


def next_due(schedule: Timed, after: datetime) -> datetime | None:
    """The first time after a moment that the cron expression names; None if it names none, or says nothing at all.

    What is declared is checked, see `schedule_problems`; but anybody can write rows, and they must not stop the others.
    """
    try:
        return _next(schedule.cron, schedule.time_zone, after.astimezone(timezone.utc))
    except (CronSimError, *_NO_ZONE):
        return None


@lru_cache(maxsize=10_000)  # in a tick many are due at the same moment; in UTC, for equality does not see a fold
def _next(cron: str, time_zone: str, after: datetime) -> datetime | None:
    return next(CronSim(cron, after.astimezone(ZoneInfo(time_zone))), None)


def decide(schedule: Timed, due_at: datetime | None, now: datetime) -> Decision:
    """What to do with a schedule that a tick came upon.

    Args:
        due_at: when it was due; None if that was never computed, as with a new schedule.
        now: the database's clock.
    """
    upcoming = next_due(schedule, now)
    if due_at is None:
        return Decision(None, None, upcoming)
    if (end := blackout_end(schedule, now)) is not None:
        # Like downtime: at its end one run makes up for all that was due, or none does.
        return Decision(
            None, None, end if schedule.catch_up == "one" else next_due(schedule, end - timedelta(seconds=1))
        )
    if schedule.catch_up == "none" and now - due_at > DOWNTIME:
        return Decision(None, None, upcoming)
    jitter = timedelta(seconds=random.uniform(0, schedule.jitter_seconds))  # noqa: S311 - it only spreads the load
    return Decision(now + jitter, due_at, upcoming)


def blackout_end(schedule: Timed, now: datetime) -> datetime | None:
    """When the blackout that `now` is in ends; None outside of any."""
    end = now
    for _ in range(_MOST_WINDOWS):  # they may adjoin
        try:
            ends = [found for window in schedule.blackouts if (found := _window_end(window, schedule.time_zone, end))]
        except (KeyError, *_NO_ZONE):
            return None  # as in next_due
        if not ends:
            break
        end = max(ends)
    return end if end != now else None


def _window_end(window: Mapping[str, Any], zone: str, now: datetime) -> datetime | None:
    start_time, end_time = time.fromisoformat(window["from"]), time.fromisoformat(window["to"])
    days = window.get("days", _DAYS)
    local = now.astimezone(ZoneInfo(zone))
    for ago in (0, 1):  # one that began yesterday may still last
        day = local.date() - timedelta(days=ago)
        if _DAYS[day.weekday()] not in days:
            continue
        start = datetime.combine(day, start_time, ZoneInfo(zone))
        end_day = day if end_time > start_time else day + timedelta(days=1)
        end = datetime.combine(end_day, end_time, ZoneInfo(zone))
        if start <= local < end:
            return end
    return None
