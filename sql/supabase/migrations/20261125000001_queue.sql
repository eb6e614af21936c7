-- The queue: runs that wait for a worker, leases on runs that are under way, retries, schedules, quota groups, events.
--
-- A run is queued, then running under a lease, then ended. Every change of its status is made by a function here, so
-- that workers in any language, the scheduler and the command line obey one set of rules. The jobs themselves are
-- procrastinate's, in schema connectors_queue, which `ipai init` sets up from that library's own files.

-- Service levels

create table connectors.sla_tiers (
    name text primary key,
    every interval not null,
    latest interval not null,
    retries integer not null check (retries >= 0),
    backoff text not null check (backoff in ('doubling', 'linear')),
    first_delay interval not null
);

comment on table connectors.sla_tiers is 'How often an instance of a tier is meant to run, how late it may be, and how it is retried.';
comment on column connectors.sla_tiers.latest is 'An instance that has not succeeded this long after it was due is late.';
comment on column connectors.sla_tiers.first_delay is 'Before the first retry; doubled, or added once more, before each later one.';

insert into connectors.sla_tiers (name, every, latest, retries, backoff, first_delay) values
    ('critical', '1 hour', '15 minutes', 5, 'doubling', '1 minute'),
    ('standard', '1 day', '2 hours', 3, 'doubling', '5 minutes'),
    ('best_effort', '7 days', '24 hours', 2, 'linear', '15 minutes');

create table connectors.quota_groups (
    name text primary key,
    max_running integer not null check (max_running > 0),
    updated_at timestamptz not null default now()
);

comment on table connectors.quota_groups is 'How many runs of a group may be under way at once, over all workers. An instance''s group is the one it names, else its source.';

alter table connectors.connector_instances
    add column sla_tier text not null generated always as (coalesce(spec ->> 'sla_tier', 'standard')) stored,
    add column quota_group text not null generated always as (coalesce(spec ->> 'quota_group', source)) stored,
    add column queue text not null generated always as (coalesce(spec ->> 'queue', 'default')) stored;

-- Runs

-- An older version left a run open when it was killed; from now on an instance has at most one.
update connectors.connector_runs r
set status = 'failed', finished_at = now(),
    error = jsonb_build_object('side', 'ipai', 'message', 'The process that held this run disappeared.')
where status = 'running'
    and exists (select from connectors.connector_runs n where n.instance = r.instance and n.id > r.id);

alter table connectors.connector_runs
    drop constraint connector_runs_status_check,
    drop constraint connector_runs_check,
    alter column started_at drop not null,
    add column kind text not null default 'sync' check (kind in ('sync', 'backfill')),
    add column backfill_from timestamptz,
    add column backfill_to timestamptz,
    add column trigger text not null default 'manual' check (trigger in ('manual', 'schedule', 'retry', 'resume', 'rpc')),
    add column attempt integer not null default 1,
    add column first_run_id bigint,
    add column sla_tier text not null default 'standard',
    add column queue text not null default 'default',
    add column quota_group text,
    add column priority integer not null default 0,
    add column enqueued_at timestamptz not null default now(),
    add column due_at timestamptz not null default now(),
    add column waits_for text check (waits_for in ('instance', 'quota', 'refill')),
    add column job_id bigint,
    add column worker text,
    add column lease_expires_at timestamptz,
    add column fencing_token bigint,
    add column state_cleared boolean not null default false,
    add column cancel_requested_at timestamptz,
    add column error_kind text,
    add constraint connector_runs_status_check check (status in ('queued', 'running', 'succeeded', 'failed', 'cancelled')),
    add constraint connector_runs_finished_check check ((status in ('queued', 'running')) = (finished_at is null)),
    add constraint connector_runs_started_check check (status <> 'running' or started_at is not null),
    add constraint connector_runs_backfill_check check ((kind = 'backfill') = (backfill_from is not null));

