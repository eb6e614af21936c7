-- Currencies by id, archived ones too: old documents still use them.
{{ bronze_latest('res_currency', [
    'id bigint',
    'name text',
    'decimal_places integer',
]) }}
