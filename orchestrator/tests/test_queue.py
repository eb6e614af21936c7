"""From queued to ended: retries by kind of error, quota groups, one run at a time, who is refused."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from ipai.control_plane import ControlPlane, Run
from ipai.errors import BusyError, DatabaseError
from ipai.leases import LeaseKeeper
from ipai.scheduler import enqueue_due, tick
from ipai.stopping import Reason, Stop

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ipai.service import Platform

LEASE = 30.0


@pytest.fixture
def control_plane(platform: Platform) -> Iterator[ControlPlane]:
    with ControlPlane(platform.url) as opened:
        yield opened


@pytest.fixture
def sql(platform: Platform) -> Iterator[Callable[..., list[Any]]]:
    with psycopg.connect(platform.url, autocommit=True) as connection:

        def execute(statement: str) -> list[Any]:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

        yield execute


def claimed(control_plane: ControlPlane, run: Run) -> Run:
    """Start a run as a worker does that has got its job from the queue."""
    with psycopg.connect(control_plane.url) as connection:
        connection.execute("update connectors.connector_runs set due_at = now() where id = %s", [run.id])
    control_plane.runs.defer_due()
    found = control_plane.runs.claim(run.id, "worker test", LEASE)
    assert isinstance(found, Run)
    return found


def now() -> datetime:
    return datetime.now(timezone.utc)


def retry_of(control_plane: ControlPlane, run: Run, kind: str, **more: Any) -> Run | None:
    assert control_plane.runs.finish(run, "failed", {"message": "no"}, kind=kind, **more)
    newest = control_plane.runs.of(run.instance, 1)[0]
    return newest if newest.id != run.id else None


@pytest.mark.parametrize(
    ("tier", "seconds"),
    [
        ("critical", [60, 120, 240, 480, 960, None]),
        ("standard", [300, 600, 1200, None]),
        ("best_effort", [900, 1800, None]),
    ],
)
def test_retries_follow_the_tier(
    control_plane: ControlPlane, declare: Callable[..., str], tier: str, seconds: list[int | None]
) -> None:
    name = declare({}, sla_tier=tier)
    run = claimed(control_plane, control_plane.runs.enqueue(name))
    first = run.id
    for attempt, wait in enumerate(seconds, start=2):
        retry = retry_of(control_plane, run, "transient")
        if wait is None:
            assert retry is None
            break
        assert retry is not None
        assert (retry.attempt, retry.trigger, retry.first_run_id, retry.status) == (attempt, "retry", first, "queued")
        delay = (retry.due_at - now()).total_seconds()
        assert wait / 2 - 1 <= delay <= wait
        run = claimed(control_plane, retry)


@pytest.mark.parametrize("kind", ["config", "data", "cancelled", "drift"])
def test_what_would_fail_the_same_way_is_not_retried(
    control_plane: ControlPlane, declare: Callable[..., str], kind: str
) -> None:
    run = claimed(control_plane, control_plane.runs.enqueue(declare({})))
    assert retry_of(control_plane, run, kind) is None


def test_a_quota_is_waited_for_as_long_as_the_source_says(
    control_plane: ControlPlane, declare: Callable[..., str]
) -> None:
    run = claimed(control_plane, control_plane.runs.enqueue(declare({})))
    retry = retry_of(control_plane, run, "quota", retry_after=7200)
    assert retry is not None
    assert timedelta(seconds=7190) < retry.due_at - now() <= timedelta(seconds=7200)


def test_only_what_failed_is_retried(control_plane: ControlPlane, declare: Callable[..., str]) -> None:
    run = claimed(control_plane, control_plane.runs.enqueue(declare({})))
    retry = retry_of(control_plane, run, "transient", retry_streams=["items"])
    assert retry is not None
    assert retry.streams == ["items"]


def test_an_interrupted_run_goes_on_at_once_and_costs_no_attempt(
    control_plane: ControlPlane, declare: Callable[..., str]
) -> None:
    run = claimed(control_plane, control_plane.runs.enqueue(declare({}), full_refresh=True))
    control_plane.runs.mark_state_cleared(run)
    control_plane.runs.finish(run, "cancelled", kind="interrupted")
    rest = control_plane.runs.of(run.instance, 1)[0]
    assert (rest.trigger, rest.attempt, rest.status) == ("resume", 1, "queued")
    assert rest.due_at <= now()
    assert not rest.full_refresh  # its bookmarks are gone already: what there is now is its own


def test_a_cancelled_run_is_not_tried_again_even_if_it_fails(
    control_plane: ControlPlane, declare: Callable[..., str]
) -> None:
    run = claimed(control_plane, control_plane.runs.enqueue(declare({})))
    assert control_plane.runs.cancel(run.id) == "running"
    assert control_plane.runs.renew([run], LEASE) == {run.id: True}
    assert retry_of(control_plane, run, "transient") is None


def test_a_run_by_hand_brings_a_waiting_retry_forward(control_plane: ControlPlane, declare: Callable[..., str]) -> None:
    name = declare({})
    retry = retry_of(control_plane, claimed(control_plane, control_plane.runs.enqueue(name)), "transient")
    assert retry is not None
    asked = control_plane.runs.enqueue(name)
    # It is this request from now on, with all its attempts.
    assert (asked.id, asked.attempt, asked.trigger, asked.first_run_id) == (retry.id, 1, "manual", None)
    assert asked.due_at <= now()


def test_one_run_of_an_instance_at_a_time(control_plane: ControlPlane, declare: Callable[..., str], sql: Any) -> None:
    name = declare({})
    run = claimed(control_plane, control_plane.runs.enqueue(name))
    other = control_plane.runs.enqueue(name, streams=["orders"])
    assert control_plane.runs.claim(other.id, "worker b", LEASE) == "busy"
    with pytest.raises(BusyError, match="being run"):
        control_plane.runs.start(name, "cli a", LEASE)
    assert len(control_plane.runs.of(name, 5)) == 2  # what was refused leaves nothing behind
    with pytest.raises(psycopg.errors.UniqueViolation):
        sql(f"update connectors.connector_runs set status = 'running', started_at = now() where id = {other.id}")
    control_plane.runs.finish(run, "succeeded")
    waiting = control_plane.runs.run(other.id)
    assert (waiting.waits_for, waiting.due_at <= now()) == (None, True)  # woken by the other's end
    claimed(control_plane, other)


def test_a_quota_group_is_never_exceeded_and_its_places_are_handed_on(
    control_plane: ControlPlane, declare: Callable[..., str], sql: Any
) -> None:
    declare({})
    sql("insert into connectors.connector_instances (name, source, destination, spec) "
        "select 'i' || n, 'fake', 'files', '{}' from generate_series(1, 4) n")  # fmt: skip
    control_plane.specs.set_quota("fake", 2)
    runs = [control_plane.runs.enqueue(f"i{number}") for number in range(1, 5)]
    held = [claimed(control_plane, run) for run in runs[:2]]
    assert [control_plane.runs.claim(run.id, "worker", LEASE) for run in runs[2:]] == ["full", "full"]
    (group,) = control_plane.specs.quotas()
    assert (group.max_running, group.running, group.waiting) == (2, 2, 2)
    control_plane.runs.finish(held[0], "succeeded")
    assert [control_plane.runs.run(run.id).waits_for for run in runs[2:]] == [None, "quota"]
    claimed(control_plane, runs[2])
    assert control_plane.runs.claim(runs[3].id, "worker", LEASE) == "full"
    with pytest.raises(BusyError, match="quota group"):
        control_plane.runs.start("i4", "cli", LEASE)


def test_who_was_found_stalled_is_refused_everything(
    control_plane: ControlPlane, declare: Callable[..., str], sql: Any
) -> None:
    zombie = claimed(control_plane, control_plane.runs.enqueue(declare({})))
    control_plane.states.take_over(zombie)
    part = control_plane.states.open_part(zombie, 0, {}, None)
    control_plane.states.store(zombie, part, {"bookmarks": {"orders": {"id": 1}}})
    assert control_plane.runs.reap() == []
    sql("update connectors.connector_runs set lease_expires_at = now() - interval '1 second'")
    (stalled,) = control_plane.runs.reap()
    assert (stalled.id, stalled.status, stalled.error_kind) == (zombie.id, "failed", "stalled")
    # Before anybody else has started: not its bookmark, not its lease, not its status.
    with pytest.raises(BusyError, match="writes nothing any more"):
        control_plane.states.store(zombie, part, {"bookmarks": {"orders": {"id": 2}}})
    with pytest.raises(BusyError):
        control_plane.states.fold(zombie)
    assert control_plane.runs.renew([zombie], LEASE) == {}
    assert control_plane.runs.finish(zombie, "succeeded") is None
    # What it had committed counts.
    retry = claimed(control_plane, control_plane.runs.of(zombie.instance, 1)[0])
    assert retry.fencing_token is not None
    assert zombie.fencing_token is not None
    assert retry.fencing_token > zombie.fencing_token
    assert control_plane.states.take_over(retry) == {"bookmarks": {"orders": {"id": 1}}}


def test_a_worker_that_died_between_taking_a_job_and_starting_its_run(
    control_plane: ControlPlane, declare: Callable[..., str], sql: Any
) -> None:
    run = control_plane.runs.enqueue(declare({}))
    sql("set search_path to connectors_queue")
    ((worker,),) = sql("select procrastinate_register_worker_v1()")
    sql(f"select procrastinate_fetch_job_v2(null, {worker})")
    tick(control_plane)
    assert sql("select status from procrastinate_jobs") == [("doing",)]  # it may only be slow
    sql("update procrastinate_workers set last_heartbeat = now() - interval '1 hour'")
    tick(control_plane)
    assert sql("select status, args ->> 'run_id' from procrastinate_jobs") == [("todo", str(run.id))]


def test_events_tell_what_happened(control_plane: ControlPlane, declare: Callable[..., str], sql: Any) -> None:
    run = claimed(control_plane, control_plane.runs.enqueue(declare({})))
    control_plane.runs.finish(run, "failed", {"message": "no"}, kind="transient")
    (started, failed) = sql("select kind, run_id, payload from connectors.events order by id")
    assert started[:2] == ("run.started", run.id)
    assert failed[:2] == ("run.failed", run.id)
    assert failed[2]["error"] == {"message": "no"}
    assert failed[2]["retry_run_id"] == control_plane.runs.of(run.instance, 1)[0].id


def test_a_run_left_open_by_a_version_without_leases_is_closed(
    platform: Platform, declare: Callable[..., str], sql: Any
) -> None:
    name = declare({})
    sql(f"insert into connectors.connector_runs (instance, started_at) values ('{name}', now() - interval '1 hour')")
    assert platform.run(name).run.status == "succeeded"
    assert sql("select status from connectors.connector_runs order by id") == [("failed",), ("succeeded",)]


def test_backfills_of_other_spans_do_not_share_their_bookmarks(
    control_plane: ControlPlane, declare: Callable[..., str]
) -> None:
    """The retry of one used to go on from where the other had ended, and loaded nothing of its own span."""
    name = declare({})
    states = control_plane.states
    first = claimed(
        control_plane, control_plane.runs.enqueue(name, backfill=(datetime(2020, 1, 1, tzinfo=timezone.utc), None))
    )
    states.take_over(first)
    states.store(first, states.open_part(first, 0, {}, None), {"bookmarks": {"orders": {"id": 1}}})
    retry = retry_of(control_plane, first, "transient")
    assert retry is not None
    other = claimed(
        control_plane, control_plane.runs.enqueue(name, backfill=(datetime(2026, 1, 1, tzinfo=timezone.utc), None))
    )
    assert states.take_over(other) == {}
    states.store(other, states.open_part(other, 0, {}, None), {"bookmarks": {"orders": {"id": 99}}})
    states.fold(other)
    control_plane.runs.finish(other, "succeeded")
    assert states.take_over(claimed(control_plane, retry)) == {"bookmarks": {"orders": {"id": 1}}}
    assert states.of(name) == {}


def test_the_target_of_a_stalled_run_is_refused_before_anybody_else_starts(
    control_plane: ControlPlane, declare: Callable[..., str], sql: Any
) -> None:
    """It stores the STATE in its own part of it, with the statement of `target_postgres.bookmarks`."""
    zombie = claimed(control_plane, control_plane.runs.enqueue(declare({})))
    control_plane.states.take_over(zombie)
    part = control_plane.states.open_part(zombie, 0, {}, None)
    token = zombie.fencing_token
    as_target = (
        f"insert into connectors.connector_state as b (id, state, fencing_token) values ('{part}', '{{}}', {token}) "
        f"on conflict (id) do update set state = excluded.state where b.fencing_token <= {token} returning 1"
    )
    assert sql(as_target) == [(1,)]
    sql("update connectors.connector_runs set lease_expires_at = now() - interval '1 second'")
    control_plane.runs.reap()
    assert sql(as_target) == []


def test_a_backfill_fences_the_parts_of_the_sync_before_it(
    control_plane: ControlPlane, declare: Callable[..., str], sql: Any
) -> None:
    name = declare({})
    sync = claimed(control_plane, control_plane.runs.enqueue(name))
    control_plane.states.take_over(sync)
    part = control_plane.states.open_part(sync, 0, {}, None)
    control_plane.runs.finish(sync, "failed", kind="config")
    backfill = control_plane.runs.enqueue(name, backfill=(datetime(2026, 1, 1, tzinfo=timezone.utc), None))
    backfill = claimed(control_plane, backfill)
    control_plane.states.take_over(backfill)
    assert sql(f"select fencing_token from connectors.connector_state where id = '{part}'") == [
        (backfill.fencing_token,)
    ]


def test_a_bookmark_that_a_dead_target_holds_is_freed(
    platform: Platform, control_plane: ControlPlane, declare: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the end of a run too: it used to wait for ever, with its lease renewed."""
    monkeypatch.setattr("ipai.control_plane.states._LOCK_TIMEOUT", "200ms")
    run = claimed(control_plane, control_plane.runs.enqueue(declare({})))
    control_plane.states.take_over(run)
    part = control_plane.states.open_part(run, 0, {}, None)
    target = psycopg.connect(platform.url, application_name=f"ipai target {run.instance}")
    with suppress(psycopg.OperationalError), target:  # its session is ended
        target.execute("select 1 from connectors.connector_state where id = %s for update", [part])
        assert control_plane.states.fold(run) == {}
    with psycopg.connect(platform.url, application_name="somebody else") as other:
        other.execute("select 1 from connectors.connector_state where id = %s for update", [part])
        with pytest.raises(DatabaseError, match="locked by another session"):
            control_plane.states.fold(run)