comment on column connectors.connector_runs.trigger is 'Why it is there: asked for, due by a schedule, a retry of a failed run, or the rest of one that was interrupted.';
comment on column connectors.connector_runs.first_run_id is 'Of a retry: the run that failed first.';
comment on column connectors.connector_runs.due_at is 'A queued run is not started before.';
comment on column connectors.connector_runs.waits_for is 'What holds it up: another run of the instance, its quota group, or the source''s own quota that has to refill.';
comment on column connectors.connector_runs.job_id is 'The job in connectors_queue; null while it is not due, and for runs in the foreground.';
comment on column connectors.connector_runs.lease_expires_at is 'Who holds the run renews this; after it the run counts as stalled.';
comment on column connectors.connector_runs.fencing_token is 'Grows with every start of a run of the instance. Only the holder of the newest may write STATE, rows or this row.';
comment on column connectors.connector_runs.state_cleared is 'Of a full refresh: the bookmarks are gone, so a retry goes on instead of starting over.';
comment on column connectors.connector_runs.error_kind is 'config, data: never retried; transient, stalled: with growing delays; quota: when it refills; interrupted: resumed at once.';

-- One run of an instance at a time, whatever else goes wrong.
create unique index connector_runs_one_running on connectors.connector_runs (instance) where status = 'running';
-- Asking twice for what waits already is one run.
create unique index connector_runs_one_queued on connectors.connector_runs
    (instance, kind, coalesce(streams, '{}'), full_refresh, coalesce(backfill_from, '-infinity'), coalesce(backfill_to, 'infinity'))
    where status = 'queued';
-- What the tick looks for every second.
create index connector_runs_due on connectors.connector_runs (due_at) where status = 'queued' and job_id is null;
create index connector_runs_leases on connectors.connector_runs (lease_expires_at) where status = 'running';
-- Retention looks for old ones.
create index connector_runs_finished on connectors.connector_runs (finished_at) where finished_at is not null;

alter table connectors.connector_run_streams
    add column retries bigint,
    add column http_requests bigint;

-- STATE in parts: each pipeline of a run has a row of its own, which its target may write in the rows' transaction. When
-- the next run starts, or this one ends, the parts are folded into the instance's row.

alter table connectors.connector_state
    add column instance text,
    add column streams text[];

comment on column connectors.connector_state.id is 'The instance''s name; of a pipeline''s part, name#0, name#1 …; of a backfill that began with run 7, name#backfill.7, and of its parts, name#backfill.7.0 ….';
comment on column connectors.connector_state.instance is 'Of a part: whose it is.';
comment on column connectors.connector_state.streams is 'Of a part: the only streams it speaks for; null means all.';

create index connector_state_parts on connectors.connector_state (instance) where instance is not null;
-- Everything of an instance: its row, its parts, its backfills'. The name of an instance holds no #.
create index connector_state_of_instance on connectors.connector_state (split_part(id, '#', 1));

-- Let nobody but the holder of this token write any STATE of an instance. Passes over a row that a target holds in an open
-- transaction unless it is to wait.
create function connectors.fence(p_instance text, p_token bigint, p_wait boolean) returns void
language plpgsql set search_path = connectors, pg_temp as $$
begin
    if p_wait then
        update connectors.connector_state set fencing_token = p_token
        where split_part(id, '#', 1) = p_instance and fencing_token < p_token;
    else
        update connectors.connector_state set fencing_token = p_token
        where id in (
            select id from connectors.connector_state
            where split_part(id, '#', 1) = p_instance and fencing_token < p_token for update skip locked
        );
    end if;
end $$;

-- Schedules

create table connectors.connector_schedules (
    instance text not null references connectors.connector_instances (name) on delete cascade,
    name text not null default 'default',
    cron text not null,
    time_zone text not null default 'UTC',
    jitter_seconds integer not null default 0 check (jitter_seconds >= 0),
    catch_up text not null default 'one' check (catch_up in ('none', 'one')),
    blackouts jsonb not null default '[]' check (jsonb_typeof(blackouts) = 'array'),
    streams text[],
    full_refresh boolean not null default false,
    paused boolean not null default false,
    next_at timestamptz check (isfinite(next_at)),
    last_due_at timestamptz check (isfinite(last_due_at)),
    overdue_since timestamptz,
    late_since timestamptz,
    updated_at timestamptz not null default now(),
    primary key (instance, name)
);

