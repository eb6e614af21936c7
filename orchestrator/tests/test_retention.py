"""What is old goes, and what remains is read back."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from click.testing import CliRunner

from ipai import retention
from ipai.cli import main
from ipai.control_plane import retention as batches
from ipai.errors import BusyError, NotFoundError, SpecError
from ipai.retention import Retained, retain, retain_if_due
from ipai.specs import load_catalogs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ipai.service import Platform

BRONZE = {
    "sqlalchemy_url": "${ipai:database_url}", "default_target_schema": "bronze", "source_name": "${ipai:instance}",
}  # fmt: skip


@pytest.fixture
def sql(platform: Platform) -> Iterator[Callable[..., list[Any]]]:
    with psycopg.connect(platform.url, autocommit=True) as connection:

        def run(query: str, *parameters: Any) -> list[Any]:
            cursor = connection.execute(query, parameters or None)
            return cursor.fetchall() if cursor.description else []

        yield run


@pytest.fixture
def bronze(sql: Any) -> Callable[..., None]:
    """Make a table of Bronze: rows 1 … of an instance, row n extracted n days ago."""
    sql("create schema bronze")

    def make(table: str, rows: int, stream: str | None = None, source: str = "test_fake") -> None:
        sql(
            f'create table if not exists bronze."{table}" (id bigint, note text, amount numeric, day date, '
            "_sdc_source text, _sdc_stream text, _sdc_extracted_at timestamptz, _sdc_deleted_at timestamptz)"
        )
        sql(
            f'insert into bronze."{table}" select n, %s || n, n / 3.0, current_date - n, %s, %s, '
            "now() - n * interval '1 day', case when n %% 2 = 0 then now() - n * interval '1 day' end "
            "from generate_series(1, %s) n",
            'a "quoted"\\\tnote\n', source, stream or table, rows,
        )  # fmt: skip

    return make


def ids(sql: Any, table: str) -> list[int]:
    return [row[0] for row in sql(f'select id from bronze."{table}" order by id')]


def of_table(done: list[Retained], table: str) -> Retained:
    (found,) = [each for each in done if each.table == f"bronze.{table}"]
    return found


def make_history(sql: Any) -> None:
    """Runs of two instances, 10, 100 and 400 days old, with lines, metrics, events, deliveries and a job."""
    sql(
        "insert into connectors.connector_runs (instance, status, started_at, finished_at) "
        "select i, 'succeeded', now() - d * interval '1 day', now() - d * interval '1 day' "
        "from unnest(array[400, 100, 10]) with ordinality days (d, o), unnest(array['a_x', 'b_x']) i "
        "where not (i = 'b_x' and d < 400) order by o, i"
    )
    sql(
        "insert into connectors.connector_run_logs select id, n, finished_at, 'tap', 'x' "
        "from connectors.connector_runs, generate_series(1, 3) n"
    )
    sql("insert into connectors.connector_run_streams (run_id, stream) select id, 's' from connectors.connector_runs")
    sql("insert into connectors.channels (name, kind, url, kinds) values ('c', 'webhook', 'http://x.test', '{run.*}')")
    sql(
        "insert into connectors.events (at, kind, instance, run_id) select finished_at, 'run.succeeded', instance, id "
        "from connectors.connector_runs order by id"
    )
    sql("update connectors.deliveries d set since = e.at from connectors.events e where e.id = d.event_id")
    sql(
        "update connectors.deliveries set status = 'delivered' "
        "where event_id <> (select min(id) from connectors.events)"
    )
    sql(
        "set search_path to connectors_queue; insert into procrastinate_jobs (queue_name, task_name, status) values "
        "('default', 'ipai.run', 'succeeded'), ('default', 'ipai.run', 'todo')"
    )


def test_what_the_platform_wrote_about_itself(platform: Platform, sql: Any) -> None:
    make_history(sql)
    planned = {each.subject: each.rows for each in platform.retention.plan()}
    assert planned == {"logs": 9, "metrics": 3, "deliveries": 2, "events": 2, "runs": 1, "jobs": 1}
    assert sql("select count(*) from connectors.connector_runs") == [(4,)]
    done = {each.subject: each.rows for each in platform.retention.retain()}
    assert done == planned
    days = "select instance, round(extract(epoch from now() - {}) / 86400)::int from connectors.{} order by 1, 2"
    # The newest run of an instance stays, however old.
    assert sql(days.format("finished_at", "connector_runs")) == [("a_x", 10), ("a_x", 100), ("b_x", 400)]
    # What is still to be delivered stays.
    assert sql(days.format("at", "events")) == [("a_x", 10), ("a_x", 400)]
    assert sql(days.format("since", "deliveries")) == [("a_x", 10), ("a_x", 400)]
    assert sql(
        "select instance, count(*) from connectors.connector_run_logs join connectors.connector_runs on id = run_id "
        "group by 1"
    ) == [("a_x", 3)]
    assert sql("select count(*) from connectors.connector_run_streams") == [(1,)]
    assert sql("select status::text from connectors_queue.procrastinate_jobs") == [("todo",)]
    assert {each.subject: each.rows for each in platform.retention.retain()} == dict.fromkeys(planned, 0)


def test_periods_are_settings(platform: Platform, sql: Any) -> None:
    make_history(sql)
    platform.retention.set_period("logs", 5)
    platform.retention.set_period("runs", 50)
    done = {each.subject: each.rows for each in platform.retention.retain()}
    assert (done["logs"], done["runs"]) == (12, 2)
    assert sql("select instance from connectors.connector_runs order by 1") == [("a_x",), ("b_x",)]
    with pytest.raises(NotFoundError, match="Nothing called 'toasts'"):
        platform.retention.set_period("toasts", 5)


def test_much_goes_in_batches_that_commit_one_by_one(
    platform: Platform, sql: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_history(sql)
    monkeypatch.setattr(batches, "_BATCH", 2)
    stop = threading.Event()
    stop.set()
    with platform.control_plane() as control_plane:
        # One batch, and it is there to stay.
        assert {each.subject: each.rows for each in retain(control_plane, stop)} == {"logs": 2}
        assert sql("select count(*) from connectors.connector_run_logs") == [(10,)]
        assert control_plane.retention.is_due(retention.TASK)
        retain(control_plane)
        assert sql("select count(*) from connectors.connector_run_logs") == [(3,)]
        assert not control_plane.retention.is_due(retention.TASK)


def test_once_a_day_over_all_schedulers(platform: Platform, sql: Any) -> None:
    make_history(sql)

    def scheduler(_: int) -> bool:
        with platform.control_plane() as control_plane:
            return retain_if_due(control_plane) is not None

    with ThreadPoolExecutor(8) as schedulers:
        assert sum(schedulers.map(scheduler, range(24))) == 1
    assert sql("select name, result -> 0 ->> 'subject' from connectors.daily_tasks") == [("retention", "logs")]
    sql("update connectors.daily_tasks set done_at = now() - interval '25 hours'")
    assert scheduler(0)
    with platform.control_plane() as one, platform.control_plane() as other, one.retention.task(retention.TASK):
        with pytest.raises(BusyError):
            retain(other)
        sql("delete from connectors.daily_tasks")
        assert retain_if_due(other) is None
    assert scheduler(0)  # whoever held it and died had not written that it was done


def test_bronze_keeps_what_its_instance_declares(platform: Platform, declare: Any, sql: Any, bronze: Any) -> None:
    bronze("raw_fake_clicks", 40, "clicks")
    bronze("raw_fake_clicks", 40, "clicks", source="someone_else")
    bronze("raw_fake_orders", 40, "orders")
    bronze("raw_fake_days", 40, "days")
    bronze("raw_fake_customers", 40, "customers")
    rules = [
        {"stream": "orders", "deleted": "20 days"},
        {"stream": "days", "keep": "10 days", "by": "day"},
        {"stream": "c*s", "keep": "30 days", "deleted": "10 days"},
    ]
    declare({}, BRONZE, retention=rules)
    planned = platform.retention.plan()
    done = platform.retention.retain()
    assert [(each.table, each.rows) for each in done] == [(each.table, each.rows) for each in planned]
    assert ids(sql, "raw_fake_orders") == [n for n in range(1, 41) if n % 2 or n <= 20]
    assert ids(sql, "raw_fake_days") == list(range(1, 11))
    kept = [n for n in range(1, 31) if n % 2 or n <= 10]
    assert ids(sql, "raw_fake_customers") == kept
    assert ids(sql, "raw_fake_clicks") == sorted([*kept, *range(1, 41)])
    assert of_table(done, "raw_fake_clicks").rows == 40 - len(kept)


def test_what_is_archived_can_be_brought_back(
    platform: Platform, declare: Any, sql: Any, bronze: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "_PAGES", 1)
    bronze("raw_fake_clicks", 500, "../click/s")
    before = sql("select * from bronze.raw_fake_clicks order by id")
    declare({}, BRONZE, retention=[{"stream": "*", "keep": "100 days", "archive": str(tmp_path / "archive")}])
    (done,) = [each for each in platform.retention.retain() if each.table]
    assert (done.rows, done.problem) == (400, None)
    assert len(done.files) > 2
    assert ids(sql, "raw_fake_clicks") == list(range(1, 101))
    noted = sql("select path, rows, bytes, sha256, stream from connectors.archives order by id")
    assert [row[0] for row in noted] == list(done.files)
    lines = []
    for path, rows, size, sha256, stream in noted:
        assert Path(path).parent == tmp_path / "archive" / "test_fake" / "..%2Fclick%2Fs"
        assert (Path(path).stat().st_size, Path(path).stat().st_mode & 0o777) == (size, 0o600)
        content = gzip.decompress(Path(path).read_bytes())
        assert hashlib.sha256(content).hexdigest() == sha256
        assert (content.count(b"\n"), stream) == (rows, "../click/s")
        lines += content.decode().splitlines()
    # As docs/retention.md says.
    with psycopg.connect(platform.url) as connection, connection.cursor() as cursor:
        cursor.execute("create temp table lines (line jsonb)")
        with cursor.copy(r"copy lines from stdin with (format csv, quote e'\x01', delimiter e'\x02')") as copy:
            copy.write("\n".join(lines) + "\n")
        cursor.execute(
            "insert into bronze.raw_fake_clicks select r.* "
            "from lines, jsonb_populate_record(null::bronze.raw_fake_clicks, line) r"
        )
    assert sql("select * from bronze.raw_fake_clicks order by id") == before
    assert list((tmp_path / "archive").rglob("*.part")) == []


def test_without_an_archive_nothing_is_deleted(
    platform: Platform, declare: Any, sql: Any, bronze: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bronze("raw_fake_clicks", 40, "clicks")
    (tmp_path / "archive").write_text("no folder")
    declare({}, BRONZE, retention=[{"stream": "*", "keep": "10 days", "archive": str(tmp_path / "archive")}])
    done = of_table(platform.retention.retain(), "raw_fake_clicks")
    assert done.rows == 0
    assert "The archive cannot be written, so nothing was deleted" in str(done.problem)
    assert ids(sql, "raw_fake_clicks") == list(range(1, 41))
    (tmp_path / "archive").unlink()
    real = os.fsync

    def fsync(handle: int) -> None:  # a disk that loses what it was given
        os.ftruncate(handle, 100)
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    done = of_table(platform.retention.retain(), "raw_fake_clicks")
    assert (done.rows, done.files) == (0, ())
    assert done.problem
    assert ids(sql, "raw_fake_clicks") == list(range(1, 41))
    assert sql("select * from connectors.archives") == []
    assert [path for path in (tmp_path / "archive").rglob("*") if path.is_file()] == []


def test_rows_that_a_run_is_writing_are_passed_over(platform: Platform, declare: Any, sql: Any, bronze: Any) -> None:
    bronze("raw_fake_clicks", 40, "clicks")
    declare({}, BRONZE, retention=[{"stream": "*", "keep": "10 days"}])
    with psycopg.connect(platform.url) as loader:
        loader.execute("update bronze.raw_fake_clicks set _sdc_extracted_at = now() where id = 39")
        platform.retention.retain()
        loader.commit()
    assert ids(sql, "raw_fake_clicks") == [*range(1, 11), 39]


def test_killed_in_the_middle_every_row_is_somewhere(
    platform: Platform, declare: Any, sql: Any, bronze: Any, tmp_path: Path
) -> None:
    archive = tmp_path / "archive"
    bronze("raw_fake_clicks", 3000, "clicks")
    declare({}, BRONZE, retention=[{"stream": "*", "keep": "1 days", "archive": str(archive)}])
    code = (
        "import sys; from ipai.control_plane import ControlPlane, retention as batches;"
        "from ipai.retention import retain;"
        "batches._PAGES = 1\n"
        "with ControlPlane(sys.argv[1]) as control_plane: retain(control_plane)"
    )
    victim = subprocess.Popen([sys.executable, "-c", code, platform.url])
    deadline = time.monotonic() + 30
    while sql("select count(*) from connectors.archives") == [(0,)]:
        assert time.monotonic() < deadline
    victim.send_signal(signal.SIGKILL)
    victim.wait(10)
    sql(
        "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'ipai' "
        "and pid <> pg_backend_pid()"
    )
    there = ids(sql, "raw_fake_clicks")
    assert 0 < len(there) < 3000
    archived = [
        json.loads(line)["id"]
        for (path,) in sql("select path from connectors.archives")
        for line in gzip.decompress(Path(path).read_bytes()).splitlines()
    ]
    assert sorted(archived + there) == list(range(1, 3001))
    platform.retention.retain()
    assert ids(sql, "raw_fake_clicks") == [1]
    assert sql("select sum(rows) from connectors.archives") == [(2999,)]


def test_what_cannot_be_done_is_said(platform: Platform, declare: Any, sql: Any, bronze: Any) -> None:
    rules = [{"stream": "*", "keep": "10 days", "by": "note"}]
    declare({}, retention=rules)
    (done,) = [each for each in platform.retention.retain() if each.subject == "test_fake"]
    assert done.problem == "Its destination is not the platform's own database."
    bronze("raw_fake_clicks", 20, "clicks")
    declare({}, BRONZE, retention=rules)
    assert (
        of_table(platform.retention.retain(), "raw_fake_clicks").problem
        == "It has no column note that is a date or a time."
    )
    assert len(ids(sql, "raw_fake_clicks")) == 20


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("{stream: a, keep: 365 days, deleted: 30 days, by: day, archive: /srv/archive}", None),
        ("{stream: a, keep: 1 year}", "retention.0.keep"),
        ("{stream: a}", "retention.0"),
        ("{stream: a, keep: 5 days, archive: s3://bucket}", "retention.0.archive"),
        ("{keep: 5 days}", "'stream' is missing"),
        ("{stream: a, kept: 5 days}", "did you mean 'keep'"),
    ],
)
def test_the_spec(tmp_path: Path, rule: str, said: str | None) -> None:
    text = "kind: instance\nname: prod_odoo\nsource: {connector: odoo}\ndestination: {connector: postgres}\n"
    (tmp_path / "prod_odoo.yaml").write_text(f"{text}retention: [{rule}]\n")
    if said is None:
        (made,) = load_catalogs(tmp_path).instances["prod_odoo"].retention
        assert (made.keep_days, made.deleted_days, made.by, made.archive) == (365, 30, "day", "/srv/archive")
        return
    with pytest.raises(SpecError) as error:
        load_catalogs(tmp_path)
    assert said in str(error.value)


def test_the_command_line(platform: Platform, sql: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    make_history(sql)

    def ipai(*arguments: str) -> Any:
        monkeypatch.setattr("sys.argv", ["ipai", *arguments])
        options = ["--home", str(platform.home), "--database", platform.url]
        return CliRunner().invoke(main, [*options, *arguments], catch_exceptions=False)

    assert "Nothing has been changed" in ipai("retain", "--plan").stdout
    shown = json.loads(ipai("retain", "--keep", "logs", "5", "--json").stdout)
    assert shown["done"] is True
    assert {each["subject"]: each["rows"] for each in shown["retained"]}["logs"] == 12
    assert "0 rows deleted" in ipai("retain").stdout
    assert ipai("retain", "--plan", "--keep", "logs", "9").exit_code == 2
    assert ipai("retain", "--keep", "toasts", "9").exit_code == 4
