-- Schedules, and what a tick does with those that are due. A heading names the statement below it.

-- name: upsert
insert into connectors.connector_schedules (
    instance, name, cron, time_zone, jitter_seconds, catch_up, blackouts, streams, full_refresh
)
values (
    %(instance)s, %(name)s, %(cron)s, %(time_zone)s, %(jitter_seconds)s, %(catch_up)s, %(blackouts)s, %(streams)s, %(full_refresh)s
)
on conflict (instance, name) do update
set cron = excluded.cron, time_zone = excluded.time_zone, jitter_seconds = excluded.jitter_seconds,
    catch_up = excluded.catch_up, blackouts = excluded.blackouts, streams = excluded.streams,
    full_refresh = excluded.full_refresh, updated_at = now(),
    -- What is declared anew starts anew; what stays as it was keeps its place.
    next_at = case when (connector_schedules.cron, connector_schedules.time_zone) = (excluded.cron, excluded.time_zone)
        then connector_schedules.next_at end

-- name: delete_others
delete from connectors.connector_schedules where instance = %(instance)s and name <> all (%(names)s)

-- name: schedules
select {schedule} from connectors.connector_schedules
where (%(instance)s::text is null or instance = %(instance)s) order by instance, name

-- name: pause
update connectors.connector_schedules set paused = %(paused)s, updated_at = now(),
    paused_by = case when %(paused)s then 'person' end,
    next_at = null, overdue_since = null -- so that resuming does not make up for the pause
where (%(instance)s::text is null or instance = %(instance)s) and (%(name)s::text is null or name = %(name)s)
    and (paused <> %(paused)s or paused_by = 'drift') -- what a person pauses does not go on by itself

-- Two schedulers never get the same row: the second passes over what the first holds, and then finds it moved on.
-- name: due
select {schedule} from connectors.connector_schedules
where not paused and (next_at is null or next_at <= %(now)s)
order by next_at nulls first limit %(limit)s for update skip locked

-- name: moved_on
update connectors.connector_schedules s
set next_at = n.next_at, last_due_at = coalesce(n.last_due_at, s.last_due_at),
    overdue_since = coalesce(s.overdue_since, n.last_due_at)
from unnest(%(instances)s::text[], %(names)s::text[], %(next_at)s::timestamptz[], %(last_due_at)s::timestamptz[])
    n (instance, name, next_at, last_due_at)
where s.instance = n.instance and s.name = n.name

-- All that is due at once; what waits in the queue already is not enqueued twice.
-- name: enqueue
insert into connectors.connector_runs (
    instance, status, streams, full_refresh, trigger, sla_tier, queue, quota_group, due_at, started_at
)
select i.name, 'queued', s.streams, s.full_refresh, 'schedule', i.sla_tier, i.queue, i.quota_group, d.due_at, null
from unnest(%(instances)s::text[], %(names)s::text[], %(due_at)s::timestamptz[]) d (instance, name, due_at)
join connectors.connector_instances i on i.name = d.instance
join connectors.connector_schedules s on s.instance = d.instance and s.name = d.name
order by d.instance, d.name
on conflict (instance, kind, coalesce(streams, '{}'), full_refresh, coalesce(backfill_from, '-infinity'), coalesce(backfill_to, 'infinity'))
    where status = 'queued'
-- A retry that waits is the scheduled run from now on; a source's own quota is waited for all the same.
do update set trigger = 'schedule', attempt = 1, first_run_id = null,
    due_at = case connector_runs.waits_for when 'refill' then connector_runs.due_at else least(connector_runs.due_at, excluded.due_at) end

-- An instance is late when a run of it has been owed for longer than its tier allows; told once.
-- name: late
with late as (
    update connectors.connector_schedules s set late_since = s.overdue_since
    from connectors.connector_instances i join connectors.sla_tiers t on t.name = i.sla_tier
    where i.name = s.instance and not s.paused and s.overdue_since + t.latest < %(now)s
        and s.late_since is distinct from s.overdue_since
    returning s.instance, s.name, s.overdue_since, i.sla_tier, t.latest
)
select instance, connectors.emit('run.late', instance, null, jsonb_build_object(
    'schedule', name, 'due_at', overdue_since, 'sla_tier', sla_tier, 'latest_seconds', extract(epoch from latest)))
from late

-- name: now
select clock_timestamp() as now
