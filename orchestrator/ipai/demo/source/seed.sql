-- Two trading companies over eighteen months, made of series and hashes: the same anchor gives the same rows every time.
--
-- The anchor is a setting, so that ageing looks as it would today:
--     set ipai.today = '2026-01-31';
-- Documents lie in the 540 days before it and nothing is written on or after it.
--
-- How it is built: orders first, documents (invoices, bills, credit notes) from them, payments from the documents; every
-- amount of a header is summed up from its lines. Temporary tables hold the steps; the real tables are filled at the end
-- of each part.

set local timezone to 'UTC';
set local synchronous_commit to off;

-- A number below `below` that looks random and is always the same for the same n and salt. The hash is the one that
-- Postgres places rows in hash partitions by, so it does not change between versions.
create function pg_temp.pick(n bigint, salt bigint, below bigint) returns bigint language sql immutable as $$
    select (hashint8extended(n, salt) & 4611686018427387903) % below
$$;

-- A moment of the working day, to the microsecond.
create function pg_temp.moment(day date, n bigint, salt bigint) returns timestamp language sql immutable as $$
    select day + interval '7 hours' + pg_temp.pick(n, salt, 43200) * interval '1 second'
        + pg_temp.pick(n, salt + 500, 1000000) * interval '1 microsecond'
$$;

create function pg_temp.today() returns date language sql stable as $$
    select current_setting('ipai.today')::date
$$;

-- Euros for one dollar, moving a little from month to month.
create function pg_temp.eur_per_usd(day date) returns numeric language sql immutable as $$
    select 0.88 + 0.004 * pg_temp.pick((extract(year from day) * 12 + extract(month from day))::bigint, 1, 15)
$$;

-- Units of the document's currency for one unit of the company's (1 is USD, 126 EUR, as in a real Odoo 17).
create function pg_temp.rate(company_currency integer, currency integer, day date) returns numeric language sql immutable as $$
    select case
        when company_currency = currency then 1.0
        when company_currency = 1 then pg_temp.eur_per_usd(day)
        else round(1 / pg_temp.eur_per_usd(day), 6)
    end
$$;


-- Who and what -----------------------------------------------------------------------------------------------------

insert into res_currency (id, name, symbol, decimal_places, full_name, "position", currency_unit_label,
    currency_subunit_label, rounding, active, create_date, write_date)
select id, name, symbol, 2, full_name, side, unit, subunit, 0.010000, true, moment, moment
from (values
    (1, 'USD', '$', 'United States dollar', 'before', 'Dollars', 'Cents'),
    (126, 'EUR', '€', 'Euro', 'after', 'Euros', 'Cents')
) as currency (id, name, symbol, full_name, side, unit, subunit)
cross join lateral (select pg_temp.moment(pg_temp.today() - 545, id, 2) as moment) as written;

create temp table seed_companies as
select * from (values
    (1, 1, 0.15, 0, 'Northwind Living Inc.', 'en_US', 'United States', '+1 555 0100'),
    (2, 126, 0.20, 100, 'Maison Été SARL', 'fr_FR', 'France', '+33 1 55 00 01 00')
) as company (id, currency_id, tax_rate, account_base, name, lang, country, phone);

insert into res_company (id, name, partner_id, currency_id, sequence, parent_path, email, phone, layout_background,
    active, fiscalyear_last_day, fiscalyear_last_month, account_opening_date, security_lead, prepayment_percent,
    tax_calculation_rounding_method, annual_inventory_day, annual_inventory_month, portal_confirmation_sign,
    quotation_validity_days, create_uid, write_uid, create_date, write_date)
select id, name, id, currency_id, 10 * id, id || '/', 'hello' || id || '@example.com', phone, 'Blank',
    true, 31, '12', date_trunc('year', (pg_temp.today() - 540)::timestamp)::date, 0, 1,
    'round_per_line', 31, '12', true, 30, 1, 1,
    pg_temp.moment(pg_temp.today() - 545, id, 3), pg_temp.moment(pg_temp.today() - 545, id, 3)
from seed_companies;

-- Partners: 1-2 the companies, 3-6 the users, 11-260 customers (each fifth is a contact of the one before), 261-370
-- vendors, 371-420 prospects, some archived. Names carry what breaks naive pipes: accents, emoji, backslashes, quotes.
create temp table seed_partners as
select
    n as id,
    case
        when n <= 2 then (select name from seed_companies where id = n)
        when n <= 6 then (array['Mitchell Admin', 'Zoë Brandt', 'Ana Gonçalves', '陈 Wei'])[n - 2]
        when n between 11 and 260 and n % 5 = 0
            then (array['Chloé', 'José', 'Søren', 'Priya', 'Łukasz', 'Aoife', 'Yūki', 'Noah'])[1 + pg_temp.pick(n, 11, 8)]
                || ' ' || (array['Martín', 'O''Brien', 'Müller', 'Nguyễn', 'Smith', 'Åberg'])[1 + pg_temp.pick(n, 12, 6)]
        else (array['Café Brûlé', 'Blue Harbor', 'Müller \ Söhne', 'Deco Atelier', 'Ação & Cia', '東京インテリア', 'Green 🌿 Office',
                    'O''Neill Design', 'Ready Mat', 'Lumber "Best" Inc', 'Gemini Furniture', 'Żubr Meble', 'The Jackson Group',
                    'Ünlü Mobilya', 'C:\Users\Shop', 'Azure Interior'])[1 + pg_temp.pick(n, 13, 16)] || ' ' || n
    end as name,
    case when n between 11 and 260 and n % 5 = 0 then n - 1 end as parent_id,
    n between 11 and 260 as is_customer,
    n between 261 and 370 as is_vendor,
    pg_temp.pick(n, 14, 5)::integer * 15 as terms_days
from generate_series(1, 420) as n
where n not between 7 and 10;

insert into res_partner (id, name, complete_name, parent_id, commercial_partner_id, is_company, type, lang, tz, email,
    phone, street, zip, city, country_id, vat, ref, active, employee, partner_share, customer_rank, supplier_rank,
    color, comment, partner_latitude, partner_longitude, create_uid, write_uid, create_date, write_date)
