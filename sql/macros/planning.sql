{#-
Every join here is of whole tables on ids. Bronze that was just loaded has no statistics, and Postgres then expects a
handful of rows and takes nested loops: minutes, growing with the square, for what a hash join does in a second. Models
run this as their pre-hook; tests get it from the macro below, which dbt calls to make a test's statement.
-#}
{% macro join_by_hash() -%} set local enable_nestloop to off {%- endmacro %}


{% macro postgres__get_test_sql(main_sql, fail_calc, warn_if, error_if, limit) -%}
    {{ join_by_hash() }};
    {{ dbt.default__get_test_sql(main_sql, fail_calc, warn_if, error_if, limit) }}
{%- endmacro %}
