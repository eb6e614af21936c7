"""The queue through SQL functions: asked by Supabase users, worked off in another language beside our own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg.types.json import Jsonb

from ipai import bookmarks
from ipai.errors import SpecError
from ipai.scheduler import tick

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ipai.service import Platform

HERE = Path(__file__).parent
ORDERS = [["orders", number] for number in range(1, 6)]
ITEMS = [["items", number] for number in range(1, 4)]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Start a process; it is gone after the test, and what it said is shown if the test fails."""
    started: list[subprocess.Popen[bytes]] = []

    def run(*command: str) -> subprocess.Popen[bytes]:
        with (tmp_path / f"{len(started)}.log").open("wb") as log:
            started.append(subprocess.Popen(command, stderr=log, stdout=log, env=dict(os.environ)))
        return started[-1]

    yield run
    for process in started:
        if process.poll() is None:
            process.terminate()
            process.wait(40)
    for path in sorted(tmp_path.glob("*.log")):
        print(path.name, path.read_text())


@pytest.fixture
def foreign_worker(api: Any, start: Any) -> Callable[..., subprocess.Popen[bytes]]:
    if missing := [name for name in ("node", "psql") if shutil.which(name) is None]:
        pytest.skip(f"{' and '.join(missing)} not on PATH")
    return lambda name, *options: start("node", str(HERE / "foreign_worker.mjs"), api.login, name, *options)


@pytest.fixture
def our_worker(platform: Platform, start: Any) -> Callable[..., subprocess.Popen[bytes]]:
    def run(*options: str) -> subprocess.Popen[bytes]:
        return start(
            sys.executable, "-m", "ipai", "--home", str(platform.home), "--database", platform.url, "worker", *options
        )

    return run


def test_a_user_asks_and_our_worker_works(
    api: Any, platform: Platform, declare: Any, our_worker: Any, rows: Any, loaded: Callable[[], list[Any]]
) -> None:
    name = declare({})
    asked = api.call("run", "enqueue_connector_job", instance=name, streams=["orders"], priority=5)
    assert (asked["status"], asked["streams"], asked["priority"]) == ("queued", ["orders"], 5)
    our_worker()
    ended = platform.wait(asked["run_id"], timeout=30)
    assert (ended.status, ended.trigger) == ("succeeded", "rpc")
    assert loaded() == [*ORDERS, "end"]
    audited = (
        "select actor, action, details -> 'run_id' from connectors.audit_log where action like 'run.%' order by id"
    )
    assert rows(audited) == [
        (api.ann, "run.request", asked["run_id"])
    ]  # fmt: skip


def test_asking_twice_is_one_run_and_both_who_asked_are_known(api: Any, declare: Any, rows: Any) -> None:
    name = declare({})
    first = api.call("run", "enqueue_connector_job", instance=name)
    again = api.call("service_role", "enqueue_connector_job_v1", instance=name, priority=3)
    assert (again["run_id"], again["priority"]) == (first["run_id"], 3)
    assert api.call("run", "cancel_connector_job", run_id=first["run_id"]) == {
        "run_id": first["run_id"],
        "status": "cancelled",
    }
    assert rows("select actor, action from connectors.audit_log where action like 'run.%' order by id") == [
        (api.ann, "run.request"), ("service_role", "run.request"), (api.ann, "run.cancel"),
    ]  # fmt: skip
    assert rows("select count(*) from connectors_queue.procrastinate_jobs") == [(0,)]


