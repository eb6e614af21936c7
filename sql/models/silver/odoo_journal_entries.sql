-- One row per journal item: account_move_line with what its entry, account, journal and partner say about it.
-- Left joins throughout: a lookup that was not synced must not take money out of the ledger.
with lines as (
    {{ bronze_latest('account_move_line', [
        'id bigint',
        'move_id bigint',
        'move_name text',
        'parent_state text',
        'display_type text',
        'journal_id bigint',
        'company_id bigint',
        'account_id bigint',
        'partner_id bigint',
        'product_id bigint',
        'currency_id bigint',
        'name text',
        'ref text',
        'date date',
        'date_maturity date',
        'quantity numeric',
        'debit numeric',
        'credit numeric',
        'balance numeric',
        'amount_currency numeric',
        'amount_residual numeric',
        'amount_residual_currency numeric',
        'reconciled boolean',
        'matching_number text',
        'full_reconcile_id bigint',
        'tax_line_id bigint',
        'analytic_distribution jsonb',
        'create_date timestamptz',
        'write_date timestamptz',
        '_sdc_extracted_at timestamptz',
    ]) }}
),

journals as (
    {{ bronze_latest('account_journal', [
        'id bigint',
        'code text',
        'name translated',
        'type text',
    ]) }}
)

select
    lines.id as journal_item_id,
    lines.move_id,
    coalesce(moves.name, lines.move_name) as move_name,
    coalesce(moves.move_type, 'entry') as move_type,
    coalesce(moves.state, lines.parent_state) as state,
    coalesce(moves.date, lines.date) as accounting_date,
    moves.invoice_date,
    lines.date_maturity as due_date,
    coalesce(lines.company_id, moves.company_id) as company_id,
    companies.name as company_name,
    companies.currency_code as company_currency_code,
    companies.decimal_places as company_currency_decimals,
    coalesce(moves.journal_id, lines.journal_id) as journal_id,
    journals.code as journal_code,
    journals.name as journal_name,
    journals.type as journal_type,
    lines.account_id,
    -- Since 18 an account has a code per company (a branch uses its root company's).
    coalesce(
        accounts.code,
        accounts.code_store ->> companies.id::text,
        accounts.code_store ->> companies.root_company_id
    ) as account_code,
    accounts.name as account_name,
    accounts.account_type,
    lines.partner_id,
    partners.name as partner_name,
    coalesce(partners.commercial_partner_id, lines.partner_id) as commercial_partner_id,
    partners.commercial_partner_name,
    lines.product_id,
    lines.name as label,
    coalesce(moves.ref, lines.ref) as reference,
    coalesce(lines.display_type, 'product') as display_type,
    lines.quantity,
    coalesce(lines.debit, 0) as debit,
    coalesce(lines.credit, 0) as credit,
    coalesce(lines.balance, lines.debit - lines.credit, 0) as balance,
    -- Up to 13 an item in the company's currency has neither currency nor amounts in it.
    coalesce(currencies.name, companies.currency_code) as currency_code,
    coalesce(
        case when lines.currency_id is not null then lines.amount_currency end,
        lines.balance, lines.debit - lines.credit, 0
    ) as amount_currency,
    coalesce(lines.amount_residual, 0) as amount_residual,
    coalesce(
        case when lines.currency_id is not null then lines.amount_residual_currency end,
        lines.amount_residual, 0
    ) as amount_residual_currency,
    coalesce(lines.reconciled, false) as is_reconciled,
    lines.matching_number,
    lines.full_reconcile_id,
    lines.tax_line_id,
    lines.analytic_distribution,
    lines.create_date as created_at,
    lines.write_date as updated_at,
    lines._sdc_extracted_at as extracted_at
from lines
left join {{ ref('base_odoo_moves') }} as moves on moves.id = lines.move_id
left join {{ ref('base_odoo_companies') }} as companies on companies.id = coalesce(lines.company_id, moves.company_id)
left join {{ ref('base_odoo_accounts') }} as accounts on accounts.id = lines.account_id
left join {{ ref('base_odoo_partners') }} as partners on partners.id = lines.partner_id
left join {{ ref('base_odoo_currencies') }} as currencies on currencies.id = lines.currency_id
left join journals on journals.id = coalesce(moves.journal_id, lines.journal_id)
-- Section titles and notes of an invoice are lines without account or amount.
where coalesce(lines.display_type, '') not in ('line_section', 'line_subsection', 'line_note')
