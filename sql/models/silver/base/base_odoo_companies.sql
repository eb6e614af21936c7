-- Companies with their currency. A branch shares its root company's account codes.
with companies as (
    {{ bronze_latest('res_company', [
        'id bigint',
        'name text',
        'currency_id bigint',
        'parent_path text',
    ]) }}
)

select
    companies.id,
    companies.name,
    companies.currency_id,
    currencies.name as currency_code,
    coalesce(currencies.decimal_places, 2) as decimal_places,
    coalesce(nullif(split_part(companies.parent_path, '/', 1), ''), companies.id::text) as root_company_id
from companies
left join {{ ref('base_odoo_currencies') }} as currencies on currencies.id = companies.currency_id
