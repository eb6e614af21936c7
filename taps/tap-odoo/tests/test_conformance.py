"""The tap through the kit's conformance suite."""

from __future__ import annotations

import sys

import pytest

from singer_kit.testing.conformance import CHECKS, Kind, Subject, TapCommand, judge_all

COMMAND = TapCommand((sys.executable, "-c", "from tap_odoo.tap import TapOdoo; TapOdoo.cli()"))


@pytest.mark.slow
def test_conformance(odoo) -> None:
    odoo.moves()
    odoo.execute("""
        insert into account_move (name, write_date)
          select 'row ' || i || repeat('.', 100), timestamp '2024-01-01' + i % 7 * interval '1 us'
          from generate_series(1, 5000) i;
        create table stock_quant (id serial primary key, quantity numeric, write_date timestamp);
        insert into stock_quant (quantity, write_date) select i / 7.0, now() from generate_series(1, 50) i;
        create table account_move_rel (move_id integer, tag_id integer);
        insert into account_move_rel values (1, 2), (1, 3)""")
    config = odoo.config(streams=["account_move", "stock_quant", "account_move_rel"])
    outcomes = {check.id: outcome for check, outcome in judge_all(CHECKS, Subject(COMMAND, config, kills=2))}
    assert {name: outcome.detail for name, outcome in outcomes.items() if outcome.kind is not Kind.PASSED} == {}
