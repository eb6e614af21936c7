"""Workers with a login of their own: all that a worker does, and nothing besides."""

from __future__ import annotations

import base64
import json
import os
import re
import signal
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import psycopg
import pytest
from click.testing import CliRunner, Result
from psycopg import sql as text

from ipai.cli import main
from ipai.control_plane import ControlPlane
from ipai.service import Platform

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from ipai.control_plane import Run
    from ipai.local import LocalPostgres

Declare = Any
VALUE = "c4n4ry-value"
ORDERS = [["orders", number] for number in range(1, 6)]
ITEMS = [["items", number] for number in range(1, 4)]


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IPAI_SECRET_KEY", base64.b64encode(os.urandom(32)).decode())


@pytest.fixture
def ipai(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    def run(*arguments: str, database: str = platform.url) -> Result:
        monkeypatch.setattr("sys.argv", ["ipai", *arguments])
        return CliRunner().invoke(main, ["--home", str(platform.home), "--database", database, *arguments])

    return run


@pytest.fixture
def make_login(ipai: Callable[..., Result], postgres_server: str) -> Iterator[Callable[..., str]]:
    """Make a worker's login as an admin does; returns its URL. It is gone after the test."""
    made: list[str] = []

    def make(*loads: str) -> str:
        name = f"worker_{os.urandom(6).hex()}"
        done = ipai("worker-login", name, *(f"--loads={schema}" for schema in loads), "--json")
        assert done.exit_code == 0, done.output
        made.append(name)
        answer = json.loads(done.output)
        assert (answer["login"], answer["is_new"]) == (name, True)
        url: str = answer["url"]
        return url

    yield make
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        for name in made:
            connection.execute(text.SQL("drop role {}").format(text.Identifier(name)))


@pytest.fixture
def login(make_login: Callable[..., str]) -> str:
    return make_login()


def name_of(url: str) -> str:
    return str(urlsplit(url).username)


# The whole job


def test_a_whole_run_with_a_secret(
    platform: Platform, declare: Declare, start: Any, rows: Any, loaded: Any, login: str, ipai: Any
) -> None:
    platform.secrets.set("canary", VALUE, expires_at=None, backend="table")
    name = declare({"secret": "${secret:canary}"}, {"report_schemas": True}, parallelism=2)
    worker = start("worker", database=login)
    for streams in (None, ["orders"]):
        assert platform.wait(platform.enqueue(name, streams=streams, full_refresh=True).id, timeout=120).status == (
            "succeeded"
        )
    assert sorted(map(str, loaded())) == sorted(map(str, [*ORDERS, *ITEMS, "end", "end", *ORDERS, "end"]))
    assert platform.state(name) == {"bookmarks": {"orders": {"id": 5}, "items": {"id": 3}}}
    said = [line.message for line in platform.logs(name, run_id=None, side="tap", limit=None)[1]]
    assert "INFO the secret is *** and in the environment None" in said
    assert rows("select run_id, stream, rows from connectors.connector_run_streams order by 1, 2") == [
        (1, "items", 3), (1, "orders", 5), (2, "orders", 5),
    ]  # fmt: skip
    assert rows("select distinct seen_by, status from connectors.stream_schemas order by 1") == [
        ("discovery", "accepted"), ("target", "accepted"),
    ]  # fmt: skip
    kinds = rows("select kind from connectors.events order by id")
    assert kinds == [("run.started",), ("run.succeeded",)] * 2
    assert rows("select claimed_by from connectors.connector_runs") == [(name_of(login),)] * 2
    read = platform.secrets.accesses("canary", 1)[0]
    assert (read.allowed, read.run_id) == (True, 2)
    assert read.actor.startswith("worker ")
    assert read.actor.endswith(f" as {name_of(login)}")
    assert rows("select count(*) from connectors_queue.procrastinate_jobs") == [(0,)]
    assert rows("select kind from connectors.fleet_members") == [("worker",)]
    assert ipai("health", "--role", "worker", database=login).exit_code == 0
    worker.terminate()
    assert worker.wait(60) == 0
    assert rows("select kind from connectors.fleet_members") == []
    assert rows("select count(*) from connectors_queue.procrastinate_workers") == [(0,)]


def test_two_workers_with_two_logins_share_the_queue(
    platform: Platform, declare: Declare, start: Any, rows: Any, make_login: Any, until: Any, loaded: Any
) -> None:
    """One is stopped in the middle of a run, and the other one goes on with it."""
    logins = [make_login(), make_login()]
    name = declare({"streams": {"orders": 40}, "pause": 0.05})
    queued = platform.enqueue(name)
    first = start("worker", database=logins[0])
    until(lambda: platform.state(name))
    start("worker", database=logins[1])
    first.terminate()
    assert first.wait(90) == 0
    ended = platform.wait(queued.id, timeout=120)
    assert (ended.status, ended.trigger, ended.attempt) == ("succeeded", "resume", 1)
    assert platform.state(name) == {"bookmarks": {"orders": {"id": 40}}}
    assert {number for _, number in (row for row in loaded() if row != "end")} == set(range(1, 41))
    claims = rows("select status, claimed_by from connectors.connector_runs order by id")
    assert claims == [("cancelled", name_of(logins[0])), ("succeeded", name_of(logins[1]))]


def test_a_run_is_cancelled(platform: Platform, declare: Declare, start: Any, login: str, until: Any) -> None:
    name = declare({"fail_after": ["orders", 3], "how": "hang"})
    queued = platform.enqueue(name)
    start("worker", "--lease-seconds", "5", database=login)
    until(lambda: platform.state(name))
    assert platform.cancel(queued.id) == "running"
    ended = platform.wait(queued.id, timeout=120)
    assert (ended.status, ended.error_kind) == ("cancelled", "cancelled")
    assert platform.state(name) == {"bookmarks": {"orders": {"id": 3}}}


def test_a_worker_that_sleeps_through_its_lease_is_refused_and_its_session_ended(
    platform: Platform, declare: Declare, start: Any, rows: Any, make_login: Any, until: Any
) -> None:
    """The other worker's login may end sessions only by way of the owner's function."""
    name = declare({"streams": {"orders": 100}, "pause": 0.05})
    rows("update connectors.sla_tiers set first_delay = '1 second' returning 1")
    queued = platform.enqueue(name)
    zombie = start("worker", "--lease-seconds", "2", database=make_login())
    until(lambda: platform.state(name))
    zombie.send_signal(signal.SIGSTOP)
    start("scheduler")
    second = make_login()
    start("worker", database=second)
    until(lambda: platform.status(name, limit=1)[0].run.trigger == "retry")
    until(lambda: platform.status(name, limit=1)[0].run.status == "running")
    zombie.send_signal(signal.SIGCONT)
    ended = platform.wait(queued.id, timeout=150)
    assert (ended.status, ended.attempt) == ("succeeded", 2)
    assert platform.state(name) == {"bookmarks": {"orders": {"id": 100}}}
    assert rows("select status, error_kind from connectors.connector_runs order by id") == [
        ("failed", "stalled"), ("succeeded", None),
    ]  # fmt: skip


def test_drift_is_stored_told_and_pauses_schedules(
    platform: Platform, declare: Declare, start: Any, rows: Any, login: str
) -> None:
    def orders(kind: str) -> dict[str, Any]:
        return {"streams": {"orders": 2}, "columns": {"orders": {"id": {"type": kind}}}}

    more = {"schedule": "0 4 1 1 *", "drift": {"widened": "pause"}}
    start("worker", database=login)
    assert platform.wait(platform.enqueue(declare(orders("integer"), **more)).id, timeout=120).status == "succeeded"
    refused = platform.wait(platform.enqueue(declare(orders("number"), **more)).id, timeout=120)
    assert (refused.status, refused.error_kind) == ("failed", "drift")
    found = "select kind, policy, status, decided_by from connectors.schema_drift"
    assert rows(found) == [("widened", "pause", "pending", None)]
    paused = "select paused, paused_by from connectors.connector_schedules"
    assert rows(paused) == [(True, "drift")]
    assert rows("select count(*) from connectors.events where kind = 'schema.drift'") == [(1,)]
    # The source goes back: the worker withdraws the change and lets the schedule go on.
    assert platform.wait(platform.enqueue(declare(orders("integer"), **more)).id, timeout=120).status == "succeeded"
    assert rows(found) == [("widened", "pause", "withdrawn", None)]
    assert rows(paused) == [(False, None)]


def test_the_policy_applies_drift(platform: Platform, declare: Declare, start: Any, rows: Any, login: str) -> None:
    start("worker", database=login)
    for kind in ("integer", "number"):
        name = declare({"streams": {"orders": 2}, "columns": {"orders": {"id": {"type": kind}}}})
        assert platform.wait(platform.enqueue(name).id, timeout=120).status == "succeeded"
    assert rows("select kind, status, decided_by from connectors.schema_drift") == [("widened", "applied", None)]


# What it may not do


@pytest.fixture
def runs(platform: Platform, declare: Declare, login: str, make_login: Any) -> tuple[Run, Run]:
    """Two runs under way that name a secret: one that the login holds, and one of another login."""
    platform.secrets.set("canary", VALUE, expires_at=None, backend="table")
    declare({"secret": "${secret:canary}"}, schedule="0 4 * * *")
    with ControlPlane(platform.url) as owner:
        owner.specs.save([], [], [])
        with psycopg.connect(platform.url) as connection:
            connection.execute(
                "insert into connectors.connector_instances (name, source, destination, spec) "
                "select 'test_other', source, destination, spec from connectors.connector_instances"
            )
        queued = [owner.runs.enqueue(name) for name in ("test_fake", "test_other")]
    held = []
    for url, run in zip((login, make_login()), queued, strict=True):
        with ControlPlane(url) as worker:
            claimed = worker.runs.claim(run.id, "worker here:1", 600)
            assert not isinstance(claimed, str)
            held.append(claimed)
    return held[0], held[1]


@pytest.fixture
def session(login: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(login, autocommit=True) as connection:
        yield connection


READ = "select outcome, ciphertext is not null from connectors.read_secret({run}, {token}, 'canary', 'try')"


def test_secrets_are_read_for_its_own_run_only(
    session: psycopg.Connection[Any], runs: tuple[Run, Run], platform: Platform, login: str
) -> None:
    mine, other = runs

    def read(run: int, token: int | None) -> Any:
        return session.execute(READ.format(run=run, token=token)).fetchone()

    assert read(mine.id, mine.fencing_token) == ("read", True)
    assert read(other.id, other.fencing_token) == ("not_held", False)
    assert read(mine.id, other.fencing_token) == ("not_held", False)
    session.execute("reset role")  # as which it connects; the login itself is no more
    assert read(mine.id, mine.fencing_token) == ("read", True)
    assert read(other.id, other.fencing_token) == ("not_held", False)
    refusal = platform.secrets.accesses("canary", 1)[0]
    assert (refusal.allowed, refusal.outcome, refusal.run_id) == (False, "not_held", other.id)
    assert refusal.actor == f"worker here:1 as {name_of(login)}"
    session.execute("select set_config('ipai.actor', 'ann', false)")
    read(other.id, other.fencing_token)
    assert platform.secrets.accesses("canary", 1)[0].actor == refusal.actor
    with ControlPlane(platform.url) as owner:
        assert owner.runs.cancel(mine.id) == "running"
    with psycopg.connect(platform.url) as connection:
        connection.execute("update connectors.connector_runs set lease_expires_at = now() - interval '1 second'")
    assert read(mine.id, mine.fencing_token) == ("lease_expired", False)


def test_another_ones_run_cannot_be_kept_ended_or_written_to(
    session: psycopg.Connection[Any], runs: tuple[Run, Run], rows: Any
) -> None:
    mine, other = runs
    renew = "select array_agg(id) from connectors.work_renew(%s, %s, '1 hour')"
    both = [mine.id, other.id], [mine.fencing_token, other.fencing_token]
    assert session.execute(renew, both).fetchone() == ([mine.id],)
    finish = "select id from connectors.work_finish({}, {}, 'succeeded')"
    assert session.execute(finish.format(other.id, other.fencing_token)).fetchone() == (None,)
    assert session.execute("select id, state from connectors.connector_state").fetchall() == [("test_fake", {})]
    assert session.execute("update connectors.connector_state set state = '{\"a\": 1}'").rowcount == 1
    assert session.execute("update connectors.connector_runs set state_cleared = true").rowcount == 1
    assert session.execute("delete from connectors.fleet_members").rowcount == 0
    session.execute("select connectors.work_tell_drift(%s, '{}')", [other.id])
    for function in ("fence('test_other', 99, true)", "rest_for_drift('test_other')", "work_end_targets('test_other')"):
        session.execute(f"select connectors.{function}")
    assert rows(
        "select r.status, s.state, s.fencing_token = r.fencing_token, r.state_cleared "
        "from connectors.connector_runs r join connectors.connector_state s on s.id = r.instance order by r.id"
    ) == [("running", {"a": 1}, True, True), ("running", {}, True, False)]
    assert rows("select count(*) from connectors.events where kind = 'schema.drift'") == [(0,)]
    assert session.execute(finish.format(mine.id, mine.fencing_token)).fetchone() == (mine.id,)
    # It holds nothing any more: neither the STATE nor the specs are its business.
    for table in ("connector_state", "connector_instances", "connector_definitions", "stream_schemas", "schema_drift"):
        assert session.execute(f"select count(*) from connectors.{table}").fetchone() == (0,), table
    assert session.execute("select id from connectors.connector_runs").fetchall() == [(mine.id,)]


REFUSED = [
    # Secrets, and who had them
    "select * from connectors.secrets",
    "update connectors.secrets set ciphertext = ciphertext",
    "select * from connectors.secret_access",
    "delete from connectors.secret_access",
    "select connectors.read_secret_for_check('test_fake', 'canary', 'check')",
    "select connectors.hand_out_secret(null, 1, 'test_fake', 'canary', 'me', 'sync')",
    # What exists and when it runs
    "update connectors.connector_definitions set spec = spec",
    "update connectors.connector_instances set spec = spec",
    "insert into connectors.connector_instances values ('mine', 'fake', 'files', '{}')",
    "delete from connectors.connector_instances",
    "select * from connectors.connector_schedules",
    "update connectors.connector_schedules set paused = true",
    "update connectors.quota_groups set max_running = 99",
    "update connectors.sla_tiers set retries = 99",
    "update connectors.retention_periods set keep = '1 day'",
    # Runs past the functions
    "update connectors.connector_runs set claimed_by = session_user",
    "update connectors.connector_runs set status = 'succeeded'",
    "insert into connectors.connector_runs (instance) values ('test_fake')",
    "delete from connectors.connector_runs",
    "select connectors.enqueue_run('test_fake')",
    "select connectors.enqueue_connector_job('test_fake')",
    "select connectors.cancel_run(1)",
    "select connectors.claim_run(1, 'me', '1 hour')",
    "select connectors.finish_run(1, 1, 'succeeded')",
    "select connectors.renew_leases(array[1], array[1], '1 hour')",
    "select connectors.reap()",
    "select connectors.claim_connector_job('me')",
    "select * from connectors.connector_run_logs",
    "delete from connectors.connector_state",
    "insert into connectors.connector_state (id, state) values ('test_other#0', '{}')",
    "insert into connectors.connector_run_logs (run_id, line, logged_at, side, message) values (2, 1, now(), '', '')",
    "insert into connectors.connector_run_streams (run_id, stream) values (2, 'x')",
    "insert into connectors.stream_schemas (instance, stream, seen_by, schema) values ('test_other', '', '', '{}')",
    # What people decide and what is on record
    "update connectors.schema_drift set decided_by = 'ann'",
    "insert into connectors.audit_log (actor, action, subject) values ('ann', 'x', 'x')",
    "select * from connectors.audit_log",
    "select connectors.audit('x', 'x')",
    "insert into connectors.events (kind) values ('run.failed')",
    "select connectors.emit('run.failed', 'test_fake', 1)",
    "select * from connectors.channels",
    "select * from connectors.deliveries",
    "insert into connectors.fleet_members (name, kind, host) values ('x', 'scheduler', 'x')",
    # The queue, and the schema itself
    "insert into connectors_queue.procrastinate_jobs (queue_name, task_name) values ('default', 'ipai.run')",
    "select connectors_queue.procrastinate_retry_job_v2(1, now(), 1, 'default', null)",
    "truncate connectors_queue.procrastinate_jobs",
    "select * from connectors_queue.procrastinate_events",
    "create table connectors.mine (id bigint)",
    "create table connectors_queue.mine (id bigint)",
    "create schema mine",
    "call connectors.secure()",
    "call connectors.let_read('connectors.secrets', 'none')",
    "select connectors.make_worker_login('mallory', 'x')",
    "insert into supabase_migrations.schema_migrations (version) values ('29991231000000')",
    "alter table connectors.secrets disable row level security",
    "set role pg_read_all_data",
    "set session authorization pg_read_all_data",
]


@pytest.mark.usefixtures("runs")
@pytest.mark.parametrize("statement", REFUSED)
def test_it_may_not(session: psycopg.Connection[Any], statement: str) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        session.execute(statement)


@pytest.mark.parametrize(
    "command",
    [
        ["run", "test_fake"], ["cancel", "1"], ["secret", "list"], ["audit"], ["init"], ["worker-login", "mallory"],
        ["scheduler"], ["up"], ["worker", "--metrics-port", "0"],
    ],
)  # fmt: skip
def test_other_commands_say_which_login_they_need(ipai: Any, login: str, command: list[str]) -> None:
    done = ipai(*command, database=login)
    assert done.exit_code == 6, done.output
    assert "This database login is no owner of schema connectors" in done.output
    assert "Next:  Use the login that owns schema connectors" in done.output


# Versions


def test_a_worker_refuses_a_schema_that_is_too_old(ipai: Any, login: str, rows: Any) -> None:
    rows(
        "delete from supabase_migrations.schema_migrations "
        "where version = (select max(version) from supabase_migrations.schema_migrations) returning 1"
    )
    done = ipai("worker", database=login)
    assert done.exit_code == 6
    assert "Run ipai init." in done.output
    done = ipai("health", database=login)
    assert done.exit_code == 6
    assert "not there yet" in done.output


def test_an_upgrade_of_the_queues_tables_is_left_to_the_owner(
    platform: Platform, declare: Declare, start: Any, rows: Any, login: str
) -> None:
    """A worker of another version of procrastinate works on, as the owner's does, and changes nothing."""
    with psycopg.connect(platform.url, autocommit=True) as connection:
        connection.execute("comment on schema connectors_queue is 'another version'")
    start("worker", database=login)
    assert platform.wait(platform.enqueue(declare({})).id, timeout=120).status == "succeeded"
    noted = "select obj_description(to_regnamespace('connectors_queue'), 'pg_namespace')"
    assert rows(noted) == [("another version",)]
    platform.init()  # sets up anew, and grants anew
    assert rows(noted) != [("another version",)]
    assert platform.wait(platform.enqueue(declare({}), full_refresh=True).id, timeout=120).status == "succeeded"


# Logins


def test_a_second_time_the_login_gets_a_new_password_and_that_is_on_record(
    ipai: Any, login: str, rows: Any, platform: Platform
) -> None:
    name = name_of(login)
    done = ipai("worker-login", name)
    assert done.exit_code == 0
    newer = done.output.strip()
    assert name_of(newer) == name
    with psycopg.connect(newer) as connection:
        assert connection.execute("select session_user, current_user").fetchone() == (name, "connectors_worker")
    assert newer != login
    (verifier,) = rows("select rolpassword from pg_authid where rolname = %s", name)[0]
    assert verifier.startswith("SCRAM-SHA-256$")
    log = [(each.action, each.subject) for each in reversed(platform.audit(limit=10)) if each.subject == name]
    assert log == [("login.create", name), ("login.update", name)]


@pytest.mark.parametrize("name", ["owner", "anon", "connectors_worker"])
def test_no_other_role_is_made_a_worker(ipai: Any, rows: Any, name: str) -> None:
    if name == "owner":
        ((name,),) = rows("select session_user")
    done = ipai("worker-login", name)
    assert done.exit_code == 6
    assert "is a role already, and no worker's login" in done.output


def test_schemas_are_handed_over_so_that_all_workers_may_load(
    make_login: Any, rows: Any, platform: Platform, ipai: Any
) -> None:
    with psycopg.connect(platform.url, autocommit=True) as connection:
        connection.execute("create schema bronze; create table bronze.raw_old (id bigint primary key)")
        connection.execute("insert into bronze.raw_old values (1)")
    first, second = make_login("bronze", "silver"), make_login()
    with psycopg.connect(first) as one:
        one.execute("alter table bronze.raw_old add column more text")
        one.execute("create table bronze.raw_new (id bigint)")
        one.execute("create table silver.x (id bigint)")
    with psycopg.connect(second) as other:
        other.execute("alter table bronze.raw_new add column more text")
        other.execute("insert into bronze.raw_new values (7)")
        assert other.execute("select id from bronze.raw_old").fetchall() == [(1,)]
    owners = rows("select distinct tableowner from pg_tables where schemaname in ('bronze', 'silver')")
    assert owners == [("connectors_worker",)]
    done = ipai("worker-login", name_of(first), "--loads", "connectors")
    assert done.exit_code == 6
    assert "No target loads into schema connectors" in done.output


def test_an_owner_that_is_no_superuser_makes_logins_and_ends_sessions_they_left_behind(
    own_server: LocalPostgres, tmp_path: Path, until: Any
) -> None:
    """As on Supabase, whose postgres may create roles."""
    with psycopg.connect(own_server.url("postgres"), autocommit=True) as root:
        root.execute("create role owner login createrole password 'x'")
        root.execute("create database plain owner owner")
    url = re.sub(r"//[^@]*@", "//owner:x@", own_server.url("plain"))
    platform = Platform(tmp_path / "home", url)
    platform.init()
    with psycopg.connect(url, autocommit=True) as owner:
        owner.execute("create schema bronze; create table bronze.raw_old (id bigint)")
        owner.execute("insert into connectors.connector_definitions values ('fake', 'source', '{}', '/')")
        owner.execute("insert into connectors.connector_instances values ('test_fake', 'fake', 'fake', '{}')")
        first, second = (platform.fleet.worker_login(name, ["bronze"]).url for name in ("worker_a", "worker_b"))
        with psycopg.connect(first) as one:
            one.execute("create table bronze.raw_new as select id from bronze.raw_old")
        owner.execute("insert into bronze.raw_new values (1)")
        with platform.control_plane() as control_plane:
            control_plane.runs.enqueue("test_fake")
        with (
            psycopg.connect(first, autocommit=True, application_name="ipai") as zombie,
            psycopg.connect(second, autocommit=True, application_name="ipai") as worker,
        ):
            zombie.execute("select pg_advisory_lock(hashtextextended('ipai.instance.test_fake', 0))")
            assert worker.execute("select outcome from connectors.work_claim(1, 'b', '1 hour')").fetchone() == (
                "claimed",
            )
            zombie.execute("select connectors.work_end_holders('test_fake')")  # not its own: nothing
            worker.execute("select connectors.work_end_holders('test_fake')")
            lock = "select pg_try_advisory_lock(hashtextextended('ipai.instance.test_fake', 0))"
            until(lambda: worker.execute(lock).fetchone() == (True,))
            with pytest.raises(psycopg.OperationalError):
                zombie.execute("select 1")