select
    partner.id, partner.name, coalesce(parent.name || ', ', '') || partner.name, partner.parent_id,
    coalesce(partner.parent_id, partner.id), partner.parent_id is null and partner.id not between 3 and 6,
    'contact', case when partner.id % 3 = 0 then 'fr_FR' else 'en_US' end,
    case when partner.id % 3 = 0 then 'Europe/Paris' else 'America/New_York' end,
    'partner' || partner.id || '@example.com', '+1 555 ' || lpad((partner.id * 7)::text, 4, '0'),
    partner.id || ' ' || (array['Main Street', 'Rue de l''Été', 'Große Straße', 'Calle Año'])[1 + partner.id % 4],
    lpad((partner.id * 37 % 100000)::text, 5, '0'),
    (array['San Francisco', 'Besançon', 'Köln', 'A Coruña', 'São Paulo', 'Gdańsk'])[1 + partner.id % 6],
    (array[233, 75, 57, 68, 31, 177])[1 + partner.id % 6],
    case when partner.parent_id is null and partner.id > 10 then 'VAT' || lpad(partner.id::text, 8, '0') end,
    case when partner.is_customer then 'C' || lpad(partner.id::text, 5, '0') end,
    not (partner.id > 370 and partner.id % 4 = 0), false, partner.id not between 3 and 6,
    case when partner.is_customer then 1 + partner.id % 9 else 0 end,
    case when partner.is_vendor then 1 + partner.id % 7 else 0 end,
    partner.id % 12, case when partner.id % 10 = 1 then '<p>Prefers e-mail 📧 &amp; "net 30"</p>' end,
    0, 0, 1, 1,
    pg_temp.moment(pg_temp.today() - 542, partner.id, 4),
    pg_temp.moment(pg_temp.today() - 1 - pg_temp.pick(partner.id, 5, 500)::integer, partner.id, 6)
from seed_partners as partner
left join seed_partners as parent on parent.id = partner.parent_id;

insert into res_users (id, company_id, partner_id, active, login, share, notification_type, odoobot_state, create_uid,
    write_uid, create_date, write_date)
select n - 2, 1 + (n % 2), n, true, (array['admin', 'zoe', 'ana', 'wei'])[n - 2], false, 'email', 'disabled', 1, 1,
    pg_temp.moment(pg_temp.today() - 541, n, 7), pg_temp.moment(pg_temp.today() - 541, n, 7)
from generate_series(3, 6) as n;

insert into ir_module_module (id, name, author, state, latest_version, shortdesc, application, demo, web, license,
    sequence, auto_install, to_buy, create_date, write_date)
select id, name, 'Odoo S.A.', 'installed', '17.0.' || version, jsonb_build_object('en_US', title), application, false, false,
    'LGPL-3', 100, false, false, moment, moment
from (values
    (1, 'base', '1.3', 'Base', false), (2, 'account', '1.2', 'Invoicing', true), (3, 'sale', '1.2', 'Sales', true),
    (4, 'stock', '1.1', 'Inventory', true), (5, 'sale_stock', '1.0', 'Sales and Warehouse Management', false)
) as module (id, name, version, title, application)
cross join lateral (select pg_temp.moment(pg_temp.today() - 545, id, 8) as moment) as written;

insert into uom_uom (id, category_id, uom_type, name, factor, rounding, active, create_uid, write_uid, create_date, write_date)
select id, category_id, uom_type, jsonb_build_object('en_US', en, 'fr_FR', fr), factor, 0.01, true, 1, 1, moment, moment
from (values
    (1, 1, 'reference', 'Units', 'Unités', 1.0), (2, 1, 'bigger', 'Dozens', 'Douzaines', 0.08333333333333333),
    (4, 3, 'reference', 'Hours', 'Heures', 1.0)
) as unit (id, category_id, uom_type, en, fr, factor)
cross join lateral (select pg_temp.moment(pg_temp.today() - 545, id, 9) as moment) as written;

insert into product_category (id, parent_id, name, complete_name, parent_path, packaging_reserve_method, create_uid,
    write_uid, create_date, write_date)
select id, parent_id, name, coalesce('All / ', '') || name, coalesce(parent_id || '/', '') || id || '/', 'partial', 1, 1, moment, moment
from (values
    (2, 1, 'Chairs'), (3, 1, 'Desks'), (4, 1, 'Lamps'), (5, 1, 'Storage'), (6, 1, 'Décor'), (7, 1, 'Services')
) as category (id, parent_id, name)
cross join lateral (select pg_temp.moment(pg_temp.today() - 545, id, 10) as moment) as written
union all
select 1, null, 'All', 'All', '1/', 'partial', 1, 1, moment, moment
from (select pg_temp.moment(pg_temp.today() - 545, 1, 10) as moment) as written;

-- Variants have their own ids, seven above their product's, so that mixing the two up shows.
create temp table seed_products as
select
    n as template_id,
    n + 7 as product_id,
    2 + kind as category_id,
    case when kind = 5 then 4 when n % 17 = 0 then 2 else 1 end as uom_id,
    kind = 5 as is_service,
    (array['CHAIR', 'DESK', 'LAMP', 'STORE', 'DECOR', 'SERV'])[1 + kind] || '_' || lpad(n::text, 4, '0') as code,
    style_en || ' ' || (array['Chair', 'Desk', 'Lamp', 'Cabinet', 'Mirror', 'Installation'])[1 + kind] as name_en,
    (array['Chaise', 'Bureau', 'Lampe', 'Armoire', 'Miroir', 'Installation'])[1 + kind] || ' ' || style_fr as name_fr,
    (array[49.9, 189, 24.5, 139, 34.99, 60])[1 + kind] + pg_temp.pick(n, 20, 60) * 2.5 as price
from (
    select
        n,
        (pg_temp.pick(n, 21, 11) / 2)::integer as kind,
        (array['Oak', 'Nordic', 'Café', 'Classic', 'Compact', 'Deluxe ✨', 'Studio', 'Vintage', 'Urban', '3\4"'])[1 + n % 10]
            || ' ' || (n / 10 + 1) as style_en,
        (array['chêne', 'nordique', 'café', 'classique', 'compacte', 'luxe ✨', 'studio', 'rétro', 'urbaine', '3\4"'])[1 + n % 10]
            || ' ' || (n / 10 + 1) as style_fr
    from generate_series(1, 150) as n
) as products;

insert into product_template (id, sequence, categ_id, uom_id, uom_po_id, detailed_type, type, default_code, priority, name,
    description_sale, list_price, volume, weight, sale_ok, purchase_ok, active, has_configurable_attributes, sale_delay,
    tracking, expense_policy, invoice_policy, sale_line_warn, create_uid, write_uid, create_date, write_date)
select
    template_id, 1, category_id, uom_id, uom_id, case when is_service then 'service' else 'product' end,
    case when is_service then 'service' else 'product' end, code, '0',
    -- A few have no translation, as in life.
    case when template_id % 9 = 0 then jsonb_build_object('en_US', name_en)
        else jsonb_build_object('en_US', name_en, 'fr_FR', name_fr) end,
    case when template_id % 4 = 0 then jsonb_build_object('en_US', 'Made to last', 'fr_FR', 'Fait pour durer') end,
    price, 0.05 * (template_id % 7), 1.25 * (template_id % 11), true, template_id % 2 = 0, template_id % 50 <> 0, false, 0,
    'none', 'no', case when is_service then 'order' else 'delivery' end, 'no-message', 1, 1,
    pg_temp.moment(pg_temp.today() - 541, template_id, 22),
    pg_temp.moment(pg_temp.today() - 2 - pg_temp.pick(template_id, 23, 400)::integer, template_id, 24)