def test_a_job_from_claim_to_completion(api: Any, platform: Platform, declare: Any, rows: Any) -> None:
    name = declare({}, queue="foreign")
    run_id = platform.enqueue(name).id
    assert api.call("service_role", "claim_connector_job", worker="w", queues=["default"]) is None
    job = api.call("service_role", "claim_connector_job", worker="w", queues=["foreign"], lease_seconds=60)
    assert (job["run_id"], job["state"], job["state_id"], job["kind"]) == (run_id, {}, f"{name}#0", "sync")
    assert job["spec"]["source"]["config"]["streams"] == {"orders": 5, "items": 3}
    assert (job["source"]["name"], job["destination"]["spec"]["plugin"]["command"]) == ("fake", "target-fake")
    assert api.call("service_role", "claim_connector_job", worker="w") is None
    held = {"run_id": run_id, "fencing_token": job["fencing_token"]}
    assert api.call("service_role", "heartbeat_connector_job", **held)["cancel_requested"] is False
    api.call("service_role", "store_connector_state", **held, state={"bookmarks": {"orders": {"id": 2}}})
    assert platform.state(name) == {"bookmarks": {"orders": {"id": 2}}}  # seen at once
    api.call(
        "service_role",
        "store_connector_state",
        **held,
        state={"type": "STATE", "value": {"bookmarks": {"orders": {"id": 5}}}},
    )
    metrics = [{"stream": "orders", "rows": 5, "bytes": 70, "seconds": 0.5, "retries": 1, "http_requests": 9}]
    ended = api.call("service_role", "complete_connector_job", **held, metrics=metrics)
    assert ended == {"run_id": run_id, "status": "succeeded"}
    assert platform.state(name) == {"bookmarks": {"orders": {"id": 5}}}
    (report,) = platform.status(name, limit=5)
    assert (report.run.status, report.run.worker) == ("succeeded", "w")
    (moved,) = report.streams
    assert (moved.rows, moved.bytes, moved.seconds, moved.retries, moved.http_requests) == (5, 70, 0.5, 1, 9)
    assert rows("select count(*) from connectors_queue.procrastinate_jobs") == [(0,)]
    platform.run(name)  # ours goes on where the foreign one stopped
    assert platform.state(name) == {"bookmarks": {"orders": {"id": 5}, "items": {"id": 3}}}


def test_a_run_over_some_streams_keeps_to_them(api: Any, platform: Platform, declare: Any) -> None:
    name = declare({})
    before = {"bookmarks": {"orders": {"id": 4}, "items": {"id": 1}, "other": {"id": 7}}}
    platform.replace_state(name, before)
    platform.enqueue(name, streams=["ite*"], full_refresh=True)
    job = api.call("service_role", "claim_connector_job", worker="w")
    assert job["state"] == {"bookmarks": {"orders": {"id": 4}, "other": {"id": 7}}}
    held = {"run_id": job["run_id"], "fencing_token": job["fencing_token"]}
    api.call(
        "service_role", "store_connector_state", **held, state={"bookmarks": {"items": {"id": 2}, "orders": {"id": 0}}}
    )
    api.call("service_role", "complete_connector_job", **held)
    assert platform.state(name) == {"bookmarks": {**before["bookmarks"], "items": {"id": 2}}}


def test_a_backfill_leaves_the_bookmarks_alone(api: Any, platform: Platform, declare: Any) -> None:
    name = declare({})
    platform.replace_state(name, {"bookmarks": {"orders": {"id": 4}}})
    span = {"backfill_from": "2026-01-01T00:00:00Z", "backfill_to": "2026-02-01T00:00:00Z"}
    api.call("run", "enqueue_connector_job", instance=name, **span)
    job = api.call("service_role", "claim_connector_job", worker="w")
    assert (job["kind"], job["state"], job["state_id"]) == ("backfill", {}, f"{name}#backfill.{job['run_id']}.0")
    assert job["backfill_from"].startswith("2026-01-01T00:00:00")
    held = {"run_id": job["run_id"], "fencing_token": job["fencing_token"]}
    api.call("service_role", "store_connector_state", **held, state={"bookmarks": {"orders": {"id": 2}}})
    told = api.call("service_role", "fail_connector_job", **held, error="stopped", kind="interrupted")
    resumed = api.call("service_role", "claim_connector_job", worker="w")
    assert (resumed["run_id"], resumed["trigger"]) == (told["retry_run_id"], "resume")
    assert resumed["state"] == {"bookmarks": {"orders": {"id": 2}}}
    assert platform.state(name) == {"bookmarks": {"orders": {"id": 4}}}


