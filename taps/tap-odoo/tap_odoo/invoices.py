"""`account_invoice` after Odoo 12: the invoices among the account moves, under the names of old.

Odoo 13 merged invoices into account_move and 14 renamed several of its columns; the stream looks the same on all of
them. A column that a database lacks (`team_id` without the sales app) is left out.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tap_odoo.sources import Field

if TYPE_CHECKING:
    from tap_odoo.discovery import Table
    from tap_odoo.sources import FieldFilter, Source

STREAM = "account_invoice"
TABLE = "account_move"

# Property -> the column of account_move, newest name first.
_PROPERTIES: dict[str, tuple[str, ...]] = {
    "id": ("id",),
    "number": ("name",),
    "type": ("move_type", "type"),
    "move_state": ("state",),
    "payment_state": ("payment_state", "invoice_payment_state"),
    "date_invoice": ("invoice_date",),
    "date_due": ("invoice_date_due",),
    "date": ("date",),
    "origin": ("invoice_origin",),
    "reference": ("ref",),
    "payment_reference": ("payment_reference", "invoice_payment_ref"),
    "partner_id": ("partner_id",),
    "commercial_partner_id": ("commercial_partner_id",),
    "partner_shipping_id": ("partner_shipping_id",),
    "user_id": ("invoice_user_id",),
    "team_id": ("team_id",),
    "journal_id": ("journal_id",),
    "currency_id": ("currency_id",),
    "company_id": ("company_id",),
    "payment_term_id": ("invoice_payment_term_id",),
    "fiscal_position_id": ("fiscal_position_id",),
    "refund_invoice_id": ("reversed_entry_id",),
    "partner_bank_id": ("partner_bank_id", "invoice_partner_bank_id"),
    "comment": ("narration",),
    "move_id": ("id",),
    "sent": ("is_move_sent", "invoice_sent"),
    "amount_untaxed": ("amount_untaxed",),
    "amount_tax": ("amount_tax",),
    "amount_total": ("amount_total",),
    "amount_untaxed_signed": ("amount_untaxed_signed",),
    "amount_total_company_signed": ("amount_total_signed",),
    "residual": ("amount_residual",),
    "create_uid": ("create_uid",),
    "create_date": ("create_date",),
    "write_uid": ("write_uid",),
    "write_date": ("write_date",),
}
_STATE = (
    "case when {0} = 'draft' then 'draft' when {0} = 'cancel' then 'cancel'"
    " when {1} = 'in_payment' then 'in_payment' when {1} in ('paid', 'reversed') then 'paid' else 'open' end"
)
_TYPES = "{} in ('out_invoice', 'out_refund', 'in_invoice', 'in_refund', 'out_receipt', 'in_receipt')"


def invoice_source(moves: Table, source: Source, excluded: FieldFilter) -> Source | None:
    """Define the stream from account_move and its own stream, whose exclusions hold here too.

    Returns:
        None when the table does not hold invoices (Odoo 12 and older, or no such table of Odoo's).
    """
    names = {column.name for column in moves.columns}
    kind = next((name for name in _PROPERTIES["type"] if name in names), None)
    if kind is None or not {"id", "state"} <= names or source.key != ("id",):
        return None
    fields = {item.name: item for item in source.fields}
    properties: list[Field] = []
    for name, candidates in _PROPERTIES.items():
        column = next((candidate for candidate in candidates if candidate in fields), None)
        if column is None:
            continue
        properties.append(replace(fields[column], name=name))
        payment = next((candidate for candidate in _PROPERTIES["payment_state"] if candidate in names), None)
        if name == "payment_state" and payment:
            properties.append(Field("state", {"type": ["null", "string"]}, _STATE, ("state", payment)))
    properties = [item for item in properties if not excluded.excludes(STREAM, item.name)]
    return replace(source, name=STREAM, fields=tuple(properties), condition=Field("", {}, _TYPES, (kind,)))
