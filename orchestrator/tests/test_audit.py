"""Who changed what: every way a person or a program has to change something leaves a row, and no secret in it."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from click.testing import CliRunner

from ipai.cli import main
from ipai.control_plane.database import account
from ipai.scheduler import tick
from ipai.service import Platform

if TYPE_CHECKING:
    from collections.abc import Callable

SECRET = "canary-7f3a9"


@pytest.fixture
def entries(platform: Platform) -> Callable[[], list[tuple[str, str, Any]]]:
    """What has been written since the last call: action, subject, details; oldest first."""
    seen = 0

    def new() -> list[tuple[str, str, Any]]:
        nonlocal seen
        found = [each for each in reversed(platform.audit(limit=1000)) if each.id > seen]
        seen = max([seen, *(each.id for each in found)])
        assert {each.actor for each in found} <= {account()}
        return [(each.action, each.subject, dict(each.details)) for each in found]

    return new


def test_specs_tell_which_keys_changed_and_never_a_value(platform: Platform, declare: Any, entries: Any) -> None:
    name = declare({}, schedule="0 4 * * *")
    made = entries()
    assert [(action, subject) for action, subject, _ in made] == [
        ("connector.create", "fake"), ("connector.create", "files"), ("instance.create", name),
        ("schedule.create", f"{name}/default"),
    ]  # fmt: skip
    assert made[3][2]["changed"]["cron"] == [None, "0 4 * * *"]
    # A connection string with a password in it is no setting that the connector calls secret.
    declare({"host": f"https://user:{SECRET}@example.org"}, schedule="30 4 * * *", sla_tier="critical")
    assert entries() == [
        ("instance.update", name,
         {"changed": {"sla_tier": ["standard", "critical"]},
          "keys": ["spec.schedule", "spec.sla_tier", "spec.source.config.host"]}),
        ("schedule.update", f"{name}/default", {"changed": {"cron": ["0 4 * * *", "30 4 * * *"]}}),
    ]  # fmt: skip
    declare({"host": f"https://user:{SECRET}@example.org"}, schedule="30 4 * * *", sla_tier="critical")
    assert entries() == []  # nothing has changed
    with psycopg.connect(platform.url) as connection:
        connection.execute("delete from connectors.connector_instances")
    with psycopg.connect(platform.url) as connection:
        deleted = connection.execute(
            "select actor, action from connectors.audit_log where action like '%.delete' order by id"
        ).fetchall()
        (whole,) = connection.execute("select string_agg(a::text, '') from connectors.audit_log a").fetchone() or ("",)
    assert [action for _, action in deleted] == ["instance.delete", "schedule.delete"]
    assert {actor for actor, _ in deleted} == {"ipai"}  # somebody at a psql prompt: the login
    assert SECRET not in whole


def test_what_is_switched_while_the_platform_runs(platform: Platform, declare: Any, entries: Any) -> None:
    name = declare({}, schedule="0 4 * * *")
    entries()
    platform.fleet.pause(name, paused=True)
    platform.fleet.pause(name, paused=True)
    platform.fleet.set_quota("fake", 3)
    platform.fleet.set_quota("fake", 2)
    platform.fleet.set_quota("fake", None)
    assert [(action, subject, details["changed"]) for action, subject, details in entries()] == [
        ("schedule.update", f"{name}/default", {"paused": [False, True]}),
        ("quota.create", "fake", {"name": [None, "fake"], "max_running": [None, 3]}),
        ("quota.update", "fake", {"max_running": [3, 2]}),
        ("quota.delete", "fake", {"name": ["fake", None], "max_running": [2, None]}),
    ]


def test_bookmarks_changed_by_hand_and_only_those(platform: Platform, declare: Any, entries: Any) -> None:
    name = declare({})
    platform.run(name)  # writes STATE eight times over
    platform.run(name, full_refresh=True)
    assert [(action, details.get("full_refresh")) for action, _, details in entries()[3:]] == [
        ("run.request", False), ("run.request", True),
    ]  # fmt: skip
    platform.set_bookmark(name, "orders", {"id": 2})
    platform.clear_state(name, ["items"])
    platform.clear_state(name, None)
    platform.replace_state(name, {"bookmarks": {"orders": {"id": 1}}})
    platform.replace_state(name, {"bookmarks": {"orders": {"id": 1}}})
    assert entries() == [
        ("state.change", name, {"keys": ["bookmarks.orders.id"]}),
        ("state.change", name, {"keys": ["bookmarks.items"]}),
        ("state.change", name, {"keys": ["bookmarks"]}),
        ("state.change", name, {"keys": ["bookmarks"]}),
    ]


def test_what_the_platform_does_by_itself_is_no_change_of_anybodys(
    platform: Platform, declare: Any, entries: Any
) -> None:
    declare({}, schedule="* * * * *")
    entries()
    with platform.control_plane() as control_plane:
        tick(control_plane)
        tick(control_plane, datetime.now(timezone.utc).replace(year=2100))
        assert [run.trigger for run in control_plane.runs.latest().values()] == ["schedule"]
    assert entries() == []


def test_asked_for_and_cancelled(platform: Platform, declare: Any, entries: Any) -> None:
    name = declare({})
    entries()
    run = platform.enqueue(name, streams=["orders"])
    platform.cancel(run.id)
    platform.cancel(run.id)
    assert entries() == [
        ("run.request", name, {"run_id": run.id, "kind": "sync", "streams": ["orders"], "full_refresh": False}),
        ("run.cancel", name, {"run_id": run.id}),
    ]


def test_whoever_acts_for_another_says_so_and_only_the_owner_is_believed(
    platform: Platform, declare: Any, api: Any
) -> None:
    name = declare({})
    agent = Platform(platform.home, platform.database_url, actor="token deploy-bot")
    agent.enqueue(name, streams=["orders"])
    with api.request("run", commit=True) as connection:
        connection.execute("select set_config('ipai.actor', 'root@production', true)")
        connection.execute("select connectors.enqueue_connector_job(%s)", [name])
    with api.request("service_role", commit=True) as connection:
        connection.execute("select set_config('ipai.actor', 'root@production', true)")
        connection.execute("select connectors.enqueue_connector_job(%s, '{items}')", [name])
    asked = [each.actor for each in platform.audit(name, limit=3)]
    assert asked == ["service_role", api.ann, "token deploy-bot"]


def test_the_command_shows_it(platform: Platform, declare: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    name = declare({}, schedule="0 4 * * *")
    platform.fleet.pause(name, paused=True)
    platform.fleet.set_quota("other", 3)

    def ipai(*arguments: str) -> str:
        monkeypatch.setattr("sys.argv", ["ipai", *arguments])
        done = CliRunner().invoke(
            main, ["--database", platform.url, "--home", str(platform.home), *arguments], catch_exceptions=False
        )
        assert done.exit_code == 0
        return done.stdout

    newest = json.loads(ipai("audit", "--instance", name, "--limit", "1", "--json"))
    assert [(each["actor"], each["action"], each["subject"]) for each in newest] == [
        (account(), "schedule.update", f"{name}/default")
    ]
    text = ipai("audit")
    assert f"{account()}  schedule.update" in text
    assert "paused: false → true" in text
    assert "quota.create" in text
    assert "quota.create" not in ipai("audit", "--instance", name)