comment on table connectors.connector_schedules is 'When instances run. Declared in YAML, but for paused, which is switched while the platform runs.';
comment on column connectors.connector_schedules.next_at is 'When it is due next; null: to be computed by the next tick.';
comment on column connectors.connector_schedules.last_due_at is 'When it was due last, and a run came of it.';
comment on column connectors.connector_schedules.overdue_since is 'The first due time since which no run of it has succeeded; null when none is owed.';
comment on column connectors.connector_schedules.late_since is 'The overdue_since for which lateness has been told.';

create index connector_schedules_due on connectors.connector_schedules (next_at) where not paused;

-- Events: told to webhooks and people by whoever delivers them, and never in the way of a run.

create table connectors.events (
    id bigint generated always as identity primary key,
    at timestamptz not null default clock_timestamp(),
    kind text not null,
    instance text,
    run_id bigint,
    payload jsonb not null default '{}'
);

comment on table connectors.events is 'What happened, in order: run.started, run.succeeded, run.failed, run.cancelled, run.late, schema.drift, secret.expiring …';

create index connector_events_of_instance on connectors.events (instance, id desc);

create function connectors.emit(p_kind text, p_instance text, p_run bigint, p_payload jsonb default '{}') returns bigint
language sql set search_path = connectors, pg_temp as $$
    insert into connectors.events (kind, instance, run_id, payload)
    values (p_kind, p_instance, p_run, coalesce(p_payload, '{}')) returning id
$$;

-- From queued to ended

-- Give queued runs that are due a job. Called by whoever enqueues and by every tick. Where procrastinate's tables are not
-- there yet, runs wait for `ipai init`.
create function connectors.defer_due_runs(p_limit integer default 10000) returns integer
language plpgsql set search_path = connectors_queue, pg_temp as $$
begin
    return case when to_regclass('procrastinate_jobs') is null then 0 else connectors.make_jobs(p_limit) end;
end $$;

create function connectors.make_jobs(p_limit integer) returns integer
language plpgsql set search_path = connectors_queue, pg_temp as $$
declare
    ids bigint[];
begin
    ids := procrastinate_defer_jobs_v1((
        select array_agg(
            row(d.queue, 'ipai.run', d.priority, d.instance, null, jsonb_build_object('run_id', d.id), null)::procrastinate_job_to_defer_v1
        )
        from (
            select id, instance, queue, priority from connectors.connector_runs
            where status = 'queued' and job_id is null and due_at <= clock_timestamp()
            order by priority desc, id limit p_limit for update skip locked
        ) d
    ));
    update connectors.connector_runs r set job_id = j.id
    from procrastinate_jobs j where j.id = any (ids) and r.id = (j.args ->> 'run_id')::bigint;
    return coalesce(cardinality(ids), 0);
end $$;

create function connectors.enqueue_run(
    p_instance text, p_streams text[] default null, p_full_refresh boolean default false,
    p_backfill_from timestamptz default null, p_backfill_to timestamptz default null,
    p_due_at timestamptz default null, p_priority integer default 0, p_trigger text default 'manual'
) returns connectors.connector_runs
language plpgsql set search_path = connectors, pg_temp as $$
declare
    made connectors.connector_runs;
