-- The second act: what a working day does to the books. Each run makes new rows (ids follow the highest ones there are) and
-- writes them now, in UTC as Odoo does. The last statement returns, table by table, how many rows were inserted and how many
-- that were there before were updated: what the next incremental sync has to move, and nothing else. Run it in one transaction.
--
--   12 orders of three lines are confirmed and invoiced: 12 sale_order, 36 sale_order_line, 12 account_move of 5 items,
--    2 of them for a customer who is new (1 res_partner)
--   10 open customer invoices are paid: 10 account_payment, 10 account_move of 2 items; the invoice, its receivable item
--      (and the item of an earlier part payment) updated
--    4 entries dated two months ago are posted today: 4 account_move of 2 items
--    3 prices change: 3 product_template updated
--    1 quotation (or, when none is left, an order) is cancelled: 1 sale_order and its lines updated
-- The stream account_invoice is a view of moves, so it moves 12 new and 10 changed rows as well.

set local timezone to 'UTC';

create temp table change_clock on commit drop as
select
    now() at time zone 'UTC' as written,
    coalesce(nullif(current_setting('ipai.today', true), '')::date, (now() at time zone 'UTC')::date) as today,
    (select max(id) from sale_order) as last_order_id,
    (select max(id) from sale_order_line) as last_order_line_id,
    (select max(id) from account_move) as last_move_id,
    (select max(id) from account_move_line) as last_item_id,
    (select max(id) from account_payment) as last_payment_id,
    (select max(id) from res_partner) as last_partner_id;

create temp table change_log (table_name text, inserted integer, updated integer) on commit drop;


-- A new customer and twelve orders ---------------------------------------------------------------------------------

with made as (
    insert into res_partner (id, name, complete_name, commercial_partner_id, is_company, type, lang, email, city, active,
        employee, partner_share, customer_rank, supplier_rank, color, create_uid, write_uid, create_date, write_date)
    select last_partner_id + 1, 'Neue Kunden 🎉 & Cie \ ' || last_partner_id + 1, 'Neue Kunden 🎉 & Cie \ ' || last_partner_id + 1, last_partner_id + 1,
        true, 'contact', 'en_US', 'partner' || last_partner_id + 1 || '@example.com', 'Zürich', true, false, true, 1, 0, 0, 1, 1,
        written, written
    from change_clock
    returning id
)

insert into change_log
select 'res_partner', count(*), 0 from made;

-- Every order copies the customer, company and currency of an earlier one (its day is today, its rate the latest known).
create temp table change_orders on commit drop as
select
    n,
    clock.last_order_id + n as id,
    clock.last_move_id + n as move_id,
    model.company_id,
    company.currency_id as company_currency,
    case when model.company_id = 1 then 0.15 else 0.20 end as tax_rate,
    (model.company_id - 1) * 100 as account_base,
    model.currency_id,
    model.currency_rate as rate,
    case when n <= 2 then clock.last_partner_id + 1 else model.partner_id end as partner_id,
    case when n <= 2 then clock.last_partner_id + 1 else partner.commercial_partner_id end as commercial_partner_id,
    model.user_id,
    clock.written,
    clock.today,
    'S' || lpad((clock.last_order_id + n)::text, 5, '0') as name,
    to_char(clock.today, '"INV"/YYYY/MM/') as sequence_prefix,
    (
        select coalesce(max(sequence_number), 0)
        from account_move
        where company_id = model.company_id and sequence_prefix = to_char(clock.today, '"INV"/YYYY/MM/')
    ) + row_number() over (partition by model.company_id order by n) as sequence_number
from generate_series(1, 12) as n
cross join change_clock as clock
cross join lateral (
    -- The latest order of this company and, for every fourth, in the other currency.
    select sale_order.*
    from sale_order
    inner join res_company as company on company.id = sale_order.company_id
    where sale_order.company_id = 1 + n % 2 and sale_order.state = 'sale'
        and (sale_order.currency_id <> company.currency_id) = (n % 4 = 0)
    order by sale_order.id desc
    offset n
    limit 1
) as model
inner join res_company as company on company.id = model.company_id
inner join res_partner as partner on partner.id = model.partner_id;

