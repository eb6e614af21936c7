-- An account's last closing balance, and all it ever moved, are the sums of its posted items straight from Bronze.
with items as (
    {{ bronze_latest('account_move_line', [
        'id bigint',
        'company_id bigint',
        'account_id bigint',
        'parent_state text',
        'debit numeric',
        'credit numeric',
    ]) }}
),

bronze as (
    select company_id, account_id, sum(debit) as debit, sum(credit) as credit
    from items
    where parent_state = 'posted' and account_id is not null
    group by company_id, account_id
),

ledger as (
    select
        company_id,
        account_id,
        sum(debit) as debit,
        sum(credit) as credit,
        (array_agg(closing_balance order by period desc))[1] as closing_balance
    from {{ ref('gold_finance_general_ledger') }}
    group by company_id, account_id
)

select company_id, account_id, bronze.debit, bronze.credit, ledger.closing_balance
from bronze
full join ledger using (company_id, account_id)
where
    bronze.debit is distinct from ledger.debit
    or bronze.credit is distinct from ledger.credit
    or bronze.debit - bronze.credit is distinct from ledger.closing_balance
