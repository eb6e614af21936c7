-- Partners with the company they act for. display_name was the stored name before 17.
with partners as (
    {{ bronze_latest('res_partner', [
        'id bigint',
        'complete_name|display_name text',
        'name text',
        'commercial_partner_id bigint',
    ]) }}
)

select
    partners.id,
    coalesce(nullif(partners.complete_name, ''), partners.name) as name,
    coalesce(partners.commercial_partner_id, partners.id) as commercial_partner_id,
    coalesce(commercial.name, partners.name) as commercial_partner_name
from partners
left join partners as commercial on commercial.id = partners.commercial_partner_id
