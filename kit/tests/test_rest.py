"""A REST tap on the kit, as a process of its own, against a server whose rows the test knows."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from singer_kit.rest.bookmarks import PartitionBookmarks
from singer_kit.rest.page import Page, Partition
from singer_kit.rest.reading import Ended, read_concurrently
from singer_kit.testing.api import Answer, Clock, FakeApi, Fault

SHOP = Path(__file__).with_name("toys") / "shop.py"
TOKEN = "t0ken-of-the-test"
NOW = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)


@dataclass(frozen=True)
class Order:
    """One row of the server."""

    id: int
    shop: int
    updated_at: str
    amount: str = "0.10"

    @property
    def json(self) -> dict:
        return {
            "id": self.id,
            "shop": self.shop,
            "updated_at": self.updated_at,
            "amount": float(self.amount),
            "buyer": {"name": "é", "age": 7},
        }


@dataclass
class Run:
    """What a tap's process has printed."""

    code: int
    log: str
    messages: list[dict] = field(default_factory=list)

    def rows(self, stream: str) -> list[dict]:
        return [m["record"] for m in self.messages if m["type"] == "RECORD" and m["stream"] == stream]

    def kinds(self, stream: str) -> list[str]:
        return [message["type"] for message in self.messages if message.get("stream") == stream]

    @property
    def state(self) -> dict:
        return [message["value"] for message in self.messages if message["type"] == "STATE"][-1]

    def bookmark(self, stream: str, shop: int) -> str | None:
        entries = self.state["bookmarks"].get(stream, {}).get("partitions", [])
        return next((e.get("replication_key_value") for e in entries if e["context"] == {"shop": shop}), None)


def until(condition) -> None:
    for _ in range(200):
        if condition():
            return
        time.sleep(0.1)
    raise AssertionError("it did not come to that")


class Shop:
    """The server and the tap's command."""

    def __init__(self, api: FakeApi, folder: Path) -> None:
        self.api, self.folder = api, folder
        self.orders = [
            Order(shop * 100 + n, shop, f"2026-02-{n:02d}T00:00:00Z") for shop in (1, 2, 3) for n in range(1, 8)
        ]
        api.gates.append(lambda request: None if request.credential == TOKEN else Answer({"message": "no"}, 401))
        api.route("GET", "/shops/{shop}/orders", self._orders)
        api.route("GET", "/shops/{shop}/sales", lambda _: Answer([]))
        api.route("GET", "/shops/{shop}/kinds", lambda request: Answer([{"id": int(request.parameters["shop"])}]))

    def _orders(self, request) -> Answer:
        since, page = request.query.get("since", ""), int(request.query["page"])
        rows = [o.json for o in self.orders if o.shop == int(request.parameters["shop"]) and o.updated_at >= since]
        return Answer({"items": rows[page * 3 - 3 : page * 3], "more": len(rows) > page * 3})

    def arguments(self, state=None, catalog=None, streams=("orders",), **config) -> list[str]:
        files = {"config": {"api_url": self.api.url, "token": TOKEN, "max_retries": 2, **config}, "state": state}
        if catalog is None:
            catalog = self.select(*streams)
        files["catalog"] = catalog
        arguments = []
        for name, value in files.items():
            if value is not None:
                path = self.folder / f"{name}.json"
                path.write_text(json.dumps(value))
                arguments += [f"--{name}", str(path)]
        return [sys.executable, str(SHOP), *arguments]

    def select(self, *streams: str) -> dict:
        config = self.folder / "config.json"
        config.write_text(json.dumps({"token": TOKEN}))
        found = subprocess.run(
            [sys.executable, str(SHOP), "--config", str(config), "--discover"], capture_output=True, check=True
        )
        catalog = json.loads(found.stdout)
        for entry in catalog["streams"]:
            entry["metadata"][0 if entry["metadata"][0]["breadcrumb"] == [] else -1]["metadata"]["selected"] = (
                entry["tap_stream_id"] in streams
            )
        return catalog

    def run(self, **settings) -> Run:
        done = subprocess.run(self.arguments(**settings), capture_output=True, text=True, timeout=60, check=False)
        assert TOKEN not in done.stdout + done.stderr
        return Run(done.returncode, done.stderr, [json.loads(line) for line in done.stdout.splitlines()])


