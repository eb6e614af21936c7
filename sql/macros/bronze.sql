{#-
How Silver (and the tests that look past it) read Bronze. Odoo's tables differ between 13 and 19, a database may lack
modules, and a tap's stream or column may not be selected; these macros look at the columns that are there and give
every model one stable shape.
-#}

{#-
The newest live version of each row of one Bronze table.

from_source: the source that the table is of.
key: its key columns.
columns: a list of 'name type' or 'name|older_name type'. The result column has the first name; the first one that
Bronze has is read, NULL when it has none. Types are Postgres types and two of our own:
  translated   text, or jsonb {"en_US": ..., "fr_FR": ...} (Odoo 16+), as text in the language of var `language`
  timestamptz  also accepts a timestamp without time zone, which Odoo keeps in UTC

Append-only Bronze holds several versions of a key: the latest one received counts, and if that is a deletion the
key is gone. A missing table reads as one without rows: an Odoo without the sale module has no sale_order. It is
worth a warning unless the table is `optional` or nothing of its source is there.
-#}
{% macro bronze_latest(table, columns, optional=false, from_source='odoo', key=['id']) %}
    {%- set relation = source(from_source, table) -%}
    {%- set present = bronze_columns(relation) -%}
    {%- if execute and not present and not optional and bronze_tables(from_source) -%}
        {%- do exceptions.warn("Bronze has no " ~ relation ~ ": it reads as empty. Select the stream "
                               ~ table ~ " in the tap, or leave the models on it out.") -%}
    {%- endif %}
    select
    {%- for column in columns %}
        {{ bronze_column(present, column) }}{{ "," if not loop.last }}
    {%- endfor %}
    {%- if present %}
    from (
        select distinct on ({{ key | join(', ') }})
            *,
            {{ '_sdc_deleted_at is not null' if '_sdc_deleted_at' in present else 'false' }} as _is_deleted
        from {{ relation }}
        order by
            {{ key | join(', ') }}
            {%- for column in ['_sdc_sequence', 'write_date', '_sdc_extracted_at'] if column in present %},
            {{ column }} desc nulls last
            {%- endfor %}
    ) as versions
    where not _is_deleted
    {%- else %}
    where false
    {%- endif %}
{% endmacro %}


{#- One select expression of bronze_latest. -#}
{% macro bronze_column(present, column) -%}
    {%- set names, type = column.rsplit(' ', 1) -%}
    {%- set names = names.split('|') -%}
    {%- set found = names | select('in', present) | list -%}
    {%- set quoted = adapter.quote(found[0]) if found else none -%}
    {%- if not found -%}
        null::{{ 'text' if type == 'translated' else type }}
    {%- elif type == 'translated' and present[found[0]] == 'jsonb' -%}
        coalesce(
            {{ quoted }} ->> '{{ var("language") }}',
            {{ quoted }} ->> 'en_US',
            (select value from jsonb_each_text({{ quoted }}) order by key limit 1)
        )
    {%- elif type == 'translated' -%}
        {{ quoted }}::text
    {%- elif type == 'timestamptz' and present[found[0]] == 'timestamp without time zone' -%}
        {{ quoted }} at time zone 'UTC'
    {%- else -%}
        {{ quoted }}::{{ type }}
    {%- endif %} as {{ adapter.quote(names[0]) }}
{%- endmacro %}


{#- {name: data type} of a relation; empty when it does not exist (and while dbt only parses). -#}
{% macro bronze_columns(relation) %}
    {%- set present = {} -%}
    {%- if execute -%}
        {%- for column in adapter.get_columns_in_relation(relation) -%}
            {%- do present.update({column.name: column.dtype}) -%}
        {%- endfor -%}
    {%- endif -%}
    {{ return(present) }}
{% endmacro %}


{#- The tables of a source that exist. Of a source that nobody reads, no table is missed. -#}
{% macro bronze_tables(from_source) %}
    {%- set found = [] -%}
    {%- for each in graph.sources.values() if each.source_name == from_source
        and adapter.get_relation(each.database, each.schema, each.identifier) -%}
        {%- do found.append(each.identifier) -%}
    {%- endfor -%}
    {{ return(found) }}
{% endmacro %}


{#- Missing tables read as empty, so a wrong schema name would build an empty Gold without a word: stop first. -#}
{% macro require_bronze() %}
    {%- if execute and flags.WHICH in ('run', 'build', 'test') -%}
        {%- set found = [] -%}
        {%- for source in graph.sources.values() if bronze_columns(api.Relation.create(
            database=source.database, schema=source.schema, identifier=source.identifier)) -%}
            {%- do found.append(source.identifier) -%}
        {%- endfor -%}
        {%- if not found -%}
            {%- do exceptions.raise_compiler_error(
                "There is no Bronze table that a model reads, such as raw_odoo_account_move, in schema '" ~ var('bronze_schema') ~ "' of database '" ~ target.dbname
                ~ "'. Run a sync first, or name the schema: --vars 'bronze_schema: <name>'") -%}
        {%- endif -%}
    {%- endif -%}
{% endmacro %}
