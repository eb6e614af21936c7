"""When a schedule is due: over changes of the clock, blackouts and downtime."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from ipai.schedule import DOWNTIME, blackout_end, decide, next_due, schedule_problems
from ipai.specs import ScheduleSpec

BERLIN = "Europe/Berlin"
SECOND = timedelta(seconds=1)


def at(text: str, zone: str = "UTC") -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).astimezone(timezone.utc)


def times(schedule: ScheduleSpec, start: datetime, end: datetime) -> list[str]:
    """Every due time after `start` up to `end`, in UTC."""
    found, moment = [], start
    while (moment := next_due(schedule, moment)) and moment <= end:
        found.append(moment.astimezone(timezone.utc).strftime("%d %H:%M"))
    return found


@pytest.mark.parametrize(
    ("cron", "zone", "day", "due"),
    [
        ("30 2 * * *", "UTC", "2026-03-29", ["29 02:30"]),
        # On that day 02:30 does not exist in Berlin: it is due right after the gap, at 03:00 (01:00 UTC), once.
        ("30 2 * * *", BERLIN, "2026-03-29", ["29 01:00"]),
        # On that day 02:30 comes twice; the first one counts.
        ("30 2 * * *", BERLIN, "2026-10-25", ["25 00:30"]),
        ("0 9 * * *", BERLIN, "2026-03-28", ["28 08:00"]),
        ("0 9 * * *", BERLIN, "2026-03-30", ["30 07:00"]),
        ("0 6 * * mon-fri", "Asia/Manila", "2026-11-25", ["25 22:00"]),
    ],
)
def test_a_day_of_a_daily_schedule(cron: str, zone: str, day: str, due: list[str]) -> None:
    start = at(f"{day}T00:00:00", zone if zone == BERLIN else "UTC") - SECOND
    assert times(ScheduleSpec(cron, time_zone=zone), start, start + timedelta(hours=24)) == due


@pytest.mark.parametrize(("day", "runs"), [("2026-03-29", 23), ("2026-10-25", 25), ("2026-11-25", 24)])
def test_an_hourly_schedule_runs_every_hour_there_is(day: str, runs: int) -> None:
    start = at(f"{day}T00:00:00", BERLIN)
    end = at(f"{day}T23:59:59", BERLIN)
    assert len(times(ScheduleSpec("0 * * * *", time_zone=BERLIN), start - SECOND, end)) == runs


def test_what_is_due_runs_and_is_next_due_by_the_clock_and_not_by_the_tick() -> None:
    due, now = at("2026-11-25T10:00:00"), at("2026-11-25T10:00:00.7")
    decision = decide(ScheduleSpec("*/10 * * * *"), due, now)
    assert (decision.run_at, decision.due_at, decision.next_at) == (now, due, at("2026-11-25T10:10:00"))


def test_a_new_schedule_waits_for_its_time() -> None:
    decision = decide(ScheduleSpec("0 0 * * *"), None, at("2026-11-25T10:00:00"))
    assert (decision.run_at, decision.due_at, decision.next_at) == (None, None, at("2026-11-26T00:00:00"))


@pytest.mark.parametrize(("catch_up", "runs"), [("one", True), ("none", False)])
def test_after_downtime(catch_up: str, runs: bool) -> None:
    schedule = ScheduleSpec("0 * * * *", catch_up=catch_up)
    due, now = at("2026-11-25T10:00:00"), at("2026-11-25T15:30:00")
    decision = decide(schedule, due, now)
    assert (decision.run_at == now, decision.next_at) == (runs, at("2026-11-25T16:00:00"))
    # A tick that is merely late is no downtime.
    assert decide(schedule, due, due + DOWNTIME).run_at is not None


def test_jitter_only_delays() -> None:
    now = at("2026-11-25T10:00:00")
    delays = {decide(ScheduleSpec("0 * * * *", jitter_seconds=60), now, now).run_at for _ in range(50)}
    assert len(delays) > 10
    assert all(now <= moment <= now + timedelta(seconds=60) for moment in delays if moment)


NIGHT = {"from": "22:00", "to": "06:00"}
WEEKEND = {"from": "00:00", "to": "00:00", "days": ["sat", "sun"]}


@pytest.mark.parametrize(
    ("windows", "now", "end"),
    [
        ([NIGHT], "2026-11-25T21:59:59", None),
        ([NIGHT], "2026-11-25T22:00:00", "2026-11-26T06:00:00"),
        ([NIGHT], "2026-11-26T05:59:59", "2026-11-26T06:00:00"),
        ([NIGHT], "2026-11-26T06:00:00", None),
        ([WEEKEND], "2026-11-28T12:00:00", "2026-11-30T00:00:00"),  # Saturday, and Sunday adjoins
        ([WEEKEND, NIGHT], "2026-11-27T23:00:00", "2026-11-30T06:00:00"),
        ([{**NIGHT, "days": ["fri"]}], "2026-11-28T05:00:00", "2026-11-28T06:00:00"),  # began on Friday
        ([{**NIGHT, "days": ["fri"]}], "2026-11-28T23:00:00", None),
    ],
)
def test_blackouts(windows: list[dict[str, object]], now: str, end: str | None) -> None:
    schedule = ScheduleSpec("0 * * * *", time_zone=BERLIN, blackouts=tuple(windows))
    assert blackout_end(schedule, at(now, BERLIN)) == (at(end, BERLIN) if end else None)


def test_a_night_over_the_change_of_the_clock_ends_by_the_clock() -> None:
    schedule = ScheduleSpec("0 * * * *", time_zone=BERLIN, blackouts=(NIGHT,))
    assert blackout_end(schedule, at("2026-03-28T23:00:00", BERLIN)) == at("2026-03-29T04:00:00")


@pytest.mark.parametrize(("catch_up", "next_at"), [("one", "2026-11-26T06:00:00"), ("none", "2026-11-26T06:30:00")])
def test_what_falls_into_a_blackout_is_made_up_for_at_its_end_or_never(catch_up: str, next_at: str) -> None:
    schedule = ScheduleSpec("30 * * * *", catch_up=catch_up, blackouts=(NIGHT,))
    decision = decide(schedule, at("2026-11-25T22:30:00"), at("2026-11-25T22:30:01"))
    assert (decision.run_at, decision.next_at) == (None, at(next_at))
    # At the end it is due, however long ago that was.
    if catch_up == "one":
        assert decide(schedule, at(next_at), at(next_at)).run_at is not None


WEEK = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


@pytest.mark.parametrize(
    ("schedule", "key"),
    [
        (ScheduleSpec("61 * * * *"), "cron"),
        (ScheduleSpec("0 0 31 2 *"), "cron"),
        (ScheduleSpec("0 0 29 2 *"), None),
        (ScheduleSpec("0 0 * * *", time_zone="Mars/Olympus"), "time_zone"),
        (ScheduleSpec("0 0 * * *", time_zone="../etc/passwd"), "time_zone"),
        (ScheduleSpec("0 0 * * *", time_zone="localtime"), "time_zone"),  # another one on each machine
        (ScheduleSpec("0 0 * * *", blackouts=({"from": "08:00", "to": "08:00"},)), "blackout"),
        (ScheduleSpec("0 0 * * *", blackouts=({"from": "08:00", "to": "07:59"},)), None),
        (
            ScheduleSpec("0 0 * * *", blackouts=({"from": "08:00", "to": "20:00"}, {"from": "19:00", "to": "08:00"})),
            "blackout",
        ),
        (ScheduleSpec("0 0 * * *", blackouts=({"from": "00:00", "to": "00:00", "days": WEEK[:6]},)), None),
        (
            ScheduleSpec(
                "0 0 * * *",
                blackouts=(
                    {"from": "00:00", "to": "00:00", "days": WEEK[:6]},
                    {"from": "00:00", "to": "00:00", "days": WEEK[6:]},
                ),
            ),
            "blackout",
        ),
        (
            ScheduleSpec(
                "0 0 * * *",
                blackouts=(
                    {"from": "12:00", "to": "12:00", "days": WEEK[1:]},
                    {"from": "12:00", "to": "11:59", "days": WEEK[:1]},
                ),
            ),
            None,
        ),
    ],
)
def test_problems(schedule: ScheduleSpec, key: str | None) -> None:
    assert [found for found, _ in schedule_problems(schedule)] == ([key] if key else [])


def test_a_schedule_that_never_comes_true_has_no_next_time() -> None:
    assert next_due(ScheduleSpec("0 0 31 2 *"), at("2026-01-01T00:00:00")) is None
    assert next_due(ScheduleSpec("0 0 * * *", time_zone="Mars/Olympus"), at("2026-01-01T00:00:00")) is None
    assert next_due(ScheduleSpec("0 0 29 2 *"), at("2026-01-01T00:00:00")) == at("2028-02-29T00:00:00")