@pytest.fixture
def shop(tmp_path):
    with FakeApi(clock=Clock(NOW)) as api:
        yield Shop(api, tmp_path)


# Rows and bookmarks


def test_all_rows_in_the_order_of_their_partition_and_bookmarks_behind_them(shop) -> None:
    run = shop.run()
    assert run.code == 0, run.log
    by_shop = defaultdict(list)
    for row in run.rows("orders"):
        by_shop[row["shop"]].append(row)
    assert by_shop == {n: [o.json for o in shop.orders if o.shop == n] for n in (1, 2, 3)}
    assert {run.bookmark("orders", n) for n in (1, 2, 3)} == {"2026-02-07T00:00:00Z"}
    assert all(
        message["time_extracted"].startswith("2026-03-01T12:00") for message in run.messages if "record" in message
    )


def test_the_next_run_reads_from_the_bookmark_and_a_lookback_never_moves_it_back(shop) -> None:
    state = shop.run().state
    shop.orders = [Order(105, 1, "2026-02-05T00:00:00Z", "9.99")]
    run = shop.run(state=state, lookback_seconds=3 * 86400)
    assert [row["amount"] for row in run.rows("orders")] == [9.99]
    assert run.bookmark("orders", 1) == "2026-02-07T00:00:00Z"
    assert shop.run(state=run.state).rows("orders") == []


def test_no_bookmark_goes_beyond_the_servers_clock(shop) -> None:
    shop.orders = [Order(1, 1, "2026-03-01T11:59:30Z"), Order(2, 1, "2099-01-01T00:00:00Z")]
    run = shop.run()
    assert len(run.rows("orders")) == 2
    assert run.bookmark("orders", 1)[:16] == "2026-03-01T11:59"
    assert [row["id"] for row in shop.run(state=run.state).rows("orders")] == [1, 2]


def test_start_date(shop) -> None:
    assert {row["id"] for row in shop.run(start_date="2026-02-06T00:00:00Z").rows("orders")} == {
        o.id for o in shop.orders if o.updated_at >= "2026-02-06"
    }


# Parts that fail


def test_a_failing_partition_keeps_its_bookmark_and_the_others_go_on(shop) -> None:
    shop.api.fault(Fault(Answer({}, 500)), where=lambda r: r.path == "/shops/2/orders" and r.query["page"] == "2")
    run = shop.run(streams=("orders", "kinds"))
    assert run.code == 3
    assert [run.bookmark("orders", n) for n in (1, 2, 3)] == ["2026-02-07T00:00:00Z", None, "2026-02-07T00:00:00Z"]
    assert len(run.rows("kinds")) == 3, "streams behind the one that failed are read too"
    assert (
        "1 of the partitions could not be read: Stream 'orders', shop 2. First error: Stream 'orders': GET" in run.log
    )
    assert "Traceback" not in run.log
    shop.api.forget()
    rest = shop.run(state=run.state)
    assert rest.code == 0
    assert {row["id"] for row in rest.rows("orders")} >= {o.id for o in shop.orders if o.shop == 2}


def test_a_failing_partition_may_be_skipped(shop) -> None:
    shop.api.fault(Fault(Answer({}, 400)), path="/shops/2/orders")
    run = shop.run(on_partition_error="skip")
    assert run.code == 0
    assert run.bookmark("orders", 2) is None
    assert "skipped (on_partition_error=skip)" in run.log
    run = shop.run(stream_options={"orders": {"on_partition_error": "skip"}})
    assert run.code == 0


