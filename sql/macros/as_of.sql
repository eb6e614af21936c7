{#- The day ageing and the ledger look from: var `as_of`, or today in var `timezone`. -#}
{% macro as_of() -%}
    {%- if var('as_of', none) -%} date '{{ var("as_of") }}'
    {%- else -%} (now() at time zone '{{ var("timezone") }}')::date
    {%- endif -%}
{%- endmacro %}


{#- First day of the month of a date, whatever the session's time zone. -#}
{% macro month_of(date) -%} date_trunc('month', ({{ date }})::timestamp)::date {%- endmacro %}
