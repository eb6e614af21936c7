-- The summary is the confirmed order lines: count, quantity, net and total by company and currency, straight from Bronze.
with lines as (
    {{ bronze_latest('sale_order_line', [
        'id bigint',
        'order_id bigint',
        'display_type text',
        'product_uom_qty numeric',
        'price_subtotal numeric',
        'price_total numeric',
    ]) }}
),

orders as (
    {{ bronze_latest('sale_order', [
        'id bigint',
        'state text',
        'company_id bigint',
        'currency_id bigint',
    ]) }}
),

bronze as (
    select
        orders.company_id,
        currencies.name as currency_code,
        count(*) as order_lines,
        sum(lines.product_uom_qty) as quantity,
        sum(lines.price_subtotal) as net_amount,
        sum(lines.price_total) as total_amount
    from lines
    inner join orders on orders.id = lines.order_id
    left join {{ ref('base_odoo_currencies') }} as currencies on currencies.id = orders.currency_id
    where orders.state in ('sale', 'done') and lines.display_type is null
    group by 1, 2
),

summary as (
    select
        company_id,
        currency_code,
        sum(order_lines) as order_lines,
        sum(quantity) as quantity,
        sum(net_amount) as net_amount,
        sum(total_amount) as total_amount,
        sum(gross_amount - discount_amount) as net_from_gross,
        sum(net_amount + tax_amount) as total_from_net
    from {{ ref('gold_retail_sales_summary') }}
    group by 1, 2
)

select company_id, currency_code, bronze.net_amount as bronze_net, summary.net_amount as summary_net
from bronze
full join summary using (company_id, currency_code)
where
    bronze.order_lines is distinct from summary.order_lines
    or bronze.quantity is distinct from summary.quantity
    or bronze.net_amount is distinct from summary.net_amount
    or bronze.total_amount is distinct from summary.total_amount
    or summary.net_from_gross is distinct from summary.net_amount
    or summary.total_from_net is distinct from summary.total_amount
