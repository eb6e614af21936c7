-- What a scrape shows. Each statement reads rows in the number of instances, or of runs that have not ended; never the
-- history. A heading names the statement below it.

-- name: totals
select t.instance, t.kind, t.status, t.error_kind, t.runs, t.seconds, t.rows, t.bytes, t.http_requests, t.retries
from connectors.run_totals t join connectors.connector_instances i on i.name = t.instance
order by t.instance, t.kind, t.status, t.error_kind

-- The rule for lateness is the one by which `run.late` is emitted.
-- name: instances
select i.name as instance, i.sla_tier, s.last_due_at, t.last_finished_at as succeeded_at,
    coalesce(s.late, false) as late
from connectors.connector_instances i
left join lateral (
    select max(last_started_at) as last_started_at, max(last_finished_at) as last_finished_at
    from connectors.run_totals where instance = i.name and status = 'succeeded'
) t on true
left join lateral (
    select max(c.last_due_at) as last_due_at, bool_or(c.overdue_since + l.latest < clock_timestamp()) as late
    from connectors.connector_schedules c join connectors.sla_tiers l on l.name = i.sla_tier
    where c.instance = i.name and not c.paused
) s on true
order by i.name

-- name: tiers
select name as sla_tier, extract(epoch from latest)::float8 as latest_seconds from connectors.sla_tiers order by name

-- name: queues
select queue, coalesce(waits_for, case when due_at <= clock_timestamp() then 'due' else 'later' end) as state,
    count(*) as runs, min(due_at) as oldest_due_at
from connectors.connector_runs where status = 'queued'
group by 1, 2 order by 1, 2

-- name: running
select queue, count(*) as runs, count(*) filter (where lease_expires_at < clock_timestamp()) as expired
from connectors.connector_runs where status = 'running'
group by queue order by queue

-- What each stream moved in the newest run of its instance that has ended.
-- name: last_streams
select n.instance, s.stream, s.rows, s.bytes, s.seconds, s.retries, s.http_requests
from (
    select t.instance, max(t.last_run_id) as run_id
    from connectors.run_totals t join connectors.connector_instances i on i.name = t.instance
    where t.kind = 'sync' group by t.instance
) n join connectors.connector_run_streams s on s.run_id = n.run_id
order by n.instance, s.stream

-- name: fleet
select kind, case when seen_at > clock_timestamp() - make_interval(secs => %(fresh_seconds)s) then 'alive' else 'lost' end as state,
    count(*) as members, max(seen_at) as seen_at
from connectors.fleet_members group by 1, 2 order by 1, 2

-- name: one_moment
set transaction isolation level repeatable read, read only

-- name: has_deliveries
select to_regclass('connectors.deliveries') is not null as there

-- name: deliveries
select channel, count(*) as waiting, min(since) as since
from connectors.deliveries where status = 'waiting' group by channel order by channel