@pytest.mark.parametrize(
    ("kind", "more", "status", "retried"),
    [
        ("transient", {}, "failed", True),
        ("quota", {"retry_after_seconds": 7200}, "failed", True),
        ("config", {}, "failed", False),
        ("data", {}, "failed", False),
        ("interrupted", {}, "cancelled", True),
        ("cancelled", {}, "cancelled", False),
    ],
)
def test_a_failure_is_tried_again_by_its_kind(
    api: Any, platform: Platform, declare: Any, rows: Any, kind: str, more: dict[str, Any], status: str, retried: bool
) -> None:
    name = declare({})
    run_id = platform.enqueue(name).id
    job = api.call("service_role", "claim_connector_job", worker="w")
    error = {"message": "HTTP 500", "side": "tap"} if kind == "transient" else "HTTP 500"
    told = api.call(
        "service_role",
        "fail_connector_job",
        run_id=run_id,
        fencing_token=job["fencing_token"],
        error=error,
        kind=kind,
        **more,
    )
    assert told["status"] == status
    assert (told["retry_run_id"] is not None) == retried
    run = platform.status(name, limit=5)[-1].run
    assert (run.id, run.status, run.error_kind) == (run_id, status, kind)
    assert run.error == {"message": "HTTP 500", "side": "tap" if kind == "transient" else "worker"}
    if kind == "quota":
        assert rows(
            "select due_at > now() + interval '1:59' from connectors.connector_runs where status = 'queued'"
        ) == [(True,)]
    assert rows("select count(*) from connectors_queue.procrastinate_jobs where status = 'doing'") == [(0,)]


def test_who_asks_the_impossible_is_told_what_to_do(api: Any, platform: Platform, declare: Any) -> None:
    name = declare({})
    run_id = platform.enqueue(name).id
    job = api.call("service_role", "claim_connector_job", worker="w")
    held = {"run_id": run_id, "fencing_token": job["fencing_token"]}
    for caller, function, arguments, code, said in (
        ("read", "enqueue_connector_job", {"instance": name}, "42501", "needs the level run, and yours is read"),
        ("run", "claim_connector_job", {"worker": "w"}, "42501", "needs the level admin"),
        ("run", "enqueue_connector_job", {"instance": "x'; drop"}, "PT404", "No instance 'x''; drop'"),
        ("run", "enqueue_connector_job", {"instance": name, "backfill_to": "2026-01-01"}, "22023", "backfill_to"),
        ("run", "cancel_connector_job", {"run_id": 999}, "PT404", "No run 999"),
        ("admin", "claim_connector_job", {"worker": ""}, "22023", "worker must be a name"),
        ("admin", "heartbeat_connector_job", {**held, "lease_seconds": 0.5}, "22023", "between 1 and 3600"),
        ("admin", "heartbeat_connector_job", {"run_id": 999, "fencing_token": 1}, "PT404", "No run 999"),
        ("admin", "heartbeat_connector_job", {**held, "fencing_token": 0}, "PT409", "not yours any more"),
        ("admin", "store_connector_state", {**held, "state": {"bookmarks": 3}}, "22023", "This is no STATE"),
        ("admin", "complete_connector_job", {**held, "metrics": [{"rows": 3}]}, "22023", "metrics must be a list"),
        ("admin", "complete_connector_job", {**held, "metrics": {}}, "22023", "metrics must be a list"),
        ("admin", "fail_connector_job", {**held, "error": "x", "kind": "stalled"}, "22023", "kind must be"),
        ("admin", "fail_connector_job", {**held, "error": {}}, "22023", "error must say"),
    ):
        with pytest.raises(psycopg.Error, match=said) as caught:
            api.call(caller, function, **arguments)
        assert (caught.value.sqlstate, bool(caught.value.diag.message_hint)) == (code, True), function
    assert api.call("admin", "complete_connector_job", **held)["status"] == "succeeded"


