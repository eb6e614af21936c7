"""Which dbt models a change concerns: on the platform's own project, and on small ones that show the rules."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ipai.dbt_models import Project
from ipai.resources import resource

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def ours() -> Project:
    return Project(resource("sql"))


def named(project: Project, table: str, column: str | None) -> tuple[list[str], list[str]]:
    """Those that read it, and those built on them."""
    found = project.readers(table, column)
    return [each.name for each in found if each.reads], [each.name for each in found if not each.reads]


@pytest.mark.parametrize(
    ("table", "column", "reads", "built_on"),
    [
        # The invoices' total comes from the stream account_invoice; nobody reads it from the moves.
        ("raw_odoo_account_invoice", "amount_total", ["odoo_invoices"], []),
        ("raw_odoo_account_move", "amount_total", [], []),
        (
            "raw_odoo_account_move", "amount_residual_signed", ["base_odoo_moves", "odoo_invoices"],
            ["odoo_journal_entries", "gold_finance_ar_aging", "gold_finance_general_ledger"],
        ),
        (
            "raw_odoo_account_move_line", "amount_residual", ["odoo_journal_entries", "gold_finance_ar_aging"],
            ["gold_finance_general_ledger"],
        ),
        ("raw_odoo_sale_order_line", "product_uom_qty", ["odoo_sales"], ["gold_retail_sales_summary"]),
        ("raw_odoo_uom_uom", "category_id", [], []),
        ("raw_shop_orders", "id", [], []),
    ],
)  # fmt: skip
def test_the_platforms_own_models(
    ours: Project, table: str, column: str, reads: list[str], built_on: list[str]
) -> None:
    assert named(ours, table, column) == (reads, built_on)


def test_a_whole_table_concerns_all_that_stands_on_it(ours: Project) -> None:
    reads, built_on = named(ours, "raw_odoo_sale_order", None)
    assert (reads, built_on) == (["odoo_sales"], ["gold_retail_sales_summary"])
    assert [each.layer for each in ours.readers("RAW_ODOO_SALE_ORDER", None)] == ["silver", "gold"]


def test_every_column_that_a_macro_lists_is_found_and_no_comment_is(tmp_path: Path) -> None:
    models = tmp_path / "models" / "silver"
    models.mkdir(parents=True)
    (models / "s.yml").write_text("sources: [{name: shop, tables: [{name: orders, identifier: raw_shop_orders}]}]")
    (models / "broken.yml").write_text("a: [")
    (models / "plain.sql").write_text("select total -- and not note\nfrom {{ source('shop', 'orders') }} {# nor tax #}")
    (models / "macro.sql").write_text(
        "with o as ({{ latest('orders', ['id int', 'tax|vat int']) }}) select note from o"
    )
    (models / "other.sql").write_text("select total, note from {{ ref('orders') }}")
    (models / "next.sql").write_text("select * from {{ ref('plain') }}")
    (models / "last.sql").write_text("select total from {{ ref('next') }} join {{ ref(\"plain\") }}")
    project = Project(tmp_path)
    assert named(project, "raw_shop_orders", "total") == (["plain", "last"], ["next"])
    assert named(project, "raw_shop_orders", "VAT") == (["macro"], [])
    assert named(project, "raw_shop_orders", "tax") == (["macro"], [])
    assert named(project, "raw_shop_orders", "note") == ([], [])  # behind the macro it is no column of this table
    assert named(project, "raw_shop_orders", "tot") == ([], [])
    assert named(project, "raw_shop_orders", None) == (["macro", "plain"], ["next", "last"])