def test_a_tolerated_code_is_skipped_and_no_failure(shop) -> None:
    shop.api.fault(Fault(Answer({}, 404)), path="/shops/2/orders")
    run = shop.run()
    assert run.code == 0
    assert "Stream 'orders', shop 2 is skipped: 404 Not Found" in run.log
    assert "1 partitions were skipped" in run.log


def test_a_wrong_credential_ends_the_run_at_once(shop) -> None:
    run = shop.run(token="wrong", shops=list(range(40)))
    assert run.code == 2
    assert "401" in run.log
    assert "Next: check the credential (token)" in run.log
    assert "Traceback" not in run.log
    assert len(shop.api.log) < 20


def test_a_server_that_is_gone_ends_the_run_at_once(shop) -> None:
    run = shop.run(api_url="http://127.0.0.1:9", shops=list(range(50)), max_concurrency=1)
    assert run.code == 3
    assert run.log.count("times in a row") <= 2


# Snapshots


def test_a_snapshot_is_announced_behind_its_last_row(shop) -> None:
    run = shop.run(streams=("kinds",), deletion_detection="snapshot")
    assert run.kinds("kinds") == ["SCHEMA", "RECORD", "RECORD", "RECORD", "ACTIVATE_VERSION"]
    (version,) = {message["version"] for message in run.messages if "version" in message}
    assert version > 1_700_000_000_000


@pytest.mark.parametrize("settings", [{}, {"on_partition_error": "skip"}])
def test_a_snapshot_that_lacks_a_part_is_not(shop, settings) -> None:
    shop.api.fault(Fault(Answer({}, 400)), path="/shops/2/kinds")
    run = shop.run(streams=("kinds",), deletion_detection="snapshot", **settings)
    assert run.kinds("kinds") == ["SCHEMA", "RECORD", "RECORD"]


# Selection and shape


def metadata(catalog: dict, stream: str, *breadcrumb: str) -> dict:
    (entry,) = (entry for entry in catalog["streams"] if entry["tap_stream_id"] == stream)
    return next(m["metadata"] for m in entry["metadata"] if m["breadcrumb"] == list(breadcrumb))


def test_deselected_columns_and_parts_of_columns_stay_out(shop) -> None:
    catalog = shop.select("orders")
    metadata(catalog, "orders", "properties", "amount")["selected"] = False
    run = shop.run(catalog=catalog, shops=[1])
    assert run.rows("orders")[0] == {name: v for name, v in shop.orders[0].json.items() if name != "amount"}
    metadata(catalog, "orders", "properties", "buyer", "properties", "age")["selected"] = False
    run = shop.run(catalog=catalog, shops=[1])
    assert run.rows("orders")[0]["buyer"] == {"name": "é"}


def test_a_column_that_the_catalog_lacks_stays_out(shop) -> None:
    catalog = shop.select("orders")
    (entry,) = (entry for entry in catalog["streams"] if entry["tap_stream_id"] == "orders")
    del entry["schema"]["properties"]["amount"]
    assert "amount" not in shop.run(catalog=catalog, shops=[1]).rows("orders")[0]


def test_unknown_members_are_declared_before_they_come(shop) -> None:
    shop.api.route(
        "GET",
        "/shops/{shop}/kinds",
        lambda _: Answer([{"id": 1, "new": None}, {"id": 2, "new": 1}, {"id": 3, "new": "x"}]),
    )
    run = shop.run(streams=("kinds",), shops=[1])
    assert run.kinds("kinds") == ["SCHEMA", "SCHEMA", "RECORD", "RECORD", "RECORD"]
    schema = [message["schema"] for message in run.messages if message["type"] == "SCHEMA"][-1]
    assert set(schema["properties"]["new"]["type"]) == {"string", "integer", "null"}
    assert [row["new"] for row in run.rows("kinds")] == [None, 1, "x"]
    run = shop.run(streams=("kinds",), shops=[1], pass_unknown_fields=False)
    assert run.kinds("kinds") == ["SCHEMA", "RECORD", "RECORD", "RECORD"]
    assert run.rows("kinds")[2] == {"id": 3}


