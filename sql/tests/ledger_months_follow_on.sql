-- Each month opens with what the one before closed with, and closes with that plus its movement.
select *
from (
    select
        ledger_key,
        opening_balance,
        debit,
        credit,
        closing_balance,
        lag(closing_balance, 1, 0::numeric) over (
            partition by company_id, account_id order by period
        ) as closed_before
    from {{ ref('gold_finance_general_ledger') }}
) as months
where
    opening_balance <> closed_before
    or round(opening_balance + debit - credit - closing_balance, 2) <> 0
