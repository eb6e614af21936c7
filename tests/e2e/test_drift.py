"""A source whose tables change while it is synced: real tap, real target, and the platform's own dbt models named."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from ipai.errors import SchemaDriftError

STREAMS = ["account_move", "account_invoice"]
SOURCE = """
create table account_move (
    id integer primary key, name varchar, state varchar, move_type varchar, partner_id integer, amount_total numeric,
    amount_residual_signed numeric, ref varchar, write_date timestamp not null default (now() at time zone 'UTC')
);
insert into account_move values (1, 'INV/1', 'posted', 'out_invoice', 7, 12.50, 2.25, 'a');
"""
BUILT_ON_MOVES = ["odoo_journal_entries", "gold_finance_ar_aging", "gold_finance_general_ledger"]


def declare(lake: Any, **more: Any) -> None:
    config = {**lake.source.tap_config(), "db_password": "${env:SOURCE_PASSWORD}"}
    instance = {
        "kind": "instance", "name": "test_odoo", "streams": STREAMS, **more,
        "source": {"connector": "odoo", "config": config},
        "destination": {"connector": "postgres"},
    }  # fmt: skip
    lake.declare(instance=instance)


def found(lake: Any, after: int = 0) -> dict[tuple[str, str | None], tuple[str, str, list[str]]]:
    """Kind, status and models of each change, by stream and property; those of the shipped catalog aside."""
    rows = lake.bronze.rows(
        "select stream, property, kind, status, models from connectors.schema_drift"
        " where baseline = 'instance' and id > %s order by id",
        after,
    )
    return {
        (stream, name): (kind, status, [model["name"] for model in models])
        for stream, name, kind, status, models in rows
    }


def test_columns_that_go_and_columns_that_widen(lake: Any) -> None:
    lake.source.execute(SOURCE)
    declare(lake)
    lake.run()
    # It differs from the shipped catalog in many ways, which is told and keeps no first run.
    told = "select count(*) > 0, bool_and(status = 'applied' and baseline = 'connector') from connectors.schema_drift"
    assert lake.bronze.rows(told) == [(True, True)]
    seen = "select stream, seen_by, status from connectors.stream_schemas order by 1, 2"
    both = [(name, by, "accepted") for name in sorted(STREAMS) for by in ("discovery", "target")]
    assert lake.bronze.rows(seen) == both

    lake.source.execute("alter table account_move drop column amount_residual_signed")
    lake.source.execute("alter table account_move alter partner_id type numeric, add note jsonb")
    lake.source.execute("update account_move set partner_id = 7.5, write_date = now() at time zone 'UTC'")
    lake.source.execute("insert into account_move (id, move_type, state) values (2, 'entry', 'draft')")
    lake.run()
    assert found(lake) == {
        ("account_invoice", "partner_id"): ("widened", "applied", ["odoo_invoices"]),
        ("account_move", "amount_residual_signed"): (
            "removed", "applied", ["base_odoo_moves", "odoo_invoices", *BUILT_ON_MOVES],
        ),
        ("account_move", "note"): ("added", "applied", []),
        ("account_move", "partner_id"): (
            "widened", "applied", ["base_odoo_moves", "odoo_invoices", *BUILT_ON_MOVES],
        ),
    }  # fmt: skip
    assert lake.bronze.columns("bronze", "raw_odoo_account_move")["amount_residual_signed"] == "numeric"
    values = "select id, partner_id, amount_residual_signed, note from bronze.raw_odoo_account_move order by id"
    # A column that is gone keeps what it held; new rows have nothing in it.
    assert lake.bronze.rows(values) == [(1, Decimal("7.5"), Decimal("2.25"), None), (2, None, None, None)]
    assert lake.bronze.rows(seen) == both
    events = lake.bronze.rows("select payload -> 'severities' from connectors.events where kind = 'schema.drift'")
    assert events[-1] == ({"info": 3, "breaking": 1},)


def test_a_column_that_models_read_stops_the_run_where_the_instance_asks_for_it(lake: Any) -> None:
    lake.source.execute(SOURCE)
    declare(lake, schedule="0 5 * * *")
    lake.run()
    declare(lake, schedule="0 5 * * *", drift={"removed": "pause"})
    lake.source.execute("alter table account_move drop column amount_total")
    lake.source.execute("update account_move set ref = 'b', write_date = now() at time zone 'UTC'")
    with pytest.raises(SchemaDriftError) as caught:
        lake.run()
    assert "account_invoice.amount_total removed (number or null), read by odoo_invoices" in str(caught.value)
    assert found(lake) == {
        ("account_invoice", "amount_total"): ("removed", "pending", ["odoo_invoices"]),
        ("account_move", "amount_total"): ("removed", "pending", []),
    }
    loaded = "select ref, amount_total from bronze.raw_odoo_account_move"
    assert lake.bronze.rows(loaded) == [("a", Decimal("12.50"))]
    assert lake.bronze.rows("select paused_by from connectors.connector_schedules") == [("drift",)]
    done = lake.ipai("drift", "accept", "test_odoo")
    assert "2 changes accepted. Next: ipai run test_odoo" in done.stdout
    lake.run()
    assert lake.bronze.rows(loaded) == [("b", Decimal("12.50"))]
    assert {status for _, status, _ in found(lake).values()} == {"applied"}
    assert lake.bronze.rows("select paused from connectors.connector_schedules") == [(False,)]