create temp table change_order_lines on commit drop as
select *, round(subtotal * tax_rate, 2) as tax
from (
    select *, round(quantity * price_unit * (1 - discount / 100), 2) as subtotal
    from (
        select
            orders.*, seq, clock.last_order_line_id + (orders.n - 1) * 3 + seq as line_id, product.id as product_id,
            template.uom_id, template.detailed_type, '[' || product.default_code || '] ' || (template.name ->> 'en_US') as label,
            1.00 + (orders.id * 7 + seq * 5) % 9 as quantity,
            round(template.list_price * case when orders.currency_id = 126 then 0.92 else 1 end, 2) as price_unit,
            case when seq = 3 then 10.0 else 0.0 end as discount
        from change_orders as orders
        cross join change_clock as clock
        cross join generate_series(1, 3) as seq
        inner join product_product as product on product.id = 8 + (orders.id * 13 + seq * 29) % 150
        inner join product_template as template on template.id = product.product_tmpl_id
    ) as chosen
) as priced;

with made as (
    insert into sale_order (id, company_id, partner_id, partner_invoice_id, partner_shipping_id, currency_id, currency_rate,
        user_id, name, state, invoice_status, validity_date, amount_untaxed, amount_tax, amount_total, amount_to_invoice,
        locked, require_signature, require_payment, date_order, warehouse_id, picking_policy, delivery_status,
        prepayment_percent, create_uid, write_uid, create_date, write_date)
    select id, company_id, partner_id, partner_id, partner_id, currency_id, rate, user_id, name, 'sale', 'invoiced', today + 30,
        sum(subtotal), sum(tax), sum(subtotal + tax), 0, false, true, false, date_trunc('second', written), company_id, 'direct',
        'pending', 1, user_id, user_id, written, written
    from change_order_lines
    group by id, company_id, partner_id, currency_id, rate, user_id, name, today, written
    returning id
)

insert into change_log
select 'sale_order', count(*), 0 from made;

with made as (
    insert into sale_order_line (id, order_id, sequence, company_id, currency_id, order_partner_id, salesman_id, product_id,
        product_uom, state, qty_delivered_method, invoice_status, name, product_uom_qty, price_unit, discount, price_subtotal,
        price_total, price_tax, price_reduce_taxexcl, price_reduce_taxinc, qty_delivered, qty_invoiced, qty_to_invoice,
        untaxed_amount_invoiced, untaxed_amount_to_invoice, is_downpayment, is_expense, customer_lead, create_uid, write_uid,
        create_date, write_date)
    select line_id, id, seq * 10, company_id, currency_id, partner_id, user_id, product_id, uom_id, 'sale',
        case when detailed_type = 'service' then 'manual' else 'stock_move' end, 'invoiced', label, quantity, price_unit,
        discount, subtotal, subtotal + tax, tax::double precision, round(subtotal / quantity, 2),
        round((subtotal + tax) / quantity, 2), 0, quantity, 0, subtotal, 0, false, false, 0, user_id, user_id, written, written
    from change_order_lines
    returning id
)

insert into change_log
select 'sale_order_line', count(*), 0 from made;


-- Entries: the invoices of those orders, payments of open invoices, back-dated entries -----------------------------------

-- The oldest open invoices are bad debts; these are of all ages.
create temp table change_paid on commit drop as
select
    row_number() over (order by move.id) as n,
    move.id as invoice_id, move.name, move.company_id, move.currency_id, move.commercial_partner_id as partner_id,
    move.amount_residual as amount, move.amount_residual_signed as amount_company, item.id as item_id, item.account_id
from (
    select *, row_number() over (order by md5(id::text)) as draw
    from account_move
    where move_type = 'out_invoice' and state = 'posted' and amount_residual > 0
) as move
inner join account_move_line as item on item.move_id = move.id and item.display_type = 'payment_term'
where move.draw <= 10;