from seed_products;

insert into product_product (id, product_tmpl_id, default_code, barcode, combination_indices, volume, weight, active,
    create_uid, write_uid, create_date, write_date)
select product_id, template_id, code, '20000' || lpad(product_id::text, 8, '0'), '', 0.05 * (template_id % 7),
    1.25 * (template_id % 11), template_id % 50 <> 0, 1, 1,
    pg_temp.moment(pg_temp.today() - 541, template_id, 22),
    pg_temp.moment(pg_temp.today() - 2 - pg_temp.pick(template_id, 23, 400)::integer, template_id, 24)
from seed_products;

create temp table seed_accounts as
select * from (values
    (1, '121000', 'asset_receivable', 'Account Receivable', 'Clients', true),
    (2, '211000', 'liability_payable', 'Account Payable', 'Fournisseurs', true),
    (3, '101401', 'asset_cash', 'Bank', 'Banque', false),
    (4, '251000', 'liability_current', 'Tax Received', 'TVA collectée', false),
    (5, '131000', 'asset_current', 'Tax Paid', 'TVA déductible', false),
    (6, '400000', 'income', 'Product Sales', 'Ventes de produits', false),
    (7, '600000', 'expense', 'Expenses', 'Charges', false),
    (8, '611000', 'expense', 'Purchase of Equipments', 'Achats d''équipement', false),
    (9, '612000', 'expense', 'Rent', 'Loyer', false),
    (10, '620000', 'expense', 'Bank Fees', 'Frais bancaires', false),
    (11, '630000', 'expense', 'Salary Expenses', 'Salaires', false),
    (12, '230000', 'liability_current', 'Salary Payable', 'Salaires à payer', true),
    (13, '151000', 'asset_fixed', 'Fixed Asset', 'Immobilisations', false),
    (14, '640000', 'expense_depreciation', 'Depreciation', 'Amortissements', false),
    (15, '151900', 'asset_fixed', 'Accumulated Depreciation', 'Amortissements cumulés', false),
    (16, '301000', 'equity', 'Capital', 'Capital', false),
    (17, '999999', 'equity_unaffected', 'Undistributed Profits/Losses', 'Résultat non affecté', false),
    (18, '101501', 'asset_cash', 'Cash', 'Caisse', false),
    (19, '401000', 'income', 'Service Sales', 'Ventes de services', false)
) as account (no, code, account_type, en, fr, reconcile);

insert into account_account (id, company_id, code, account_type, internal_group, name, deprecated, include_initial_balance,
    reconcile, non_trade, create_uid, write_uid, create_date, write_date)
select
    company.account_base + no, company.id, code, account_type, split_part(account_type, '_', 1),
    jsonb_build_object('en_US', en, 'fr_FR', fr), false, split_part(account_type, '_', 1) not in ('income', 'expense'),
    reconcile, false, 1, 1, moment, moment
from seed_accounts
cross join seed_companies as company
cross join lateral (select pg_temp.moment(pg_temp.today() - 544, no, 25 + company.id) as moment) as written;

insert into account_journal (id, company_id, code, type, name, sequence, default_account_id, invoice_reference_type,
    invoice_reference_model, active, restrict_mode_hash_table, refund_sequence, payment_sequence, show_on_dashboard, color,
    create_uid, write_uid, create_date, write_date)
select
    (company.id - 1) * 10 + no, company.id, code, type, jsonb_build_object('en_US', en, 'fr_FR', fr), no,
    company.account_base + default_account, 'invoice', 'odoo', true, false, type in ('sale', 'purchase'), type = 'bank',
    true, no, 1, 1, moment, moment
from (values
    (1, 'INV', 'sale', 'Customer Invoices', 'Factures clients', 6), (2, 'BILL', 'purchase', 'Vendor Bills', 'Factures fournisseurs', 7),
    (3, 'MISC', 'general', 'Miscellaneous Operations', 'Opérations diverses', null), (6, 'BNK1', 'bank', 'Bank', 'Banque', 3),
    (7, 'CSH1', 'cash', 'Cash', 'Caisse', 18)
) as journal (no, code, type, en, fr, default_account)
cross join seed_companies as company
cross join lateral (select pg_temp.moment(pg_temp.today() - 544, no, 30 + company.id) as moment) as written;


-- Sales ------------------------------------------------------------------------------------------------------------

create temp table seed_orders as
select
    orders.*,
    moment::date as day,
    pg_temp.rate(company_currency, currency_id, moment::date) as rate,
    -- Confirmed orders are delivered and invoiced within days; the last ones are not yet.
    case when is_confirmed and moment::date + invoice_after < pg_temp.today() and pg_temp.pick(id, 105, 100) < 90
        then moment::date + invoice_after end as invoice_day,
    case when is_confirmed and moment::date + 1 + invoice_after / 2 < pg_temp.today() and pg_temp.pick(id, 106, 100) < 94
        then moment::date + 1 + invoice_after / 2 end as delivery_day
from (
    select
        n as id,
        company.id as company_id,
        company.currency_id as company_currency,
        company.tax_rate,
        case when pg_temp.pick(n, 101, 100) < 12 then 127 - company.currency_id else company.currency_id end as currency_id,
        partner.id as partner_id,
        coalesce(partner.parent_id, partner.id) as commercial_partner_id,
        partner.terms_days,
        1 + pg_temp.pick(n, 102, 4)::integer as user_id,
        case
            when state_draw < 4 and n > 7800 then 'draft' when state_draw < 8 and n > 7400 then 'sent'
            when state_draw >= 96 then 'cancel' else 'sale'
        end as state,
        state_draw < 96 and not (state_draw < 4 and n > 7800) and not (state_draw < 8 and n > 7400) as is_confirmed,
        pg_temp.moment(pg_temp.today() - 540 + (n * 539 / 8400), n, 103) as moment,
        pg_temp.pick(n, 104, 9)::integer as invoice_after
    from generate_series(1, 8400) as n
    cross join lateral (select pg_temp.pick(n, 107, 100) as state_draw) as drawn
    inner join seed_companies as company on company.id = case when pg_temp.pick(n, 108, 10) < 7 then 1 else 2 end
    inner join seed_partners as partner on partner.id = 11 + pg_temp.pick(n, 109, 250)
) as orders;

create temp table seed_order_lines as
select
    *,
    subtotal + tax as total