def test_cancelling_does_not_wait_for_who_takes_the_job(
    control_plane: ControlPlane, declare: Callable[..., str], platform: Platform
) -> None:
    run = control_plane.runs.enqueue(declare({}))
    with psycopg.connect(platform.url) as claimer:
        claimer.execute("select from connectors_queue.procrastinate_jobs for update")
        assert control_plane.runs.cancel(run.id) == "cancelled"
    assert control_plane.runs.claim(run.id, "worker", LEASE) == "gone"


def test_a_run_in_the_foreground_leaves_the_queue(
    control_plane: ControlPlane, declare: Callable[..., str], sql: Any
) -> None:
    name = declare({})
    queued = control_plane.runs.enqueue(name)
    run = control_plane.runs.start(name, "cli a", LEASE)
    assert run.id == queued.id
    assert sql("select count(*) from connectors_queue.procrastinate_jobs") == [(0,)]
    control_plane.runs.finish(run, "failed", {"message": "no"}, kind="transient")
    assert len(control_plane.runs.of(name, 5)) == 1  # somebody looks on, so nobody tries again


def test_a_scheduled_run_waits_for_the_quota_of_the_retry_it_takes_the_place_of(
    control_plane: ControlPlane, declare: Callable[..., str]
) -> None:
    name = declare({}, schedule="* * * * *")
    noon = datetime(2027, 1, 1, 12, tzinfo=timezone.utc)
    enqueue_due(control_plane, noon)
    retry = retry_of(control_plane, claimed(control_plane, control_plane.runs.enqueue(name)), "quota", retry_after=7200)
    assert retry is not None
    enqueue_due(control_plane, noon + timedelta(minutes=1))
    waiting = control_plane.runs.run(retry.id)
    assert (waiting.trigger, waiting.attempt, waiting.due_at) == ("schedule", 1, retry.due_at)
    assert control_plane.runs.enqueue(name).due_at <= now()  # a person who asks is not held up


def test_a_run_claimed_while_its_worker_is_told_to_end_is_told_too(
    control_plane: ControlPlane, declare: Callable[..., str]
) -> None:
    run = claimed(control_plane, control_plane.runs.enqueue(declare({})))
    with LeaseKeeper(lambda: ControlPlane(control_plane.url)) as leases:
        leases.stop_all(Reason.INTERRUPTED)
        stop = Stop()
        with leases.hold(run, stop):
            assert stop.reason is Reason.INTERRUPTED
