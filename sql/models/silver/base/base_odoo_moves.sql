-- Headers of journal entries; invoices are moves since 13.
{{ bronze_latest('account_move', [
    'id bigint',
    'name text',
    'ref text',
    'state text',
    'move_type|type text',
    'payment_state|invoice_payment_state text',
    'date date',
    'invoice_date date',
    'journal_id bigint',
    'company_id bigint',
    'partner_id bigint',
    'amount_tax_signed numeric',
    'amount_residual_signed numeric',
]) }}