def test_a_foreign_worker_beside_ours(
    api: Any, platform: Platform, declare: Any, foreign_worker: Any, our_worker: Any, rows: Any, until: Any
) -> None:
    name = declare({})
    rows(
        """
        insert into connectors.connector_instances (name, source, destination, spec)
        select 'test' || n || '_fake', source, destination,
            spec || case when n > 6 then '{"queue": "ours"}' else '{}'::jsonb end
        from connectors.connector_instances, generate_series(1, 8) n returning 1
        """
    )
    foreign_worker("node")
    first = api.call("run", "enqueue_connector_job", instance=name)["run_id"]
    assert platform.wait(first, timeout=60).worker == "node"
    our_worker("--concurrency", "2")
    asked = [api.call("run", "enqueue_connector_job", instance=f"test{n}_fake")["run_id"] for n in range(1, 7)]
    asked += [platform.enqueue(f"test{n}_fake").id for n in (7, 8)]  # in a queue that only ours serves
    ended = [platform.wait(run_id, timeout=90) for run_id in asked]
    assert [run.id for run in ended] == asked
    assert {run.status for run in ended} == {"succeeded"}
    everything = {"bookmarks": {"orders": {"id": 5}, "items": {"id": 3}}}
    assert all(platform.state(run.instance) == everything for run in ended)
    workers = [(run.worker or "").split()[0] for run in ended]
    assert workers[6:] == ["worker"] * 2
    assert set(workers) <= {"worker", "node"}
    assert rows("select count(*) from connectors.connector_runs") == [(9,)]
    assert until(lambda: rows("select count(*) from connectors_queue.procrastinate_jobs") == [(0,)])


def test_a_foreign_worker_that_dies_and_one_that_comes_back(
    api: Any,
    platform: Platform,
    declare: Any,
    foreign_worker: Any,
    our_worker: Any,
    rows: Any,
    loaded: Callable[[], list[Any]],
    until: Any,
) -> None:
    """The first is killed in the middle; our own resumes its run; whoever still holds the old token is refused."""
    name = declare({})
    rows("update connectors.sla_tiers set first_delay = '1 second' returning 1")
    run_id = api.call("run", "enqueue_connector_job", instance=name)["run_id"]
    victim = foreign_worker("victim", "hang", "orders", "3")
    until(lambda: platform.state(name) == {"bookmarks": {"items": {"id": 3}, "orders": {"id": 3}}})
    victim.kill()
    zombie = {"run_id": run_id, "fencing_token": platform.status(name, limit=1)[0].run.fencing_token}
    our_worker()

    def retried() -> bool:
        with platform.control_plane() as control_plane:
            tick(control_plane)
            return control_plane.runs.newest_attempt(run_id).status == "succeeded"

    until(retried)
    attempts = [report.run for report in platform.status(name, limit=5)]
    assert [(run.status, run.error_kind, run.attempt) for run in attempts] == [
        ("succeeded", None, 2),
        ("failed", "stalled", 1),
    ]
    assert attempts[1].worker == "victim"
    assert loaded() == [*ITEMS, *ORDERS, "end"]  # no row twice: ours went on at the fourth order
    for function, more in (
        ("store_connector_state", {"state": {"bookmarks": {"orders": {"id": 1}}}}),
        ("heartbeat_connector_job", {}), ("complete_connector_job", {}), ("fail_connector_job", {"error": "x"}),
    ):  # fmt: skip
        with pytest.raises(psycopg.Error, match="not yours any more") as caught:
            api.call("service_role", function, **zombie, **more)
        assert caught.value.sqlstate == "PT409"
    assert platform.state(name) == {"bookmarks": {"orders": {"id": 5}, "items": {"id": 3}}}


