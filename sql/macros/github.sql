{#- Hours from one instant to another, two decimals; null while one of them is missing. -#}
{% macro hours_between(begin, end) -%}
    round((extract(epoch from ({{ end }}) - ({{ begin }})) / 3600)::numeric, 2)
{%- endmacro %}


{#- The names in an array of objects such as labels or users, in order, separated by commas; labels may be bare texts. -#}
{% macro names_in(column, name='name') -%}
    (
        select string_agg(
            case jsonb_typeof(each) when 'string' then each #>> '{}' else each ->> '{{ name }}' end, ', ' order by place
        )
        from jsonb_array_elements(
            case when jsonb_typeof({{ column }}) = 'array' then {{ column }} end
        ) with ordinality as elements (each, place)
    )
{%- endmacro %}


{#- The Monday that begins the week of an instant, in the time zone of var `timezone`. -#}
{% macro week_of(instant) -%} date_trunc('week', ({{ instant }}) at time zone '{{ var("timezone") }}')::date {%- endmacro %}


{#- A percentile of a column over a group, two decimals. -#}
{% macro percentile(column, part, condition) -%}
    round(
        (percentile_cont({{ part }}) within group (order by {{ column }}) filter (where {{ condition }}))::numeric, 2
    )
{%- endmacro %}
