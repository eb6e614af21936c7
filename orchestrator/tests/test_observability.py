"""Logs that go on, figures for Prometheus, health: over real runs and real processes."""

from __future__ import annotations

import json
import socket
import subprocess
import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from click.testing import CliRunner, Result
from prometheus_client.parser import text_string_to_metric_families

from ipai.cli import main
from ipai.control_plane import ControlPlane
from ipai.errors import RunFailedError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ipai.service import Platform

Declare = Any
Samples = dict[tuple[str, ...], float]


@pytest.fixture
def ipai(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    def run(*arguments: str) -> Result:
        monkeypatch.setattr("sys.argv", ["ipai", *arguments])
        return CliRunner().invoke(
            main, ["--home", str(platform.home), "--database", platform.url, *arguments], catch_exceptions=False
        )

    return run


def samples(text: str) -> Samples:
    """Every sample by its name and the values of its labels, in the labels' order."""
    found: Samples = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            key = (sample.name, *(value for _, value in sorted(sample.labels.items())))
            assert key not in found, "the same sample twice"
            found[key] = sample.value
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_a_line_keeps_its_level_and_its_stream(platform: Platform, declare: Declare) -> None:
    name = declare({"fail_after": ["orders", 2], "how": "exit"})
    with pytest.raises(RunFailedError):
        platform.run(name)
    _, lines = platform.logs(name, run_id=None, side=None, limit=None)
    assert [(line.side, line.level, line.stream) for line in lines if line.side == "tap"] == [
        ("tap", "info", None), ("tap", "critical", "orders"),
    ]  # fmt: skip
    (ours,) = [line for line in lines if line.side == "ipai"]
    assert (ours.level, ours.stream) == (None, "orders")


def test_logs_as_an_object_a_line(ipai: Callable[..., Result], platform: Platform, declare: Declare) -> None:
    name = declare({})
    run = platform.run(name).run
    (line,) = [json.loads(line) for line in ipai("logs", name, "--format", "json", "--side", "tap").stdout.splitlines()]
    assert {key: line[key] for key in ("run", "instance", "line", "side", "level", "stream", "message")} == {
        "run": run.id, "instance": name, "line": 1, "side": "tap", "level": "info", "stream": None,
        "message": "INFO the secret is None and in the environment None",
    }  # fmt: skip
    assert run.started_at is not None
    assert line["at"] > run.started_at.isoformat()


def test_following_a_log_ends_with_the_run(platform: Platform, declare: Declare, start: Any, until: Any) -> None:
    name = declare({"fail_after": ["orders", 3], "how": "hang"})
    queued = platform.enqueue(name)
    worker = start("worker")
    until(lambda: platform.logs(name, run_id=queued.id, side=None, limit=None)[1])
    following = start("logs", name, "--follow", "--json", stdout=subprocess.PIPE)
    first = json.loads(following.stdout.readline())
    assert (first["side"], first["line"]) == ("tap", 1)
    assert following.poll() is None
    platform.cancel(queued.id)
    rest = [json.loads(line) for line in following.stdout]
    assert following.wait(10) == 0
    assert platform.wait(queued.id, timeout=10).status == "cancelled"
    assert rest[-1]["message"] == "Cancelled. The next run goes on from the last bookmark."
    numbers = [first["line"], *(line["line"] for line in rest)]
    assert numbers == list(range(1, len(numbers) + 1))
    assert worker.poll() is None


def test_totals_outlive_the_runs_they_count(platform: Platform, declare: Declare) -> None:
    name = declare({})
    platform.run(name)
    platform.run(name, full_refresh=True)
    with pytest.raises(RunFailedError):
        platform.run(declare({"streams": {"orders": 9}, "fail_after": ["orders", 7], "how": "exit"}))
    before = samples(platform.watch.metrics())
    assert before["ipai_runs_total", "", name, "sync", "succeeded"] == 2
    assert before["ipai_runs_total", "transient", name, "sync", "failed"] == 1
    assert before["ipai_loaded_rows_total", name] == 16
    with psycopg.connect(platform.url) as connection:
        connection.execute("delete from connectors.connector_runs")
    after = samples(platform.watch.metrics())
    totals = {key: value for key, value in before.items() if key[0].endswith("_total")}
    assert {key: after[key] for key in totals} == totals


def test_history_from_before_is_in_the_totals(database: str) -> None:
    """The migration sums up what an older version left."""
    from ipai.control_plane.migrations import migrations

    ours = next(each for each in migrations() if each.name == "observability")
    with psycopg.connect(database, autocommit=True) as connection:
        for migration in migrations():
            if migration.version < ours.version:
                connection.execute(migration.path.read_bytes())
        connection.execute(
            """insert into connectors.connector_runs (instance, status, started_at, finished_at, error_kind) values
               ('a', 'succeeded', '2026-01-01 10:00Z', '2026-01-01 10:00:30Z', null),
               ('a', 'succeeded', '2026-01-02 10:00Z', '2026-01-02 10:01Z', null),
               ('a', 'failed', '2026-01-03 10:00Z', '2026-01-03 10:00:01Z', 'stalled');
               insert into connectors.connector_run_streams (run_id, stream, rows, bytes)
               select id, 's' || n, 10, null from connectors.connector_runs, generate_series(1, 2) n
               where status = 'succeeded'"""
        )
        connection.execute(ours.path.read_bytes())
        rows = connection.execute(
            "select status, error_kind, runs, seconds, rows, bytes from connectors.run_totals order by 1"
        ).fetchall()
    assert rows == [("failed", "stalled", 1, 1.0, 0, 0), ("succeeded", "", 2, 90.0, 40, 0)]


def test_a_real_scrape_of_queue_lateness_and_fleet(
    platform: Platform, declare: Declare, start: Any, until: Any
) -> None:
    name = declare({}, schedule="0 3 * * *", sla_tier="critical")
    run = platform.run(name).run
    with psycopg.connect(platform.url, autocommit=True) as connection:
        # A run has been owed for longer than its tier allows.
        connection.execute(
            "update connectors.connector_schedules set last_due_at = now() - interval '1 hour', "
            "overdue_since = now() - interval '1 hour', next_at = now() + interval '1 day'"
        )
    port = free_port()
    platform.enqueue(name)
    scheduler = start("scheduler", "--metrics-port", str(port))

    def scrape() -> Samples:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
            assert answer.headers["Content-Type"].startswith("text/plain")
            return samples(answer.read().decode())

    def scraped() -> Samples | None:
        try:
            found = scrape()
        except urllib.error.URLError:
            return None
        return found if ("ipai_fleet_members", "scheduler", "alive") in found else None

    found = until(scraped)
    assert found["ipai_control_plane_up",] == 1
    assert found["ipai_fleet_members", "scheduler", "alive"] == 1
    assert found["ipai_instance_late", name, "critical"] == 1
    assert found["ipai_sla_latest_seconds", "critical"] == 900
    assert run.finished_at is not None
    assert found["ipai_instance_last_success_timestamp_seconds", name, "critical"] == pytest.approx(
        run.finished_at.timestamp(), abs=0.001
    )
    assert found["ipai_queued_runs", "default", "due"] == 1
    assert found["ipai_queue_oldest_due_timestamp_seconds", "default"] == pytest.approx(time.time(), abs=60)
    assert ("ipai_running_runs", "default") not in found
    assert found["ipai_last_run_stream_rows", name, "orders"] == 5
    start("worker")
    ended = until(lambda: (again := scrape())[("ipai_runs_total", "", name, "sync", "succeeded")] == 2 and again)
    assert ended["ipai_instance_late", name, "critical"] == 0
    assert ended["ipai_last_run_stream_rows", name, "orders"] == 0
    assert ended["ipai_fleet_members", "worker", "alive"] == 1
    scheduler.terminate()
    assert scheduler.wait(20) == 0
    assert ("ipai_fleet_members", "scheduler", "alive") not in samples(platform.watch.metrics())


def test_deliveries_that_wait_are_counted(platform: Platform) -> None:
    with psycopg.connect(platform.url, autocommit=True) as connection:
        connection.execute(
            "create table if not exists connectors.deliveries (event_id bigint, channel text, instance text, "
            "status text default 'waiting', since timestamptz default clock_timestamp())"
        )
        connection.execute(
            "insert into connectors.deliveries (event_id, channel, instance, status, since) "
            "values (1, 'ops', '', 'waiting', '2026-01-01Z'), (2, 'ops', '', 'waiting', '2026-01-02Z'), "
            "(3, 'ops', '', 'delivered', '2025-01-01Z')"
        )
    found = samples(platform.watch.metrics())
    assert found["ipai_waiting_deliveries", "ops"] == 2
    assert found["ipai_waiting_deliveries_since_timestamp_seconds", "ops"] == 1767225600


def test_metrics_without_a_database_say_so() -> None:
    from ipai.metrics import exposition

    def connect() -> ControlPlane:
        return ControlPlane("postgresql://nobody:secret-pw@127.0.0.1:1/x")

    text = exposition(connect, "1.0")
    assert samples(text) == {("ipai_build_info", "1.0"): 1.0, ("ipai_control_plane_up",): 0.0}
    assert "secret-pw" not in text


def test_a_port_that_is_taken_is_named(ipai: Callable[..., Result]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = ipai("scheduler", "--metrics-port", str(port))
    assert result.exit_code == 1
    assert f"127.0.0.1:{port}" in result.stderr
    assert "Traceback" not in result.output


def test_health_of_a_worker_from_its_start_to_its_end(
    ipai: Callable[..., Result], start: Any, platform: Platform, until: Any
) -> None:
    assert ipai("health").exit_code == 0
    assert "Next: ipai worker, and see its log." in ipai("health", "--role", "worker").stdout
    absent = ipai("health", "--role", "worker", "--json")
    assert absent.exit_code == 1
    assert json.loads(absent.stdout)["checks"][-1]["detail"] == f"no worker has been seen on {socket.gethostname()}"
    worker = start("worker")
    until(lambda: ipai("health", "--role", "worker").exit_code == 0)
    assert ipai("health", "--role", "scheduler").exit_code == 1
    with psycopg.connect(platform.url, autocommit=True) as connection:
        connection.execute("update connectors.fleet_members set seen_at = now() - interval '2 minutes'")
    silent = ipai("health", "--role", "worker")
    assert (silent.exit_code, "120 s ago. Next: see its log, and restart it." in silent.stdout) == (1, True)
    worker.terminate()
    assert worker.wait(20) == 0
    with psycopg.connect(platform.url, autocommit=True) as connection:
        assert connection.execute("select count(*) from connectors.fleet_members").fetchone() == (0,)


def test_health_changes_nothing(database: str, tmp_path: Path) -> None:
    def health(url: str) -> Result:
        return CliRunner().invoke(main, ["--home", str(tmp_path), "--database", url, "health", "--json"])

    before = health(database)
    assert before.exit_code == 6
    assert [(each["name"], each["healthy"]) for each in json.loads(before.stdout)["checks"]] == [
        ("database", True),
        ("schema", False),
    ]
    with psycopg.connect(database) as connection:
        assert connection.execute("select to_regnamespace('connectors')").fetchone() == (None,)
    away = health("postgresql://nobody:secret-pw@127.0.0.1:1/x")
    assert (away.exit_code, "secret-pw" in away.output) == (6, False)
    assert json.loads(away.output)["checks"][0]["hint"].startswith("Check --database or IPAI_DATABASE_URL")
    embedded = CliRunner().invoke(main, ["--home", str(tmp_path), "health"], env={"IPAI_DATABASE_URL": ""})
    assert embedded.exit_code == 6
    assert "is not running. Next: ipai local start" in embedded.stdout
    assert list(tmp_path.iterdir()) == []


def test_installing_a_connector_that_does_not_exist_names_those_that_do(ipai: Callable[..., Result]) -> None:
    result = ipai("install", "odooo")
    assert result.exit_code == 4
    assert "There are dbt, github, odoo, postgres, rest_api." in result.stderr