create temp table change_items (
    move_id integer, seq integer, company_id integer, journal_id integer, account_id integer, day date, display_type text,
    partner_id integer, currency_id integer, payment_id integer, label text, amount_currency numeric, balance numeric,
    residual_currency numeric default 0, residual numeric default 0, due_day date, product_id integer, uom_id integer,
    quantity numeric, price_unit numeric default 0, discount numeric default 0, subtotal numeric default 0,
    total numeric default 0, tax_base numeric default 0, matching text
) on commit drop;

insert into change_items (move_id, seq, company_id, journal_id, account_id, day, display_type, partner_id, currency_id, label,
    amount_currency, balance, product_id, uom_id, quantity, price_unit, discount, subtotal, total)
select move_id, seq, company_id, (company_id - 1) * 10 + 1, account_base + case when detailed_type = 'service' then 19 else 6 end,
    today, 'product', commercial_partner_id, currency_id, label, -subtotal, -round(subtotal / rate, 2), product_id, uom_id,
    quantity, price_unit, discount, subtotal, subtotal + tax
from change_order_lines;

insert into change_items (move_id, seq, company_id, journal_id, account_id, day, display_type, partner_id, currency_id, label,
    amount_currency, balance, quantity, tax_base)
select move_id, 100, company_id, (company_id - 1) * 10 + 1, account_base + 4, today, 'tax', commercial_partner_id, currency_id,
    round(tax_rate * 100) || '%', -sum(tax), -round(sum(tax) / rate, 2), 0, round(sum(subtotal) / rate, 2)
from change_order_lines
group by move_id, company_id, account_base, today, commercial_partner_id, currency_id, tax_rate, rate;

insert into change_items (move_id, seq, company_id, journal_id, account_id, day, display_type, partner_id, currency_id, label,
    amount_currency, balance, residual_currency, residual, due_day, quantity)
select move_id, 200, company_id, journal_id, (company_id - 1) * 100 + 1, day, 'payment_term', partner_id, currency_id, '',
    -sum(amount_currency), -sum(balance), -sum(amount_currency), -sum(balance), day + 30, 0
from change_items
group by move_id, company_id, journal_id, day, partner_id, currency_id;

insert into change_items (move_id, seq, company_id, journal_id, account_id, day, display_type, partner_id, currency_id,
    payment_id, label, amount_currency, balance, quantity, due_day, matching)
select clock.last_move_id + 12 + n, seq, company_id, (company_id - 1) * 10 + 6,
    case when seq = 1 then (company_id - 1) * 100 + 3 else account_id end, clock.today, 'product', partner_id, currency_id,
    clock.last_payment_id + n, 'Customer Payment', side * amount, side * amount_company, 1, case when seq = 2 then clock.today end,
    case when seq = 2 then invoice_id::text end
from change_paid
cross join change_clock as clock
cross join (values (1, 1), (2, -1)) as sides (seq, side);

-- Accruals somebody forgot: their date is two months back, what is written is new.
insert into change_items (move_id, seq, company_id, journal_id, account_id, day, display_type, currency_id, label,
    amount_currency, balance, quantity)
select clock.last_move_id + 22 + n, seq, company.id, (company.id - 1) * 10 + 3,
    (company.id - 1) * 100 + case when seq = 1 then 9 else 3 end, (clock.today - interval '2 months')::date, 'product',
    company.currency_id, 'Late rent — loyer oublié', side * (1000.00 + n), side * (1000.00 + n), 1
from generate_series(1, 4) as n
cross join change_clock as clock
inner join res_company as company on company.id = 1 + n % 2
cross join (values (1, 1), (2, -1)) as sides (seq, side);