from (
    select
        *,
        round(subtotal * tax_rate, 2) as tax
    from (
        select
            *,
            round(quantity * price_unit * (1 - discount / 100), 2) as subtotal
        from (
            select
                orders.id * 10 + seq as id,
                orders.id as order_id,
                seq,
                orders.tax_rate,
                product.product_id,
                product.uom_id,
                product.is_service,
                '[' || product.code || '] ' || product.name_en as name,
                1.00 + pg_temp.pick(orders.id * 10 + seq, 111, 12) as quantity,
                round(product.price * case when orders.currency_id = 126 then 0.92 else 1 end, 2) as price_unit,
                (array[0, 0, 0, 0, 0, 5, 10, 12.5])[1 + pg_temp.pick(orders.id * 10 + seq, 112, 8)]::numeric as discount,
                case pg_temp.pick(orders.id * 10 + seq, 113, 6)
                    when 0 then '{"1": 100.0}'::jsonb when 1 then '{"1": 60.0, "2": 40.0}'::jsonb
                    when 2 then '{"7,12": 100.0}'::jsonb
                end as analytic_distribution
            from seed_orders as orders
            cross join lateral generate_series(1, 2 + pg_temp.pick(orders.id, 114, 3)) as seq
            -- Some products sell far better than others.
            inner join seed_products as product on product.template_id =
                1 + pg_temp.pick(orders.id * 10 + seq, 115, 1 + pg_temp.pick(orders.id * 10 + seq, 116, 150))
        ) as chosen
    ) as priced
) as taxed;

analyze seed_orders;
analyze seed_order_lines;

insert into sale_order (id, company_id, partner_id, partner_invoice_id, partner_shipping_id, currency_id, currency_rate,
    user_id, name, state, client_order_ref, invoice_status, validity_date, note, amount_untaxed, amount_tax, amount_total,
    amount_to_invoice, locked, require_signature, require_payment, date_order, commitment_date, effective_date, warehouse_id,
    picking_policy, delivery_status, prepayment_percent, access_token, create_uid, write_uid, create_date, write_date)
select
    orders.id, orders.company_id, orders.partner_id, orders.partner_id, orders.partner_id, orders.currency_id, orders.rate,
    orders.user_id, 'S' || lpad(orders.id::text, 5, '0'), orders.state,
    case orders.id % 6 when 0 then 'PO-' || orders.id when 1 then 'commande n° ' || orders.id || ' \ été 🌞' end,
    case when not is_confirmed then 'no' when invoice_day is null then 'to invoice' else 'invoiced' end,
    orders.day + 30, case when orders.id % 25 = 0 then '<p>Deliver between 9 &amp; 11</p>' end,
    lines.subtotal, lines.tax, lines.total, case when is_confirmed and invoice_day is null then lines.total else 0 end,
    orders.state = 'sale' and orders.id % 40 = 0, true, false, date_trunc('second', orders.moment), null,
    case when delivery_day is not null then pg_temp.moment(delivery_day, orders.id, 120) end,
    orders.company_id, 'direct', case when is_confirmed then case when delivery_day is null then 'pending' else 'full' end end,
    1, md5(orders.id::text), orders.user_id, orders.user_id, orders.moment,
    greatest(
        orders.moment,
        case when invoice_day is not null then pg_temp.moment(invoice_day, orders.id, 121) end,
        case when delivery_day is not null then pg_temp.moment(delivery_day, orders.id, 120) end
    )
from seed_orders as orders
inner join (
    select order_id, sum(subtotal) as subtotal, sum(tax) as tax, sum(total) as total
    from seed_order_lines
    group by order_id
) as lines on lines.order_id = orders.id
order by orders.id;

insert into sale_order_line (id, order_id, sequence, company_id, currency_id, order_partner_id, salesman_id, product_id,
    product_uom, state, qty_delivered_method, invoice_status, analytic_distribution, name, product_uom_qty, price_unit,
    discount, price_subtotal, price_total, price_tax, price_reduce_taxexcl, price_reduce_taxinc, qty_delivered, qty_invoiced,
    qty_to_invoice, untaxed_amount_invoiced, untaxed_amount_to_invoice, is_downpayment, is_expense, customer_lead,
    create_uid, write_uid, create_date, write_date)
select
    line.id, line.order_id, 10 * line.seq, orders.company_id, orders.currency_id, orders.partner_id, orders.user_id,
    line.product_id, line.uom_id, orders.state, case when line.is_service then 'manual' else 'stock_move' end,
    case when not is_confirmed then 'no' when invoice_day is null then 'to invoice' else 'invoiced' end,
    line.analytic_distribution, line.name, line.quantity, line.price_unit, line.discount, line.subtotal, line.total,
    line.tax::double precision, round(line.subtotal / line.quantity, 2), round(line.total / line.quantity, 2),
    case when delivery_day is null then 0.00 else line.quantity end,
    case when invoice_day is null then 0.00 else line.quantity end,
    case when is_confirmed and invoice_day is null then line.quantity else 0.00 end,
    case when invoice_day is null then 0.00 else line.subtotal end,
    case when is_confirmed and invoice_day is null then line.subtotal else 0.00 end,
    false, false, 0, orders.user_id, orders.user_id, orders.moment,
    greatest(
        orders.moment,
        case when invoice_day is not null then pg_temp.moment(invoice_day, orders.id, 121) end,
        case when delivery_day is not null then pg_temp.moment(delivery_day, orders.id, 120) end
    )
from seed_order_lines as line
inner join seed_orders as orders on orders.id = line.order_id
order by line.id;

-- Section titles and notes: lines without product or amount.
insert into sale_order_line (id, order_id, sequence, company_id, currency_id, order_partner_id, salesman_id, state,
    display_type, invoice_status, name, product_uom_qty, price_unit, discount, price_subtotal, price_total, price_tax,
    qty_delivered, qty_invoiced, qty_to_invoice, is_downpayment, is_expense, customer_lead, create_uid, write_uid,
    create_date, write_date)
select
    id * 10, id, 1, company_id, currency_id, partner_id, user_id, state,
    case when id % 40 = 0 then 'line_note' else 'line_section' end, 'no',
    case when id % 40 = 0 then E'Thank you 🙏\nfor your order' else 'Furniture — meubles' end, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    false, false, 0, user_id, user_id, moment, moment
from seed_orders
where id % 20 = 0
order by id;


-- Documents: customer invoices and credit notes, vendor bills and refunds --------------------------------------------

