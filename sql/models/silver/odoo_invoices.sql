-- One row per customer or vendor invoice, credit note and receipt, in any state.
-- The stream account_invoice is Odoo 12's invoice synthesised from moves; it has the residual in the document's
-- currency only, so the residual in company currency comes from the move itself.
with invoices as (
    {{ bronze_latest('account_invoice', [
        'id bigint',
        'number text',
        'type|move_type text',
        'move_state text',
        'payment_state text',
        'state text',
        'date_invoice date',
        'date_due date',
        'date date',
        'origin text',
        'reference text',
        'payment_reference text',
        'partner_id bigint',
        'commercial_partner_id bigint',
        'user_id bigint',
        'team_id bigint',
        'journal_id bigint',
        'currency_id bigint',
        'company_id bigint',
        'refund_invoice_id bigint',
        'sent boolean',
        'amount_untaxed numeric',
        'amount_tax numeric',
        'amount_total numeric',
        'residual numeric',
        'amount_untaxed_signed numeric',
        'amount_total_company_signed numeric',
        'create_date timestamptz',
        'write_date timestamptz',
        '_sdc_extracted_at timestamptz',
    ]) }}
)

select
    invoices.id as invoice_id,
    invoices.number as invoice_number,
    invoices.type as move_type,
    case when invoices.type like 'out%' then 'customer' else 'vendor' end as party,
    case split_part(invoices.type, '_', 2)
        when 'refund' then 'credit_note' when 'receipt' then 'receipt' else 'invoice'
    end as document_kind,
    invoices.move_state,
    invoices.state as status,
    coalesce(invoices.payment_state, 'not_paid') as payment_state,
    invoices.date_invoice as invoice_date,
    coalesce(invoices.date_due, invoices.date_invoice) as due_date,
    invoices.date as accounting_date,
    invoices.company_id,
    companies.name as company_name,
    companies.currency_code as company_currency_code,
    invoices.journal_id,
    invoices.partner_id,
    partners.name as partner_name,
    coalesce(partners.commercial_partner_id, invoices.commercial_partner_id, invoices.partner_id)
        as commercial_partner_id,
    partners.commercial_partner_name,
    invoices.user_id as salesperson_id,
    invoices.team_id as sales_team_id,
    currencies.name as currency_code,
    coalesce(invoices.amount_untaxed, 0) as amount_untaxed,
    coalesce(invoices.amount_tax, 0) as amount_tax,
    coalesce(invoices.amount_total, 0) as amount_total,
    coalesce(invoices.residual, 0) as amount_residual,
    coalesce(invoices.amount_untaxed_signed, 0) as amount_untaxed_signed,
    coalesce(
        moves.amount_tax_signed,
        invoices.amount_total_company_signed - invoices.amount_untaxed_signed,
        0
    ) as amount_tax_signed,
    coalesce(invoices.amount_total_company_signed, 0) as amount_total_signed,
    coalesce(moves.amount_residual_signed, 0) as amount_residual_signed,
    invoices.origin,
    invoices.reference,
    invoices.payment_reference,
    invoices.refund_invoice_id as reversed_invoice_id,
    coalesce(invoices.sent, false) as is_sent,
    invoices.create_date as created_at,
    invoices.write_date as updated_at,
    invoices._sdc_extracted_at as extracted_at
from invoices
left join {{ ref('base_odoo_moves') }} as moves on moves.id = invoices.id
left join {{ ref('base_odoo_companies') }} as companies on companies.id = invoices.company_id
left join {{ ref('base_odoo_partners') }} as partners on partners.id = invoices.partner_id
left join {{ ref('base_odoo_currencies') }} as currencies on currencies.id = invoices.currency_id
