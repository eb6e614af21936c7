-- The buckets add up to the total, and the totals of a company to its open receivables straight from Bronze.
with items as (
    {{ bronze_latest('account_move_line', [
        'id bigint',
        'company_id bigint',
        'account_id bigint',
        'parent_state text',
        'amount_residual numeric',
    ]) }}
),

bronze as (
    select items.company_id, sum(items.amount_residual) as receivable
    from items
    inner join {{ ref('base_odoo_accounts') }} as accounts on accounts.id = items.account_id
    where items.parent_state = 'posted' and accounts.account_type = 'asset_receivable'
    group by items.company_id
),

aging as (
    select
        company_id,
        sum(total) as total,
        sum(not_due + days_1_30 + days_31_60 + days_61_90 + days_over_90) as buckets,
        sum(invoices + credit_notes + payments_and_other) as kinds
    from {{ ref('gold_finance_ar_aging') }}
    group by company_id
)

select company_id, bronze.receivable, aging.total, aging.buckets, aging.kinds
from bronze
full join aging using (company_id)
where
    coalesce(bronze.receivable, 0) <> coalesce(aging.total, 0)
    or aging.buckets <> aging.total
    or aging.kinds <> aging.total