create temp table seed_docs as
with invoices as (
    select
        'invoice' as kind, id as src, 'out_invoice' as move_type, 1 as direction, company_id, company_currency, tax_rate,
        currency_id, partner_id, commercial_partner_id, user_id, invoice_day as day, invoice_day + terms_days as due_day,
        case
            when pg_temp.pick(id, 201, 100) = 0 then 'cancel'
            when pg_temp.pick(id, 201, 100) < 4 and invoice_day > pg_temp.today() - 40 then 'draft'
            else 'posted'
        end as state,
        'S' || lpad(id::text, 5, '0') as origin,
        null::bigint as reverses
    from seed_orders
    where invoice_day is not null
),

-- Every 33rd invoice gets a credit note: the even ones of the whole invoice and matched with it, the odd ones of its
-- first line, left open.
credit_notes as (
    select
        'credit_note' as kind, src, 'out_refund' as move_type, -1 as direction, company_id, company_currency, tax_rate,
        currency_id, partner_id, commercial_partner_id, user_id, day + 12 as day, day + 12 as due_day, 'posted' as state,
        origin, src as reverses
    from invoices
    where src % 33 = 0 and state = 'posted' and day + 12 < pg_temp.today()
),

bills as (
    select
        'bill' as kind, n::bigint as src, 'in_invoice' as move_type, -1 as direction, company.id as company_id,
        company.currency_id as company_currency, company.tax_rate,
        case when pg_temp.pick(n, 203, 100) < 8 then 127 - company.currency_id else company.currency_id end as currency_id,
        vendor.id as partner_id, vendor.id as commercial_partner_id, 1 + pg_temp.pick(n, 204, 4)::integer as user_id,
        pg_temp.today() - 539 + (n * 537 / 5000) as day,
        pg_temp.today() - 539 + (n * 537 / 5000) + vendor.terms_days as due_day,
        case
            when pg_temp.pick(n, 205, 100) = 0 then 'cancel'
            when pg_temp.pick(n, 205, 100) < 6 and n > 4700 then 'draft'
            else 'posted'
        end as state,
        null as origin, null::bigint as reverses
    from generate_series(1, 5000) as n
    inner join seed_companies as company on company.id = case when pg_temp.pick(n, 206, 10) < 6 then 1 else 2 end
    inner join seed_partners as vendor on vendor.id = 261 + pg_temp.pick(n, 207, 110)
),

vendor_refunds as (
    select
        'vendor_refund' as kind, src, 'in_refund' as move_type, 1 as direction, company_id, company_currency, tax_rate,
        currency_id, partner_id, commercial_partner_id, user_id, day + 9 as day, day + 9 as due_day, 'posted' as state,
        origin, src as reverses
    from bills
    where src % 70 = 0 and state = 'posted' and day + 9 < pg_temp.today()
),

docs as (
    select * from invoices
    union all select * from credit_notes
    union all select * from bills
    union all select * from vendor_refunds
),

-- When a document is settled: most some days around the due date, a few late, a few half, a few never. What would be
-- paid today or later is open, so the ageing comes out by itself.
settled as (
    select
        docs.*,
        -- A credit note is at the rate of what it reverses, so matching the two leaves no exchange difference.
        pg_temp.rate(company_currency, currency_id, case kind when 'credit_note' then day - 12 else day end) as rate,
        case
            when state <> 'posted' then 'none'
            when kind = 'credit_note' and src % 2 = 0 then 'reversal'
            when kind in ('credit_note', 'vendor_refund') then 'none'
            when kind = 'invoice' and src % 66 = 0 and day + 12 < pg_temp.today() then 'reversed'
            when draw < 4 then 'none'
            when day < pg_temp.today() - 150 then 'full'
            when draw < 20 then 'none'
            when draw < 60 then 'partial'
            else 'full'
        end as plan,
        greatest(day + 1, due_day - 6 + pg_temp.pick(src, 209, 18)::integer + case when draw > 880 then 35 else 0 end) as pay_day
    from docs
    cross join lateral (
        select pg_temp.pick(src, 208 + direction, 1000) as draw
    ) as drawn
)

select
    settled.*,
    case when plan in ('full', 'partial') and pay_day >= pg_temp.today() then 'none' else plan end as payment,
    pg_temp.moment(day, src, 210 + direction) as moment,
    pg_temp.moment(pay_day, src, 220 + direction) as pay_moment
from settled;

create temp table seed_doc_lines as
select
    doc.kind, doc.src, line.seq, line.product_id, line.uom_id, line.name, line.quantity, line.price_unit, line.discount,
    line.subtotal, line.tax, case when line.is_service then 19 else 6 end as account_no, line.analytic_distribution
from seed_docs as doc
inner join seed_order_lines as line on line.order_id = doc.src
where doc.kind = 'invoice' or (doc.kind = 'credit_note' and (doc.src % 2 = 0 or line.seq = 1))

union all

select
    kind, src, seq, product_id, 1, name, quantity, price_unit, 0, quantity * price_unit,
    round(quantity * price_unit * tax_rate, 2), account_no, analytic_distribution
from (
    select
        doc.kind, doc.src, doc.tax_rate, seq,
        case when account_no = 7 then 8 + pg_temp.pick(doc.src, 230 + seq, 150) end as product_id,
        (array['Supplies', 'Équipement', 'Rent / loyer'])[account_no - 6] || ' ' || doc.src as name,
        case when account_no = 7 then 1.00 + pg_temp.pick(doc.src, 233 + seq, 20) else 1.00 end as quantity,
        5.00 + round(pg_temp.pick(doc.src, 236 + seq, 40000) / 100.0, 2) as price_unit,
        account_no,
        case when doc.src % 5 = 0 then '{"2": 100.0}'::jsonb end as analytic_distribution
    from seed_docs as doc
    cross join lateral generate_series(1, case when doc.kind = 'bill' then 1 + pg_temp.pick(doc.src, 239, 2) else 1 end) as seq
    cross join lateral (select (7 + pg_temp.pick(doc.src, 240 + seq, 3))::integer as account_no) as booked
    where doc.kind in ('bill', 'vendor_refund')
) as costs;

analyze seed_docs;
analyze seed_doc_lines;


-- Journal items: one table for all kinds of entries, numbers of accounts without the company's base --------------------

create temp table seed_items (
    kind text, src bigint, seq integer, account_no integer, display_type text, partner_id integer, currency_id integer,
    label text, amount_currency numeric, balance numeric, residual_currency numeric default 0, residual numeric default 0,
    due_day date, product_id bigint, uom_id integer, quantity numeric, price_unit numeric default 0,
    discount numeric default 0, subtotal numeric default 0, total numeric default 0, tax_base numeric default 0,
    analytic_distribution jsonb, matching text
);

-- What was sold or bought.
insert into seed_items (kind, src, seq, account_no, display_type, partner_id, currency_id, label, amount_currency, balance,
    product_id, uom_id, quantity, price_unit, discount, subtotal, total, analytic_distribution)
