-- The queue as functions for callers over SQL and HTTP (Supabase RPC): users ask for runs, workers in any language work them
-- off, by the same rules as the command line and `ipai worker`. Each of them looks at the caller's level itself.

-- Singer STATE, by the rules of ipai/bookmarks.py (a test holds the two against each other)

-- The bare STATE of a document: Singer's, a STATE message, or Meltano's {"singer_state": …}.
create function connectors.singer_state(p_document jsonb) returns jsonb
language plpgsql immutable set search_path = connectors, pg_temp as $$
begin
    if jsonb_typeof(p_document) = 'object' then
        if p_document -> 'type' = '"STATE"' then
            return connectors.singer_state(p_document -> 'value');
        elsif p_document ? 'completed' and p_document - 'completed' - 'partial' = '{}' then
            return connectors.singer_state(p_document -> 'completed');
        elsif p_document ? 'singer_state' and p_document - 'singer_state' - 'partial' = '{}' then
            return connectors.singer_state(p_document -> 'singer_state');
        elsif not p_document ? 'type' and coalesce(jsonb_typeof(p_document -> 'bookmarks'), 'object') = 'object' then
            return p_document;
        end if;
    end if;
    raise invalid_parameter_value using
        message = 'This is no STATE.', hint = 'A STATE is a JSON object such as {"bookmarks": {"orders": {…}}}.';
end $$;

create function connectors.bookmarks_in(p_state jsonb) returns jsonb
language sql immutable set search_path = connectors, pg_temp as $$
    select case jsonb_typeof(p_state -> 'bookmarks') when 'object' then p_state -> 'bookmarks' else '{}' end
$$;

-- What to store after a target has acknowledged a STATE of a run over these streams (null: over all).
create function connectors.merge_state(p_stored jsonb, p_printed jsonb, p_only text[]) returns jsonb
language sql immutable set search_path = connectors, pg_temp as $$
    select case
        when p_only is not null then p_stored || coalesce((
            select jsonb_object_agg(key, value) from jsonb_each(p_printed) where key = any (p_only) or not p_stored ? key
        ), '{}')
        when olds <> '{}' or news <> '{}' then p_printed
        else p_stored || p_printed
    end || case
        when olds <> '{}' or news <> '{}' then jsonb_build_object('bookmarks', olds || coalesce((
            select jsonb_object_agg(key, value) from jsonb_each(news) where p_only is null or key = any (p_only)
        ), '{}'))
        else '{}'
    end
    from connectors.bookmarks_in(p_stored) olds, connectors.bookmarks_in(p_printed) news
$$;

