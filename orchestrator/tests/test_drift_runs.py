"""Schema drift in real runs, read back from the database."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from psycopg.rows import dict_row

from ipai.cli import main
from ipai.errors import NotFoundError, SchemaDriftError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from ipai.service import Platform

Declare = Any
INTEGER, TEXT, NUMBER = {"type": "integer"}, {"type": "string"}, {"type": "number"}
BASE = {"id": INTEGER, "note": TEXT}


@pytest.fixture
def query(platform: Platform) -> Iterator[Callable[..., list[dict[str, Any]]]]:
    with psycopg.connect(platform.url, autocommit=True, row_factory=dict_row) as connection:
        yield lambda text: connection.execute(text).fetchall()


@pytest.fixture
def found(query: Any) -> Callable[[], list[tuple[Any, ...]]]:
    """What is in the table: stream, property, kind, policy, status."""
    return lambda: [
        tuple(row.values())
        for row in query("select stream, property, kind, policy, status from connectors.schema_drift order by id")
    ]


def orders(columns: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"streams": {"orders": 2}, "columns": {"orders": columns}, **more}


def test_the_first_run_stores_the_baseline_and_the_second_changes_nothing(
    platform: Platform, declare: Declare, query: Any, found: Any
) -> None:
    name = declare({})
    platform.run(name)
    stored = query(
        "select stream, seen_by, status, schema, key_properties, replication_key from connectors.stream_schemas"
    )
    columns = {"type": "object", "properties": {"id": INTEGER, "note": TEXT}, "selected": True}
    assert sorted(map(str, stored)) == [
        str({
            "stream": stream, "seen_by": "discovery", "status": "accepted", "schema": columns, "key_properties": ["id"],
            "replication_key": "id",
        })
        for stream in ("items", "orders")
    ]  # fmt: skip
    before = query("select xmin::text, ctid::text from connectors.stream_schemas")
    platform.run(name)
    assert query("select xmin::text, ctid::text from connectors.stream_schemas") == before
    assert found() == []


def test_by_default_additions_and_losses_are_applied_and_told_before_the_load(
    platform: Platform, declare: Declare, query: Any, found: Any, loaded: Any
) -> None:
    platform.run(declare(orders(BASE)))
    name = declare(orders({"id": NUMBER, "more": TEXT}))
    run = platform.run(name).run
    assert found() == [
        ("orders", "id", "widened", "apply", "applied"),
        ("orders", "more", "added", "apply", "applied"),
        ("orders", "note", "removed", "apply", "applied"),
    ]
    (event,) = query("select at, run_id, payload from connectors.events where kind = 'schema.drift'")
    assert event["run_id"] == run.id
    assert run.started_at < event["at"] < run.finished_at
    assert event["payload"]["ends_run"] is False
    assert event["payload"]["changes"][2] == {
        "stream": "orders", "property": "note", "kind": "removed", "before": "string", "after": None,
        "severity": "warning", "policy": "apply", "models": [],
    }  # fmt: skip
    _, lines = platform.logs(name, run_id=run.id, side="ipai", limit=None)
    assert [line.message for line in lines] == [
        "Schema drift: orders.id widened (integer → number)",
        "Schema drift: orders.more added (string)",
        "Schema drift: orders.note removed (string)",
    ]
    platform.run(name)
    assert len(found()) == 3  # the baseline has moved
    assert loaded() == [["orders", 1], ["orders", 2], "end", "end", "end"]


def test_a_changed_type_ends_the_run_before_the_load_until_it_is_accepted(
    platform: Platform, declare: Declare, query: Any, found: Any, loaded: Any
) -> None:
    schedules = [{"cron": "0 5 * * *", "name": "early"}, {"cron": "0 6 * * *", "name": "late"}]
    platform.run(declare(orders(BASE), schedule=schedules))
    platform.fleet.pause("test_fake", "late", paused=True)
    name = declare(orders({"id": INTEGER, "note": {"type": "object"}}), schedule=schedules)
    with pytest.raises(SchemaDriftError, match=r"orders\.note type changed \(string → object\)\. Nothing was loaded"):
        platform.run(name)
    assert loaded() == [["orders", 1], ["orders", 2], "end"]
    (report,) = platform.status(name, limit=1)
    assert (report.run.status, report.run.error_kind) == ("failed", "drift")
    assert "accept test_fake" in report.run.error["hint"]
    with pytest.raises(SchemaDriftError):
        platform.run(name)
    assert found() == [("orders", "note", "type_changed", "pause", "pending")]
    assert query("select count(*) from connectors.events where kind = 'schema.drift'") == [{"count": 1}]  # told once
    assert query("select count(*) from connectors.connector_runs where trigger = 'retry'") == [{"count": 0}]
    resting = "select name, paused, paused_by from connectors.connector_schedules order by name"
    assert [tuple(row.values()) for row in query(resting)] == [("early", True, "drift"), ("late", True, "person")]

    (accepted,) = platform.drift.accept(name)
    assert (accepted.status, accepted.stream, accepted.kind) == ("applied", "orders", "type_changed")
    assert accepted.decided_by
    assert accepted.decided_at
    assert [tuple(row.values()) for row in query(resting)] == [("early", False, None), ("late", True, "person")]
    platform.run(name)
    assert len(found()) == 1
    with pytest.raises(NotFoundError, match="waits for a decision"):
        platform.drift.accept(name)


def test_a_run_of_the_queue_that_drifts_is_not_tried_again(platform: Platform, declare: Declare, query: Any) -> None:
    platform.run(declare(orders(BASE)))
    name = declare(orders({"id": TEXT, "note": TEXT}), drift="fail")
    query("update connectors.sla_tiers set first_delay = '0' returning 1")
    queued = platform.enqueue(name)
    with platform.control_plane() as control_plane:
        from ipai.leases import LeaseKeeper
        from ipai.worker import Worker

        with LeaseKeeper(platform.connect) as leases:
            Worker(platform.connect, platform.environments, platform.url).run(queued.id, leases)
        runs = control_plane.runs.of(name, 5)
    assert [(run.status, run.error_kind) for run in runs] == [("failed", "drift"), ("succeeded", None)]


def test_policy_fail_fails_each_run_and_leaves_schedules_alone(
    platform: Platform, declare: Declare, query: Any, found: Any
) -> None:
    platform.run(declare(orders(BASE), schedule="0 5 * * *"))
    name = declare(orders({"id": INTEGER, "more": TEXT}), drift={"removed": "fail"}, schedule="0 5 * * *")
    for _ in range(2):
        with pytest.raises(SchemaDriftError):
            platform.run(name)
    assert found() == [
        ("orders", "more", "added", "apply", "pending"),  # one decision for all that the run has found
        ("orders", "note", "removed", "fail", "pending"),
    ]
    assert query("select paused from connectors.connector_schedules") == [{"paused": False}]
    platform.drift.accept(name)
    platform.run(name)
    assert [status for *_, status in found()] == ["applied", "applied"]


def test_a_source_that_goes_back_needs_no_decision(
    platform: Platform, declare: Declare, query: Any, found: Any
) -> None:
    platform.run(declare(orders(BASE), schedule="0 5 * * *"))
    name = declare(orders({"id": INTEGER}), drift="pause", schedule="0 5 * * *")
    with pytest.raises(SchemaDriftError):
        platform.run(name)
    assert query("select paused_by from connectors.connector_schedules") == [{"paused_by": "drift"}]
    declare(orders(BASE), drift="pause", schedule="0 5 * * *")
    platform.run(name)
    assert found() == [("orders", "note", "removed", "pause", "withdrawn")]
    assert query("select paused, paused_by from connectors.connector_schedules") == [
        {"paused": False, "paused_by": None}
    ]
    assert query("select count(*) from connectors.stream_schemas where status = 'pending'") == [{"count": 0}]


def test_what_is_rejected_fails_until_the_source_is_mended_or_somebody_thinks_better_of_it(
    platform: Platform, declare: Declare, query: Any, found: Any
) -> None:
    platform.run(declare(orders(BASE), schedule="0 5 * * *"))
    name = declare(orders({"id": INTEGER}), drift="pause", schedule="0 5 * * *")
    with pytest.raises(SchemaDriftError):
        platform.run(name)
    platform.drift.reject(name)
    assert query("select paused from connectors.connector_schedules") == [{"paused": False}]
    with pytest.raises(SchemaDriftError):
        platform.run(name)
    assert found() == [("orders", "note", "removed", "pause", "rejected")]
    assert query("select paused from connectors.connector_schedules") == [{"paused": False}]
    declare(orders(BASE), drift="pause", schedule="0 5 * * *")
    platform.run(name)
    declare(orders({"id": INTEGER}), drift="pause", schedule="0 5 * * *")
    with pytest.raises(SchemaDriftError):
        platform.run(name)
    platform.drift.accept(name)
    platform.run(name)
    assert found() == [("orders", "note", "removed", "pause", "applied")]


def test_one_stream_can_be_decided_before_another(platform: Platform, declare: Declare, query: Any, found: Any) -> None:
    both = {"streams": {"orders": 1, "items": 1}}
    platform.run(declare(both, schedule="0 5 * * *"))
    name = declare(
        {**both, "columns": {"orders": {"id": TEXT}, "items": {"id": TEXT}}}, drift="pause", schedule="0 5 * * *"
    )
    with pytest.raises(SchemaDriftError):
        platform.run(name)
    assert {each.stream for each in platform.drift.accept(name, "items")} == {"items"}
    assert query("select paused_by from connectors.connector_schedules") == [{"paused_by": "drift"}]
    with pytest.raises(SchemaDriftError, match=r"changed: orders"):
        platform.run(name)
    platform.drift.accept(name, "orders")
    platform.run(name)
    assert {status for *_, status in found()} == {"applied"}


def test_keys_and_streams(platform: Platform, declare: Declare, found: Any, loaded: Any) -> None:
    platform.run(declare({"streams": {"orders": 1, "items": 1}}))
    name = declare({"streams": {"orders": 1, "events": 1}, "keys": {"orders": ["id", "note"]}})
    with pytest.raises(SchemaDriftError, match=r"orders key changed \(id → id, note\)"):
        platform.run(name)
    platform.drift.accept(name)
    assert found() == [
        ("orders", None, "key_changed", "pause", "applied"),
        ("events", None, "stream_added", "apply", "applied"),
        ("items", None, "stream_removed", "apply", "applied"),
    ]
    platform.run(name)
    assert len(found()) == 3
    assert loaded()[-2:] == [["events", 1], "end"]


def test_what_a_person_selects_is_no_drift(platform: Platform, declare: Declare, query: Any, found: Any) -> None:
    source = {"streams": {"orders": 1, "items": 1, "events": 1}}
    platform.run(declare(source, streams=["orders", "items"], drift="fail"))
    declare(source, streams=[{"stream": "orders", "exclude": ["note"]}, "events"], drift="fail")
    platform.run("test_fake")  # one stream more, one less, a property less
    declare(source, streams=["orders", "events"], drift="fail")
    platform.run("test_fake")  # the property is back
    platform.run("test_fake", streams=["items"])
    platform.run("test_fake")
    assert found() == []
    # A property that was left out all along changes as it likes.
    source["columns"] = {"orders": {"id": INTEGER, "note": {"type": "object"}}}
    declare(source, streams=[{"stream": "orders", "exclude": ["note"]}], drift="fail")
    platform.run("test_fake")
    assert found() == []
    assert query("select stream, left_out from connectors.stream_schemas") == [
        {"stream": "orders", "left_out": ["note"]}
    ]


def test_a_run_of_some_streams_judges_only_those(platform: Platform, declare: Declare, found: Any) -> None:
    platform.run(declare({"streams": {"orders": 1, "items": 1}}))
    name = declare({"streams": {"orders": 1}, "columns": {"orders": BASE}}, drift="fail")
    platform.run(name, streams=["orders"])
    assert found() == []
    with pytest.raises(SchemaDriftError, match="items removed"):
        platform.run(name)


def test_the_catalog_that_comes_with_the_connector_is_the_first_baseline(
    platform: Platform, declare: Declare, query: Any, found: Any, tmp_path: Path
) -> None:
    """It is told, but keeps no first run: there is nothing yet that could be harmed. A policy that is stated counts."""
    shipped = [
        {
            "tap_stream_id": name, "stream": name, "schema": {"properties": properties}, "key_properties": ["id"],
            "replication_key": "id",
        }
        for name, properties in (("orders", {"id": TEXT, "note": TEXT, "gone": TEXT}), ("other", {"id": TEXT}))
    ]  # fmt: skip
    (tmp_path / "catalog.json").write_text(json.dumps({"streams": shipped}))
    name = declare(orders({"id": {"type": "object"}, "note": TEXT}), drift={"removed": "fail"})
    with pytest.raises(SchemaDriftError, match=r"changed: orders\.gone removed"):
        platform.run(name)
    declare(orders({"id": {"type": "object"}, "note": TEXT}))
    platform.run(name)
    assert found() == [
        ("orders", "gone", "removed", "apply", "applied"),
        ("orders", "id", "type_changed", "apply", "applied"),
    ]
    assert query("select distinct baseline from connectors.schema_drift") == [{"baseline": "connector"}]
    platform.run(name)
    assert len(found()) == 2
    declare({"streams": {"orders": 2, "other": 1}, "columns": {"orders": {"id": {"type": "object"}, "note": TEXT}}})
    platform.run(name)
    assert found()[2:] == [
        ("other", None, "stream_added", "apply", "applied"),
        ("other", "id", "narrowed", "apply", "applied"),
        ("other", "note", "added", "apply", "applied"),
    ]


def test_a_schema_that_departs_from_its_catalog_is_seen_where_the_target_tells(
    platform: Platform, declare: Declare, found: Any, query: Any
) -> None:
    told = {"report_schemas": True}
    name = declare(orders(BASE), told)
    platform.run(name)
    platform.run(name)
    assert found() == []
    declare(orders(BASE, sends={"orders": {"id": INTEGER, "note": NUMBER}}), told)
    platform.run(name)
    assert found() == [("orders", "note", "narrowed", "apply", "applied")]
    assert query("select seen_by from connectors.schema_drift") == [{"seen_by": "target"}]
    # What discovery has told is not told again.
    declare(orders({"id": INTEGER}), told)
    platform.run(name)
    assert len(found()) == 2
    platform.run(name)
    assert len(found()) == 2
    lines = platform.logs(name, run_id=None, side="target", limit=None)[1]
    assert not [line.message for line in lines if "SCHEMA_RECEIVED" in line.message]


def test_a_tap_without_discovery_is_seen_by_what_the_target_receives(
    platform: Platform, declare: Declare, found: Any, loaded: Any
) -> None:
    told, plugin = {"report_schemas": True}, {"discover": False}
    name = declare(orders(BASE), told, plugin)
    platform.run(name)
    declare(orders({"id": INTEGER, "note": TEXT, "more": TEXT}), told, plugin)
    platform.run(name)
    assert found() == [("orders", "more", "added", "apply", "applied")]
    # It pauses between rows, so that nothing of what is refused can be through before the line is read.
    changed = {
        "streams": {"orders": 100},
        "columns": {"orders": {"id": TEXT, "note": INTEGER, "more": TEXT}},
        "pause": 0.2,
    }
    declare(changed, told, plugin, drift="fail")
    with pytest.raises(SchemaDriftError, match="What had not been committed was not loaded"):
        platform.run(name)
    assert {status for *_, status in found()} == {"applied", "pending"}
    assert ["orders", 100] not in loaded()
    platform.drift.accept(name)
    declare({**changed, "streams": {"orders": 3}, "pause": 0}, told, plugin, drift="fail")
    platform.run(name)
    assert {status for *_, status in found()} == {"applied"}


def test_a_target_that_tells_nothing_of_a_tap_without_discovery_leaves_nothing_to_compare(
    platform: Platform, declare: Declare
) -> None:
    name = declare(orders(BASE), None, {"discover": False})
    platform.run(name)
    assert platform.drift.baseline(name) == []


def test_a_property_that_postgres_cannot_store_ends_no_run(platform: Platform, declare: Declare, found: Any) -> None:
    told = {"report_schemas": True}
    platform.run(declare(orders({"id": INTEGER}), told))
    columns = json.dumps({"orders": {"id": INTEGER, "a\0\ud800": {"enum": ["\0", 5e400]}}})
    name = declare({"streams": {"orders": 2}, "columns": columns}, told)
    for _ in range(2):
        platform.run(name)
    assert found() == [("orders", "a\ufffd?", "added", "apply", "applied")]


def test_a_schema_too_long_for_a_log_line_is_compared_whole(platform: Platform, declare: Declare, found: Any) -> None:
    wide = {"id": INTEGER, **{f"column_{number:04}": TEXT for number in range(4000)}}
    told, plugin = {"report_schemas": True}, {"discover": False}
    name = declare(orders(wide), told, plugin)
    platform.run(name)
    declare(orders({**wide, "column_3999": NUMBER}), told, plugin)
    platform.run(name)
    assert found() == [("orders", "column_3999", "narrowed", "apply", "applied")]


def test_a_run_that_was_taken_over_writes_no_baseline(platform: Platform, declare: Declare) -> None:
    from ipai.drift import StreamSchema
    from ipai.errors import BusyError

    name = declare({})
    with platform.control_plane() as control_plane:
        run = control_plane.runs.start(name, "cli a", 30)
        control_plane.runs.finish(run, "failed")
        with pytest.raises(BusyError):
            control_plane.drift.record(run, "discovery", [], accept=[StreamSchema("orders", {})])
        assert control_plane.drift.schemas(name) == []


def test_the_commands(platform: Platform, declare: Declare, monkeypatch: pytest.MonkeyPatch) -> None:
    from click.testing import CliRunner

    def ipai(*arguments: str) -> Any:
        monkeypatch.setattr("sys.argv", ["ipai", *arguments])
        options = ["--home", str(platform.home), "--database", platform.url]
        return CliRunner().invoke(main, [*options, *arguments], catch_exceptions=False)

    name = declare(orders(BASE), schedule="0 5 * * *")
    assert ipai("drift").stdout == "No run has found a change.\n"
    assert "Next: ipai run test_fake" in ipai("drift", "baseline", name).stdout
    platform.run(name)
    declare(orders({"id": {"type": "boolean"}, "note": TEXT}), schedule="0 5 * * *")
    failed = ipai("run", name)
    assert failed.exit_code == 11
    assert "Next:" in failed.stderr
    shown = ipai("drift", name).stdout
    assert "orders.id" in shown
    assert "Next: ipai drift accept test_fake (or reject)" in shown
    assert "by drift" in ipai("schedule", "list").stdout
    (listed,) = json.loads(ipai("drift", "--json").stdout)
    assert (listed["kind"], listed["status"], listed["before"], listed["after"]) == (
        "type_changed",
        "pending",
        "integer",
        "boolean",
    )
    baseline = json.loads(ipai("drift", "baseline", name, "--json").stdout)
    assert [(each["stream"], each["status"]) for each in baseline] == [("orders", "accepted"), ("orders", "pending")]
    assert "pending" in ipai("drift", "baseline", name).stdout
    assert ipai("drift", "accept", name, "--stream", "items").exit_code == 4
    assert "1 changes rejected. Next: ipai run test_fake" in ipai("drift", "reject", name).stdout
    assert json.loads(ipai("drift", "accept", name, "--json").stdout)[0]["status"] == "applied"
    assert ipai("drift", "accept", name).exit_code == 4
    assert "1 schemas forgotten" in ipai("drift", "baseline", name, "--reset").stdout
    assert ipai("drift", "nobody_there").exit_code == 4
    assert platform.run(name).run.status == "succeeded"
