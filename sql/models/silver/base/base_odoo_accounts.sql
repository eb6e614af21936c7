-- Accounts in the terms of Odoo 16 and later. Up to 15 the kind of an account is on account_account_type
-- (receivable, payable, liquidity, other) and finer kinds are free text, so `other` becomes the group's plain kind.
with accounts as (
    {{ bronze_latest('account_account', [
        'id bigint',
        'code text',
        'code_store jsonb',
        'name translated',
        'account_type text',
        'internal_type text',
        'internal_group text',
        'user_type_id bigint',
    ]) }}
),

types as (
    {{ bronze_latest('account_account_type', [
        'id bigint',
        'type text',
        'internal_group text',
    ], optional=true) }}
)

select
    accounts.id,
    accounts.code,
    accounts.code_store,
    accounts.name,
    coalesce(
        accounts.account_type,
        case coalesce(accounts.internal_type, types.type)
            when 'receivable' then 'asset_receivable'
            when 'payable' then 'liability_payable'
            when 'liquidity' then 'asset_cash'
        end,
        case coalesce(accounts.internal_group, types.internal_group)
            when 'asset' then 'asset_current'
            when 'liability' then 'liability_current'
            when 'off' then 'off_balance'
            else coalesce(accounts.internal_group, types.internal_group)
        end
    ) as account_type
from accounts
left join types on types.id = accounts.user_type_id
