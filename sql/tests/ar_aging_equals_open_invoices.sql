{{ config(severity='warn') }}
-- The invoices and credit notes in the ageing are the open posted customer documents. A warning only: a document whose
-- receivable was booked on another kind of account by hand is in odoo_invoices and rightly not in the ageing.
with documents as (
    select company_id, commercial_partner_id as partner_id, sum(amount_residual_signed) as open
    from {{ ref('odoo_invoices') }}
    where party = 'customer' and move_state = 'posted'
    group by 1, 2
),

aging as (
    select company_id, partner_id, sum(invoices + credit_notes) as open
    from {{ ref('gold_finance_ar_aging') }}
    group by 1, 2
)

select company_id, partner_id, documents.open as documents, aging.open as aging
from documents
full join aging using (company_id, partner_id)
where coalesce(documents.open, 0) <> coalesce(aging.open, 0)
