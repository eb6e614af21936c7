-- Secrets: kept encrypted here or in Supabase Vault, handed out one by one to the run that needs them, each time on record.
--
-- Nothing in this schema can decrypt: the key of the encrypted table lives where ipai runs, Vault's key with Vault. Who holds
-- a run gets what its instance names; who owns the schema can look an instance's secrets up without a run.

create table connectors.secrets (
    name text primary key check (name ~ '^[A-Za-z_][A-Za-z0-9_]{0,62}$'),
    backend text not null check (backend in ('table', 'vault')),
    ciphertext bytea,
    key_id text,
    vault_id uuid,
    expires_at timestamptz,
    expiry_told_for timestamptz,
    created_at timestamptz not null default now(),
    rotated_at timestamptz,
    check ((backend = 'table') = (ciphertext is not null)),
    check ((backend = 'table') = (key_id is not null)),
    check ((backend = 'vault') = (vault_id is not null))
);

comment on table connectors.secrets is 'What ${secret:NAME} stands for.';
comment on column connectors.secrets.ciphertext is 'AES-256-GCM: 12 bytes of nonce, then the sealed value; the name is its associated data.';
comment on column connectors.secrets.key_id is 'Which key sealed it: the beginning of that key''s SHA-256.';
comment on column connectors.secrets.vault_id is 'Its id in vault.secrets.';
comment on column connectors.secrets.expires_at is 'When whoever gave it out will refuse it. It is handed out all the same.';
comment on column connectors.secrets.expiry_told_for is 'The expiry that secret.expiring has been emitted for.';

create table connectors.secret_access (
    id bigint generated always as identity primary key,
    at timestamptz not null default clock_timestamp(),
    secret text not null,
    action text not null check (action in ('read', 'set', 'rotate', 'remove', 'rotate-key')),
    allowed boolean not null default true,
    outcome text not null default 'done',
    actor text not null,
    run_id bigint,
    instance text,
    why text
);

comment on table connectors.secret_access is 'Who read or changed which secret, when and why; refusals too. No foreign keys: it outlives what it tells of.';
comment on column connectors.secret_access.actor is 'The worker that holds the run, where there is one, and the role that asked.';

create index secret_access_of_secret on connectors.secret_access (secret, id desc);

alter table connectors.secrets enable row level security;
alter table connectors.secret_access enable row level security;
revoke all on connectors.secrets, connectors.secret_access from public;