begin
    insert into connectors.connector_runs as r (
        instance, status, streams, full_refresh, kind, backfill_from, backfill_to, trigger, sla_tier, queue, quota_group,
        priority, due_at, started_at
    )
    select i.name, 'queued', p_streams, p_full_refresh, case when p_backfill_from is null then 'sync' else 'backfill' end,
        p_backfill_from, p_backfill_to, p_trigger, i.sla_tier, i.queue, i.quota_group, p_priority,
        coalesce(p_due_at, now()), null
    from connectors.connector_instances i where i.name = p_instance
    on conflict (instance, kind, coalesce(streams, '{}'), full_refresh, coalesce(backfill_from, '-infinity'), coalesce(backfill_to, 'infinity'))
        where status = 'queued'
    -- What was a retry is this request from now on, with all its attempts; somebody who asks does not wait for a quota either.
    do update set due_at = least(r.due_at, excluded.due_at), priority = greatest(r.priority, excluded.priority),
        trigger = excluded.trigger, attempt = 1, first_run_id = null, waits_for = null
    returning * into made;
    if made.id is null then
        raise exception 'No instance %', quote_literal(p_instance) using errcode = 'no_data_found', hint = 'ipai apply declares it.';
    end if;
    if made.enqueued_at < now() then -- it waited there already, so that no trigger tells who asks
        perform connectors.audit('run.request', made.instance, jsonb_build_object('run_id', made.id) || connectors.asked_for(made));
    end if;
    perform connectors.defer_due_runs();
    select * into made from connectors.connector_runs where id = made.id;
    return made;
end $$;

-- Start a queued run under a lease. Of the outcomes only 'claimed' lets the caller go on: 'busy' another run of the
-- instance is under way, 'full' its quota group is, and both leave it waiting; 'gone' it is no longer queued.
create function connectors.claim_run(p_run bigint, p_worker text, p_lease interval, out outcome text, out token bigint)
language plpgsql set search_path = connectors, pg_temp as $$
declare
    r connectors.connector_runs;
    cap integer;
begin
    select * into r from connectors.connector_runs where id = p_run and status = 'queued' for update;
    if not found then
        outcome := 'gone';
        return;
    end if;
    select max_running into cap from connectors.quota_groups where name = r.quota_group;
    if cap is not null then
        perform pg_advisory_xact_lock(hashtextextended('ipai.quota.' || r.quota_group, 0));
    end if;
    -- A run in the foreground holds an advisory lock as well (so does one of a version that knew no leases): without it, its
    -- process is gone, whatever its lease says.
    update connectors.connector_runs o set lease_expires_at = started_at
    where o.instance = r.instance and o.status = 'running' and o.job_id is null
        and (o.worker like 'cli %' or o.lease_expires_at is null)
        and o.started_at < clock_timestamp() - interval '1 second'
        and pg_try_advisory_xact_lock(hashtextextended('ipai.instance.' || r.instance, 0));
    if found then
        perform connectors.reap();
    end if;
    if exists (select from connectors.connector_runs o where o.instance = r.instance and o.status = 'running') then
        outcome := 'busy';
    elsif (select count(*) from connectors.connector_runs o where o.status = 'running' and o.quota_group = r.quota_group) >= cap then
        outcome := 'full';
    else
        begin
            insert into connectors.connector_state as s (id, state, fencing_token) values (r.instance, '{}', p_run)
            on conflict (id) do update set fencing_token = greatest(s.fencing_token + 1, excluded.fencing_token)
            returning fencing_token into token;
            update connectors.connector_runs
            set status = 'running', started_at = clock_timestamp(), due_at = least(due_at, now()), worker = p_worker, waits_for = null,
                lease_expires_at = clock_timestamp() + p_lease, fencing_token = token
            where id = p_run;
            outcome := 'claimed';
            perform connectors.emit('run.started', r.instance, p_run, jsonb_build_object('attempt', r.attempt, 'worker', p_worker));
            return;
        exception when unique_violation then -- somebody started another run of the instance in this very moment
            outcome := 'busy';
        end;
    end if;
    -- The end of what it waits for brings it forward; the moment here is only in case that nobody sees that end.
    update connectors.connector_runs
    set waits_for = case outcome when 'busy' then 'instance' else 'quota' end, job_id = null,
        due_at = clock_timestamp() + interval '15 seconds'
    where id = p_run;
end $$;

-- Keep the runs of a worker; what does not come back is lost, and must be ended at once.
create function connectors.renew_leases(p_runs bigint[], p_tokens bigint[], p_lease interval)
returns table (id bigint, cancel_requested boolean)
language sql set search_path = connectors, pg_temp as $$
    update connectors.connector_runs r set lease_expires_at = clock_timestamp() + p_lease
    from unnest(p_runs, p_tokens) held (id, token)
    where r.id = held.id and r.fencing_token = held.token and r.status = 'running'
    returning r.id, r.cancel_requested_at is not null