-- A header is the sum of its items; sequence numbers follow the highest of the journal and month.
with entries as (
    select
        items.move_id, items.company_id, items.journal_id, items.day, max(items.partner_id) as commercial_partner_id,
        max(items.currency_id) as currency_id, max(items.payment_id) as payment_id,
        bool_or(items.display_type = 'payment_term') as is_invoice,
        sum(items.balance) filter (where items.balance > 0) as debit,
        sum(items.amount_currency) filter (where items.amount_currency > 0) as debit_currency,
        coalesce(-sum(items.amount_currency) filter (where items.display_type = 'product'), 0) as untaxed,
        coalesce(-sum(items.balance) filter (where items.display_type = 'product'), 0) as untaxed_company,
        case items.journal_id % 10 when 1 then 'INV/' when 6 then 'PBNK1/' else 'MISC/' end || to_char(items.day, 'YYYY/MM/') as prefix
    from change_items as items
    group by items.move_id, items.company_id, items.journal_id, items.day
),

numbered as (
    select
        entries.*,
        (
            select coalesce(max(sequence_number), 0)
            from account_move
            where account_move.company_id = entries.company_id and sequence_prefix = prefix
        ) + row_number() over (partition by company_id, prefix order by move_id) as number
    from entries
),

made as (
    insert into account_move (id, sequence_number, sequence_prefix, name, ref, state, move_type, auto_post, journal_id,
        company_id, payment_id, partner_id, commercial_partner_id, partner_shipping_id, currency_id, invoice_user_id,
        payment_reference, payment_state, invoice_partner_display_name, invoice_origin, date, invoice_date, invoice_date_due,
        amount_untaxed, amount_tax, amount_total, amount_residual, amount_untaxed_signed, amount_tax_signed,
        amount_total_signed, amount_total_in_currency_signed, amount_residual_signed, is_storno, always_tax_exigible, to_check,
        posted_before, is_move_sent, create_uid, write_uid, create_date, write_date)
    select
        entry.move_id, number, prefix, prefix || lpad(number::text, 5, '0'),
        case when entry.journal_id % 10 = 3 then 'Late rent — loyer oublié' end, 'posted',
        case when is_invoice then 'out_invoice' else 'entry' end, 'no', entry.journal_id, entry.company_id, entry.payment_id,
        coalesce(orders.partner_id, entry.commercial_partner_id), entry.commercial_partner_id, orders.partner_id,
        entry.currency_id, coalesce(orders.user_id, 1), case when is_invoice then prefix || lpad(number::text, 5, '0') end,
        'not_paid', partner.name, orders.name, day, case when is_invoice then day end, case when is_invoice then day + 30 end,
        case when is_invoice then untaxed else 0 end, case when is_invoice then debit_currency - untaxed else 0 end,
        debit_currency, case when is_invoice then debit_currency else 0 end,
        case when is_invoice then untaxed_company else 0 end, case when is_invoice then debit - untaxed_company else 0 end,
        debit, debit_currency, case when is_invoice then debit else 0 end, false, not is_invoice, false, true, is_invoice,
        coalesce(orders.user_id, 1), coalesce(orders.user_id, 1), clock.written, clock.written
    from numbered as entry
    cross join change_clock as clock
    left join change_orders as orders on orders.move_id = entry.move_id
    left join res_partner as partner on partner.id = orders.partner_id
    returning move_type
)

insert into change_log
select 'account_move', count(*), 0 from made
union all
select 'account_invoice', count(*), 0 from made where move_type = 'out_invoice';

