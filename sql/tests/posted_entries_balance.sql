-- Every posted entry has as much debit as credit, to the decimals of the company's currency (as Odoo checks it).
select
    move_id,
    max(move_name) as move_name,
    sum(balance) as difference
from {{ ref('odoo_journal_entries') }}
where state = 'posted'
group by move_id
having
    round(sum(balance), coalesce(max(company_currency_decimals), 2)) <> 0
    or round(sum(debit) - sum(credit), coalesce(max(company_currency_decimals), 2)) <> 0
