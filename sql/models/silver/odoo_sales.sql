-- One row per sale order line (section titles and notes left out) with the facts of its order.
-- Quotations and cancelled orders stay in, told apart by order_state.
with lines as (
    {{ bronze_latest('sale_order_line', [
        'id bigint',
        'order_id bigint',
        'display_type text',
        'state text',
        'company_id bigint',
        'currency_id bigint',
        'order_partner_id bigint',
        'product_id bigint',
        'product_uom_id|product_uom bigint',
        'name text',
        'product_uom_qty numeric',
        'qty_delivered numeric',
        'qty_invoiced numeric',
        'price_unit numeric',
        'discount numeric',
        'price_subtotal numeric',
        'price_total numeric',
        'is_downpayment boolean',
        'analytic_distribution jsonb',
        'create_date timestamptz',
        'write_date timestamptz',
        '_sdc_extracted_at timestamptz',
    ]) }}
),

orders as (
    {{ bronze_latest('sale_order', [
        'id bigint',
        'name text',
        'state text',
        'date_order timestamptz',
        'company_id bigint',
        'currency_id bigint',
        'currency_rate numeric',
        'partner_id bigint',
        'user_id bigint',
        'team_id bigint',
        'invoice_status text',
        'client_order_ref text',
        'write_date timestamptz',
    ]) }}
),

products as (
    {{ bronze_latest('product_product', [
        'id bigint',
        'product_tmpl_id bigint',
        'default_code text',
    ]) }}
),

templates as (
    {{ bronze_latest('product_template', [
        'id bigint',
        'name translated',
        'categ_id bigint',
    ]) }}
),

categories as (
    {{ bronze_latest('product_category', [
        'id bigint',
        'complete_name text',
        'name translated',
    ], optional=true) }}
),

units as (
    {{ bronze_latest('uom_uom', [
        'id bigint',
        'name translated',
    ], optional=true) }}
),

joined as (
    select
        lines.id as sale_line_id,
        lines.order_id,
        orders.name as order_name,
        coalesce(orders.state, lines.state) as order_state,
        orders.date_order as ordered_at,
        (orders.date_order at time zone '{{ var("timezone") }}')::date as order_date,
        orders.invoice_status,
        orders.client_order_ref as customer_reference,
        coalesce(orders.company_id, lines.company_id) as company_id,
        coalesce(orders.currency_id, lines.currency_id) as currency_id,
        orders.currency_rate,
        coalesce(orders.partner_id, lines.order_partner_id) as partner_id,
        orders.user_id as salesperson_id,
        orders.team_id as sales_team_id,
        lines.product_id,
        products.default_code as product_code,
        templates.name as product_name,
        coalesce(categories.complete_name, categories.name) as product_category,
        lines.name as description,
        lines.product_uom_id as uom_id,
        units.name as uom_name,
        coalesce(lines.product_uom_qty, 0) as quantity_ordered,
        coalesce(lines.qty_delivered, 0) as quantity_delivered,
        coalesce(lines.qty_invoiced, 0) as quantity_invoiced,
        coalesce(lines.price_unit, 0) as price_unit,
        coalesce(lines.discount, 0) as discount_percent,
        coalesce(lines.price_subtotal, 0) as net_amount,
        coalesce(lines.price_total, lines.price_subtotal, 0) as total_amount,
        coalesce(lines.is_downpayment, false) as is_downpayment,
        lines.analytic_distribution,
        lines.create_date as created_at,
        greatest(lines.write_date, orders.write_date) as updated_at,
        lines._sdc_extracted_at as extracted_at
    from lines
    left join orders on orders.id = lines.order_id
    left join products on products.id = lines.product_id
    left join templates on templates.id = products.product_tmpl_id
    left join categories on categories.id = templates.categ_id
    left join units on units.id = lines.product_uom_id
    where lines.display_type is null
),

priced as (
    select
        joined.*,
        companies.name as company_name,
        companies.currency_code as company_currency_code,
        companies.decimal_places as company_currency_decimals,
        coalesce(currencies.name, companies.currency_code) as currency_code,
        coalesce(currencies.decimal_places, 2) as currency_decimals,
        coalesce(partners.commercial_partner_id, joined.partner_id) as customer_id,
        coalesce(partners.commercial_partner_name, partners.name) as customer_name,
        -- Odoo's currency_rate is units of the order's currency for one unit of the company's.
        case
            when joined.currency_id is null or joined.currency_id = companies.currency_id then 1
            else nullif(joined.currency_rate, 0)
        end as rate
    from joined
    left join {{ ref('base_odoo_companies') }} as companies on companies.id = joined.company_id
    left join {{ ref('base_odoo_currencies') }} as currencies on currencies.id = joined.currency_id
    left join {{ ref('base_odoo_partners') }} as partners on partners.id = joined.partner_id
),

-- What the line would have cost without its discount, tax excluded. Quantity times price is exactly that unless the
-- price includes tax (then it does not lead to the net amount); in that case the net amount is scaled up instead.
grossed as (
    select
        priced.*,
        case
            when discount_percent >= 100
                or abs(quantity_ordered * price_unit * (1 - discount_percent / 100) - net_amount)
                    <= power(10::numeric, -currency_decimals)
                then round(quantity_ordered * price_unit, currency_decimals)
            else round(net_amount / (1 - discount_percent / 100), currency_decimals)
        end as gross_amount
    from priced
)

select
    sale_line_id,
    order_id,
    order_name,
    order_state,
    order_state in ('sale', 'done') as is_confirmed,
    ordered_at,
    order_date,
    invoice_status,
    customer_reference,
    company_id,
    company_name,
    company_currency_code,
    partner_id,
    customer_id,
    customer_name,
    salesperson_id,
    sales_team_id,
    product_id,
    product_code,
    product_name,
    product_category,
    description,
    uom_id,
    uom_name,
    quantity_ordered,
    quantity_delivered,
    quantity_invoiced,
    price_unit,
    discount_percent,
    currency_code,
    gross_amount,
    gross_amount - net_amount as discount_amount,
    net_amount,
    -- Odoo keeps the tax as a float; the two monetary columns give it exactly.
    total_amount - net_amount as tax_amount,
    total_amount,
    rate as currency_rate,
    round(net_amount / rate, company_currency_decimals) as net_amount_company,
    is_downpayment,
    analytic_distribution,
    created_at,
    updated_at,
    extracted_at
from grossed
