"""The database of a real Odoo 17, whole: into Bronze, value by value, and on to Gold, cent by cent."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

# Gold needs dbt, which uv fetches into an environment of its own when the machine does not have it yet.
pytestmark = pytest.mark.timeout(600)

# Each table, and whether it has a write_date.
TABLES = """
select c.relname, exists (select from pg_attribute a where a.attrelid = c.oid and a.attname = 'write_date')
from pg_class c where c.relnamespace = 'public'::regnamespace and c.relkind = 'r' order by 1
"""

# The columns of this database that tap-odoo never reads: credentials, by its setting `credential_fields`.
CREDENTIALS = {
    ("account_journal", "access_token"),
    ("account_move", "access_token"),
    ("res_config_settings", "auth_signup_reset_password"),
    ("res_config_settings", "google_gmail_client_secret"),
    ("res_config_settings", "google_translate_api_key"),
    ("res_config_settings", "tenor_api_key"),
    ("res_config_settings", "twilio_account_token"),
    ("res_partner", "signup_token"),
    ("res_users", "password"),
    ("res_users", "totp_secret"),
    ("res_users_apikeys", "key"),
    ("res_users_identitycheck", "password"),
    ("sale_order", "access_token"),
    ("sale_payment_provider_onboarding_wizard", "paypal_pdt_token"),
}

# Straight from the source, the sums that Gold must come to.
LEDGER = """
select company_id::bigint, account_id::bigint, sum(debit), sum(credit), count(*)
from account_move_line where parent_state = 'posted' and account_id is not null group by 1, 2 order by 1, 2
"""
LEDGER_IN_GOLD = """
select company_id, account_id, sum(debit), sum(credit), sum(journal_items)::bigint
from gold.gold_finance_general_ledger group by 1, 2 order by 1, 2
"""
AS_OF = "2026-12-15"
RECEIVABLES = f"""
select l.company_id::bigint, p.commercial_partner_id::bigint, sum(l.amount_residual),
       coalesce(sum(l.amount_residual) filter (where coalesce(l.date_maturity, l.date) >= '{AS_OF}'), 0),
       coalesce(sum(l.amount_residual) filter (where '{AS_OF}' - coalesce(l.date_maturity, l.date) between 1 and 30), 0)
from account_move_line l join account_account a on a.id = l.account_id left join res_partner p on p.id = l.partner_id
where l.parent_state = 'posted' and a.account_type = 'asset_receivable' and l.amount_residual <> 0
group by 1, 2 order by 1, 2
"""
RECEIVABLES_IN_GOLD = """
select company_id, partner_id, sum(total), sum(not_due), sum(days_1_30)
from gold.gold_finance_ar_aging group by 1, 2 order by 1, 2
"""
SALES = """
select o.company_id::bigint, l.product_id::bigint, date_trunc('month', o.date_order)::date, c.name, count(*),
       sum(l.product_uom_qty), sum(l.price_subtotal), sum(l.price_total)
from sale_order_line l join sale_order o on o.id = l.order_id join res_currency c on c.id = o.currency_id
where o.state in ('sale', 'done') and l.display_type is null group by 1, 2, 3, 4 order by 1, 2, 3, 4
"""
SALES_IN_GOLD = """
select company_id, product_id, period, currency_code,
       sum(order_lines)::bigint, sum(quantity), sum(net_amount), sum(total_amount)
from gold.gold_retail_sales_summary group by 1, 2, 3, 4 order by 1, 2, 3, 4
"""
# In the demo every invoice has its credit note, so nothing is owed in total. Somebody pays a part of two.
PAYMENTS = """
update account_move_line set write_date = now() at time zone 'UTC', amount_residual = amount_residual - 1000.25,
    amount_residual_currency = amount_residual_currency - 1000.25 where move_id in (1, 4) and date_maturity is not null;
update account_move set write_date = now() at time zone 'UTC', amount_residual = amount_residual - 1000.25,
    amount_residual_signed = amount_residual_signed - 1000.25 where id in (1, 4);
"""
# The stream account_invoice is the invoices among the account moves.
INVOICES = (
    "select id::bigint, name, amount_total, amount_residual from account_move where move_type <> 'entry' order by 1"
)
INVOICES_IN_BRONZE = "select id, number, amount_total, residual from bronze.raw_odoo_account_invoice order by 1"


def test_every_value_reaches_bronze_and_gold_adds_up(odoo17: Any, lake: Any, compare: Any) -> None:
    dated = dict(odoo17.rows(TABLES))
    rows = {name: odoo17.value(f'select count(*) from "{name}"') for name in dated}
    lake.declare(["*"])
    first = lake.run()
    assert compare.differences(*dated) == []
    assert compare.rows == rows
    assert compare.left_out == CREDENTIALS
    assert lake.bronze.rows(INVOICES_IN_BRONZE) == odoo17.rows(INVOICES) != []
    invoices = len(odoo17.rows(INVOICES))
    assert lake.moved(first) == {"account_invoice": invoices, **{name: count for name, count in rows.items() if count}}

    odoo17.execute(PAYMENTS)
    again = lake.run()
    # Besides what has changed: what has no write_date to go by, and the one table whose rows vanish without a trace.
    snapshots = {name: n for name, n in rows.items() if n and (not dated[name] or name == "stock_quant")}
    assert lake.moved(again) == {**snapshots, "account_move": 2, "account_move_line": 2, "account_invoice": 2}
    assert compare.differences(*dated) == []

    assert [each for each in lake.platform.transform(variables={"as_of": AS_OF}) if each.failed] == []
    for query, in_gold in ((LEDGER, LEDGER_IN_GOLD), (RECEIVABLES, RECEIVABLES_IN_GOLD), (SALES, SALES_IN_GOLD)):
        assert lake.bronze.rows(in_gold) == odoo17.rows(query) != []
    assert lake.bronze.value("select sum(total) from gold.gold_finance_ar_aging") == Decimal("-2000.50")
