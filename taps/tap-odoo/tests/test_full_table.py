"""Whole readings: one version, declared complete at the end and only then."""

from __future__ import annotations

import gzip
import json
import time
from pathlib import Path


def test_version_and_activation(odoo) -> None:
    odoo.moves("2024-01-01", "2024-01-02", table="stock_quant")
    before = int(time.time() * 1000)
    messages = odoo.sync(streams=["stock_quant"])
    kinds = [message["type"] for message in messages]
    assert kinds == ["SCHEMA", "RECORD", "RECORD", "ACTIVATE_VERSION", "STATE"]
    versions = {message["version"] for message in messages if "version" in message}
    assert len(versions) == 1
    assert before <= versions.pop() <= time.time() * 1000
    assert messages.bookmark("stock_quant") == {"version": messages.of("ACTIVATE_VERSION")[0]["version"]}
    # A later run says so again, so that what was deleted meanwhile disappears downstream.
    odoo.execute("delete from stock_quant where id = 1")
    again = odoo.sync(streams=["stock_quant"], state=messages.state)
    assert again.ids("stock_quant") == [2]
    assert again.of("ACTIVATE_VERSION")[0]["version"] > messages.of("ACTIVATE_VERSION")[0]["version"]
    assert again[-1]["type"] == "STATE"


def test_an_empty_table(odoo) -> None:
    odoo.moves(table="stock_quant")
    assert [message["type"] for message in odoo.sync(streams=["stock_quant"])] == [
        "SCHEMA",
        "ACTIVATE_VERSION",
        "STATE",
    ]


def test_a_table_without_key_or_date(odoo) -> None:
    odoo.execute(
        "create table a_b_rel (a_id integer not null, b_id integer); insert into a_b_rel values (1, 2), (1, 2)"
    )
    messages = odoo.sync(streams=["a_b_rel"])
    assert messages.records("a_b_rel") == [{"a_id": 1, "b_id": 2}] * 2
    assert messages.of("SCHEMA")[0]["key_properties"] == []


def test_the_catalog_decides_the_method(odoo) -> None:
    odoo.moves("2024-01-01")
    odoo.moves("2024-01-01", table="stock_quant")
    entries = odoo.discover(streams=["*"])
    entries["account_move"]["replication_method"] = "FULL_TABLE"
    entries["stock_quant"] |= {"replication_method": "INCREMENTAL", "replication_key": "write_date"}
    messages = odoo.sync(catalog={"streams": list(entries.values())})
    assert [m["stream"] for m in messages.of("ACTIVATE_VERSION")] == ["account_move"]
    assert messages.bookmark("stock_quant")["replication_key"] == "write_date"
    assert "version" not in messages.of("RECORD", "stock_quant")[0]


def test_the_sdk_path_writes_the_same_messages(odoo) -> None:
    odoo.moves("2024-01-01", table="stock_quant")
    odoo.moves("2024-01-01", "2024-01-02")
    streams = ["stock_quant", "account_move"]
    fast = odoo.sync(streams=streams)
    slow = odoo.sync(streams=streams, stream_maps={name: {"id": "record['id']"} for name in streams})
    changing = {"version": 0, "time_extracted": ""}
    same = [
        [{**m, **{k: v for k, v in changing.items() if k in m}} for m in messages if m["type"] == "RECORD"]
        for messages in (fast, slow)
    ]
    assert same[0] == same[1]
    assert [m["type"] for m in fast] == [m["type"] for m in slow]


def test_batches(odoo, tmp_path) -> None:
    odoo.moves("2024-01-01", "2024-01-02")
    config = {"encoding": {"format": "jsonl", "compression": "gzip"}, "storage": {"root": tmp_path.as_uri()}}
    messages = odoo.sync(streams=["account_move"], batch_config=config)
    files = [name for message in messages.of("BATCH") for name in message["manifest"]]
    lines = [
        line for name in files for line in gzip.decompress(Path(name.removeprefix("file://")).read_bytes()).splitlines()
    ]
    assert [json.loads(line)["id"] for line in lines] == [1, 2]
    assert odoo.sync(streams=["account_move"], state=messages.state).ids("account_move") == []


def test_flattening_and_filters(odoo) -> None:
    odoo.execute(
        "create table t (id integer primary key, name jsonb); insert into t values (1, '{\"a\": 1}'), (2, null)"
    )
    maps = {"t": {"__filter__": "record['id'] == 1", "n": "record['name']['a']"}}
    assert odoo.sync(streams=["t"], stream_maps=maps).records("t") == [{"id": 1, "name": {"a": 1}, "n": 1}]
    flat = odoo.sync(streams=["t"], flattening_enabled=True, flattening_max_depth=1)
    assert json.loads(flat.records("t")[0]["name"]) == {"a": 1}
