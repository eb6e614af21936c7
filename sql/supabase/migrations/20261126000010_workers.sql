-- Workers without the owner's rights: a database login that can work off runs, and read and write nothing beyond that.
--
-- A worker's login is a member of connectors_worker, and acts as that role from the moment it connects: what its targets make
-- belongs to all workers. Which run is whose goes by the login itself, session_user, which no session can change: fencing
-- tokens are small numbers that many may see, so on a token alone one worker could read what another's run is to read.
-- What crosses from one run to the rest of the platform (the queue, events, schedules) is done by functions here, whose
-- comment begins with WORK; the rest are the worker's own statements on tables, under the policies of let_work().

do $$
begin
    if to_regrole('connectors_worker') is null then
        begin
            create role connectors_worker nologin;
        exception
            when insufficient_privilege then
                raise notice 'Role connectors_worker is missing and % may not create it. Where workers are to have logins of their own: create it, grant it to %, then call connectors.secure()', current_user, current_user;
            when duplicate_object or unique_violation then
                null; -- another database of the server has been set up in this very moment
        end;
    end if;
    -- Silver, Gold and retention read and write what workers' targets made.
    if to_regrole('connectors_worker') is not null and not pg_has_role('connectors_worker', 'USAGE') then
        begin
            execute format('grant connectors_worker to %I', current_user);
        exception when insufficient_privilege then
            raise notice '% is no member of connectors_worker, so it does not see what the targets of such workers load.', current_user;
        end;
    end if;
end $$;

alter table connectors.connector_runs add column claimed_by text;

comment on column connectors.connector_runs.claimed_by is 'The database login that started it, where that was one of ipai''s workers or commands: nobody else may go on with it.';

-- Who asks

-- Whether a role may do all that the owner of the schema may.
create function connectors.owns(p_role name) returns boolean
language sql stable set search_path = pg_catalog, pg_temp as $$
    select pg_has_role(p_role, nspowner, 'USAGE') from pg_namespace where nspname = 'connectors'
$$;

-- The instances that the caller is running right now.
create function connectors.held_instances() returns text[]
language sql stable security definer set search_path = connectors, pg_temp as $$
    select coalesce(array_agg(instance), '{}') from connectors.connector_runs where status = 'running' and claimed_by = session_user
$$;

comment on function connectors.held_instances() is 'WORK: the instances that the caller is running right now.';

create function connectors.works_on(p_instance text) returns boolean
language sql stable set search_path = connectors, pg_temp as $$
    select p_instance = any (connectors.held_instances()) or connectors.owns(session_user)
$$;

-- Only the owner can say by ipai.actor for whom it acts; a worker's login is itself.
create or replace function connectors.actor() returns text
language sql stable set search_path = connectors, pg_temp as $$
    select case
        when role in ('anon', 'authenticated', 'service_role') then
            coalesce(nullif(concat_ws(' ', claims ->> 'email', '(' || (claims ->> 'sub') || ')'), ''), role)
        when connectors.owns(role::name) then coalesce(nullif(current_setting('ipai.actor', true), ''), session_user)
        else session_user
    end
    from connectors.acting_role() role, connectors.claims() claims
$$;