def test_stream_maps_see_each_record(shop) -> None:
    run = shop.run(shops=[1], stream_maps={"orders": {"amount": "amount * 2", "__filter__": "id > 105"}})
    assert [(row["id"], row["amount"]) for row in run.rows("orders")] == [(106, 0.2), (107, 0.2)]


# Children


def sales_of(shop) -> None:
    shop.api.route(
        "GET", "/shops/{shop}/sales",
        lambda r: Answer([{"id": 10 * int(r.parameters["shop"]), "updated_at": "2026-02-01T00:00:00Z"}]),
    )  # fmt: skip
    shop.api.route(
        "GET", "/sales/{id}/lines",
        lambda r: Answer([{"sale": int(r.parameters["id"]), "line": n} for n in (1, 2)]),
    )  # fmt: skip


@pytest.mark.parametrize("streams", [("sales", "lines"), ("lines",), ("sales",)])
def test_a_child_is_read_along_with_its_parent_and_has_its_own_bookmark(shop, streams) -> None:
    sales_of(shop)
    run = shop.run(streams=streams)
    assert run.code == 0, run.log
    assert len(run.rows("sales")) == (3 if "sales" in streams else 0)
    assert len(run.rows("lines")) == (6 if "lines" in streams else 0)
    assert {m["stream"] for m in run.messages if m["type"] == "SCHEMA"} == set(streams)
    for stream in ("sales", "lines"):
        wanted = "2026-02-01T00:00:00Z" if stream in streams else None
        assert {run.bookmark(stream, n) for n in (1, 2, 3)} == {wanted}


# How it ends


def test_a_signal_ends_it_at_a_state_and_the_next_run_goes_on(shop) -> None:
    shop.orders = [Order(n, 1, f"2026-02-01T00:{n // 60:02d}:{n % 60:02d}Z") for n in range(600)]
    shop.orders += [Order(9000 + n, shop, "2026-02-01T00:00:00Z") for shop in range(2, 40) for n in range(3)]
    shop.api.latency = 0.05
    arguments = shop.arguments(shops=list(range(1, 40)), max_concurrency=2)
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        lines = []
        for line in process.stdout:
            lines.append(json.loads(line))
            if lines[-1]["type"] == "STATE" and lines[-1]["value"]["bookmarks"].get("orders", {}).get("partitions"):
                process.send_signal(signal.SIGTERM)
                break
        lines += [json.loads(line) for line in process.stdout]
        log = process.stderr.read()
    assert process.wait(10) == 143, log
    first = Run(143, log, lines)
    assert "Stopped by signal 15. Next: run again with the last state." in log
    shop.api.latency = 0
    second = shop.run(state=first.state, shops=list(range(1, 40)))
    done = {(e["context"]["shop"]) for e in first.state["bookmarks"]["orders"]["partitions"]}
    assert 0 < len(done) < 39
    seen = {row["id"] for row in first.rows("orders") + second.rows("orders")}
    assert seen == {order.id for order in shop.orders}


def ended_in_time(process: subprocess.Popen) -> str:
    """Send a signal to a tap that waits for the server; its log."""
    process.send_signal(signal.SIGTERM)
    _, log = process.communicate(timeout=15)
    assert process.returncode == 143, log
    return log


@pytest.mark.parametrize("config", [{"asks_for_shops": True}, {}], ids=["the list of partitions", "a partition"])
def test_a_signal_ends_the_waiting_for_a_server_that_is_not_well(shop, config) -> None:
    shop.api.fault(Fault(Answer({}, 503, {"retry-after": "50"})))
    arguments = shop.arguments(**config, max_retries=8)
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        until(lambda: shop.api.log)
        ended_in_time(process)


