"""Silver and Gold on Bronze as Odoo 13, 16 and 19 shape it: the same books, the same answers.

The books: one company in EUR; customer invoices of 100.00 with different due dates, a credit note, a payment that
names no invoice, a draft; a confirmed order in USD (rate 1.25) with a discount, a section title, a quotation. Bronze is
append-only here: every row has an older version that is wrong, and deleted rows are still there.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable

PROJECT = Path(__file__).parents[2] / "sql"
AS_OF = "2025-06-30"
Row = dict[str, Any]


@dataclass
class Table:
    """Rows under typed columns; a shape of another version is made by renaming and dropping."""

    types: dict[str, str]
    rows: list[Row]

    def rename(self, old: str, new: str) -> None:
        self.types[new] = self.types.pop(old)
        for row in self.rows:
            row[new] = row.pop(old, None)

    def drop(self, *columns: str) -> None:
        for column in columns:
            del self.types[column]
            for row in self.rows:
                row.pop(column, None)

    def plain_text(self, column: str) -> None:
        """Up to 15 a translated column is text."""
        self.types[column] = "text"
        for row in self.rows:
            row[column] = row[column]["en_US"]


def both(english: str, french: str | None = None) -> dict[str, str]:
    return {"en_US": english, **({"fr_FR": french} if french else {})}


def odoo_16() -> dict[str, Table]:
    """The books in the shape of Odoo 16 (and 17), which the other shapes are made from."""
    moves = Table(
        {"id": "bigint", "name": "text", "ref": "text", "state": "text", "move_type": "text", "payment_state": "text",
         "date": "date", "invoice_date": "date", "invoice_date_due": "date", "journal_id": "bigint",
         "company_id": "bigint", "partner_id": "bigint", "commercial_partner_id": "bigint", "currency_id": "bigint",
         "amount_untaxed": "numeric", "amount_tax": "numeric", "amount_total": "numeric", "amount_residual": "numeric",
         "amount_untaxed_signed": "numeric", "amount_tax_signed": "numeric", "amount_total_signed": "numeric",
         "amount_residual_signed": "numeric"},
        [],
    )  # fmt: skip
    lines = Table(
        {"id": "bigint", "move_id": "bigint", "company_id": "bigint", "journal_id": "bigint", "account_id": "bigint",
         "partner_id": "bigint", "currency_id": "bigint", "parent_state": "text", "display_type": "text",
         "name": "text", "date": "date", "date_maturity": "date", "debit": "numeric", "credit": "numeric",
         "balance": "numeric",
         "amount_currency": "numeric", "amount_residual": "numeric", "amount_residual_currency": "numeric",
         "analytic_distribution": "jsonb"},
        [],
    )  # fmt: skip

    def entry(kind: str, date: str, due: str | None, items: list[tuple[int, str, str]], state: str = "posted") -> None:
        """Items are (account, balance, open part); 1 is the receivable account."""
        move_id = len(moves.rows) + 1
        receivable = sum(Decimal(balance) for account, balance, _ in items if account == 1)
        residual = sum(Decimal(open_part) for account, _, open_part in items if account == 1)
        tax = -sum(Decimal(balance) for account, balance, _ in items if account == 3)
        moves.rows.append({
            "id": move_id, "name": f"M{move_id}", "state": state, "move_type": kind,
            "payment_state": "not_paid", "date": date, "invoice_date": date if kind != "entry" else None,
            "invoice_date_due": due, "journal_id": 1, "company_id": 1, "partner_id": 6, "commercial_partner_id": 5,
            "currency_id": 1, "amount_untaxed": abs(receivable - tax), "amount_tax": abs(tax),
            "amount_total": abs(receivable), "amount_residual": abs(residual),
            "amount_untaxed_signed": receivable - tax, "amount_tax_signed": tax,
            "amount_total_signed": receivable, "amount_residual_signed": residual,
        })  # fmt: skip
        for account, balance, open_part in items:
            amount = Decimal(balance)
            lines.rows.append({
                "id": len(lines.rows) + 1, "move_id": move_id, "company_id": 1, "journal_id": 1, "account_id": account,
                "partner_id": 5, "currency_id": 1, "parent_state": state,
                "display_type": {1: "payment_term", 3: "tax"}.get(account, "product") if kind != "entry" else "product",
                "name": "line", "date": date, "date_maturity": due if account == 1 else None,
                "debit": max(amount, Decimal(0)), "credit": max(-amount, Decimal(0)), "balance": amount,
                "amount_currency": amount, "amount_residual": open_part, "amount_residual_currency": open_part,
                "analytic_distribution": {"7,12": 100.0},
            })  # fmt: skip

    sale = [(2, "-80", "0"), (3, "-20", "0")]
    # Each side of each bucket's edge: not due, 1, 30, 31, 60, 61, 90, 91 days.
    for due in (
        "2025-06-30",
        "2025-06-29",
        "2025-05-31",
        "2025-05-30",
        "2025-05-01",
        "2025-04-30",
        "2025-04-01",
        "2025-03-31",
    ):
        entry("out_invoice", "2025-03-15", due, [(1, "100", "100"), *sale])
    entry("out_invoice", "2025-04-10", "2025-05-10", [(1, "100", "30"), *sale])  # 51 days, 70 paid
    entry("entry", "2025-05-12", "2025-05-12", [(4, "70", "0"), (1, "-70", "0")])
    entry("out_refund", "2025-06-01", "2025-06-01", [(1, "-50", "-50"), (2, "40", "0"), (3, "10", "0")])  # 29 days
    entry("entry", "2025-06-15", None, [(4, "25", "0"), (1, "-25", "-25")])  # names no invoice: 15 days
    entry("out_invoice", "2025-06-20", "2025-06-20", [(1, "100", "100"), *sale], state="draft")
    lines.rows.append({"id": 900, "move_id": 1, "company_id": 1, "parent_state": "posted",
                       "display_type": "line_section", "name": "Title", "date": "2025-03-15"})  # fmt: skip

    invoice_names = {
        "id": "id", "number": "name", "type": "move_type", "move_state": "state", "payment_state": "payment_state",
        "date_invoice": "invoice_date", "date_due": "invoice_date_due", "date": "date", "partner_id": "partner_id",
        "commercial_partner_id": "commercial_partner_id", "journal_id": "journal_id", "currency_id": "currency_id",
        "company_id": "company_id", "amount_untaxed": "amount_untaxed", "amount_tax": "amount_tax",
        "amount_total": "amount_total", "amount_untaxed_signed": "amount_untaxed_signed",
        "amount_total_company_signed": "amount_total_signed", "residual": "amount_residual",
    }  # fmt: skip
    invoices = Table(
        {**{new: moves.types[old] for new, old in invoice_names.items()}, "state": "text"},
        [
            {
                **{new: row[old] for new, old in invoice_names.items()},
                "state": "draft" if row["state"] == "draft" else "open",
            }
            for row in moves.rows
            if row["move_type"] != "entry"
        ],
    )

    text_key = {"id": "bigint", "name": "text"}
    jsonb_key = {"id": "bigint", "name": "jsonb"}
    return {
        "account_move": moves,
        "account_move_line": lines,
        "account_invoice": invoices,
        "account_account": Table(
            {**jsonb_key, "code": "text", "account_type": "text", "internal_group": "text", "company_id": "bigint"},
            [
                {
                    "id": id_,
                    "name": both(en, fr),
                    "code": code,
                    "account_type": kind,
                    "internal_group": kind.split("_")[0],
                    "company_id": 1,
                }
                for id_, en, fr, code, kind in (
                    (1, "Receivable", "Clients", "121000", "asset_receivable"),
                    (2, "Sales", "Ventes", "400000", "income"),
                    (3, "Tax", None, "251000", "liability_current"),
                    (4, "Bank", "Banque", "101401", "asset_cash"),
                )
            ],
        ),
        "account_journal": Table(
            {**jsonb_key, "code": "text", "type": "text"},
            [{"id": 1, "name": both("Sales"), "code": "INV", "type": "sale"}],
        ),
        "res_company": Table(
            {**text_key, "currency_id": "bigint", "parent_path": "text"},
            [{"id": 1, "name": "Maison", "currency_id": 1, "parent_path": "1/"}],
        ),
        "res_currency": Table(
            {**text_key, "decimal_places": "bigint"},
            [{"id": 1, "name": "EUR", "decimal_places": 2}, {"id": 2, "name": "USD", "decimal_places": 2}],
        ),
        "res_partner": Table(
            {**text_key, "complete_name": "text", "commercial_partner_id": "bigint"},
            [
                {"id": 5, "name": "Café Brûlé ☕", "complete_name": "Café Brûlé ☕", "commercial_partner_id": 5},
                {"id": 6, "name": "Zoë", "complete_name": "Café Brûlé ☕, Zoë", "commercial_partner_id": 5},
            ],
        ),
        "product_template": Table(
            {**jsonb_key, "categ_id": "bigint"}, [{"id": 1, "name": both("Chair", "Chaise"), "categ_id": 1}]
        ),
        "product_product": Table(
            {"id": "bigint", "product_tmpl_id": "bigint", "default_code": "text"},
            [{"id": 8, "product_tmpl_id": 1, "default_code": "C\\1"}],
        ),
        "sale_order": Table(
            {
                **text_key,
                "state": "text",
                "date_order": "timestamptz",
                "company_id": "bigint",
                "currency_id": "bigint",
                "currency_rate": "numeric",
                "partner_id": "bigint",
                "invoice_status": "text",
            },
            [
                {
                    "id": 1,
                    "name": "S1",
                    "state": "sale",
                    "date_order": "2025-05-31T23:30:00Z",
                    "company_id": 1,
                    "currency_id": 2,
                    "currency_rate": "1.25",
                    "partner_id": 6,
                    "invoice_status": "no",
                },
                {
                    "id": 2,
                    "name": "S2",
                    "state": "draft",
                    "date_order": "2025-05-02T10:00:00Z",
                    "company_id": 1,
                    "currency_id": 1,
                    "currency_rate": "1",
                    "partner_id": 5,
                    "invoice_status": "no",
                },
            ],
        ),
        "sale_order_line": Table(
            {
                **text_key,
                "order_id": "bigint",
                "display_type": "text",
                "product_id": "bigint",
                "product_uom": "bigint",
                "product_uom_qty": "numeric",
                "price_unit": "numeric",
                "discount": "numeric",
                "price_subtotal": "numeric",
                "price_total": "numeric",
                "analytic_distribution": "jsonb",
            },
            [
                {
                    "id": 1,
                    "name": "Chair",
                    "order_id": 1,
                    "product_id": 8,
                    "product_uom": 1,
                    "product_uom_qty": "3",
                    "price_unit": "100",
                    "discount": "10",
                    "price_subtotal": "270",
                    "price_total": "324",
                },
                {
                    "id": 2,
                    "name": "Price with tax",
                    "order_id": 1,
                    "product_id": 8,
                    "product_uom": 1,
                    "product_uom_qty": "1",
                    "price_unit": "120",
                    "discount": "50",
                    "price_subtotal": "50",
                    "price_total": "60",
                },
                {
                    "id": 3,
                    "name": "Title",
                    "order_id": 1,
                    "display_type": "line_section",
                    "product_uom_qty": "0",
                    "price_unit": "0",
                },
                {
                    "id": 4,
                    "name": "Chair",
                    "order_id": 2,
                    "product_id": 8,
                    "product_uom": 1,
                    "product_uom_qty": "1",
                    "price_unit": "100",
                    "discount": "0",
                    "price_subtotal": "100",
                    "price_total": "120",
                },
            ],
        ),
    }


def odoo_13() -> dict[str, Table]:
    tables = odoo_16()
    moves, lines, accounts = tables["account_move"], tables["account_move_line"], tables["account_account"]
    moves.rename("move_type", "type")
    moves.rename("payment_state", "invoice_payment_state")
    lines.drop("analytic_distribution")
    tables["sale_order_line"].drop("analytic_distribution")
    for row in lines.rows:  # items in the company's currency have none; only titles and notes have a display type
        row["currency_id"], row["amount_currency"], row["amount_residual_currency"] = None, 0, 0
        if row["display_type"] != "line_section":
            row["display_type"] = None
    for table in ("account_account", "account_journal", "product_template"):
        tables[table].plain_text("name")
    accounts.drop("account_type", "internal_group")
    accounts.types["user_type_id"] = "bigint"
    for row in accounts.rows:
        row["user_type_id"] = row["id"]
    tables["account_account_type"] = Table(
        {"id": "bigint", "name": "text", "type": "text", "internal_group": "text"},
        [
            {"id": 1, "name": "Receivable", "type": "receivable", "internal_group": "asset"},
            {"id": 2, "name": "Income", "type": "other", "internal_group": "income"},
            {"id": 3, "name": "Current Liabilities", "type": "other", "internal_group": "liability"},
            {"id": 4, "name": "Bank and Cash", "type": "liquidity", "internal_group": "asset"},
        ],
    )
    tables["res_partner"].rename("complete_name", "display_name")
    tables["res_company"].drop("parent_path")
    tables["sale_order"].rows[0]["state"] = "done"
    return tables


def odoo_19() -> dict[str, Table]:
    tables = odoo_16()
    accounts = tables["account_account"]
    accounts.drop("company_id", "internal_group")
    accounts.rename("code", "code_store")
    accounts.types["code_store"] = "jsonb"
    for row in accounts.rows:
        row["code_store"] = {"1": row["code_store"], "2": "other company's"}
    tables["sale_order_line"].rename("product_uom", "product_uom_id")
    tables["account_move_line"].rows[-1]["display_type"] = "line_subsection"
    tables["sale_order_line"].rows[2]["display_type"] = "line_subsection"
    return tables


SHAPES = {"13": odoo_13, "16": odoo_16, "19": odoo_19}


def load(url: str, tables: dict[str, Table], leave_out: Iterable[str] = ()) -> None:
    """Write Bronze as an append-only target does: a wrong older version of each row, and rows deleted since."""
    lineage = {"write_date": "timestamptz", "_sdc_sequence": "bigint", "_sdc_extracted_at": "timestamptz",
               "_sdc_deleted_at": "timestamptz"}  # fmt: skip
    with psycopg.connect(url) as connection:
        connection.execute("create schema if not exists bronze")
        for name, table in tables.items():
            if name in leave_out:
                continue
            types = {**table.types, **lineage}
            columns = ", ".join(f'"{column}" {kind}' for column, kind in types.items())
            connection.execute(f"create table bronze.raw_odoo_{name} ({columns})")
            for row in table.rows:
                wrong = {column: (7777 if kind == "numeric" else value) for (column, kind), value in
                         ((item, row.get(item[0])) for item in table.types.items())}  # fmt: skip
                gone = {**wrong, "id": row["id"] + 50_000}
                versions = [
                    {**wrong, "write_date": "2025-01-01T00:00:00Z", "_sdc_sequence": 1},
                    # Two versions in one batch: write_date decides.
                    {**wrong, "write_date": "2025-01-02T00:00:00Z", "_sdc_sequence": 2},
                    {**row, "write_date": "2025-01-02T00:00:00.000001Z", "_sdc_sequence": 2},
                    {**gone, "write_date": "2025-01-01T00:00:00Z", "_sdc_sequence": 1},
                    {
                        **gone,
                        "write_date": "2025-01-01T00:00:00Z",
                        "_sdc_sequence": 3,
                        "_sdc_deleted_at": "2025-02-01T00:00:00Z",
                    },
                ]
                connection.execute(
                    f"insert into bronze.raw_odoo_{name} select * from jsonb_populate_recordset("
                    f"null::bronze.raw_odoo_{name}, %s::jsonb)",
                    [json.dumps(versions, default=str)],
                )


@pytest.mark.parametrize("version", SHAPES)
def test_same_books_same_gold(project, version: str) -> None:
    load(project.url, SHAPES[version]())

    outcome = project("build")

    assert outcome.code == 0, outcome.said
    assert outcome.named("pass") | outcome.named("success") == set(outcome.nodes), outcome.said
    assert "warn" not in outcome.said.lower().replace("warn=0", "").replace("0 warnings", ""), outcome.said
    assert "deprecat" not in outcome.said.lower()
    assert project.rows(
        "select account_code, account_name, account_type, opening_balance, debit, credit, closing_balance "
        "from gold.gold_finance_general_ledger where period = '2025-06-01' order by 1"
    ) == [
        ("101401", "Bank", "asset_cash", 70, 25, 0, 95),
        ("121000", "Receivable", "asset_receivable", 830, 0, 75, 755),
        ("251000", "Tax", "liability_current", -180, 10, 0, -170),
        ("400000", "Sales", "income", -720, 40, 0, -680),
    ]
    assert project.rows(
        "select partner_id, partner_name, currency_code, not_due, days_1_30, days_31_60, days_61_90, days_over_90, "
        "total, total_in_currency, invoices, credit_notes, payments_and_other, open_items, oldest_days_overdue "
        "from gold.gold_finance_ar_aging"
    ) == [(5, "Café Brûlé ☕", "EUR", 100, 125, 230, 200, 100, 755, 755, 830, -50, -25, 11, 91)]
    assert project.rows(
        "select period::text, product_code, product_name, currency_code, order_lines, orders, customers, quantity, "
        "gross_amount, discount_amount, net_amount, tax_amount, total_amount, company_currency_code, "
        "net_amount_company from gold.gold_retail_sales_summary"
    ) == [("2025-05-01", "C\\1", "Chair", "USD", 2, 1, 1, 4, 400, 80, 320, 64, 384, "EUR", 256)]
    # Quotations stay in Silver, titles do not.
    assert project.rows("select sale_line_id, is_confirmed from silver.odoo_sales order by 1") == [
        (1, True),
        (2, True),
        (4, False),
    ]
    assert project.rows(
        "select move_type, count(*), sum(amount_residual_signed) from silver.odoo_invoices group by 1 order by 1"
    ) == [("out_invoice", 10, 930), ("out_refund", 1, -50)]


def test_language_and_time_zone(project) -> None:
    """French where there is French; 23:30 UTC on 31 May is June in Paris."""
    load(project.url, odoo_16())

    outcome = project("build", language="fr_FR", timezone="Europe/Paris")

    assert outcome.code == 0, outcome.said
    assert project.rows("select distinct account_name from silver.odoo_journal_entries order by 1") == [
        ("Banque",), ("Clients",), ("Tax",), ("Ventes",),
    ]  # fmt: skip
    assert project.rows("select product_name, period::text from gold.gold_retail_sales_summary") == [
        ("Chaise", "2025-06-01")
    ]


def test_odoo_without_sales(project) -> None:
    """Finance builds, the missing tables are named, and retail is empty."""
    load(project.url, odoo_16(), leave_out=["sale_order", "sale_order_line"])

    outcome = project("build")

    assert outcome.code == 0, outcome.said
    assert 'Bronze has no "' in outcome.said
    assert "raw_odoo_sale_order_line" in outcome.said
    assert project.rows("select count(*) from gold.gold_retail_sales_summary") == [(0,)]
    assert project.rows("select sum(total) from gold.gold_finance_ar_aging") == [(755,)]


def test_no_bronze_at_all(project) -> None:
    outcome = project("build")

    assert outcome.code != 0
    assert "in schema 'bronze'" in outcome.said


# Each statement breaks one thing; the test named by it must say so.
BREAKAGES = {
    "posted_entries_balance": "update silver.odoo_journal_entries set debit = debit + 0.01 where journal_item_id = 1",
    "ledger_debits_equal_credits": "update gold.gold_finance_general_ledger set credit = credit - 1 "
    "where period = '2025-06-01' and account_code = '121000'",
    "ledger_equals_bronze": "update bronze.raw_odoo_account_move_line set debit = debit + 5 where id = 7",
    "ledger_months_follow_on": "delete from gold.gold_finance_general_ledger "
    "where account_code = '251000' and period = '2025-04-01'",
    "ar_aging_equals_bronze": "update gold.gold_finance_ar_aging set days_31_60 = days_31_60 + 0.01",
    "ar_aging_equals_open_invoices": "update silver.odoo_invoices set amount_residual_signed = 99 where invoice_id = 2",
    "invoice_amounts_agree": "update silver.odoo_invoices set amount_residual_signed = 99 where invoice_id = 2",
    "sales_summary_equals_bronze": "update bronze.raw_odoo_sale_order_line "
    "set price_subtotal = price_subtotal + 1 where id = 2",
    "one_row_per_live_key_odoo_journal_entries": "update silver.odoo_journal_entries set journal_item_id = 2 "
    "where journal_item_id = 3",
    "one_row_per_live_key_odoo_invoices": "delete from silver.odoo_invoices where invoice_id = 3",
    "one_row_per_live_key_odoo_sales": "update bronze.raw_odoo_sale_order_line "
    "set _sdc_deleted_at = now() where id = 4",
    "unique_odoo_journal_entries_journal_item_id": "",  # broken with one_row_per_live_key_odoo_journal_entries
    "relationships_odoo_invoices": "update silver.odoo_invoices set invoice_id = 77777 where invoice_id = 4",
    "relationships_gold_finance_general_ledger": "update gold.gold_finance_general_ledger set account_id = 99 "
    "where account_code = '101401'",
    "relationships_gold_finance_ar_aging": "update gold.gold_finance_ar_aging set partner_id = 99",
    "relationships_gold_retail_sales_summary": "update gold.gold_retail_sales_summary set product_id = 99",
    "accepted_values_odoo_journal_entries_state": "update silver.odoo_journal_entries set state = 'odd' "
    "where move_id = 13",
    "not_null_odoo_sales_order_date": "update silver.odoo_sales set order_date = null where sale_line_id = 1",
}


def test_every_data_test_can_fail(project) -> None:
    load(project.url, odoo_16())
    outcome = project("build")
    assert outcome.code == 0, outcome.said
    for statement in filter(None, BREAKAGES.values()):
        project.execute(statement)

    outcome = project("test")

    noticed = outcome.named("fail") | outcome.named("warn")
    assert not outcome.named("error"), outcome.said
    assert [name for name in BREAKAGES if not any(each.startswith(name) for each in noticed)] == [], outcome.said
