"""Plugins of other makers, installed from the package index by the platform itself, on either side of ours."""

from __future__ import annotations

import json
from typing import Any

import pytest

pytestmark = pytest.mark.timeout(600)  # they are installed first

SHOP = """
create table orders (id integer primary key, name varchar, total numeric(12,2), paid boolean, day date,
    changed timestamp, note text);
insert into orders select i, 'Order ' || i, i / 8.0, i % 2 = 0, date '2024-01-01' + i % 300,
    timestamp '2024-01-01 10:00:00.123456' + i * interval '1 s', case when i % 3 = 0 then E'tab\\t "quote" \\\\ 🪑' end
    from generate_series(1, 5000) i;
"""
CHANGES = """
update orders set name = 'changed', changed = '2025-01-01 00:00:00.5' where id in (3, 4000);
insert into orders values (5001, 'new', 0.10, null, null, '2025-01-02', null);
"""


@pytest.fixture(autouse=True)
def _no_constraints(monkeypatch: pytest.MonkeyPatch) -> None:
    """The versions that this repository pins are not for plugins of other makers."""
    monkeypatch.delenv("UV_CONSTRAINT", raising=False)


def source_of(lake: Any, package: str, **more: Any) -> None:
    """Declare a source connector `shop` whose plugin is a package of the index."""
    plugin = {"command": "tap-postgres", "install": package, **more}
    lake.connectors = {
        "postgres": lake.connectors["postgres"],
        "shop": {"kind": "connector", "name": "shop", "role": "source", "title": "Shop", "source_type": "database",
                 "auth": {"type": "password", "secrets": ["password"]}, "plugin": plugin},
    }  # fmt: skip


def sync_shop(lake: Any, config: dict[str, Any], rule: dict[str, Any]) -> dict[str, Any]:
    parts = lake.source.parts
    place = {"host": parts["host"], "port": int(parts["port"]), "user": parts["user"]}
    instance = {
        "kind": "instance", "name": "test_shop", "streams": [rule], "destination": {"connector": "postgres"},
        "source": {"connector": "shop", "config": {**place, "password": "${env:SOURCE_PASSWORD}", **config}},
    }  # fmt: skip
    lake.ipai("apply", str(lake.write_specs(instance=instance)))
    return json.loads(lake.ipai("run", "test_shop", "--json").stdout)


INCREMENTAL = {"stream": "public-orders", "replication_method": "INCREMENTAL", "replication_key": "changed"}


def test_meltanolabs_tap_postgres_into_our_target(lake: Any, compare: Any) -> None:
    lake.source.execute(SHOP)
    source_of(lake, "meltanolabs-tap-postgres==0.10.0")
    config = {"database": lake.source.parts["dbname"], "filter_schemas": ["public"]}
    compare.prefix = "raw_shop_"
    first = sync_shop(lake, config, INCREMENTAL)
    assert compare.differences("orders") == []
    assert {each["stream"]: each["rows"] for each in first["streams"]} == {"public-orders": 5000}

    lake.source.execute(CHANGES)
    again = sync_shop(lake, config, INCREMENTAL)
    assert compare.differences("orders") == []
    # The two changed, the new one, and the one at the bookmark, which is sent again.
    assert {each["stream"]: each["rows"] for each in again["streams"]} == {"public-orders": 4}


def test_a_tap_from_before_the_sdk_into_our_target(lake: Any, compare: Any) -> None:
    lake.source.execute(SHOP)
    lake.source.execute("alter table orders drop column day")  # this tap makes a date-time of a date
    source_of(lake, "pipelinewise-tap-postgres==2.1.0", catalog_option="--properties", python="3.11")
    config = {"dbname": lake.source.parts["dbname"], "filter_schemas": "public"}
    compare.prefix = "raw_shop_"
    # Its catalog says stream `orders` of tap_stream_id `public-orders`; messages and bookmarks have the latter.
    sync_shop(lake, config, {**INCREMENTAL, "stream": "orders"})
    assert compare.differences("orders") == []
    lake.source.execute(CHANGES.replace("0.10, null, null, '2025", "0.10, null, '2025"))
    lake.ipai("run", "test_shop", "--stream", "public-orders")
    assert compare.differences("orders") == []
    bookmark = lake.platform.state("test_shop")["bookmarks"]["public-orders"]
    assert bookmark["replication_key_value"].startswith("2025-01-02T00:00:00")

    lake.bronze.execute("delete from bronze.raw_shop_orders")
    lake.ipai("run", "test_shop", "--stream", "orders", "--full-refresh")
    assert compare.differences("orders") == []


MOVES = """
create table account_move (id integer primary key, name varchar, amount numeric(16,2), posted boolean, date date,
    data jsonb, write_date timestamp);
insert into account_move select i, 'INV/' || i, i / 8.0, i % 2 = 0, date '2024-01-01' + i % 300,
    jsonb_build_object('en_US', E'Chair "' || i || '" 🪑'), timestamp '2024-01-01 10:00:00.123456' + i * interval '1 s'
    from generate_series(1, 5000) i;
"""
MOVE_CHANGES = """
update account_move set name = 'changed', write_date = now() at time zone 'UTC' where id in (3, 4000);
insert into account_move values (5001, 'new', -0.10, null, null, null, now() at time zone 'UTC');
"""
READ = """
select id::bigint, name, amount::numeric, posted, date, data, write_date::timestamp from {} order by id
"""


def test_tap_odoo_into_meltanolabs_target_postgres(lake: Any) -> None:
    lake.source.execute(MOVES)
    lake.connectors["postgres"]["plugin"]["install"] = "meltanolabs-target-postgres==0.8.1"
    del lake.connectors["postgres"]["config"]
    destination = {"sqlalchemy_url": "${ipai:database_url}", "default_target_schema": "bronze"}
    lake.ipai("apply", str(lake.write_specs(["account_move"], destination=destination)))
    for change, rows in ((None, 5000), (MOVE_CHANGES, 3)):
        if change:
            lake.source.execute(change)
        result = json.loads(lake.ipai("run", "test_odoo", "--json").stdout)
        assert {each["stream"]: each["rows"] for each in result["streams"]} == {"account_move": rows}
        expected = lake.source.rows(READ.format("account_move"))
        assert lake.bronze.rows(READ.format("bronze.account_move")) == expected


def test_tap_odoo_into_a_target_from_before_the_sdk(lake: Any) -> None:
    lake.source.execute(MOVES)
    lake.connectors["files"] = {
        "kind": "connector", "name": "files", "role": "destination", "title": "JSON lines", "source_type": "file",
        "plugin": {"command": "target-jsonl", "install": "target-jsonl==0.1.4", "python": "3.11"},
    }  # fmt: skip
    files = {"destination_path": str(lake.folder), "do_timestamp_file": False}
    tap = {**lake.source.tap_config(), "db_password": "${env:SOURCE_PASSWORD}"}
    instance = {
        "kind": "instance", "name": "test_odoo", "streams": ["account_move"],
        "source": {"connector": "odoo", "config": tap}, "destination": {"connector": "files", "config": files},
    }  # fmt: skip
    lake.ipai("apply", str(lake.write_specs(instance=instance)))
    lake.ipai("run", "test_odoo")
    lake.source.execute(MOVE_CHANGES)
    lake.ipai("run", "test_odoo")
    rows = [json.loads(line) for line in (lake.folder / "account_move.jsonl").read_text().splitlines()]
    assert len(rows) == 5003
    newest = {row["id"]: (row["name"], row["data"]) for row in rows}
    assert newest == {
        number: (name, data) for number, name, data in lake.source.rows("select id, name, data from account_move")
    }
