-- What customers owe, by how long it is overdue, from the open part of posted items on receivable accounts. Items, not
-- invoices, because credit notes, payments not matched yet and opening entries are open items too and lower (or raise)
-- what is owed.
with items as (
    select
        company_id,
        company_name,
        company_currency_code,
        currency_code,
        commercial_partner_id as partner_id,
        commercial_partner_name as partner_name,
        amount_residual,
        amount_residual_currency,
        move_type,
        {{ as_of() }} as as_of,
        {{ as_of() }} - coalesce(due_date, accounting_date) as days_overdue
    from {{ ref('odoo_journal_entries') }}
    where
        state = 'posted'
        and account_type = 'asset_receivable'
        -- An item settled in its own currency can still carry an exchange difference, and the other way round.
        and (amount_residual <> 0 or amount_residual_currency <> 0)
)

select
    concat_ws('-', company_id, currency_code, coalesce(partner_id, 0)) as aging_key,
    as_of,
    company_id,
    max(company_name) as company_name,
    partner_id,
    coalesce(max(partner_name), '(no partner)') as partner_name,
    currency_code,
    max(company_currency_code) as company_currency_code,
    coalesce(sum(amount_residual) filter (where days_overdue <= 0), 0) as not_due,
    coalesce(sum(amount_residual) filter (where days_overdue between 1 and 30), 0) as days_1_30,
    coalesce(sum(amount_residual) filter (where days_overdue between 31 and 60), 0) as days_31_60,
    coalesce(sum(amount_residual) filter (where days_overdue between 61 and 90), 0) as days_61_90,
    coalesce(sum(amount_residual) filter (where days_overdue > 90), 0) as days_over_90,
    sum(amount_residual) as total,
    sum(amount_residual_currency) as total_in_currency,
    coalesce(sum(amount_residual) filter (where move_type in ('out_invoice', 'out_receipt')), 0) as invoices,
    coalesce(sum(amount_residual) filter (where move_type = 'out_refund'), 0) as credit_notes,
    coalesce(
        sum(amount_residual) filter (where move_type not in ('out_invoice', 'out_receipt', 'out_refund')), 0
    ) as payments_and_other,
    count(*) as open_items,
    max(greatest(days_overdue, 0)) filter (where amount_residual > 0) as oldest_days_overdue
from items
group by as_of, company_id, partner_id, currency_code