-- Those of a STATE's streams that a run was asked for, by name or glob; names as they are, known or not.
create function connectors.streams_asked(p_state jsonb, p_streams text[]) returns text[]
language sql immutable set search_path = connectors, pg_temp as $$
    select array_agg(name) from (
        select unnest(p_streams)
        union
        select key from (
            select jsonb_object_keys(p_state) union select jsonb_object_keys(connectors.bookmarks_in(p_state))
        ) known (key)
        where exists (
            select from unnest(p_streams) glob
            where key like replace(replace(replace(replace(replace(glob, '\', '\\'), '%', '\%'), '_', '\_'), '*', '%'), '?', '_')
        )
    ) names (name)
    where p_streams is not null
$$;

create function connectors.without_streams(p_state jsonb, p_streams text[]) returns jsonb
language sql immutable set search_path = connectors, pg_temp as $$
    select case
        when p_streams is null then p_state
        when left_over ? 'bookmarks' then left_over || jsonb_build_object('bookmarks', connectors.bookmarks_in(p_state) - p_streams)
        else left_over
    end
    from (values (p_state - p_streams)) rest (left_over)
$$;

-- The row that a run's parts are folded into, and the one part of a run that has one pipeline.
create function connectors.state_scope(r connectors.connector_runs) returns text
language sql immutable set search_path = connectors, pg_temp as $$
    select case r.kind when 'sync' then r.instance else r.instance || '#backfill.' || coalesce(r.first_run_id, r.id) end
$$;

create function connectors.state_part(r connectors.connector_runs) returns text
language sql immutable set search_path = connectors, pg_temp as $$
    select connectors.state_scope(r) || case r.kind when 'sync' then '#0' else '.0' end
$$;

-- Bring what the parts have come to into the row of the instance, behind the token; what it is now.
create function connectors.fold_state(r connectors.connector_runs, p_clear text[] default null, p_anew boolean default false) returns jsonb
language plpgsql set search_path = connectors, pg_temp as $$
declare
    scope text := connectors.state_scope(r);
    folded jsonb;
    part record;
begin
    select state into folded from connectors.connector_state where id = r.instance and fencing_token = r.fencing_token for update;
    if not found then
        perform connectors.refuse_stale(r, r.fencing_token);
    end if;
    if scope <> r.instance then
        select state into folded from connectors.connector_state where id = scope;
    end if;
    folded := coalesce(folded, '{}');
    perform connectors.fence(r.instance, r.fencing_token, true);
    for part in select state, streams from connectors.connector_state where instance = scope order by id for update loop
        if part.state <> '{}' then
            folded := connectors.merge_state(folded, connectors.singer_state(part.state), part.streams);
        end if;
    end loop;
    folded := case when p_anew then '{}' else connectors.without_streams(folded, connectors.streams_asked(folded, p_clear)) end;
    insert into connectors.connector_state as s (id, state, fencing_token) values (scope, folded, r.fencing_token)
    on conflict (id) do update set state = excluded.state, fencing_token = excluded.fencing_token, updated_at = now();
    update connectors.connector_state set state = '{}', streams = '{}', fencing_token = r.fencing_token, updated_at = now()
    where instance = scope;
    return folded;
end $$;

-- The same, ending the session of a target that was left behind in a transaction over its part of the STATE.
create function connectors.settle_state(r connectors.connector_runs, p_clear text[] default null, p_anew boolean default false) returns jsonb
language plpgsql set search_path = connectors, pg_temp set lock_timeout = '10s' as $$
begin
    return connectors.fold_state(r, p_clear, p_anew);
exception when lock_not_available then
    perform pg_terminate_backend(pid) from pg_stat_activity
    where application_name = left('ipai target ' || r.instance, 63) and pid <> pg_backend_pid() and datname = current_database();
    return connectors.fold_state(r, p_clear, p_anew);
end $$;

-- Make a run that has just been claimed the only one that may write STATE; what it starts from.
create function connectors.take_over_state(r connectors.connector_runs) returns jsonb
language plpgsql set search_path = connectors, pg_temp as $$
declare
    clear text[] := case when r.kind = 'sync' and r.full_refresh then r.streams end;
    anew boolean := r.kind = 'sync' and r.full_refresh and r.streams is null;
    state jsonb;
begin
    state := connectors.settle_state(r, clear, anew);
    if r.kind = 'sync' and r.full_refresh then
        update connectors.connector_runs set state_cleared = true where id = r.id;
    end if;
    insert into connectors.connector_state as s (id, instance, state, streams, fencing_token)
    values (connectors.state_part(r), connectors.state_scope(r), state, connectors.streams_asked(state, r.streams), r.fencing_token)
    on conflict (id) do update
    set state = excluded.state, streams = excluded.streams, fencing_token = excluded.fencing_token, updated_at = now();
    return state;
end $$;

-- What the functions for callers share. Their errors carry a SQLSTATE that PostgREST turns into the HTTP status: PT404, PT409.

create function connectors.refuse_stale(r connectors.connector_runs, p_token bigint) returns void
language plpgsql set search_path = connectors, pg_temp as $$
begin
    raise sqlstate 'PT409' using
        message = format('Run %s is not yours any more: it is %s, and the fencing token %s is stale.', r.id, r.status, coalesce(p_token::text, 'null')),
        hint = 'Stop, and write nothing more for it; what comes next is claimed by claim_connector_job.';
end $$;

create function connectors.refuse_unknown(p_run bigint) returns void
language plpgsql set search_path = connectors, pg_temp as $$
begin
    raise sqlstate 'PT404' using
        message = format('No run %s.', coalesce(p_run::text, 'null')), hint = 'Table connector_runs lists those there are.';
end $$;

-- The run, held to the end of the transaction, if it is under way and the token is its own.
create function connectors.held_run(p_run bigint, p_token bigint) returns connectors.connector_runs
language plpgsql set search_path = connectors, pg_temp as $$
declare
    r connectors.connector_runs;
begin
    select * into r from connectors.connector_runs where id = p_run for update;
    if not found then
        perform connectors.refuse_unknown(p_run);
    elsif r.status <> 'running' or r.fencing_token is distinct from p_token then
        perform connectors.refuse_stale(r, p_token);
    end if;
    return r;
end $$;

create function connectors.lease(p_seconds double precision) returns interval
language plpgsql immutable set search_path = connectors, pg_temp as $$
begin
    if p_seconds between 1 and 3600 then
        return make_interval(secs => p_seconds);
    end if;
    raise invalid_parameter_value using
        message = 'lease_seconds must be between 1 and 3600.', hint = 'A worker that is silent for longer is taken for dead.';
end $$;

-- A job goes with its run, as Python workers have it.
create function connectors.end_job(p_job bigint) returns void
language plpgsql set search_path = connectors_queue, pg_temp as $$
begin
    perform procrastinate_finish_job_v1(id, 'succeeded', true) from procrastinate_jobs where id = p_job and status = 'doing';
end $$;

-- For whoever may run: ask for a run, take it back

create function connectors.enqueue_connector_job_v1(
    instance text, streams text[] default null, full_refresh boolean default false, backfill_from timestamptz default null,
    backfill_to timestamptz default null, due_at timestamptz default null, priority integer default 0
) returns jsonb
language plpgsql security definer set search_path = connectors, pg_temp as $$
declare
    run connectors.connector_runs;
begin
    perform connectors.require('run', 'enqueue_connector_job');
    if not exists (select from connectors.connector_instances i where i.name = enqueue_connector_job_v1.instance) then
        raise sqlstate 'PT404' using
            message = format('No instance %s.', coalesce(quote_literal(instance), 'null')),
            hint = 'Table connector_instances lists those there are; ipai apply declares them.';
    elsif backfill_to is not null and (backfill_from is null or backfill_to <= backfill_from) then
        raise invalid_parameter_value using message = 'backfill_to must be later than backfill_from.', hint = 'Leave it out for a span without an end.';
    elsif backfill_from is not null and full_refresh then
        raise invalid_parameter_value using message = 'A backfill is no full refresh.', hint = 'Leave out one of the two.';
    end if;
    run := connectors.enqueue_run(
        instance, nullif(streams, '{}'), coalesce(full_refresh, false), backfill_from, backfill_to, due_at, coalesce(priority, 0), 'rpc'
    );
    return jsonb_build_object('run_id', run.id, 'instance', run.instance, 'status', run.status, 'due_at', run.due_at, 'priority', run.priority)
        || connectors.asked_for(run);
end $$;

create function connectors.cancel_connector_job_v1(run_id bigint) returns jsonb
language plpgsql security definer set search_path = connectors, pg_temp as $$
declare
    status text;
begin
    perform connectors.require('run', 'cancel_connector_job');
    status := connectors.cancel_run(run_id);
    if status is null then
        perform connectors.refuse_unknown(run_id);
    end if;
    return jsonb_build_object('run_id', run_id, 'status', status);
end $$;

-- For workers: claim, keep, end. The queue and its rules are those of `ipai worker`.

create function connectors.claim_connector_job_v1(worker text, queues text[] default null, lease_seconds double precision default 30) returns jsonb
language plpgsql security definer set search_path = connectors, connectors_queue, pg_temp set lock_timeout = '10s' as $$
declare
    job record;
    claim record;
    run connectors.connector_runs;
    state jsonb;
    specs jsonb;
begin
    perform connectors.require('admin', 'claim_connector_job');
    if coalesce(worker, '') = '' then
        raise invalid_parameter_value using message = 'worker must be a name.', hint = 'Such as host:pid; it is shown beside the run.';
    elsif to_regclass('procrastinate_jobs') is null then
        raise sqlstate 'PT503' using message = 'The queue is not set up in this database.', hint = 'Run ipai init.';
    end if;
    loop
        select * into job from procrastinate_fetch_job_v2(queues::varchar[], null);
        if job.id is null then
            return null;
        elsif job.task_name <> 'ipai.run' then
            raise sqlstate 'PT409' using
                message = format('The next job of queue %s is %s, which only ipai worker can do.', job.queue_name, job.task_name),
                hint = 'Give foreign workers a queue of their own: the key queue of an instance''s spec.';
        end if;
        claim := connectors.claim_run((job.args ->> 'run_id')::bigint, left(worker, 200), connectors.lease(lease_seconds));
        if claim.outcome = 'claimed' then
            select * into run from connectors.connector_runs r where r.id = (job.args ->> 'run_id')::bigint;
            select jsonb_build_object(
                'spec', i.spec,
                'source', jsonb_build_object('name', s.name, 'origin', s.origin, 'spec', s.spec),
                'destination', jsonb_build_object('name', d.name, 'origin', d.origin, 'spec', d.spec)
            ) into specs
            from connectors.connector_instances i
            join connectors.connector_definitions s on s.name = i.source
            join connectors.connector_definitions d on d.name = i.destination
            where i.name = run.instance;
            exit when found;
            perform connectors.finish_run(
                run.id, run.fencing_token, 'failed',
                jsonb_build_object('side', 'ipai', 'message', format('No instance %L.', run.instance)), 'config'
            );
        end if;
        perform connectors.end_job(job.id); -- its run waits for another one, or for nothing any more
    end loop;
    state := connectors.take_over_state(run);
    return jsonb_build_object(
        'run_id', run.id, 'instance', run.instance, 'trigger', run.trigger, 'attempt', run.attempt,
        'fencing_token', run.fencing_token, 'lease_expires_at', run.lease_expires_at,
        'state', state, 'state_id', connectors.state_part(run)
    ) || connectors.asked_for(run) || specs;
end $$;

create function connectors.heartbeat_connector_job_v1(run_id bigint, fencing_token bigint, lease_seconds double precision default 30) returns jsonb
language plpgsql security definer set search_path = connectors, pg_temp as $$
declare
    run connectors.connector_runs;
    cancel boolean;
begin
    perform connectors.require('admin', 'heartbeat_connector_job');
    run := connectors.held_run(run_id, fencing_token);
    cancel := (select cancel_requested from connectors.renew_leases(array[run.id], array[run.fencing_token], connectors.lease(lease_seconds)));
    return jsonb_build_object('run_id', run.id, 'lease_seconds', lease_seconds, 'cancel_requested', cancel);
end $$;

create function connectors.store_connector_state_v1(run_id bigint, fencing_token bigint, state jsonb) returns jsonb
language plpgsql security definer set search_path = connectors, pg_temp as $$
declare
    run connectors.connector_runs;
    bare jsonb;
begin
    perform connectors.require('admin', 'store_connector_state');
    run := connectors.held_run(run_id, fencing_token);
    bare := connectors.singer_state(store_connector_state_v1.state);
    update connectors.connector_state s
    set state = bare, streams = connectors.streams_asked(bare, run.streams), updated_at = now()
    where s.id = connectors.state_part(run) and s.fencing_token = run.fencing_token
        and exists (select from connectors.connector_state i where i.id = run.instance and i.fencing_token = run.fencing_token);
    if not found then
        perform connectors.refuse_stale(run, run.fencing_token);
    end if;
    return jsonb_build_object('run_id', run.id, 'cancel_requested', run.cancel_requested_at is not null);
end $$;

create function connectors.complete_connector_job_v1(run_id bigint, fencing_token bigint, metrics jsonb default '[]') returns jsonb
language plpgsql security definer set search_path = connectors, pg_temp as $$
declare
    run connectors.connector_runs;
begin
    perform connectors.require('admin', 'complete_connector_job');
    run := connectors.held_run(run_id, fencing_token);
    if jsonb_typeof(metrics) is distinct from 'array' or jsonb_path_exists(metrics, '$[*] ? (!(@.stream.type() == "string"))') then
        raise invalid_parameter_value using
            message = 'metrics must be a list.', hint = 'Such as [{"stream": "orders", "rows": 10, "bytes": 400, "seconds": 0.5}].';
    end if;
    insert into connectors.connector_run_streams (run_id, stream, rows, bytes, seconds, retries, http_requests)
    select run.id, m.stream, m.rows, m.bytes, m.seconds, m.retries, m.http_requests
    from jsonb_to_recordset(metrics)
        m (stream text, rows bigint, bytes bigint, seconds double precision, retries bigint, http_requests bigint)
    on conflict on constraint connector_run_streams_pkey do update
    set rows = excluded.rows, bytes = excluded.bytes, seconds = excluded.seconds, retries = excluded.retries,
        http_requests = excluded.http_requests;
    perform connectors.settle_state(run);
    perform connectors.end_job(run.job_id);
    run := connectors.finish_run(run.id, run.fencing_token, 'succeeded');
    return jsonb_build_object('run_id', run.id, 'status', run.status);
end $$;

create function connectors.fail_connector_job_v1(
    run_id bigint, fencing_token bigint, error jsonb, kind text default 'transient', retry_after_seconds double precision default null
) returns jsonb
language plpgsql security definer set search_path = connectors, pg_temp as $$
declare
    run connectors.connector_runs;
    told jsonb := case jsonb_typeof(error) when 'string' then jsonb_build_object('message', error) else error end;
    retry record;
begin
    perform connectors.require('admin', 'fail_connector_job');
    run := connectors.held_run(run_id, fencing_token);
    if kind is null or kind not in ('config', 'data', 'transient', 'quota', 'interrupted', 'cancelled') then
        raise invalid_parameter_value using
            message = 'kind must be config, data, transient, quota, interrupted or cancelled.',
            hint = 'It decides whether the run is tried again: transient and quota are, interrupted goes on at once.';
    elsif jsonb_typeof(told -> 'message') is distinct from 'string' then
        raise invalid_parameter_value using message = 'error must say what happened.', hint = 'A text, or an object with a message.';
    end if;
    perform connectors.settle_state(run);
    perform connectors.end_job(run.job_id);
    run := connectors.finish_run(
        run.id, run.fencing_token, case when kind in ('interrupted', 'cancelled') then 'cancelled' else 'failed' end,
        '{"side": "worker"}' || told, kind, make_interval(secs => retry_after_seconds)
    );
    select r.id, r.due_at into retry from connectors.connector_runs r
    where r.instance = run.instance and r.first_run_id = coalesce(run.first_run_id, run.id) and r.status = 'queued'
    order by r.id desc limit 1;
    return jsonb_build_object('run_id', run.id, 'status', run.status, 'retry_run_id', retry.id, 'retry_at', retry.due_at);
end $$;

-- The plain names always mean the newest version; who must not be surprised calls one by its number.

create function connectors.enqueue_connector_job(
    instance text, streams text[] default null, full_refresh boolean default false, backfill_from timestamptz default null,
    backfill_to timestamptz default null, due_at timestamptz default null, priority integer default 0
) returns jsonb
language sql set search_path = connectors, pg_temp as 'select connectors.enqueue_connector_job_v1($1, $2, $3, $4, $5, $6, $7)';

create function connectors.cancel_connector_job(run_id bigint) returns jsonb
language sql set search_path = connectors, pg_temp as 'select connectors.cancel_connector_job_v1($1)';

create function connectors.claim_connector_job(worker text, queues text[] default null, lease_seconds double precision default 30) returns jsonb
language sql set search_path = connectors, pg_temp as 'select connectors.claim_connector_job_v1($1, $2, $3)';

create function connectors.heartbeat_connector_job(run_id bigint, fencing_token bigint, lease_seconds double precision default 30) returns jsonb
language sql set search_path = connectors, pg_temp as 'select connectors.heartbeat_connector_job_v1($1, $2, $3)';

create function connectors.store_connector_state(run_id bigint, fencing_token bigint, state jsonb) returns jsonb
language sql set search_path = connectors, pg_temp as 'select connectors.store_connector_state_v1($1, $2, $3)';

create function connectors.complete_connector_job(run_id bigint, fencing_token bigint, metrics jsonb default '[]') returns jsonb
language sql set search_path = connectors, pg_temp as 'select connectors.complete_connector_job_v1($1, $2, $3)';

create function connectors.fail_connector_job(
    run_id bigint, fencing_token bigint, error jsonb, kind text default 'transient', retry_after_seconds double precision default null
) returns jsonb
language sql set search_path = connectors, pg_temp as 'select connectors.fail_connector_job_v1($1, $2, $3, $4, $5)';

do $$
declare
    name text;
    words text;
    each regprocedure;
begin
    for name, words in select * from (values
        ('enqueue_connector_job', 'RPC, level run: ask for a run of an instance; one that waits already is brought forward.'),
        ('cancel_connector_job', 'RPC, level run: take a run out of the queue, or ask it to end at its last STATE.'),
        ('claim_connector_job', 'RPC, level admin, for workers: the next run with all it takes, under a lease; null when there is none.'),
        ('heartbeat_connector_job', 'RPC, level admin, for workers: keep the lease; says whether the run is asked to end.'),
        ('store_connector_state', 'RPC, level admin, for workers: keep the STATE that the target has acknowledged.'),
        ('complete_connector_job', 'RPC, level admin, for workers: the run has succeeded.'),
        ('fail_connector_job', 'RPC, level admin, for workers: the run has failed, or was stopped; it is tried again where its kind of error allows.')
    ) described loop
        for each in
            select oid from pg_proc where pronamespace = 'connectors'::regnamespace and proname in (name, name || '_v1')
        loop
            execute format('comment on function %s is %L', each, words);
        end loop;
    end loop;
end $$;

call connectors.secure();
