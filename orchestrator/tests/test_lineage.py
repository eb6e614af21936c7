"""OpenLineage events of real runs, as a receiver gets them: by HTTP and in a file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from uuid import UUID

import psycopg
import pytest

from ipai.lineage import DataSet, _table
from ipai.lineage_sender import configured

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from ipai.service import Platform

Declare = Any
Events = list[dict[str, Any]]
CANARY = "canary-4711-secret"


@pytest.fixture
def receiver() -> Iterator[tuple[str, Events]]:
    """An OpenLineage backend: takes events where they belong, and only well-formed ones."""
    events: Events = []
    problems: list[str] = []

    class Backend(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            event = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if self.path != "/api/v1/lineage" or self.headers["Content-Type"] != "application/json":
                problems.append(f"{self.path} {self.headers['Content-Type']}")
            problems.extend(wrong_with(event))
            events.append(event)
            self.send_response(201)
            self.end_headers()

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Backend)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", events
    server.shutdown()
    server.server_close()
    thread.join()
    assert problems == []


def wrong_with(event: dict[str, Any]) -> Iterator[str]:
    """What OpenLineage 2-0-2 demands of a RunEvent, and of every facet in it."""
    missing = {"eventTime", "producer", "schemaURL", "run", "job"} - event.keys()
    if missing:
        yield f"{missing} missing"
        return
    if not event["schemaURL"].endswith("#/$defs/RunEvent") or ":" not in event["producer"]:
        yield f"schemaURL {event['schemaURL']}, producer {event['producer']}"
    if datetime.fromisoformat(event["eventTime"]).tzinfo is None:
        yield "eventTime has no zone"
    UUID(event["run"]["runId"])
    named = [event["job"], *event.get("inputs", []), *event.get("outputs", [])]
    yield from (f"{each} has no name" for each in named if not each.get("namespace") or not each.get("name"))
    holders = [event["run"], *named]
    facets = [
        (name, facet)
        for holder in holders
        for kind in ("facets", "inputFacets", "outputFacets")
        for name, facet in (holder.get(kind) or {}).items()
    ]
    for name, facet in facets:
        if not {"_producer", "_schemaURL"} <= facet.keys():
            yield f"facet {name} does not say whose it is: {facet}"


def ipai(platform: Platform, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """A process of its own, which ends as one from a shell does: what it has to send must be out by then."""
    return subprocess.run(
        [sys.executable, "-m", "ipai", "--home", str(platform.home), "--database", platform.url, *arguments],
        env={**os.environ, **variables}, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip


def jobs(events: Events) -> list[tuple[str, str]]:
    return [(event["eventType"], event["job"]["name"]) for event in events]


def of(events: Events, job: str, kind: str) -> dict[str, Any]:
    (found,) = [event for event in events if (event["job"]["name"], event["eventType"]) == (job, kind)]
    return found


def test_a_run_and_its_streams(platform: Platform, declare: Declare, receiver: tuple[str, Events]) -> None:
    url, events = receiver
    name = declare({})
    done = ipai(platform, "run", name, OPENLINEAGE_URL=url)
    assert (done.returncode, "OpenLineage" in done.stderr) == (0, False)
    orders, items = (f"{name}.sync_fake_{stream}_incremental" for stream in ("orders", "items"))
    assert jobs(events) == [
        ("START", name), ("START", orders), ("START", items),
        ("COMPLETE", orders), ("COMPLETE", items), ("COMPLETE", name),
    ]  # fmt: skip
    ended = of(events, orders, "COMPLETE")
    assert ended["run"]["runId"] == of(events, orders, "START")["run"]["runId"]
    whole = of(events, name, "COMPLETE")
    parent = ended["run"]["facets"]["parent"]
    assert parent["run"]["runId"] == whole["run"]["runId"]
    assert (parent["job"]["namespace"], parent["job"]["name"]) == ("ipai", name)
    assert parent["root"]["run"]["runId"] == whole["run"]["runId"]
    (source,), (table,) = ended["inputs"], ended["outputs"]
    assert (source["namespace"], source["name"]) == (f"fake://{name}", "orders")
    assert (table["namespace"], table["name"]) == (f"files://{name}", "orders")
    assert table["outputFacets"]["outputStatistics"]["rowCount"] == 5
    columns = [(each["name"], each["type"]) for each in table["facets"]["schema"]["fields"]]
    assert columns == [("id", "integer"), ("note", "string")]
    tags = {tag["key"]: tag["value"] for tag in whole["run"]["facets"]["tags"]["tags"] if tag["source"] == "IPAI"}
    assert tags == {
        "ipai.run": str(platform.status(name, limit=1)[0].run.id), "ipai.kind": "sync", "ipai.trigger": "manual",
        "ipai.attempt": "1", "ipai.sla_tier": "standard",
    }  # fmt: skip


def test_a_failure_names_its_stream_and_keeps_its_secrets(
    platform: Platform, declare: Declare, receiver: tuple[str, Events], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, events = receiver
    monkeypatch.setenv("FAKE_SECRET", CANARY)
    name = declare({"fail_after": ["orders", 2], "how": "exit", "say": "${env:FAKE_SECRET}"})
    assert ipai(platform, "run", name, OPENLINEAGE_URL=url, OPENLINEAGE_NAMESPACE="lake").returncode == 5
    assert {event["job"]["namespace"] for event in events} == {"lake"}
    orders, items = (f"{name}.sync_fake_{stream}_incremental" for stream in ("orders", "items"))
    assert jobs(events)[3:] == [("FAIL", orders), ("ABORT", items), ("FAIL", name)]
    message = of(events, name, "FAIL")["run"]["facets"]["errorMessage"]
    assert "the source went away" in message["message"]
    assert "***" in message["message"]
    assert message["programmingLanguage"] == "python"
    assert CANARY not in json.dumps(events)


def test_a_retry_has_the_first_run_as_its_parent(
    platform: Platform, declare: Declare, receiver: tuple[str, Events]
) -> None:
    url, events = receiver
    name = declare({"fail_after": ["orders", 2], "how": "exit"}, schedule="0 3 * * *")
    with psycopg.connect(platform.url, autocommit=True) as connection:
        connection.execute("update connectors.sla_tiers set first_delay = '10 milliseconds'")
        connection.execute(
            "insert into connectors.connector_runs (instance, status, started_at, trigger, due_at) "
            "values (%s, 'queued', null, 'schedule', '2026-01-05T03:00:00Z')",
            [name],
        )
    command = [sys.executable, "-m", "ipai", "--home", str(platform.home), "--database", platform.url, "up"]
    with subprocess.Popen(command, env={**os.environ, "OPENLINEAGE_URL": url}, stderr=subprocess.DEVNULL) as up:
        deadline = time.monotonic() + 60
        while not any(each == ("FAIL", name) for each in jobs(events)):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        declare({}, schedule="0 3 * * *")
        while not any(each == ("COMPLETE", name) for each in jobs(events)):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        up.terminate()
        assert up.wait(30) == 0
    starts = [event["run"] for event in events if (event["eventType"], event["job"]["name"]) == ("START", name)]
    assert starts[0]["facets"]["nominalTime"]["nominalStartTime"] == "2026-01-05T03:00:00+00:00"
    assert "parent" not in starts[0]["facets"]
    assert {run["facets"]["parent"]["run"]["runId"] for run in starts[1:]} == {starts[0]["runId"]}
    last = of(events[-4:], f"{name}.sync_fake_orders_incremental", "COMPLETE")["run"]["facets"]["parent"]
    assert (last["run"]["runId"], last["root"]["run"]["runId"]) == (starts[-1]["runId"], starts[0]["runId"])


def test_events_in_a_file(platform: Platform, declare: Declare, tmp_path: Path) -> None:
    name = declare({})
    folder = tmp_path / "home-of-user" / ".openlineage"
    folder.mkdir(parents=True)
    file = tmp_path / "events.jsonl"
    (folder / "openlineage.yml").write_text(f"transport:\n  type: file\n  log_file_path: {file}\n  append: true\n")
    assert ipai(platform, "run", name, HOME=str(folder.parent)).returncode == 0
    events = [json.loads(line) for line in file.read_text().splitlines()]
    assert [problem for event in events for problem in wrong_with(event)] == []
    assert [kind for kind, _ in jobs(events)] == ["START"] * 3 + ["COMPLETE"] * 3


@pytest.mark.parametrize("kind", ["hangs", "is away"])
def test_a_receiver_that_does_not_answer_delays_no_run(
    kind: str, platform: Platform, declare: Declare, unanswering: Callable[[], str]
) -> None:
    name = declare({})
    url = unanswering() if kind == "hangs" else "http://127.0.0.1:1"
    before = platform.run(name, full_refresh=True).run.seconds
    started = time.monotonic()
    done = ipai(platform, "run", name, "--full-refresh", "--json", OPENLINEAGE_URL=url)
    took = time.monotonic() - started
    assert done.returncode == 0
    ended = json.loads(done.stdout)["run"]
    seconds = (
        datetime.fromisoformat(ended["finished_at"]) - datetime.fromisoformat(ended["started_at"])
    ).total_seconds()
    print(f"{kind}: the run took {seconds:.2f} s, {before:.2f} s without OpenLineage; the process {took:.2f} s")
    assert ended["status"] == "succeeded"
    # The client itself waits 5 s for each of six events, six times over.
    assert took < 25


@pytest.fixture
def unanswering() -> Iterator[Callable[[], str]]:
    """A server that accepts and never answers."""
    import socket

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(50)
        yield lambda: f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_without_a_configuration_nothing_is_imported(platform: Platform, declare: Declare, tmp_path: Path) -> None:
    name = declare({})
    program = (
        "import sys; from pathlib import Path; from ipai.service import Platform; "
        f"Platform(Path({str(platform.home)!r}), {platform.url!r}).run({name!r}); "
        "print([each for each in ('openlineage', 'prometheus_client', 'procrastinate') if each in sys.modules])"
    )
    variables = {key: value for key, value in os.environ.items() if not key.startswith("OPENLINEAGE")}
    done = subprocess.run(
        [sys.executable, "-c", program], env={**variables, "HOME": str(tmp_path)}, cwd=tmp_path, check=True, text=True,
        capture_output=True,
    )  # fmt: skip
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, False),
        ({"OPENLINEAGE_NAMESPACE": "x"}, False),
        ({"OPENLINEAGE_URL": "http://x"}, True),
        ({"OPENLINEAGE__TRANSPORT__TYPE": "console"}, True),
        ({"OPENLINEAGE_URL": "http://x", "OPENLINEAGE_DISABLED": "true"}, False),
    ],
)
def test_what_counts_as_configured(
    variables: dict[str, str], expected: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith("OPENLINEAGE")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert configured() == expected
    (tmp_path / "openlineage.yml").touch()
    assert configured() == ("OPENLINEAGE_DISABLED" not in variables)


POSTGRES = {"default_target_schema": "bronze", "table_name": "raw_odoo_{stream}"}


@pytest.mark.parametrize(
    ("settings", "stream", "expected"),
    [
        (
            {"sqlalchemy_url": f"postgresql://u:{CANARY}@db:6543/lake?sslmode=require", **POSTGRES}, "sale_order",
            DataSet("postgres://db:6543", "lake.bronze.raw_odoo_sale_order"),
        ),
        (
            {"host": "db", "database": "lake", "password": CANARY}, "public-orders",
            DataSet("postgres://db:5432", "lake.public.orders"),
        ),
        ({"sqlalchemy_url": "postgresql://db:1,other:2/lake"}, "a", DataSet("s3://prod_x", "a")),
        ({"host": "db", "database": "lake", "table_name": "{nonsense}"}, "a", DataSet("s3://prod_x", "a")),
        ({"bucket": "b"}, "a", DataSet("s3://prod_x", "a")),
    ],
)  # fmt: skip
def test_the_name_of_a_table(settings: dict[str, Any], stream: str, expected: DataSet) -> None:
    class Ready:
        class instance:  # noqa: N801
            class destination:  # noqa: N801
                connector = "s3"

        @staticmethod
        def target_settings(*names: str) -> dict[str, Any]:
            return {name: settings.get(name) for name in names}

    assert _table(Ready, "prod_x", stream) == expected  # type: ignore[arg-type]
