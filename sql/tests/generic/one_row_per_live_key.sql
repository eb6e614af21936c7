{#-
The model has exactly one row for each key that lives in a Bronze table: none lost, none doubled, none left of deleted
ones. Written without bronze_latest, so that a mistake there shows here.
  table    source table, of the source `from_source`; key: the model's column that holds its id
  bronze_key  what makes a Bronze row's id, of the type `key_type`; condition: which Bronze rows the model takes
  columns  'name type' of the Bronze columns that the condition uses (an older Odoo may lack them; then they are null)
-#}
{% test one_row_per_live_key(model, table, key, condition='true', columns=[], from_source='odoo', bronze_key='id', key_type='bigint') %}
    {%- set relation = source(from_source, table) -%}
    {%- set present = bronze_columns(relation) %}
with latest as (
    {%- if present %}
    select distinct on ({{ bronze_key }}) bronze.*
    from {{ relation }} as bronze
    order by
        {{ bronze_key }}{{ ', _sdc_sequence desc nulls last' if '_sdc_sequence' in present }}
        {{- ', write_date desc nulls last' if 'write_date' in present }}
        {{- ', _sdc_extracted_at desc nulls last' if '_sdc_extracted_at' in present }}
    {%- else %}
    select 1 as nothing where false
    {%- endif %}
),

expected as (
    select id
    from (
        select
            {{ bronze_key if present else 'null::' ~ key_type }} as id
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