select
    kind, src, seq, account_no, 'product', commercial_partner_id, currency_id, line.name, -direction * subtotal,
    -direction * round(subtotal / rate, 2), product_id, uom_id, quantity, price_unit, discount, subtotal, subtotal + tax,
    analytic_distribution
from seed_doc_lines as line
inner join seed_docs as doc using (kind, src);

-- Its tax.
insert into seed_items (kind, src, seq, account_no, display_type, partner_id, currency_id, label, amount_currency, balance,
    quantity, tax_base)
select
    kind, src, 100, case when kind in ('invoice', 'credit_note') then 4 else 5 end, 'tax', commercial_partner_id, currency_id,
    round(tax_rate * 100) || '%', -direction * sum(tax), -direction * round(sum(tax) / rate, 2), 0,
    round(sum(subtotal) / rate, 2)
from seed_doc_lines
inner join seed_docs using (kind, src)
group by kind, src, direction, commercial_partner_id, currency_id, tax_rate, rate;

analyze seed_items;

-- What is to be paid for it: exactly what balances the lines above, in both currencies.
create temp table seed_totals as
select
    kind, src, doc.direction, doc.company_id, doc.commercial_partner_id, doc.currency_id, doc.rate, doc.payment, doc.due_day,
    doc.moment, doc.pay_moment,
    sum(subtotal) as untaxed,
    abs(sum(amount_currency)) as total,
    abs(sum(balance) filter (where display_type = 'product')) as untaxed_company,
    abs(sum(balance)) as total_company,
    case payment when 'full' then abs(sum(amount_currency)) when 'partial' then round(abs(sum(amount_currency)) * 0.4, 2) else 0 end as paid
from seed_items
inner join seed_docs as doc using (kind, src)
group by kind, src, doc.direction, doc.company_id, doc.commercial_partner_id, doc.currency_id, doc.rate, doc.payment,
    doc.due_day, doc.moment, doc.pay_moment;

alter table seed_totals add column paid_company numeric, add column residual numeric, add column residual_company numeric;

update seed_totals
set
    paid_company = case payment when 'full' then total_company else round(paid / rate, 2) end,
    residual = case when payment in ('reversed', 'reversal') then 0 else total - paid end,
    residual_company = case
        when payment in ('reversed', 'reversal', 'full') then 0
        else total_company - round(paid / rate, 2)
    end;

insert into seed_items (kind, src, seq, account_no, display_type, partner_id, currency_id, label, amount_currency, balance,
    residual_currency, residual, due_day, quantity, matching)
select
    kind, src, 200, case when kind in ('invoice', 'credit_note') then 1 else 2 end, 'payment_term', commercial_partner_id,
    currency_id, '', direction * total, direction * total_company, direction * residual,
    direction * residual_company, due_day, 0,
    case payment when 'full' then '' when 'partial' then 'P' when 'reversed' then '' when 'reversal' then '' end
from seed_totals;

-- Payments, straight to the bank account: pay_in from customers, pay_out to vendors, matched with their document.
insert into seed_items (kind, src, seq, account_no, display_type, partner_id, currency_id, label, amount_currency, balance,
    quantity, due_day, matching)
select
    case when kind = 'invoice' then 'pay_in' else 'pay_out' end, src, seq,
    case when seq = 1 then 3 when kind = 'invoice' then 1 else 2 end, 'product', commercial_partner_id, currency_id,
    case when kind = 'invoice' then 'Customer Payment' else 'Vendor Payment' end,
    direction * side * paid, direction * side * paid_company, 1, case when seq = 2 then pay_moment::date end,
    case when seq = 2 then case payment when 'partial' then 'P' else '' end end
from seed_totals
cross join (values (1, 1), (2, -1)) as sides (seq, side)
where payment in ('full', 'partial');

-- Payments that came without naming an invoice: open credit on the receivable account.
insert into seed_items (kind, src, seq, account_no, display_type, partner_id, currency_id, label, amount_currency, balance,
    residual_currency, residual, quantity, due_day)
select
    'prepayment', n, seq, case when seq = 1 then 3 else 1 end, 'product', 11 + pg_temp.pick(n, 301, 50)::integer * 5,
    company.currency_id, 'Advance — acompte', side * amount, side * amount, case when seq = 2 then -amount else 0 end,
    case when seq = 2 then -amount else 0 end, 1, case when seq = 2 then pg_temp.today() - 1 - (n * 3)::integer end
from generate_series(1, 40) as n
inner join seed_companies as company on company.id = 1 + n % 2
cross join lateral (select 50.00 + round(pg_temp.pick(n, 302, 90000) / 100.0, 2) as amount) as drawn
cross join (values (1, 1), (2, -1)) as sides (seq, side);

-- Miscellaneous entries: capital, payroll, depreciation, bank fees, daily cash sales.
create temp table seed_misc as
select 'capital' as kind, company.id::bigint as src, company.id as company_id, 3 as journal_no,
    pg_temp.today() - 540 as day, 'Opening capital' as ref, 250000.00 as amount, 3 as debit_no, 16 as credit_no
from seed_companies as company

union all

select 'payroll', month * 100 + employee * 10 + company.id, company.id, 3, pg_temp.today() - 30 * month - 3,
    'Payroll — paie', 2400.00 + round(pg_temp.pick(employee * 10 + company.id, 303, 180000) / 100.0, 2), 11, 12
from generate_series(0, 17) as month
cross join generate_series(1, 9) as employee
cross join seed_companies as company

union all

select 'depreciation', month * 100 + asset * 10 + company.id, company.id, 3, pg_temp.today() - 30 * month - 2,
    'Depreciation', 80.00 + round(pg_temp.pick(asset * 10 + company.id, 304, 40000) / 100.0, 2), 14, 15
from generate_series(0, 17) as month
cross join generate_series(1, 8) as asset
cross join seed_companies as company

union all

select 'bank_fee', week * 10 + company.id, company.id, 6, pg_temp.today() - 7 * week - 1, 'Bank fees',
    8.00 + round(pg_temp.pick(week * 10 + company.id, 305, 2500) / 100.0, 2), 10, 3
from generate_series(0, 76) as week
cross join seed_companies as company

union all

select 'cash_sale', day * 10 + company.id, company.id, 7, pg_temp.today() - day, 'Cash sales of the day',
    120.00 + round(pg_temp.pick(day * 10 + company.id, 306, 150000) / 100.0, 2), 18, 6
from generate_series(1, 539) as day
cross join seed_companies as company;

insert into seed_items (kind, src, seq, account_no, display_type, currency_id, label, amount_currency, balance, quantity)
select kind, src, seq, case when seq = 1 then debit_no else credit_no end, 'product', company.currency_id, ref, side * amount,
    side * amount, 1
