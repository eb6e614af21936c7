-- In every month of every company the ledger's debits equal its credits and its balances add up to zero.
select
    company_id,
    period,
    sum(debit) as debit,
    sum(credit) as credit,
    sum(closing_balance) as closing_balance
from {{ ref('gold_finance_general_ledger') }}
-- After as_of the ledger has only the accounts that move, which says nothing of the balance of all of them.
group by company_id, period
having
    round(sum(debit) - sum(credit), 2) <> 0
    or (period <= {{ as_of() }} and round(sum(closing_balance), 2) <> 0)