$$;

-- How long to wait before the next attempt; null where the tier has no attempt left.
create function connectors.retry_delay(p_tier text, p_attempt integer) returns interval
language sql volatile set search_path = connectors, pg_temp as $$
    select first_delay * (case backoff when 'doubling' then 2 ^ (p_attempt - 1) else p_attempt end) * (0.5 + random() / 2)
    from connectors.sla_tiers where name = p_tier and p_attempt <= retries
$$;

-- End a run and, where its kind of error and its tier allow it, enqueue the next attempt. Null if the run is not the
-- caller's any more: somebody found it stalled, or it has ended.
create function connectors.finish_run(
    p_run bigint, p_token bigint, p_status text, p_error jsonb default null, p_error_kind text default null,
    p_retry_after interval default null, p_retry_streams text[] default null
) returns connectors.connector_runs
language plpgsql set search_path = connectors, pg_temp as $$
declare
    r connectors.connector_runs;
    delay interval;
    next_id bigint;
begin
    update connectors.connector_runs
    set status = p_status, finished_at = clock_timestamp(), error = p_error, error_kind = p_error_kind, lease_expires_at = null
    where id = p_run and status = 'running' and fencing_token is not distinct from p_token
    returning * into r;
    if not found then
        return null;
    end if;
    delay := case
        when r.cancel_requested_at is not null or r.job_id is null then null -- in the foreground somebody looks on
        when p_error_kind = 'interrupted' then interval '0'
        when p_status = 'failed' and p_error_kind in ('transient', 'stalled') then connectors.retry_delay(r.sla_tier, r.attempt)
        when p_status = 'failed' and p_error_kind = 'quota' then
            greatest(p_retry_after, connectors.retry_delay(r.sla_tier, r.attempt))
    end;
    if p_error_kind = 'quota' and connectors.retry_delay(r.sla_tier, r.attempt) is null then
        delay := null;
    end if;
    if delay is not null and exists (select from connectors.connector_instances where name = r.instance) then
        insert into connectors.connector_runs (
            instance, status, streams, full_refresh, kind, backfill_from, backfill_to, trigger, attempt, first_run_id,
            sla_tier, queue, quota_group, priority, due_at, started_at, waits_for
        ) values (
            r.instance, 'queued', coalesce(p_retry_streams, r.streams), r.full_refresh and not r.state_cleared, r.kind,
            r.backfill_from, r.backfill_to, case p_error_kind when 'interrupted' then 'resume' else 'retry' end,
            r.attempt + case p_error_kind when 'interrupted' then 0 else 1 end, coalesce(r.first_run_id, r.id),
            r.sla_tier, r.queue, r.quota_group, r.priority, clock_timestamp() + delay, null,
            case p_error_kind when 'quota' then 'refill' end
        )
        on conflict do nothing -- the same waits already, and will do as well
        returning id into next_id;
    end if;
    -- A sync that succeeded pays what its schedules owe, up to its start.
    if p_status = 'succeeded' and r.kind = 'sync' then
        update connectors.connector_schedules s
        set overdue_since = case when s.last_due_at > r.started_at then s.last_due_at end
        where s.instance = r.instance and s.overdue_since <= r.started_at
            and (r.streams is null or r.first_run_id is not null or r.streams is not distinct from s.streams);
    end if;
    perform connectors.emit(
        'run.' || p_status, r.instance, r.id,
        jsonb_build_object('attempt', r.attempt, 'error', p_error, 'error_kind', p_error_kind, 'retry_run_id', next_id,
            'retry_at', case when next_id is not null then clock_timestamp() + delay end)
    );
    -- Wake who waited for the instance, and one of those who waited for a place in the group.
    update connectors.connector_runs set due_at = clock_timestamp(), waits_for = null
    where status = 'queued' and job_id is null and due_at > now() and waits_for = 'instance' and instance = r.instance;
    update connectors.connector_runs set due_at = clock_timestamp(), waits_for = null
    where id = (
        select id from connectors.connector_runs
        where status = 'queued' and job_id is null and due_at > now() and waits_for = 'quota' and quota_group = r.quota_group
        order by priority desc, id limit 1 for update skip locked
    );
    perform connectors.defer_due_runs();
    return r;