from seed_misc as misc
inner join seed_companies as company on company.id = misc.company_id
cross join (values (1, 1), (2, -1)) as sides (seq, side);


-- Entries: ids in the order of their creation, numbers in the order of their date, as Odoo gives them ---------------------

create temp table seed_moves as
with entries as (
    select
        kind, src, move_type, company_id, case when kind in ('invoice', 'credit_note') then 1 else 2 end as journal_no, day,
        state, currency_id, partner_id, commercial_partner_id, user_id, moment,
        -- Paid or half paid: written again when the payment came.
        greatest(moment, case when payment in ('full', 'partial') then pay_moment end,
            case when payment = 'reversed' then pg_temp.moment(day + 12, src, 209) end) as written,
        case kind when 'bill' then 'Facture n° ' || src when 'credit_note' then 'Reversal of ' || origin end as ref,
        case kind
            when 'invoice' then 'INV/' when 'credit_note' then 'RINV/' when 'bill' then 'BILL/' else 'RBILL/'
        end as prefix
    from seed_docs

    union all

    select
        case when kind = 'invoice' then 'pay_in' else 'pay_out' end, src, 'entry', company_id, 6, pay_moment::date, 'posted',
        currency_id, commercial_partner_id, commercial_partner_id, 1, pay_moment, pay_moment, null, 'PBNK1/'
    from seed_totals
    where payment in ('full', 'partial')

    union all

    select
        kind, src, 'entry', 1 + (src % 2)::integer, 6, due_day, 'posted', currency_id, partner_id, partner_id, 1,
        pg_temp.moment(due_day, src, 307), pg_temp.moment(due_day, src, 307), label, 'PBNK1/'
    from seed_items
    where kind = 'prepayment' and seq = 2

    union all

    select
        kind, src, 'entry', company_id, journal_no, day, case
            when kind = 'cash_sale' and src % 97 = 0 then 'cancel' when kind = 'payroll' and day > pg_temp.today() - 5 then 'draft'
            else 'posted'
        end, (select currency_id from seed_companies where id = company_id), null, null, 1,
        pg_temp.moment(day, src, 308), pg_temp.moment(day, src, 308), ref,
        case journal_no when 3 then 'MISC/' when 6 then 'BNK1/' else 'CSH1/' end
    from seed_misc
)

select
    row_number() over (order by moment, kind, src)::integer as id,
    entries.*,
    prefix || to_char(day, 'YYYY/MM/') as sequence_prefix,
    case when state = 'posted' then
        row_number() over (partition by company_id, prefix, to_char(day, 'YYYYMM'), state order by day, moment, src)
    end::integer as sequence_number
from entries;

create unique index on seed_moves (kind, src);
analyze seed_moves;
analyze seed_items;

-- Ids of payments, which moves and items name.
create temp table seed_payments as
select row_number() over (order by id)::integer as id, id as move_id, kind, src, moment
from seed_moves
where kind in ('pay_in', 'pay_out', 'prepayment');

insert into account_move (id, sequence_number, sequence_prefix, name, ref, state, move_type, auto_post, journal_id,
    company_id, payment_id, partner_id, commercial_partner_id, partner_shipping_id, currency_id, reversed_entry_id,
    invoice_user_id, payment_reference, payment_state, invoice_partner_display_name, invoice_origin, date, invoice_date,
    invoice_date_due, amount_untaxed, amount_tax, amount_total, amount_residual, amount_untaxed_signed, amount_tax_signed,
    amount_total_signed, amount_total_in_currency_signed, amount_residual_signed, is_storno, always_tax_exigible, to_check,
    posted_before, is_move_sent, narration, create_uid, write_uid, create_date, write_date)
select
    move.id, move.sequence_number, case when move.state = 'posted' then move.sequence_prefix end,
    case when move.state = 'posted' then move.sequence_prefix || lpad(move.sequence_number::text, 5, '0') else '/' end,
    move.ref, move.state, move.move_type, 'no', (move.company_id - 1) * 10 + move.journal_no, move.company_id, payment.id,
    move.partner_id, move.commercial_partner_id, case when doc.direction = 1 and doc.kind = 'invoice' then move.partner_id end,
    move.currency_id, reversed.id, move.user_id,
    case when move.move_type = 'out_invoice' and move.state = 'posted'
        then move.sequence_prefix || lpad(move.sequence_number::text, 5, '0') end,
    case total.payment
        when 'full' then 'paid' when 'partial' then 'partial' when 'reversed' then 'reversed' when 'reversal' then 'paid'
        else 'not_paid'
    end,
    partner.name, doc.origin, move.day, doc.day, doc.due_day,
    coalesce(total.untaxed, 0), coalesce(total.total - total.untaxed, 0), coalesce(total.total, entry.debit_currency),
    coalesce(total.residual, 0), coalesce(doc.direction * total.untaxed_company, 0),
    coalesce(doc.direction * (total.total_company - total.untaxed_company), 0),
    coalesce(doc.direction * total.total_company, entry.debit), coalesce(doc.direction * total.total, entry.debit_currency),
    coalesce(doc.direction * total.residual_company, 0), false, doc.kind is null, false, move.state <> 'draft',
    doc.kind = 'invoice' and move.state = 'posted',
    case when doc.kind = 'invoice' and doc.src % 15 = 0 then '<p>Merci 🙏 — payment within the terms, please.<br>C:\terms\net30</p>' end,
    move.user_id, move.user_id, move.moment, move.written
from seed_moves as move
inner join (
    select kind, src, sum(greatest(balance, 0)) as debit, sum(greatest(amount_currency, 0)) as debit_currency
    from seed_items
    group by kind, src
) as entry using (kind, src)
left join seed_docs as doc using (kind, src)
left join seed_totals as total using (kind, src)
left join seed_payments as payment on payment.move_id = move.id
left join seed_moves as reversed
    on reversed.src = doc.reverses and reversed.kind = case doc.kind when 'credit_note' then 'invoice' else 'bill' end
left join seed_partners as partner on partner.id = doc.partner_id
order by move.id;

insert into account_move_line (id, move_id, journal_id, company_id, company_currency_id, sequence, account_id, currency_id,
    partner_id, payment_id, product_id, product_uom_id, move_name, parent_state, ref, name, matching_number,
    full_reconcile_id, display_type, date, invoice_date, date_maturity, analytic_distribution, debit, credit, balance,
    amount_currency, tax_base_amount, amount_residual, amount_residual_currency, quantity, price_unit, price_subtotal,
    price_total, discount, tax_tag_invert, reconciled, blocked, is_downpayment, create_uid, write_uid, create_date, write_date)
