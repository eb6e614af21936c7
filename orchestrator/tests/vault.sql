-- A stand-in for Supabase Vault, for tests: its public interface as of supabase_vault 0.3 (table, view, two functions, their
-- arguments and defaults), in our own words. The extension itself needs a server that has it. Instead of encrypting, this turns
-- the hex digits round, so that a search for the value in the table finds nothing.
create schema vault;
create table vault.secrets (
    id uuid primary key default gen_random_uuid(), name text unique, description text not null default '', secret text not null,
    key_id uuid, nonce bytea, created_at timestamptz not null default now(), updated_at timestamptz not null default now()
);
create view vault.decrypted_secrets as
select id, name, description, secret, convert_from(decode(reverse(secret), 'hex'), 'utf8') as decrypted_secret, key_id, nonce,
    created_at, updated_at
from vault.secrets;
create function vault.create_secret(
    new_secret text, new_name text default null, new_description text default '', new_key_id uuid default null
) returns uuid language sql security definer set search_path = '' as $$
    insert into vault.secrets (secret, name, description)
    values (pg_catalog.reverse(pg_catalog.encode(pg_catalog.convert_to(new_secret, 'utf8'), 'hex')), new_name, new_description)
    returning id
$$;
create function vault.update_secret(
    secret_id uuid, new_secret text default null, new_name text default null, new_description text default null,
    new_key_id uuid default null
) returns void language sql security definer set search_path = '' as $$
    update vault.secrets
    set secret = coalesce(pg_catalog.reverse(pg_catalog.encode(pg_catalog.convert_to(new_secret, 'utf8'), 'hex')), secret),
        name = coalesce(new_name, name), description = coalesce(new_description, description), updated_at = now()
    where id = secret_id
$$;
