-- Balances of every account, month by month, from posted journal items.
-- Months without movement are rows too, from an account's first month up to the month of `as_of`: whoever sums the
-- closing balances of one month gets the balance of all accounts. Months after `as_of` appear only if they have movement,
-- so an entry dated 2099 by mistake adds one row and not nine hundred.
with movements as (
    select
        company_id,
        account_id,
        {{ month_of('accounting_date') }} as period,
        sum(debit) as debit,
        sum(credit) as credit,
        sum(balance) as net_movement,
        count(*) as journal_items
    from {{ ref('odoo_journal_entries') }}
    where state = 'posted'
    group by 1, 2, 3
),

accounts as (
    select
        company_id,
        account_id,
        max(company_name) as company_name,
        max(company_currency_code) as currency_code,
        max(account_code) as account_code,
        max(account_name) as account_name,
        max(account_type) as account_type,
        min({{ month_of('accounting_date') }}) filter (where isfinite(accounting_date)) as first_period
    from {{ ref('odoo_journal_entries') }}
    where state = 'posted'
    group by 1, 2
),

periods as (
    select company_id, account_id, month::date as period
    from accounts
    cross join generate_series(
        first_period::timestamp, {{ month_of(as_of()) }}::timestamp, interval '1 month'
    ) as month

    union

    select company_id, account_id, period
    from movements
),

balances as (
    select
        company_id,
        account_id,
        period,
        coalesce(debit, 0) as debit,
        coalesce(credit, 0) as credit,
        coalesce(net_movement, 0) as net_movement,
        coalesce(journal_items, 0) as journal_items,
        sum(coalesce(net_movement, 0)) over (
            partition by company_id, account_id order by period
        ) as closing_balance
    from periods
    left join movements using (company_id, account_id, period)
)

select
    concat_ws('-', company_id, account_id, to_char(period, 'YYYYMM')) as ledger_key,
    company_id,
    company_name,
    account_id,
    account_code,
    account_name,
    account_type,
    period,
    currency_code,
    closing_balance - net_movement as opening_balance,
    debit,
    credit,
    net_movement,
    closing_balance,
    journal_items
from balances
inner join accounts using (company_id, account_id)
