"""Invoices and translated names look the same on each version of Odoo."""

from __future__ import annotations

import pytest

KINDS = ["out_invoice", "out_refund", "in_invoice", "in_refund", "out_receipt", "in_receipt", "entry"]
# Move state, payment state, and the invoice state of old.
STATES = [
    ("draft", "not_paid", "draft"),
    ("cancel", "not_paid", "cancel"),
    ("posted", "not_paid", "open"),
    ("posted", "partial", "open"),
    ("posted", None, "open"),
    ("posted", "in_payment", "in_payment"),
    ("posted", "paid", "paid"),
    ("posted", "reversed", "paid"),
]
OLD_NAMES = {
    "move_type": "type",
    "payment_state": "invoice_payment_state",
    "payment_reference": "invoice_payment_ref",
    "partner_bank_id": "invoice_partner_bank_id",
    "is_move_sent": "invoice_sent",
}
EXTRA = {
    13: "extract_state varchar",
    14: "to_check boolean, edi_state varchar",
    15: "amount_total_in_currency_signed numeric",
    16: "auto_post_until date, is_storno boolean",
    18: "origin_payment_id integer, sending_data jsonb, checked boolean",
    19: "taxable_supply_date date",
}


def create_moves(odoo, version: int, *, sales: bool = True) -> None:
    odoo.execute(f"""
        create table account_move (
            id serial primary key, name varchar, ref varchar, date date, state varchar not null,
            move_type varchar not null, journal_id integer, company_id integer, currency_id integer, partner_id integer,
            commercial_partner_id integer, partner_shipping_id integer, fiscal_position_id integer,
            invoice_user_id integer, {"team_id integer," if sales else ""} invoice_date date, invoice_date_due date,
            invoice_origin varchar, invoice_payment_term_id integer, payment_reference varchar, payment_state varchar,
            amount_untaxed numeric, amount_tax numeric, amount_total numeric, amount_residual numeric,
            amount_untaxed_signed numeric, amount_total_signed numeric, reversed_entry_id integer,
            partner_bank_id integer, narration text, is_move_sent boolean, access_token varchar,
            create_uid integer, create_date timestamp, write_uid integer, write_date timestamp, {EXTRA[version]})
    """)
    for kind in KINDS:
        for state, payment, _ in STATES:
            odoo.execute(
                """insert into account_move (name, state, move_type, payment_state, ref, invoice_origin, amount_total,
                   amount_residual, payment_reference, partner_bank_id, is_move_sent, write_date)
                   values ('INV/1', %s, %s, %s, 'ref', 'SO1', 121.10, 0.30, '+++1+++', 9, true, '2024-01-01')""",
                state, kind, payment,
            )  # fmt: skip
    if version == 13:
        for new, old in OLD_NAMES.items():
            odoo.execute(f"alter table account_move rename {new} to {old}")


@pytest.mark.parametrize("version", EXTRA)
def test_account_invoice(odoo, version: int) -> None:
    create_moves(odoo, version)
    messages = odoo.sync(streams=["account_invoice"])
    records = messages.records("account_invoice")
    assert [(r["type"], r["move_state"], r["payment_state"], r["state"]) for r in records] == [
        (kind, *states) for kind in KINDS[:-1] for states in STATES
    ]
    assert list(records[0]) == list(messages.properties("account_invoice"))
    wanted = {"number": "INV/1", "origin": "SO1", "reference": "ref", "payment_reference": "+++1+++", "sent": True}
    assert {name: records[0][name] for name in wanted} == wanted
    assert str(records[0]["amount_total"]) == "121.10"
    assert records[0]["partner_bank_id"] == 9
    assert records[0]["move_id"] == records[0]["id"]
    assert "team_id" in records[0]
    assert messages.of("SCHEMA")[0]["key_properties"] == ["id"]
    assert odoo.sync(streams=["account_invoice"], state=messages.state).of("RECORD") == []


def test_account_invoice_is_the_same_on_every_version(odoo) -> None:
    seen = []
    for version in EXTRA:
        odoo.execute("drop table if exists account_move")
        create_moves(odoo, version)
        messages = odoo.sync(streams=["account_invoice"])
        seen.append((messages.properties("account_invoice"), messages.records("account_invoice")))
    assert all(one == seen[0] for one in seen)


