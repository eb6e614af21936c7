{#-
The model has exactly one row for each key that lives in a Bronze table: none lost, none doubled, none left of deleted
ones. Written without bronze_latest, so that a mistake there shows here.
  table    source table; key: the model's column that holds its id; condition: which Bronze rows the model takes
  columns  'name type' of the Bronze columns that the condition uses (an older Odoo may lack them; then they are null)
-#}
{% test one_row_per_live_key(model, table, key, condition='true', columns=[]) %}
    {%- set relation = source('odoo', table) -%}
    {%- set present = bronze_columns(relation) %}
with latest as (
    {%- if present %}
    select distinct on (id) bronze.*
    from {{ relation }} as bronze
    order by
        id{{ ', _sdc_sequence desc nulls last' if '_sdc_sequence' in present }}
        {{- ', write_date desc nulls last' if 'write_date' in present }}
        {{- ', _sdc_extracted_at desc nulls last' if '_sdc_extracted_at' in present }}
    {%- else %}
    select null::bigint as id where false
    {%- endif %}
),

expected as (
    select id
    from (
        select
            id
            {%- for column in columns %}, {{ bronze_column(present, column) }}{% endfor %}
        from latest
        {%- if '_sdc_deleted_at' in present %}
        where _sdc_deleted_at is null
        {%- endif %}
    ) as living
    where {{ condition }}
),

actual as (
    select {{ key }} as id, count(*) as copies
    from {{ model }}
    group by 1
)

select id, copies
from expected
full join actual using (id)
where
    expected.id is null
    or copies is distinct from 1
{% endtest %}