end $$;

-- Of a run that is executed in the foreground although it waited in the queue: no worker is to know of it any more.
create function connectors.forget_job(p_run bigint) returns void
language plpgsql set search_path = connectors, connectors_queue, pg_temp as $$
declare
    job bigint;
begin
    select job_id into job from connectors.connector_runs where id = p_run;
    if job is not null then
        delete from procrastinate_jobs
        where id in (select id from procrastinate_jobs where id = job and status = 'todo' for update skip locked);
        update connectors.connector_runs set job_id = null where id = p_run;
    end if;
end $$;

-- Ask a run to end, or take it out of the queue. Returns its status now; null if there is none of that number.
create function connectors.cancel_run(p_run bigint) returns text
language plpgsql set search_path = connectors, connectors_queue, pg_temp as $$
declare
    r connectors.connector_runs;
begin
    select * into r from connectors.connector_runs where id = p_run for update;
    if r.status = 'queued' then
        update connectors.connector_runs
        set status = 'cancelled', finished_at = clock_timestamp(), cancel_requested_at = clock_timestamp() where id = p_run;
        if r.job_id is not null then
            -- Whoever is taking the job now finds the run gone.
            delete from procrastinate_jobs
            where id in (select id from procrastinate_jobs where id = r.job_id and status = 'todo' for update skip locked);
        end if;
        perform connectors.emit('run.cancelled', r.instance, r.id);
        return 'cancelled';
    elsif r.status = 'running' then
        update connectors.connector_runs set cancel_requested_at = coalesce(cancel_requested_at, clock_timestamp()) where id = p_run;
    end if;
    return r.status;
end $$;

-- Find runs whose holder is gone and end them, and jobs whose worker is gone and give their runs new ones. Returns the
-- stalled runs. From here on their holders, should they live, are refused: the instance's token is no longer theirs.
create function connectors.reap() returns setof connectors.connector_runs
language plpgsql set search_path = connectors, connectors_queue, pg_temp as $$
declare
    r connectors.connector_runs;
begin
    for r in
        select * from connectors.connector_runs
        where status = 'running' and lease_expires_at < clock_timestamp() order by instance for update skip locked
    loop
        perform connectors.fence(r.instance, r.fencing_token + 1, false);
        if r.job_id is not null then
            delete from procrastinate_jobs where id = r.job_id and status = 'doing';
        end if;
        r := connectors.finish_run(
            r.id, r.fencing_token, 'failed',
            jsonb_build_object('side', 'ipai', 'message', format('The worker %s that held this run disappeared.', coalesce(r.worker, '?'))),
            'stalled'
        );
        return next r;
    end loop;
    if to_regclass('procrastinate_jobs') is null then
        return;
    end if;
    -- A worker that died between taking the job and starting the run: the lock in the job would hold up the instance.
    with dead as (
        delete from procrastinate_jobs j
        where j.status = 'doing' and j.task_name = 'ipai.run'
            and not exists (select from procrastinate_workers w where w.id = j.worker_id and w.last_heartbeat > now() - interval '30 seconds')
            and not exists (select from connectors.connector_runs o where o.job_id = j.id and o.status = 'running')
        returning j.id
    )
    update connectors.connector_runs o set job_id = null from dead where o.job_id = dead.id and o.status = 'queued';
    -- A job that ended without starting its run, such as one that procrastinate's own tools deleted.
    update connectors.connector_runs o set job_id = null
    where o.status = 'queued' and o.job_id is not null
        and not exists (select from procrastinate_jobs j where j.id = o.job_id and j.status in ('todo', 'doing'));
end $$;