select
    row_number() over (order by move.id, item.seq)::integer, move.id, (move.company_id - 1) * 10 + move.journal_no,
    move.company_id, company.currency_id, item.seq * 10, company.account_base + item.account_no, item.currency_id,
    item.partner_id, payment.id, item.product_id, item.uom_id,
    case when move.state = 'posted' then move.sequence_prefix || lpad(move.sequence_number::text, 5, '0') else '/' end,
    move.state, move.ref, item.label,
    -- A match is named after its invoice or bill: P for one that is not complete.
    case when item.matching is not null then item.matching || matched.id end,
    case when item.matching = '' then matched.id end,
    item.display_type, move.day, doc.day, item.due_day, item.analytic_distribution,
    greatest(item.balance, 0), greatest(-item.balance, 0), item.balance, item.amount_currency, item.tax_base,
    -- Only posted items on accounts that are matched have an open part.
    case when move.state = 'posted' then item.residual else 0.00 end,
    case when move.state = 'posted' then item.residual_currency else 0.00 end,
    item.quantity, item.price_unit, item.subtotal, item.total, item.discount, false,
    item.matching is not null and item.residual = 0, false, false, move.user_id, move.user_id,
    move.moment, case when item.seq = 200 then move.written else move.moment end
from seed_items as item
inner join seed_moves as move using (kind, src)
inner join seed_companies as company on company.id = move.company_id
left join seed_docs as doc using (kind, src)
left join seed_payments as payment on payment.move_id = move.id
left join seed_moves as matched
    on matched.src = item.src
    and matched.kind = case when item.kind in ('invoice', 'credit_note', 'pay_in') then 'invoice' else 'bill' end
order by move.id, item.seq;

insert into account_payment (id, move_id, payment_method_line_id, payment_method_id, currency_id, partner_id,
    destination_account_id, outstanding_account_id, payment_type, partner_type, amount, amount_company_currency_signed,
    is_reconciled, is_matched, is_internal_transfer, create_uid, write_uid, create_date, write_date)
select
    payment.id, payment.move_id, 1, 1, item.currency_id, item.partner_id, company.account_base + item.account_no,
    company.account_base + 3, case when payment.kind = 'pay_out' then 'outbound' else 'inbound' end,
    case when payment.kind = 'pay_out' then 'supplier' else 'customer' end, abs(item.amount_currency), -item.balance,
    item.residual = 0, true, false, 1, 1, payment.moment, payment.moment
from seed_payments as payment
inner join seed_items as item on item.kind = payment.kind and item.src = payment.src and item.seq = 2
inner join seed_moves as move on move.id = payment.move_id
inner join seed_companies as company on company.id = move.company_id
order by payment.id;


-- Stock ------------------------------------------------------------------------------------------------------------

-- Location 8 is company 1's stock, 18 company 2's, 5 the customers; picking type 2 and 8 are deliveries.
insert into stock_picking (id, location_id, location_dest_id, picking_type_id, partner_id, company_id, user_id, name, origin,
    move_type, state, priority, has_deadline_issue, printed, is_locked, scheduled_date, date_deadline, date, date_done, sale_id,
    create_uid, write_uid, create_date, write_date)
select
    row_number() over (order by id), case company_id when 1 then 8 else 18 end, 5, case company_id when 1 then 2 else 8 end,
    partner_id, company_id, user_id, case company_id when 1 then 'WH' else 'PAR' end || '/OUT/' || lpad(id::text, 5, '0'),
    'S' || lpad(id::text, 5, '0'), 'direct', case when delivery_day is null then 'assigned' else 'done' end, '0', false, false,
    true, date_trunc('second', moment), date_trunc('second', moment), date_trunc('second', moment),
    case when delivery_day is not null then date_trunc('second', pg_temp.moment(delivery_day, id, 120)) end, id,
    user_id, user_id, moment, greatest(moment, case when delivery_day is not null then pg_temp.moment(delivery_day, id, 120) end)
from seed_orders
where is_confirmed
order by id;

insert into stock_move (id, sequence, company_id, product_id, product_uom, location_id, location_dest_id, partner_id,
    picking_id, picking_type_id, warehouse_id, name, priority, state, origin, procure_method, reference, product_qty,
    product_uom_qty, quantity, picked, scrapped, propagate_cancel, is_inventory, additional, date, date_deadline, price_unit,
    to_refund, sale_line_id, create_uid, write_uid, create_date, write_date)
select
    row_number() over (order by line.id), 10, orders.company_id, line.product_id, line.uom_id, picking.location_id, 5,
    orders.partner_id, picking.id, picking.picking_type_id, orders.company_id, line.name, '0', picking.state, picking.origin,
    'make_to_stock', picking.name, line.quantity * case line.uom_id when 2 then 12 else 1 end, line.quantity,
    line.quantity, picking.state = 'done', false, true, false, false, coalesce(picking.date_done, picking.scheduled_date),
    picking.date_deadline, 0, true, line.id, orders.user_id, orders.user_id, picking.create_date, picking.write_date
from seed_order_lines as line
inner join seed_orders as orders on orders.id = line.order_id
inner join stock_picking as picking on picking.sale_id = orders.id
where not line.is_service
order by line.id;

-- What each warehouse holds and, at the customers' place, what was delivered (Odoo keeps both sides).
insert into stock_quant (id, product_id, company_id, location_id, quantity, reserved_quantity, inventory_quantity,
    inventory_diff_quantity, inventory_quantity_set, in_date, create_uid, write_uid, create_date, write_date)
select
    row_number() over (order by location_id, product_id), product_id, company_id, location_id, quantity, reserved, 0, 0, false,
    moment, 1, 1, moment, written
from (
    select
        product.product_id, company.id as company_id, case company.id when 1 then 8 else 18 end as location_id,
        20.00 + pg_temp.pick(product.product_id, 400 + company.id, 300) as quantity,
        coalesce(sum(move.product_qty) filter (where move.state = 'assigned'), 0.00) as reserved,
        pg_temp.moment(pg_temp.today() - 540, product.product_id, 402) as moment,
        coalesce(max(move.write_date), pg_temp.moment(pg_temp.today() - 540, product.product_id, 402)) as written
    from seed_products as product
    cross join seed_companies as company
    left join stock_move as move on move.product_id = product.product_id and move.company_id = company.id
    where not product.is_service
    group by product.product_id, company.id

    union all

    select product_id, null, 5, sum(product_qty), 0.00, min(date), max(write_date)
    from stock_move
    where state = 'done'
    group by product_id
) as held
order by location_id, product_id;

drop table seed_companies, seed_partners, seed_products, seed_accounts, seed_orders, seed_order_lines, seed_docs,
    seed_doc_lines, seed_items, seed_totals, seed_misc, seed_moves, seed_payments;
