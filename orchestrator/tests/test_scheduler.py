"""Ticks over a real control plane: exactly once, however many tick at the same time."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from ipai.control_plane import ControlPlane
from ipai.scheduler import enqueue_due, tick

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ipai.service import Platform

NOON = datetime(2027, 1, 1, 12, tzinfo=timezone.utc)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def control_plane(platform: Platform) -> Iterator[ControlPlane]:
    with ControlPlane(platform.url) as opened:
        yield opened


def rows(control_plane: ControlPlane, query: str) -> list[Any]:
    with psycopg.connect(control_plane.url) as connection:
        return connection.execute(query).fetchall()


def change(control_plane: ControlPlane, statement: str) -> None:
    with psycopg.connect(control_plane.url) as connection:
        connection.execute(statement)


def due_at_noon(control_plane: ControlPlane, declare: Callable[..., str], schedule: Any) -> str:
    """An instance whose schedule has been seen by a tick, and is due at noon."""
    name = declare({}, schedule=schedule)
    assert enqueue_due(control_plane, NOON - MINUTE) == 0
    assert [each.next_at for each in control_plane.schedules.all(name)] == [NOON]
    return name


def test_what_is_due_is_enqueued_once(control_plane: ControlPlane, declare: Callable[..., str]) -> None:
    name = due_at_noon(control_plane, declare, "0 * * * *")
    assert enqueue_due(control_plane, NOON) == 1
    assert enqueue_due(control_plane, NOON) == 0
    (run,) = control_plane.runs.of(name, 5)
    assert (run.status, run.trigger, run.due_at) == ("queued", "schedule", NOON)
    (schedule,) = control_plane.schedules.all(name)
    assert (schedule.last_due_at, schedule.next_at) == (NOON, NOON + 60 * MINUTE)


def test_schedulers_at_the_same_moment_enqueue_once(platform: Platform, control_plane: ControlPlane) -> None:
    _many(control_plane, 500)
    enqueue_due(control_plane, NOON - MINUTE)
    counts: list[int] = []
    barrier = threading.Barrier(4)

    def schedule() -> None:
        with ControlPlane(platform.url) as mine:
            barrier.wait()
            counts.append(sum(enqueue_due(mine, NOON) for _ in range(3)))

    threads = [threading.Thread(target=schedule) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(counts) == 500
    assert rows(control_plane, "select count(*), count(distinct instance) from connectors.connector_runs") == [
        (500, 500)
    ]


def _many(control_plane: ControlPlane, number: int) -> None:
    change(
        control_plane,
        f"""insert into connectors.connector_definitions
            values ('s', 'source', '{{}}', ''), ('d', 'destination', '{{}}', '');
        insert into connectors.connector_instances (name, source, destination, spec)
            select 'i' || n, 's', 'd', '{{}}' from generate_series(1, {number}) n;
        insert into connectors.connector_schedules (instance, cron)
            select name, '0 * * * *' from connectors.connector_instances""",
    )


@pytest.mark.parametrize(("catch_up", "runs"), [("one", 1), ("none", 0)])
def test_downtime(control_plane: ControlPlane, declare: Callable[..., str], catch_up: str, runs: int) -> None:
    name = due_at_noon(control_plane, declare, {"cron": "*/10 * * * *", "catch_up": catch_up})
    later = NOON + timedelta(days=3, minutes=5)
    assert enqueue_due(control_plane, later) == runs
    assert len(control_plane.runs.of(name, 5)) == runs
    assert control_plane.schedules.all(name)[0].next_at == later + 5 * MINUTE


def test_what_waits_in_the_queue_is_not_enqueued_again(
    control_plane: ControlPlane, declare: Callable[..., str]
) -> None:
    name = due_at_noon(control_plane, declare, "0 * * * *")
    for hour in range(3):
        enqueue_due(control_plane, NOON + timedelta(hours=hour))
    assert len(control_plane.runs.of(name, 5)) == 1


def test_two_schedules_of_an_instance(control_plane: ControlPlane, declare: Callable[..., str]) -> None:
    name = declare(
        {},
        schedule=[
            "0 * * * *",
            {"name": "weekly", "cron": "0 12 1 * *", "full_refresh": True, "streams": ["orders"]},
        ],
    )
    enqueue_due(control_plane, NOON - MINUTE)
    assert enqueue_due(control_plane, NOON) == 2
    found = {(run.full_refresh, tuple(run.streams or ())) for run in control_plane.runs.of(name, 5)}
    assert found == {(False, ()), (True, ("orders",))}
    declare({}, schedule="0 * * * *")
    assert [each.name for each in control_plane.schedules.all(name)] == ["default"]


def test_a_pause_holds_over_an_apply_and_is_not_made_up_for(
    platform: Platform, control_plane: ControlPlane, declare: Callable[..., str]
) -> None:
    name = due_at_noon(control_plane, declare, "0 * * * *")
    assert platform.fleet.pause(name, paused=True) == 1
    declare({}, schedule="0 * * * *", description="changed")
    assert enqueue_due(control_plane, NOON) == 0
    platform.fleet.pause(None, paused=False)
    assert enqueue_due(control_plane, NOON + 5 * MINUTE) == 0
    assert enqueue_due(control_plane, NOON + 60 * MINUTE) == 1
    assert len(control_plane.runs.of(name, 5)) == 1


def test_a_blackout_puts_a_run_off_to_its_end(control_plane: ControlPlane, declare: Callable[..., str]) -> None:
    name = due_at_noon(control_plane, declare, {"cron": "0 * * * *", "blackout": [{"from": "11:00", "to": "14:30"}]})
    for minutes in range(0, 150, 15):
        assert enqueue_due(control_plane, NOON + minutes * MINUTE) == 0
    assert enqueue_due(control_plane, NOON + 150 * MINUTE) == 1
    assert len(control_plane.runs.of(name, 5)) == 1


def test_lateness_is_told_once(control_plane: ControlPlane, declare: Callable[..., str]) -> None:
    name = due_at_noon(control_plane, declare, "0 12 * * *")
    enqueue_due(control_plane, NOON)
    tell = control_plane.schedules.tell_late
    assert tell(NOON + timedelta(hours=2)) == []  # a standard instance may be two hours late
    assert tell(NOON + timedelta(hours=2, seconds=1)) == [name]
    assert tell(NOON + timedelta(hours=3)) == []
    ((payload,),) = rows(control_plane, "select payload from connectors.events where kind = 'run.late'")
    assert (payload["due_at"], payload["latest_seconds"]) == ("2027-01-01T12:00:00+00:00", 7200)


def test_lateness_counts_from_the_first_run_that_is_owed(
    control_plane: ControlPlane, declare: Callable[..., str]
) -> None:
    """An hourly schedule moves on before a tier of two hours is over; it was never late."""
    name = due_at_noon(control_plane, declare, "0 * * * *")
    for hours in range(4):
        enqueue_due(control_plane, NOON + timedelta(hours=hours))
    assert control_plane.schedules.tell_late(NOON + timedelta(hours=2, seconds=1)) == [name]


def succeed(control_plane: ControlPlane, name: str, started_at: datetime, **asked: Any) -> None:
    run = control_plane.runs.start(name, "cli test", 3600, **asked)
    change(control_plane, f"update connectors.connector_runs set started_at = '{started_at}' where id = {run.id}")
    assert control_plane.runs.finish(run, "succeeded")


def test_who_succeeded_in_time_is_not_late(control_plane: ControlPlane, declare: Callable[..., str]) -> None:
    name = due_at_noon(control_plane, declare, "0 12 * * *")
    enqueue_due(control_plane, NOON)
    # Neither a span of the past nor a part of the streams is what the schedule owes.
    succeed(control_plane, name, NOON + MINUTE, backfill=(NOON - timedelta(days=9), None))
    succeed(control_plane, name, NOON + MINUTE, streams=["orders"])
    (owing,) = control_plane.schedules.all(name)
    assert rows(control_plane, "select overdue_since from connectors.connector_schedules") == [(owing.last_due_at,)]
    succeed(control_plane, name, NOON + MINUTE)
    assert control_plane.schedules.tell_late(NOON + timedelta(days=1)) == []


def test_what_was_left_out_on_purpose_is_not_late(control_plane: ControlPlane, declare: Callable[..., str]) -> None:
    due_at_noon(
        control_plane,
        declare,
        {"cron": "0 12 * * *", "catch_up": "none", "blackout": [{"from": "11:00", "to": "13:00"}]},
    )
    assert enqueue_due(control_plane, NOON) == 0
    assert control_plane.schedules.tell_late(NOON + timedelta(days=1)) == []


def test_a_schedule_that_never_comes_true_can_be_listed_in_the_east(
    platform: Platform, control_plane: ControlPlane, declare: Callable[..., str]
) -> None:
    name = declare({}, schedule="0 12 * * *")
    change(control_plane, "update connectors.connector_schedules set cron = '0 0 31 2 *'")
    assert enqueue_due(control_plane, NOON) == 0
    with ControlPlane(f"{platform.url}?options=-ctimezone%3DAsia/Manila") as eastern:
        assert eastern.schedules.all(name)[0].next_at is not None


def test_a_tick_gives_retries_a_job_when_they_are_due(control_plane: ControlPlane, declare: Callable[..., str]) -> None:
    name = declare({})
    soon = datetime.now(timezone.utc) + timedelta(hours=1)
    run = control_plane.runs.enqueue(name, due_at=soon)
    jobs = "select (args ->> 'run_id')::bigint, lock from connectors_queue.procrastinate_jobs"
    assert tick(control_plane).deferred == 0
    assert rows(control_plane, jobs) == []
    change(control_plane, "update connectors.connector_runs set due_at = now()")
    assert tick(control_plane).deferred == 1
    assert rows(control_plane, jobs) == [(run.id, name)]


@pytest.mark.parametrize(
    "rubbish",
    [
        """blackouts = '[{"from": 1, "to": 5}]'""",
        """blackouts = '[{"from": "01:00", "to": "02:00+03:00", "days": 3}]'""",
        """blackouts = '[5]'""",
        "cron = 'rubbish'",
        "time_zone = 'Mars/X'",
    ],
)
def test_rubbish_in_one_row_does_not_keep_the_others(
    control_plane: ControlPlane, declare: Callable[..., str], rubbish: str
) -> None:
    name = declare({}, schedule=["0 * * * *", {"name": "bad", "cron": "0 * * * *", "streams": ["orders"]}])
    enqueue_due(control_plane, NOON - MINUTE)
    change(control_plane, f"update connectors.connector_schedules set {rubbish} where name = 'bad'")
    enqueue_due(control_plane, NOON)
    assert None in [run.streams for run in control_plane.runs.of(name, 5)]
    assert enqueue_due(control_plane, NOON + MINUTE) == 0


@pytest.mark.parametrize("value", ["next_at = '-infinity'", "next_at = 'infinity'", """blackouts = '{"a": 1}'"""])
def test_what_no_tick_could_read_is_refused(
    control_plane: ControlPlane, declare: Callable[..., str], value: str
) -> None:
    declare({}, schedule="0 * * * *")
    with pytest.raises(psycopg.errors.CheckViolation):
        change(control_plane, f"update connectors.connector_schedules set {value}")