def test_account_invoice_leaves_out_what_is_not_there(odoo) -> None:
    create_moves(odoo, 16, sales=False)
    messages = odoo.sync(streams=["account_invoice"], exclude_fields=["account_move.narration", "account_invoice.ref*"])
    assert not {"team_id", "comment", "reference", "refund_invoice_id"} & set(messages.properties("account_invoice"))
    assert "number" in messages.properties("account_invoice")


def test_when_there_is_no_account_invoice(odoo) -> None:
    create_moves(odoo, 16)
    assert "account_invoice" not in odoo.discover(invoice_compat=False)
    odoo.moves("2024-01-01", table="account_invoice")  # Odoo 12: a table of its own
    assert odoo.sync(streams=["account_invoice"]).ids("account_invoice") == [1]
    odoo.execute("drop table account_move; drop table account_invoice")
    assert odoo.discover() == {}


def create_names(odoo, version: int) -> None:
    kind = "jsonb" if version >= 16 else "varchar"
    odoo.execute(f"""create table product_template (id integer primary key, name {kind}, description_sale {kind},
        default_code varchar, x_data jsonb, write_date timestamp)""")
    flag = "varchar" if version >= 18 else "boolean"
    odoo.execute(f"create table ir_model_fields (id serial primary key, model varchar, name varchar, translate {flag})")
    values = ("standard", None) if version >= 18 else (True, False)
    for name, value in [("name", values[0]), ("description_sale", values[0]), ("default_code", values[1])]:
        odoo.execute(
            "insert into ir_model_fields (model, name, translate) values ('product.template', %s, %s)", name, value
        )
    english = ["Chair", "It's a {chair}", None]
    if version >= 16:
        rows = ['{"en_US": "Chair", "fr_FR": "Chaise"}', '{"en_US": "It\'s a {chair}"}', None]
    else:
        rows = english
        odoo.execute("""create table ir_translation (id serial primary key, name varchar, res_id integer, lang varchar,
            type varchar, value text)""")
        for name, number, lang, kind_, value in [
            ("product.template,name", 1, "fr_FR", "model", "Chaise"),
            ("product.template,name", 2, "fr_FR", "model", ""),
            ("product.template,name", 3, "fr_FR", "code", "no"),
            ("product.product,name", 2, "fr_FR", "model", "no"),
        ]:
            odoo.execute("insert into ir_translation (name, res_id, lang, type, value) values (%s, %s, %s, %s, %s)",
                         name, number, lang, kind_, value)  # fmt: skip
    for number, row in enumerate(rows, 1):
        odoo.execute(
            "insert into product_template values (%s, %s, null, 'C1', '{\"en_US\": 1}', '2024-01-01')", number, row
        )


@pytest.mark.parametrize("version", [13, 15, 16, 18, 19])
@pytest.mark.parametrize(
    ("languages", "names"),
    [
        (["fr_FR"], ["Chaise", "It's a {chair}", None]),
        (["de_DE", "fr_FR"], ["Chaise", "It's a {chair}", None]),
        (["en_US", "fr_FR"], ["Chair", "It's a {chair}", None]),
        (["x'; drop table product_template; --{}"], ["Chair", "It's a {chair}", None]),
    ],
)
def test_translated_names(odoo, version: int, languages, names) -> None:
    create_names(odoo, version)
    messages = odoo.sync(streams=["product_template"], translated_output="first", languages=languages)
    records = messages.records("product_template")
    assert [record["name"] for record in records] == names
    assert messages.properties("product_template")["name"] == {"type": ["null", "string"]}
    assert records[0]["x_data"] == {"en_US": 1}  # not translated, whatever it looks like
    assert records[0]["default_code"] == "C1"


def test_translated_names_as_they_are(odoo) -> None:
    create_names(odoo, 16)
    records = odoo.sync(streams=["product_template"]).records("product_template")
    assert records[0]["name"] == {"en_US": "Chair", "fr_FR": "Chaise"}


def test_translated_names_without_a_registry(odoo) -> None:
    create_names(odoo, 16)
    odoo.execute("drop table ir_model_fields")
    records = odoo.sync(streams=["product_template"], translated_output="first", languages=["fr_FR"])
    assert records.records("product_template")[0]["name"] == "Chaise"