-- Who asks: the person behind a Supabase token, or else the role that logged in.
create function connectors.secret_actor() returns text
language sql stable set search_path = connectors, pg_temp as $$
    select coalesce(nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub', session_user)
$$;

-- The secrets that an instance's settings name, as they are after its own have replaced its connectors'.
create function connectors.secrets_of(p_instance text) returns setof text
language sql stable set search_path = connectors, pg_temp as $$
    select distinct m[1]
    from connectors.connector_instances i
    join connectors.connector_definitions s on s.name = i.source
    join connectors.connector_definitions d on d.name = i.destination,
        regexp_matches(
            concat(
                coalesce(s.spec -> 'config', '{}') || coalesce(i.spec -> 'source' -> 'config', '{}'),
                coalesce(d.spec -> 'config', '{}') || coalesce(i.spec -> 'destination' -> 'config', '{}'),
                d.spec -> 'state_in_destination'
            ),
            '\$\{secret:([A-Za-z_][A-Za-z0-9_]*)\}', 'g'
        ) m
    where i.name = p_instance
$$;

-- The stored form of a secret, and the record of it being handed out or not. Not for callers: it asks nobody for a lease.
create function connectors.hand_out_secret(
    p_refusal text, p_run bigint, p_instance text, p_name text, p_actor text, p_why text,
    out outcome text, out ciphertext bytea, out key_id text, out value text
)
language plpgsql set search_path = connectors, pg_temp as $$
declare
    s connectors.secrets;
begin
    outcome := p_refusal;
    if outcome is null then
        select * into s from connectors.secrets where name = p_name;
        outcome := case
            when not exists (select from connectors.secrets_of(p_instance) named where named = p_name) then 'not_referenced'
            when s.name is null then 'missing'
            else 'read'
        end;
    end if;
    if outcome = 'read' and s.backend = 'vault' then
        begin
            execute 'select decrypted_secret from vault.decrypted_secrets where id = $1' into value using s.vault_id;
            if value is null then
                outcome := 'missing_in_vault';
            end if;
        exception when undefined_table or invalid_schema_name or insufficient_privilege then
            outcome := 'vault_closed';
        end;
    elsif outcome = 'read' then
        ciphertext := s.ciphertext;
        key_id := s.key_id;
    end if;
    insert into connectors.secret_access (secret, action, allowed, outcome, actor, run_id, instance, why)
    values (p_name, 'read', outcome = 'read', outcome, p_actor, p_run, p_instance, p_why);
    -- A caller that rolls back takes the row along, but not this line in the server's log.
    raise log 'connectors: secret %: %, by %, run %, instance %, for %', p_name, outcome, p_actor, p_run, p_instance, p_why;
end $$;

-- Read a secret for a run. The caller shows that it holds the run by its fencing token; the run must be under way, its lease
-- must not be over, and its instance must name the secret. What came of it stands in `outcome`, and is never raised: an
-- exception would take the record of the refusal along.
--   read             here it is: `value` from Vault, else `ciphertext`, to be opened with the key `key_id`
--   not_running, not_held, lease_expired     the run is not the caller's, or not any more
--   not_referenced   the instance does not name it
--   missing, missing_in_vault, vault_closed  it is not there, or Vault does not let the schema's owner in
create function connectors.read_secret(
    p_run bigint, p_token bigint, p_name text, p_why text,
    out outcome text, out ciphertext bytea, out key_id text, out value text
)
language plpgsql security definer set search_path = connectors, pg_temp as $$
declare
    r connectors.connector_runs;
    refusal text;
begin
    select * into r from connectors.connector_runs where id = p_run;
    refusal := case
        when r.status is distinct from 'running' then 'not_running'
        when r.fencing_token is distinct from p_token then 'not_held'
        when r.lease_expires_at is null or r.lease_expires_at < clock_timestamp() then 'lease_expired'
    end;
    select h.outcome, h.ciphertext, h.key_id, h.value into outcome, ciphertext, key_id, value
    from connectors.hand_out_secret(
        refusal, p_run, r.instance, p_name, concat_ws(' as ', r.worker, connectors.secret_actor()), p_why
    ) h;
end $$;

-- Read a secret for a look at an instance without a run, such as `ipai check`. With the rights of the caller, so only for
-- whoever owns the schema, who could read the table anyway; on record like every other.
create function connectors.read_secret_for_check(
    p_instance text, p_name text, p_why text, out outcome text, out ciphertext bytea, out key_id text, out value text
)
language sql set search_path = connectors, pg_temp as $$
    select h.outcome, h.ciphertext, h.key_id, h.value
    from connectors.hand_out_secret(null, null, p_instance, p_name, connectors.secret_actor(), p_why) h
$$;

-- Emit `secret.expiring` for secrets that expire soon, once for each secret and expiry. Returns their names.
create function connectors.tell_expiring_secrets(p_ahead interval default '14 days') returns setof text
language sql set search_path = connectors, pg_temp as $$
    with due as (
        update connectors.secrets set expiry_told_for = expires_at
        where expires_at < now() + p_ahead and expiry_told_for is distinct from expires_at
        returning name, expires_at
    ), told as (
        select due.name, connectors.emit('secret.expiring', null, null, jsonb_build_object(
            'secret', due.name, 'expires_at', due.expires_at,
            'instances', (
                select coalesce(jsonb_agg(i.name order by i.name), '[]') from connectors.connector_instances i
                where due.name in (select connectors.secrets_of(i.name))
            )
        )) from due
    )
    select name from told
$$;

revoke all on function
    connectors.hand_out_secret(text, bigint, text, text, text, text),
    connectors.read_secret(bigint, bigint, text, text),
    connectors.read_secret_for_check(text, text, text),
    connectors.tell_expiring_secrets(interval)
from public;
