-- What the demo shows of Gold. A heading names the query below it; its columns are what is printed.

-- name: General ledger: the newest month, per company and kind of account
select
    company_name as company, account_type as "kind of account", sum(opening_balance) as opening,
    sum(debit) as debit, sum(credit) as credit, sum(closing_balance) as closing
from gold.gold_finance_general_ledger
where period = (select max(period) from gold.gold_finance_general_ledger)
group by company_name, account_type
order by company_name, account_type

-- name: Receivables by age: what customers owe, per company and currency
select
    company_name as company, currency_code as "invoiced in", sum(not_due) as "not due", sum(days_1_30) as "1-30",
    sum(days_31_60) as "31-60", sum(days_61_90) as "61-90", sum(days_over_90) as "over 90", sum(total) as total,
    max(company_currency_code) as "in"
from gold.gold_finance_ar_aging
group by company_name, currency_code
order by company_name, currency_code

-- name: Retail sales: the last three months, per company and currency
select
    to_char(period, 'YYYY-MM') as month, company_name as company, currency_code as currency, sum(order_lines) as lines,
    sum(gross_amount) as gross, sum(discount_amount) as discount, sum(net_amount) as net
from gold.gold_retail_sales_summary
where period > (select max(period) from gold.gold_retail_sales_summary) - interval '3 months'
group by period, company_name, currency_code
order by period desc, company_name, currency_code

-- name: totals
select
    (select sum(debit) from gold.gold_finance_general_ledger) as "posted debits",
    (select sum(credit) from gold.gold_finance_general_ledger) as "posted credits",
    (select sum(total) from gold.gold_finance_ar_aging) as "open receivables",
    (select sum(net_amount) from gold.gold_retail_sales_summary) as "net sales",
    (select sum(order_lines) from gold.gold_retail_sales_summary) as "sales lines"