-- Secrets: as before, and only for the login that claimed the run.
create or replace function connectors.read_secret(
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
        when r.claimed_by is distinct from session_user and not connectors.owns(session_user) then 'not_held'
        when r.lease_expires_at is null or r.lease_expires_at < clock_timestamp() then 'lease_expired'
    end;
    select h.outcome, h.ciphertext, h.key_id, h.value into outcome, ciphertext, key_id, value
    from connectors.hand_out_secret(
        refusal, p_run, r.instance, p_name, concat_ws(' as ', r.worker, connectors.secret_actor()), p_why
    ) h;
end $$;

comment on function connectors.read_secret(bigint, bigint, text, text) is 'WORK: a secret that the caller''s run names.';
comment on function connectors.fence(text, bigint, boolean) is 'WORK: let nobody but the holder of a token write STATE of an instance.';

-- From claimed to ended

create function connectors.work_claim(p_run bigint, p_worker text, p_lease interval, out outcome text, out token bigint)
language plpgsql security definer set search_path = connectors, pg_temp as $$
begin
    select c.outcome, c.token into outcome, token from connectors.claim_run(p_run, p_worker, p_lease) c;
    if outcome = 'claimed' then
        update connectors.connector_runs set claimed_by = session_user where id = p_run;
    end if;
end $$;

comment on function connectors.work_claim(bigint, text, interval) is 'WORK: claim_run, on behalf of the caller''s login.';

create function connectors.work_renew(p_runs bigint[], p_tokens bigint[], p_lease interval)
returns table (id bigint, cancel_requested boolean)
language sql security definer set search_path = connectors, pg_temp as $$
    select renewed.id, renewed.cancel_requested
    from (
        select array_agg(r.id) as runs, array_agg(held.token) as tokens
        from unnest(p_runs, p_tokens) held (id, token) join connectors.connector_runs r on r.id = held.id
        where r.claimed_by = session_user
    ) mine, connectors.renew_leases(mine.runs, mine.tokens, p_lease) renewed
$$;

comment on function connectors.work_renew(bigint[], bigint[], interval) is 'WORK: renew_leases, of the caller''s runs.';

create function connectors.work_finish(
    p_run bigint, p_token bigint, p_status text, p_error jsonb default null, p_error_kind text default null,
    p_retry_after interval default null, p_retry_streams text[] default null
) returns connectors.connector_runs
language plpgsql security definer set search_path = connectors, pg_temp as $$
begin
    if exists (select from connectors.connector_runs where id = p_run and claimed_by = session_user) then
        return connectors.finish_run(p_run, p_token, p_status, p_error, p_error_kind, p_retry_after, p_retry_streams);
    end if;
    return null;
end $$;

comment on function connectors.work_finish(bigint, bigint, text, jsonb, text, interval, text[]) is 'WORK: finish_run, of a run of the caller''s.';

-- Sessions that were left behind: of whoever still holds the advisory lock of an instance that the caller is running …
create function connectors.work_end_holders(p_instance text) returns void
language sql security definer set search_path = connectors, pg_temp as $$
    select pg_terminate_backend(l.pid)
    from pg_locks l join pg_stat_activity a using (pid), hashtextextended('ipai.instance.' || p_instance, 0) key
    where l.locktype = 'advisory' and l.granted and l.objsubid = 1 and l.database = a.datid
        and l.classid::bigint = ((key >> 32) & x'ffffffff'::bigint) and l.objid::bigint = (key & x'ffffffff'::bigint)
        and a.pid <> pg_backend_pid() and a.application_name like 'ipai%' and connectors.works_on(p_instance)
$$;

comment on function connectors.work_end_holders(text) is 'WORK: end the sessions that hold an instance of the caller''s.';

-- … and of its target, over a part of its STATE.
create function connectors.work_end_targets(p_instance text) returns void
language sql security definer set search_path = connectors, pg_temp as $$
    select pg_terminate_backend(pid) from pg_stat_activity
    where application_name = left('ipai target ' || p_instance, 63) and pid <> pg_backend_pid() and datname = current_database()
        and connectors.works_on(p_instance)
$$;

comment on function connectors.work_end_targets(text) is 'WORK: end the sessions of targets of an instance of the caller''s.';

-- What a worker needs to know of others: which variables hold their secrets, so that no plugin gets them.
create function connectors.named_variables() returns setof text
language sql stable security definer set search_path = connectors, pg_temp as $$
    select distinct m[1]
    from (
        select spec::text from connectors.connector_instances
        union all select spec::text from connectors.connector_definitions
        union all select concat_ws(' ', url, secret) from connectors.channels
    ) named (settings), regexp_matches(named.settings, '\$\{env:([A-Za-z_][A-Za-z0-9_]*)\}', 'g') m
$$;

comment on function connectors.named_variables() is 'WORK: the environment variables that any setting or channel names.';

-- Drift: what a run finds reaches schedules and whoever is told.

create function connectors.work_tell_drift(p_run bigint, p_payload jsonb) returns void
language sql security definer set search_path = connectors, pg_temp as $$
    select connectors.emit('schema.drift', r.instance, r.id, p_payload) from connectors.connector_runs r
    where r.id = p_run and r.status = 'running' and r.claimed_by = session_user
$$;

comment on function connectors.work_tell_drift(bigint, jsonb) is 'WORK: emit schema.drift for a run of the caller''s.';

create function connectors.work_apply_drift(p_drift bigint[]) returns void
language sql security definer set search_path = connectors, pg_temp as $$
    update connectors.schema_drift set status = 'applied', decided_at = clock_timestamp(), decided_by = null
    where id = any (p_drift) and connectors.works_on(instance)
$$;

comment on function connectors.work_apply_drift(bigint[]) is 'WORK: the policy of an instance of the caller''s has applied these.';

create function connectors.rest_for_drift(p_instance text) returns void
language sql security definer set search_path = connectors, pg_temp as $$
    update connectors.connector_schedules set paused = true, paused_by = 'drift', next_at = null, updated_at = now()
    where instance = p_instance and not paused and connectors.works_on(p_instance)
        and exists (select from connectors.schema_drift d where d.instance = p_instance and d.status = 'pending')
$$;

comment on function connectors.rest_for_drift(text) is 'WORK: pause the schedules of an instance whose drift waits for a decision.';

create function connectors.go_on_after_drift(p_instance text) returns void
language sql security definer set search_path = connectors, pg_temp as $$
    update connectors.connector_schedules set paused = false, paused_by = null, next_at = null, updated_at = now()
    where instance = p_instance and paused_by = 'drift' and connectors.works_on(p_instance)
        and not exists (select from connectors.schema_drift d where d.instance = p_instance and d.status = 'pending')
$$;

comment on function connectors.go_on_after_drift(text) is 'WORK: let schedules go on that only drift has paused, once none waits for a decision.';

-- What connectors_worker may do, besides calling what begins with WORK. Called by secure(); a policy that is there stays.
create procedure connectors.let_work()
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
    policy record;
    statement text;
begin
    if to_regrole('connectors_worker') is null then
        return;
    end if;
    for policy in select * from (values
        -- What the runs that it holds are made of.
        ('connector_instances', 'select', 'select',
            'name = any ((select connectors.held_instances())::text[])'),
        ('connector_definitions', 'select', 'select',
            'exists (select from connectors.connector_instances i where connector_definitions.name in (i.source, i.destination))'),
        -- Its runs, and the history of the instances that it runs: by what streams took, a catalog is divided.
        ('connector_runs', 'select', 'select',
            'claimed_by = session_user or instance = any ((select connectors.held_instances())::text[])'),
        ('connector_runs', 'update', 'update (state_cleared)', 'claimed_by = session_user and status = ''running'''),
        ('connector_run_streams', 'select', 'select',
            'exists (select from connectors.connector_runs r where r.id = run_id)'),
        ('connector_run_streams', 'all', 'insert, update',
            'exists (select from connectors.connector_runs r where r.id = run_id and r.claimed_by = session_user)'),
        ('connector_run_logs', 'insert', 'insert',
            'exists (select from connectors.connector_runs r where r.id = run_id and r.claimed_by = session_user)'),
        ('connector_state', 'all', 'select, insert, update',
            'split_part(id, ''#'', 1) = any ((select connectors.held_instances())::text[])'),
        ('stream_schemas', 'all', 'select, insert, update, delete',
            'instance = any ((select connectors.held_instances())::text[])'),
        -- Not the columns that tell who has decided.
        ('schema_drift', 'all',
            'select, insert (run_id, instance, stream, property, kind, before, after, severity, models, baseline, seen_by, policy), '
            'update (run_id, severity, models, baseline, policy, status, decided_at)',
            'instance = any ((select connectors.held_instances())::text[])'),
        ('fleet_members', 'all', 'select, insert, update, delete', 'kind = ''worker'''),
        ('platform', 'select', 'select', 'true')
    ) allowed (relation, command, privileges, condition) loop
        execute format('grant %s on connectors.%I to connectors_worker', policy.privileges, policy.relation);
        continue when exists (
            select from pg_policy p
            where p.polrelid = format('connectors.%I', policy.relation)::regclass and p.polname = 'work_' || policy.command
        );
        execute format(
            'create policy %I on connectors.%I for %s to connectors_worker %s (%s)', 'work_' || policy.command, policy.relation,
            policy.command, case policy.command when 'insert' then 'with check' else 'using' end, policy.condition
        );
    end loop;
    grant usage on schema connectors to connectors_worker;
    -- Policies for readers ask everybody; it is no for workers.
    grant execute on function connectors.may(text) to connectors_worker;
    for statement in
        select format('grant execute on function %s to connectors_worker', f.oid::regprocedure)
        from pg_proc f
        where f.pronamespace = 'connectors'::regnamespace and obj_description(f.oid, 'pg_proc') like 'WORK%'
    loop
        execute statement;
    end loop;
    -- Whether the schema fits its version is for a worker to see, not to change.
    begin
        grant usage on schema supabase_migrations to connectors_worker;
        grant select on supabase_migrations.schema_migrations to connectors_worker;
    exception when insufficient_privilege then
        raise notice '% may not let workers read supabase_migrations.schema_migrations, without which they do not start.', current_user;
    end;
    -- The queue, once `ipai init` has set it up. Its functions run with the caller's rights, its triggers too.
    if to_regclass('connectors_queue.procrastinate_jobs') is not null then
        grant usage on schema connectors_queue to connectors_worker;
        grant select, update, delete on connectors_queue.procrastinate_jobs to connectors_worker;
        grant select, insert, update, delete on connectors_queue.procrastinate_workers to connectors_worker;
        grant insert on connectors_queue.procrastinate_events to connectors_worker;
        grant usage on sequence connectors_queue.procrastinate_events_id_seq to connectors_worker;
        grant select (job_id), update (job_id) on connectors_queue.procrastinate_periodic_defers to connectors_worker;
        for statement in
            select format('grant execute on function %s to connectors_worker', f.oid::regprocedure)
            from pg_proc f
            where f.pronamespace = 'connectors_queue'::regnamespace
                and f.proname ~ '^procrastinate_(fetch_job|finish_job|register_worker|unregister_worker|update_heartbeat|prune_stalled_workers)_v\d+$'
        loop
            execute statement;
        end loop;
    end if;
end $$;

-- As before, and the same for workers.
create or replace procedure connectors.secure()
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
    foreach caller in array array['public', 'anon', 'authenticated', 'service_role', 'connectors_worker'] loop
        continue when caller <> 'public' and to_regrole(caller) is null;
        execute format('revoke all on schema connectors from %s', caller);
        execute format('revoke all on all tables in schema connectors from %s', caller);
        execute format('revoke all on all sequences in schema connectors from %s', caller);
        execute format('revoke all on all routines in schema connectors from %s', caller);
        execute format('alter default privileges in schema connectors revoke all on tables from %s', caller);
        execute format('alter default privileges in schema connectors revoke all on sequences from %s', caller);
        execute format('alter default privileges in schema connectors revoke all on routines from %s', caller);
        continue when caller not in ('authenticated', 'service_role');
        execute format('grant usage on schema connectors to %s', caller);
        for statement in
            select format('grant select on %s to %s', p.polrelid::regclass, caller)
            from pg_policy p join pg_class c on c.oid = p.polrelid
            where c.relnamespace = 'connectors'::regnamespace and p.polname = 'read'
            union all
            select format('grant execute on function %s to %s', f.oid::regprocedure, caller)
            from pg_proc f
            where f.pronamespace = 'connectors'::regnamespace and obj_description(f.oid, 'pg_proc') like 'RPC%'
        loop
            execute statement;
        end loop;
    end loop;
    call connectors.let_work();
end $$;

-- Logins

-- Make a login for workers, or give one another password; whether it is new. With the rights of the caller, who must be
-- allowed to create roles. The password may be given as a SCRAM verifier, so that it stands in no log.
create function connectors.make_worker_login(p_name text, p_password text, p_loads text[] default '{}') returns boolean
language plpgsql set search_path = connectors, pg_temp as $$
declare
    is_new boolean := not exists (select from pg_roles where rolname = p_name);
    loads text;
    relation regclass;
begin
    if to_regrole('connectors_worker') is null then
        raise undefined_object using
            message = 'The role connectors_worker is missing.', hint = 'Create it, then call connectors.secure(); see docs/access.md.';
    elsif not is_new and (
        p_name = 'connectors_worker' or not pg_has_role(p_name::name, 'connectors_worker', 'MEMBER') or connectors.owns(p_name::name)
    ) then
        raise duplicate_object using message = format('%I is a role already, and no worker''s login.', p_name), hint = 'Take another name.';
    end if;
    foreach loads in array p_loads loop
        if loads ~ '^(connectors|pg_|information_schema|supabase_migrations)' then
            raise invalid_parameter_value using message = format('No target loads into schema %I.', loads), hint = 'Such as bronze.';
        end if;
    end loop;
    execute format('%s role %I login password %L', case when is_new then 'create' else 'alter' end, p_name, p_password);
    if is_new then
        execute format('grant connectors_worker to %I', p_name);
        execute format('alter role %I set role connectors_worker', p_name); -- what it makes is not its own
        -- The owner ends sessions that a worker left behind.
        if not pg_has_role(p_name::name, 'USAGE') then
            execute format('grant %I to %I', p_name, current_user);
        end if;
    end if;
    foreach loads in array p_loads loop
        if to_regnamespace(quote_ident(loads)) is null then
            execute format('create schema %I authorization connectors_worker', loads);
        else
            execute format('alter schema %I owner to connectors_worker', loads);
        end if;
        for relation in
            select c.oid from pg_class c
            where c.relnamespace = to_regnamespace(quote_ident(loads)) and c.relkind in ('r', 'p', 'v', 'm')
                and c.relowner <> 'connectors_worker'::regrole
        loop
            execute format('alter table %s owner to connectors_worker', relation);
        end loop;
    end loop;
    perform connectors.audit(
        case when is_new then 'login.create' else 'login.update' end, p_name, jsonb_build_object('loads', to_jsonb(p_loads))
    );
    return is_new;
end $$;

call connectors.secure();