with made as (
    insert into account_move_line (id, move_id, journal_id, company_id, company_currency_id, sequence, account_id, currency_id,
        partner_id, payment_id, product_id, product_uom_id, move_name, parent_state, ref, name, matching_number,
        full_reconcile_id, display_type, date, invoice_date, date_maturity, debit, credit, balance, amount_currency,
        tax_base_amount, amount_residual, amount_residual_currency, quantity, price_unit, price_subtotal, price_total, discount,
        tax_tag_invert, reconciled, blocked, is_downpayment, create_uid, write_uid, create_date, write_date)
    select
        clock.last_item_id + row_number() over (order by item.move_id, item.seq), item.move_id, item.journal_id, item.company_id,
        company.currency_id, item.seq * 10, item.account_id, item.currency_id, item.partner_id, item.payment_id,
        item.product_id, item.uom_id, move.name, 'posted', move.ref, item.label, item.matching, item.matching::integer,
        item.display_type, item.day, move.invoice_date, item.due_day, greatest(item.balance, 0), greatest(-item.balance, 0),
        item.balance, item.amount_currency, item.tax_base, item.residual, item.residual_currency, item.quantity,
        item.price_unit, item.subtotal, item.total, item.discount, false, item.matching is not null, false, false,
        move.create_uid, move.write_uid, clock.written, clock.written
    from change_items as item
    cross join change_clock as clock
    inner join account_move as move on move.id = item.move_id
    inner join res_company as company on company.id = item.company_id
    returning id
)

insert into change_log
select 'account_move_line', count(*), 0 from made;

with made as (
    insert into account_payment (id, move_id, payment_method_line_id, payment_method_id, currency_id, partner_id,
        destination_account_id, outstanding_account_id, payment_type, partner_type, amount, amount_company_currency_signed,
        is_reconciled, is_matched, is_internal_transfer, create_uid, write_uid, create_date, write_date)
    select clock.last_payment_id + n, clock.last_move_id + 12 + n, 1, 1, currency_id, partner_id, account_id, (company_id - 1) * 100 + 3,
        'inbound', 'customer', amount, amount_company, true, true, false, 1, 1, clock.written, clock.written
    from change_paid
    cross join change_clock as clock
    returning id
)

insert into change_log
select 'account_payment', count(*), 0 from made;


-- What was there before and changes ---------------------------------------------------------------------------------

with changed as (
    update account_move
    set payment_state = 'paid', amount_residual = 0.00, amount_residual_signed = 0.00, write_uid = 1, write_date = written
    from change_paid, change_clock
    where account_move.id = change_paid.invoice_id
    returning account_move.id
)

insert into change_log
select 'account_move', 0, count(*) from changed
union all
select 'account_invoice', 0, count(*) from changed;

with changed as (
    update account_move_line
    set amount_residual = 0.00, amount_residual_currency = 0.00, reconciled = true, matching_number = invoice_id::text,
        full_reconcile_id = invoice_id, write_uid = 1, write_date = written
    from change_paid, change_clock
    -- An earlier part payment is now in the full match too.
    where account_move_line.id = change_paid.item_id or account_move_line.matching_number = 'P' || change_paid.invoice_id
    returning account_move_line.id
)

insert into change_log
select 'account_move_line', 0, count(*) from changed;

with changed as (
    update product_template
    set list_price = round(list_price * 1.05, 2), write_uid = 1, write_date = written
    from change_clock
    where product_template.id % 50 = 7
    returning product_template.id
)

insert into change_log
select 'product_template', 0, count(*) from changed;

create temp table change_cancelled on commit drop as
select id
from sale_order, change_clock
where state in ('draft', 'sent', 'sale') and id <= change_clock.last_order_id
order by state = 'sale', invoice_status = 'invoiced', id
limit 1;

with changed as (
    update sale_order
    set state = 'cancel', invoice_status = 'no', amount_to_invoice = 0, write_uid = 1, write_date = written
    from change_cancelled, change_clock
    where sale_order.id = change_cancelled.id
    returning sale_order.id
)

insert into change_log
select 'sale_order', 0, count(*) from changed;

with changed as (
    update sale_order_line
    set state = 'cancel', invoice_status = 'no', qty_to_invoice = 0, untaxed_amount_to_invoice = 0, write_uid = 1, write_date = written
    from change_cancelled, change_clock
    where sale_order_line.order_id = change_cancelled.id
    returning sale_order_line.id
)

insert into change_log
select 'sale_order_line', 0, count(*) from changed;

select table_name as "table", sum(inserted)::integer as inserted, sum(updated)::integer as updated
from change_log
group by table_name
order by table_name;