def test_a_token_is_stale_while_the_next_attempt_is_under_way(
    api: Any, platform: Platform, declare: Any, rows: Any
) -> None:
    name = declare({})
    rows("update connectors.sla_tiers set first_delay = '0' returning 1")
    platform.enqueue(name)
    old = api.call("service_role", "claim_connector_job", worker="slow", lease_seconds=1)
    rows("update connectors.connector_runs set lease_expires_at = now() - interval '1 second' returning 1")
    with platform.control_plane() as control_plane:
        tick(control_plane)
    new = api.call("service_role", "claim_connector_job", worker="quick")
    assert (new["attempt"], new["fencing_token"] > old["fencing_token"]) == (2, True)
    api.call(
        "service_role",
        "store_connector_state",
        run_id=new["run_id"],
        fencing_token=new["fencing_token"],
        state={"bookmarks": {"a": 1}},
    )
    # Neither with its own run's number, nor with that of the run that took its place.
    for run_id in (old["run_id"], new["run_id"]):
        with pytest.raises(psycopg.Error, match="stale"):
            api.call(
                "service_role", "store_connector_state", run_id=run_id, fencing_token=old["fencing_token"], state={}
            )
    assert platform.state(name) == {"bookmarks": {"a": 1}}


def test_cancelling_reaches_a_foreign_worker(api: Any, platform: Platform, declare: Any) -> None:
    name = declare({})
    run_id = platform.enqueue(name).id
    job = api.call("service_role", "claim_connector_job", worker="w")
    held = {"run_id": run_id, "fencing_token": job["fencing_token"]}
    assert api.call("run", "cancel_connector_job", run_id=run_id)["status"] == "running"
    assert api.call("service_role", "heartbeat_connector_job", **held)["cancel_requested"] is True
    assert (
        api.call("service_role", "fail_connector_job", **held, error="asked to end", kind="cancelled")["status"]
        == "cancelled"
    )
    assert len(platform.status(name, limit=5)) == 1


# The rules for STATE, in SQL and in Python

_NAMES = st.sampled_from(
    ["a", "b", "orders", "bookmarks", "type", "singer_state", "completed", "partial", "currently_syncing"]
)
_LEAVES = st.none() | st.integers(-3, 3) | st.sampled_from(["", "STATE", "x"])
_VALUES = st.recursive(
    _LEAVES, lambda inner: st.dictionaries(_NAMES, inner, max_size=3) | st.lists(inner, max_size=2), max_leaves=6
)
_STATES = st.dictionaries(_NAMES, _VALUES, max_size=4)
_STREAMS = st.none() | st.lists(_NAMES, max_size=3)


@pytest.fixture
def computed(platform: Platform) -> Iterator[Callable[..., Any]]:
    with psycopg.connect(platform.url, autocommit=True) as connection:
        yield lambda function, *arguments: connection.execute(
            f"select connectors.{function}({', '.join('%s' for _ in arguments)})",
            [Jsonb(each) if isinstance(each, dict) else each for each in arguments],
        ).fetchone()[0]


def test_sql_and_python_keep_state_by_the_same_rules(computed: Callable[..., Any]) -> None:
    @settings(max_examples=300, deadline=None)
    @given(_STATES, _STATES, _STREAMS)
    def compare(stored: dict[str, Any], printed: dict[str, Any], only: list[str] | None) -> None:
        assert computed("merge_state", stored, printed, only) == bookmarks.merge(stored, printed, only)
        if only is not None:
            assert computed("without_streams", stored, only) == bookmarks.without(stored, only)
        try:
            expected = bookmarks.from_document(printed)
        except SpecError:
            with pytest.raises(psycopg.errors.InvalidParameterValue):
                computed("singer_state", printed)
        else:
            assert computed("singer_state", printed) == expected

    compare()


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        (None, None),
        (["orders"], ["orders"]),
        (["it*"], ["it*", "items"]),
        (["?rders", "gone"], ["?rders", "gone", "orders"]),
        (["a_b"], ["a_b"]),
        (["50%"], ["50%"]),
        (["*"], ["*", "axb", "bookmarks", "items", "orders"]),
    ],
)
def test_streams_are_asked_for_by_name_or_glob(computed: Callable[..., Any], asked: Any, found: Any) -> None:
    got = computed("streams_asked", {"bookmarks": {"orders": 1, "items": 2}, "axb": {}}, asked)
    assert (got and sorted(got)) == found
