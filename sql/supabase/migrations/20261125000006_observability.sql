-- Seeing: levels and streams of log lines, totals that only grow, and a sign of life of every worker and scheduler.

alter table connectors.connector_run_logs
    add column level text check (level in ('debug', 'info', 'warning', 'error', 'critical')),
    add column stream text;

comment on column connectors.connector_run_logs.level is 'As the plugin''s own log has it; null where the line does not say.';
comment on column connectors.connector_run_logs.stream is 'The stream that the line names; null where it names none.';

-- Which control plane this is: run numbers are unique only within it, and other systems want names that are unique.
create table connectors.platform (
    only_row boolean primary key default true check (only_row),
    id uuid not null default gen_random_uuid()
);

insert into connectors.platform default values;

-- Runs are pruned one day, and a sum over those that are left would shrink. These sums are never made smaller.
create table connectors.run_totals (
    instance text not null,
    kind text not null,
    status text not null,
    error_kind text not null default '',
    runs bigint not null default 0,
    seconds double precision not null default 0,
    rows bigint not null default 0,
    bytes bigint not null default 0,
    http_requests bigint not null default 0,
    retries bigint not null default 0,
    last_run_id bigint not null,
    last_started_at timestamptz,
    last_finished_at timestamptz not null,
    primary key (instance, kind, status, error_kind)
);

comment on table connectors.run_totals is 'Of the runs that have ended, since ever: how many, and what they moved. Kept by a trigger; survives the pruning of runs.';

create function connectors.add_to_totals() returns trigger
language plpgsql set search_path = connectors, pg_temp as $$
begin
    insert into connectors.run_totals as t (
        instance, kind, status, error_kind, runs, seconds, rows, bytes, http_requests, retries,
        last_run_id, last_started_at, last_finished_at
    )
    select new.instance, new.kind, new.status, coalesce(new.error_kind, ''), 1,
        coalesce(extract(epoch from new.finished_at - new.started_at), 0), coalesce(sum(s.rows), 0),
        coalesce(sum(s.bytes), 0), coalesce(sum(s.http_requests), 0), coalesce(sum(s.retries), 0),
        new.id, new.started_at, new.finished_at
    from connectors.connector_run_streams s where s.run_id = new.id
    on conflict (instance, kind, status, error_kind) do update
    set runs = t.runs + 1, seconds = t.seconds + excluded.seconds, rows = t.rows + excluded.rows,
        bytes = t.bytes + excluded.bytes, http_requests = t.http_requests + excluded.http_requests,
        retries = t.retries + excluded.retries, last_run_id = greatest(t.last_run_id, excluded.last_run_id),
        last_started_at = greatest(t.last_started_at, excluded.last_started_at),
        last_finished_at = greatest(t.last_finished_at, excluded.last_finished_at);
    return null;
end $$;

create trigger add_to_totals after update of status on connectors.connector_runs
for each row when (old.finished_at is null and new.finished_at is not null)
execute function connectors.add_to_totals();

insert into connectors.run_totals
select r.instance, r.kind, r.status, coalesce(r.error_kind, ''), count(*),
    coalesce(sum(extract(epoch from r.finished_at - r.started_at)), 0), coalesce(sum(s.rows), 0), coalesce(sum(s.bytes), 0),
    coalesce(sum(s.http_requests), 0), coalesce(sum(s.retries), 0), max(r.id), max(r.started_at), max(r.finished_at)
from connectors.connector_runs r
left join (
    select run_id, sum(rows) as rows, sum(bytes) as bytes, sum(http_requests) as http_requests, sum(retries) as retries
    from connectors.connector_run_streams group by run_id
) s on s.run_id = r.id
where r.finished_at is not null
group by r.instance, r.kind, r.status, coalesce(r.error_kind, '');

-- Who serves the queue.
create table connectors.fleet_members (
    name text primary key,
    kind text not null check (kind in ('worker', 'scheduler')),
    host text not null,
    started_at timestamptz not null default now(),
    seen_at timestamptz not null default now()
);

comment on table connectors.fleet_members is 'Workers and schedulers, each with its last sign of life; one that ends in order takes its row away.';

call connectors.let_read('connectors.run_totals', 'read');
call connectors.let_read('connectors.fleet_members', 'read');
call connectors.secure();
