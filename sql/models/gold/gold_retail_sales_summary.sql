-- Confirmed sales by company, month, product, unit and currency. Amounts in different currencies, and quantities in
-- different units, are never added up: both are part of the grain. The amount in company currency may be added up.
select
    concat_ws(
        '-', company_id, to_char(period, 'YYYYMM'), coalesce(product_id, 0), coalesce(uom_id, 0), currency_code
    ) as summary_key,
    company_id,
    max(company_name) as company_name,
    period,
    product_id,
    max(product_code) as product_code,
    max(product_name) as product_name,
    max(product_category) as product_category,
    uom_id,
    max(uom_name) as uom_name,
    currency_code,
    count(*) as order_lines,
    count(distinct order_id) as orders,
    count(distinct customer_id) as customers,
    sum(quantity_ordered) as quantity,
    sum(gross_amount) as gross_amount,
    sum(discount_amount) as discount_amount,
    sum(net_amount) as net_amount,
    sum(tax_amount) as tax_amount,
    sum(total_amount) as total_amount,
    max(company_currency_code) as company_currency_code,
    -- A sum with an unknown part is unknown.
    case when count(*) = count(net_amount_company) then sum(net_amount_company) end as net_amount_company
from (
    select *, {{ month_of('order_date') }} as period
    from {{ ref('odoo_sales') }}
    where is_confirmed
) as sales
group by company_id, period, product_id, uom_id, currency_code
