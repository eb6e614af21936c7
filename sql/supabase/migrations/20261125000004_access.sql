-- Access: who may see and do what, and who did what. The functions for callers are in 20261125000040_rpc.sql.
--
-- Whoever owns the schema (ipai's own database login) does everything. Supabase's roles anon, authenticated and service_role
-- write nothing by themselves: they read tables that have a policy, and call functions whose comment begins with "RPC".
-- `call connectors.secure()` makes both so, and closes all the rest; a migration that adds a table or a function ends with it.

-- Roles: there on Supabase; made on any other Postgres, so that a policy means the same everywhere.

do $$
declare
    wanted text;
begin
    foreach wanted in array array['anon', 'authenticated', 'service_role'] loop
        continue when to_regrole(wanted) is not null;
        begin
            execute format('create role %I nologin noinherit', wanted);
        exception
            when insufficient_privilege then
                raise notice 'Role % is missing and % may not create it. Where it is wanted: create it, then call connectors.secure()', wanted, current_user;
            when duplicate_object or unique_violation then
                null; -- another database of the server has been set up in this very moment
        end;
    end loop;
end $$;

-- Levels: none < read < run < admin

-- As whom a statement was sent. Unlike current_user it stays the same inside of SECURITY DEFINER functions.
create function connectors.acting_role() returns text
language sql stable set search_path = pg_catalog, pg_temp as $$
    select coalesce(nullif(current_setting('role', true), 'none'), session_user)
$$;

-- What the caller's token says. Any session can write this setting, so it counts only in one that may be whatever it likes
-- anyway, as PostgREST's may: a plain login that was granted `authenticated` cannot promote itself.
create function connectors.claims() returns jsonb
language sql stable set search_path = pg_catalog, pg_temp as $$
    select case
        when to_regrole('service_role') is null then null
        when pg_has_role(session_user, 'service_role', 'MEMBER') then nullif(current_setting('request.jwt.claims', true), '')::jsonb
    end
$$;

create function connectors.access_level() returns text
language sql stable security definer set search_path = connectors, pg_temp as $$
    select case
        when who.role = 'service_role' then 'admin'
        when who.role = 'authenticated' then case when who.claimed in ('read', 'run', 'admin') then who.claimed else 'none' end
        when who.role = 'anon' then 'none'
        when pg_has_role(who.role::name, n.nspowner, 'USAGE') then 'admin'
        else 'none'
    end
    from pg_namespace n, (
        -- At the top an access token hook puts it; app_metadata only admins can write. user_metadata a user writes himself.
        select connectors.acting_role() as role, coalesce(claims ->> 'ipai_role', claims #>> '{app_metadata,ipai_role}') as claimed
        from connectors.claims() claims
    ) who
    where n.nspname = 'connectors'
$$;

comment on function connectors.access_level() is 'RPC: the caller''s level: none, read, run or admin.';

create function connectors.may(needed text) returns boolean
language sql stable security definer set search_path = connectors, pg_temp as $$
    select coalesce(array_position(levels, connectors.access_level()) >= array_position(levels, needed), false)
    from (values (array['none', 'read', 'run', 'admin'])) ordered (levels)
$$;

comment on function connectors.may(text) is 'RPC: whether the caller''s level is this one or above it.';

create function connectors.require(p_level text, p_what text) returns void
language plpgsql stable set search_path = connectors, pg_temp as $$
begin
    if not connectors.may(p_level) then
        raise insufficient_privilege using
            message = format('%s needs the level %s, and yours is %s.', p_what, p_level, connectors.access_level()),
            hint = 'An admin gives levels by the claim ipai_role; see docs/access.md.';
    end if;
end $$;

-- Let callers of a level and above read a table.
create procedure connectors.let_read(p_table regclass, p_level text)
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
    execute format('drop policy if exists read on %s', p_table);
    execute format('create policy read on %s for select using ((select connectors.may(%L)))', p_table, p_level);
end $$;

-- Close everything that is not meant to be open, also where somebody followed Supabase's advice for exposing a schema, which
-- grants all there is and all there will be. New tables are closed to others from the start, new functions are not: Postgres
-- lets everybody call them, and that cannot be turned off for one schema alone.
create procedure connectors.secure()
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
    caller text;
    statement text;
begin
    for statement in
        select format('alter table %s enable row level security', c.oid::regclass)
        from pg_class c
        where c.relnamespace = 'connectors'::regnamespace and c.relkind in ('r', 'p') and not c.relrowsecurity
    loop
        execute statement;
    end loop;
    foreach caller in array array['public', 'anon', 'authenticated', 'service_role'] loop
        continue when caller <> 'public' and to_regrole(caller) is null;
        execute format('revoke all on schema connectors from %s', caller);
        execute format('revoke all on all tables in schema connectors from %s', caller);
        execute format('revoke all on all sequences in schema connectors from %s', caller);
        execute format('revoke all on all routines in schema connectors from %s', caller);
        execute format('alter default privileges in schema connectors revoke all on tables from %s', caller);
        execute format('alter default privileges in schema connectors revoke all on sequences from %s', caller);
        execute format('alter default privileges in schema connectors revoke all on routines from %s', caller);
        continue when caller in ('public', 'anon');
        execute format('grant usage on schema connectors to %s', caller);
        for statement in
            select format('grant select on %s to %s', p.polrelid::regclass, caller)
            from pg_policy p join pg_class c on c.oid = p.polrelid
            where c.relnamespace = 'connectors'::regnamespace and p.polcmd = 'r'
            union all
            select format('grant execute on function %s to %s', f.oid::regprocedure, caller)
            from pg_proc f
            where f.pronamespace = 'connectors'::regnamespace and obj_description(f.oid, 'pg_proc') like 'RPC%'
        loop
            execute statement;
        end loop;
    end loop;
end $$;

-- Audit

create table connectors.audit_log (
    id bigint generated always as identity primary key,
    at timestamptz not null default clock_timestamp(),
    actor text not null,
    action text not null,
    subject text not null,
    details jsonb not null default '{}'
);

comment on table connectors.audit_log is 'Who changed what: every change by a person or a program, none of the platform''s own doing.';
comment on column connectors.audit_log.actor is 'user@host of the command line, a Supabase user''s email and id, or the database login.';
comment on column connectors.audit_log.subject is 'An instance, instance/schedule, a connector, a quota group, a tier.';
comment on column connectors.audit_log.details is 'changed: columns as [before, after]; keys: what differs within a spec or a STATE, never the values.';

create index audit_log_of_subject on connectors.audit_log (subject, id desc);

-- Only who owns the schema can say by ipai.actor for whom it acts; the others are who their token says they are.
create function connectors.actor() returns text
language sql stable set search_path = connectors, pg_temp as $$
    select case
        when role not in ('anon', 'authenticated', 'service_role') then coalesce(nullif(current_setting('ipai.actor', true), ''), session_user)
        else coalesce(nullif(concat_ws(' ', claims ->> 'email', '(' || (claims ->> 'sub') || ')'), ''), role)
    end
    from connectors.acting_role() role, connectors.claims() claims
$$;

-- Secrets' own record names people in the same way.
create or replace function connectors.secret_actor() returns text
language sql stable set search_path = connectors, pg_temp as 'select connectors.actor()';

create function connectors.audit(p_action text, p_subject text, p_details jsonb default '{}') returns void
language sql set search_path = connectors, pg_temp as $$
    insert into connectors.audit_log (actor, action, subject, details)
    values (connectors.actor(), p_action, p_subject, jsonb_strip_nulls(coalesce(p_details, '{}')))
$$;

-- Where two documents differ, as dotted paths.
create function connectors.changed_paths(p_old jsonb, p_new jsonb, p_path text) returns setof text
language plpgsql immutable set search_path = connectors, pg_temp as $$
begin
    if jsonb_typeof(p_old) = 'object' and jsonb_typeof(p_new) = 'object' then
        return query
            select path from jsonb_object_keys(p_old || p_new) key,
                connectors.changed_paths(p_old -> key, p_new -> key, concat_ws('.', p_path, key)) path;
    elsif p_old is distinct from p_new then
        return next p_path;
    end if;
end $$;

-- Of a trigger on a table of declarations: what kind of thing it is, and the columns that name it.
create function connectors.audit_change() returns trigger
language plpgsql security definer set search_path = connectors, pg_temp as $$
declare
    old_row jsonb := case when tg_op = 'INSERT' then '{}' else to_jsonb(old) end;
    new_row jsonb := case when tg_op = 'DELETE' then '{}' else to_jsonb(new) end;
    -- What the platform itself moves.
    own text[] := array['created_at', 'updated_at', 'next_at', 'last_due_at', 'late_since', 'fencing_token'];
    subject text;
    changed jsonb;
    keys jsonb;
begin
    select string_agg((old_row || new_row) ->> name, '/' order by place) into subject
    from unnest(tg_argv[1:]) with ordinality named (name, place);
    -- A setting that should have been a reference may hold a secret: of specs and STATE only keys are told.
    select jsonb_object_agg(key, jsonb_build_array(old_row -> key, new_row -> key)) into changed
    from jsonb_object_keys(old_row || new_row) key
    where key not in ('spec', 'state') and key <> all (own) and (old_row -> key) is distinct from (new_row -> key);
    select jsonb_agg(path order by path) into keys
    from unnest(array['spec', 'state']) private, connectors.changed_paths(old_row -> private, new_row -> private, private) path;
    if coalesce(changed, keys) is not null then
        perform connectors.audit(
            tg_argv[0] || '.' || case tg_op when 'INSERT' then 'create' when 'UPDATE' then 'update' else 'delete' end,
            subject, jsonb_build_object('changed', changed, 'keys', keys)
        );
    end if;
    return null;
end $$;

create trigger audit after insert or update or delete on connectors.connector_definitions
    for each row execute function connectors.audit_change('connector', 'name');
create trigger audit after insert or update or delete on connectors.connector_instances
    for each row execute function connectors.audit_change('instance', 'name');
create trigger audit after insert or update or delete on connectors.quota_groups
    for each row execute function connectors.audit_change('quota', 'name');
create trigger audit after insert or update or delete on connectors.sla_tiers
    for each row execute function connectors.audit_change('tier', 'name');
create trigger audit after insert or update or delete on connectors.retention_periods
    for each row execute function connectors.audit_change('retention', 'subject');
-- Not when deliveries change it.
create trigger audit after insert or delete or update of kind, url, secret, kinds, instances on connectors.channels
    for each row execute function connectors.audit_change('channel', 'name');
-- Not when a tick moves them on.
create trigger audit
    after insert or delete or update of cron, time_zone, jitter_seconds, catch_up, blackouts, streams, full_refresh, paused
    on connectors.connector_schedules
    for each row execute function connectors.audit_change('schedule', 'instance', 'name');

-- STATE is changed by hand where no run of the instance is under way.
create function connectors.audit_state() returns trigger
language plpgsql security definer set search_path = connectors, pg_temp as $$
declare
    whose text := case when tg_op = 'DELETE' then old.id else new.id end;
    keys jsonb;
begin
    if exists (select from connectors.connector_runs where instance = whose and status = 'running')
        or not exists (select from connectors.connector_instances where name = whose) then
        return null;
    end if;
    select jsonb_agg(path order by path) into keys from connectors.changed_paths(
        case when tg_op = 'INSERT' then '{}' else old.state end, case when tg_op = 'DELETE' then '{}' else new.state end, null
    ) path;
    perform connectors.audit('state.change', whose, jsonb_build_object('keys', keys));
    return null;
end $$;

create trigger audit_insert after insert on connectors.connector_state
    for each row when (new.instance is null and new.state <> '{}') execute function connectors.audit_state();
create trigger audit_update after update of state on connectors.connector_state
    for each row when (new.instance is null and new.state <> old.state) execute function connectors.audit_state();
create trigger audit_delete after delete on connectors.connector_state
    for each row when (old.instance is null and old.state <> '{}') execute function connectors.audit_state();

-- Runs that somebody asked for, and asked to end.
create function connectors.audit_run() returns trigger
language plpgsql security definer set search_path = connectors, pg_temp as $$
begin
    perform connectors.audit(
        case tg_op when 'INSERT' then 'run.request' else 'run.cancel' end, new.instance,
        jsonb_build_object('run_id', new.id) || case tg_op when 'INSERT' then connectors.asked_for(new) else '{}' end
    );
    return null;
end $$;

create function connectors.asked_for(r connectors.connector_runs) returns jsonb
language sql stable set search_path = connectors, pg_temp as $$
    select jsonb_build_object(
        'kind', r.kind, 'streams', to_jsonb(r.streams), 'full_refresh', r.full_refresh, 'backfill_from', r.backfill_from,
        'backfill_to', r.backfill_to
    )
$$;

create trigger audit_request after insert on connectors.connector_runs
    for each row when (new.trigger in ('manual', 'rpc')) execute function connectors.audit_run();
create trigger audit_cancel after update of cancel_requested_at on connectors.connector_runs
    for each row when (old.cancel_requested_at is null and new.cancel_requested_at is not null)
    execute function connectors.audit_run();

-- Who reads what

do $$
declare
    name text;
begin
    foreach name in array array[
        'connector_definitions', 'connector_instances', 'connector_runs', 'connector_state', 'connector_run_logs',
        'connector_run_streams', 'connector_schedules', 'quota_groups', 'sla_tiers', 'events'
    ] loop
        call connectors.let_read(format('connectors.%I', name)::regclass, 'read');
    end loop;
    call connectors.let_read('connectors.audit_log', 'admin');
end $$;

call connectors.secure();