def test_a_signal_does_not_wait_for_an_answer_that_does_not_come(shop) -> None:
    asked = threading.Event()
    shop.api.fault(Fault(delay=60), where=lambda _: asked.set() or True)
    arguments = shop.arguments()
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert asked.wait(20)
        ended_in_time(process)


def test_a_start_date_that_is_none_is_named(shop) -> None:
    run = shop.run(start_date="yesterday")
    assert run.code == 2
    assert "Setting start_date is 'yesterday'" in run.log
    assert "Next: write it like 2024-01-31T00:00:00Z" in run.log
    assert "Traceback" not in run.log


def test_options_for_a_stream_that_there_is_not_are_refused(shop) -> None:
    run = shop.run(stream_options={"order": {"lookback_seconds": 5}})
    assert run.code == 2
    assert "Setting stream_options names 'order', which is no stream; did you mean 'orders'?" in run.log
    assert not run.messages


def test_bookmarks_go_by_the_instant_and_not_by_its_spelling(shop) -> None:
    shop.orders = [Order(1, 1, "2026-02-01T09:00:00Z"), Order(2, 1, "2026-02-01T10:00:00+05:00")]
    assert shop.run().bookmark("orders", 1) == "2026-02-01T09:00:00Z"


def test_a_dry_run_goes_through_all_streams(shop) -> None:
    arguments = shop.arguments(streams=("orders", "kinds"))
    done = subprocess.run([*arguments, "--test"], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines() if '"RECORD"' in line]
    assert [row["stream"] for row in rows] == ["kinds", "orders"]


# Reading


def test_partitions_are_read_at_once_but_no_more_than_asked_for(shop) -> None:
    shop.api.latency = 0.05
    shop.run(shops=list(range(1, 13)), max_concurrency=4)
    assert shop.api.log.most_in_flight == 4


def test_readers_run_ahead_by_a_few_pages_and_no_further() -> None:
    read = threading.Semaphore(0)
    count = 0

    def pages(_):
        nonlocal count
        for n in range(100):
            count += 1
            read.release()
            yield Page([{"n": n}])

    events = read_concurrently([Partition()], pages, workers=1, ahead=2)
    next(events)
    for _ in range(4):
        assert read.acquire(timeout=5)
    assert not read.acquire(timeout=0.2)
    assert count == 4
    events.close()
    assert count <= 8


def test_errors_of_readers_and_of_the_list_of_partitions_arrive() -> None:
    def broken():
        yield Partition({"n": 1})
        raise KeyError("list")

    def pages(_):
        yield Page([])
        raise ValueError("read")

    ends = [item.error for _, item in read_concurrently(broken(), pages, workers=2) if isinstance(item, Ended)]
    assert sorted(type(error).__name__ for error in ends) == ["KeyError", "ValueError"]


def test_bookmarks_are_found_by_context_whatever_the_order_of_its_members() -> None:
    state = {"partitions": [{"context": {"b": 2, "a": 1}, "replication_key_value": "x", "progress_markers": {}}]}
    bookmarks = PartitionBookmarks(state)
    assert bookmarks.read({"a": 1, "b": 2}) == {"replication_key_value": "x"}
    bookmarks.write({"a": 1, "b": 2}, {"replication_key_value": "y"})
    bookmarks.write({"a": 1, "b": 3}, {"replication_key_value": "z"})
    assert state == {
        "partitions": [
            {"context": {"a": 1, "b": 2}, "replication_key_value": "y"},
            {"context": {"a": 1, "b": 3}, "replication_key_value": "z"},
        ]
    }
    bookmarks.write({}, {"replication_key_value": "w"})
    assert bookmarks.read({}) == {"replication_key_value": "w"}
    assert len(state["partitions"]) == 2


def test_a_bookmark_of_a_day_is_not_beyond_the_horizon(shop) -> None:
    shop.orders = [Order(1, 1, (NOW - timedelta(days=1)).isoformat().replace("+00:00", "Z"))]
    assert shop.run().bookmark("orders", 1) == "2026-02-28T12:00:00Z"
