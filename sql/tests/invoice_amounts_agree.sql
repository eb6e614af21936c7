-- Of a posted document: tax and untaxed make the total, no more is open than the total, and the signed amounts have the
-- sign of the kind of document.
select invoice_id, invoice_number, move_type, amount_untaxed, amount_tax, amount_total, amount_residual,
    amount_total_signed, amount_residual_signed
from (
    select
        *,
        case when move_type in ('out_invoice', 'out_receipt', 'in_refund') then 1 else -1 end as sign
    from {{ ref('odoo_invoices') }}
    where move_state = 'posted'
) as documents
where
    amount_untaxed + amount_tax <> amount_total
    or amount_untaxed_signed + amount_tax_signed <> amount_total_signed
    or amount_residual not between 0 and amount_total
    or amount_total_signed * sign < 0
    or amount_residual_signed * sign < 0
    or (currency_code = company_currency_code and amount_residual_signed <> amount_residual * sign)
