"""The SDK's own tests of a tap, against a small Odoo-like database."""

from __future__ import annotations

import pytest

from singer_kit.testing.standard import run_standard_suite
from tap_odoo.tap import TapOdoo


@pytest.fixture
def small(odoo):
    odoo.moves("2024-01-01", "2024-01-02")
    odoo.execute("""
        create table res_partner (id serial primary key, name varchar not null, active boolean, credit_limit numeric,
            comment jsonb, day date, create_date timestamp, write_date timestamp);
        insert into res_partner (name, active, credit_limit, comment, day, create_date, write_date)
            select 'Partner ' || i, true, i + 0.5, '{"en_US": "x"}', '2024-01-01', now(), now()
            from generate_series(1, 5) i;
        create table stock_quant (id serial primary key, quantity double precision);
        insert into stock_quant (quantity) values (0.1), (2);
    """)
    return odoo


def test_the_standard_suite(small) -> None:
    # Columns without values are part of the small database.
    run_standard_suite(TapOdoo, small.config(streams=["*"]), leave_out=["not_null"])
