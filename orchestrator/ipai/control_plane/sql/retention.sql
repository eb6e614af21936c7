-- Retention: what the platform wrote about itself, rows of Bronze, and the task that sees to both once a day.
-- A heading names the statement below it. Everything is deleted in batches that commit one by one.

-- name: periods
select subject, keep from connectors.retention_periods order by subject

-- name: period_set
update connectors.retention_periods set keep = make_interval(days => %(days)s) where subject = %(subject)s

-- name: task_lock
select pg_try_advisory_lock(hashtextextended('ipai.task.' || %(name)s, 0)) as locked

-- name: task_unlock
select pg_advisory_unlock(hashtextextended('ipai.task.' || %(name)s, 0))

-- name: task_due
select not exists (
    select from connectors.daily_tasks where name = %(name)s and done_at > clock_timestamp() - interval '1 day'
) as due

-- name: task_done
insert into connectors.daily_tasks (name, done_at, result) values (%(name)s, clock_timestamp(), %(result)s)
on conflict (name) do update set done_at = excluded.done_at, result = excluded.result

-- Runs get their numbers in order, so that what belongs to old ones stands at the beginning of the primary key.
-- name: first_kept_run
select coalesce(
    (select min(id) from connectors.connector_runs
     where started_at is not null and (finished_at is null or finished_at >= %(before)s)),
    (select max(id) + 1 from connectors.connector_runs), 0
) as id

-- name: logs_count
select count(*) as rows from connectors.connector_run_logs where run_id < %(first_kept_run)s

-- name: logs_delete
delete from connectors.connector_run_logs where (run_id, line) in (
    select run_id, line from connectors.connector_run_logs where run_id < %(first_kept_run)s order by run_id, line limit %(limit)s
)

-- name: metrics_count
select count(*) as rows from connectors.connector_run_streams where run_id < %(first_kept_run)s

-- name: metrics_delete
delete from connectors.connector_run_streams where (run_id, stream) in (
    select run_id, stream from connectors.connector_run_streams where run_id < %(first_kept_run)s
    order by run_id, stream limit %(limit)s
)

-- What waits for a channel that still wants it stays.
-- name: deliveries_count
select count(*) as rows from connectors.deliveries d where since < %(before)s and (
    status <> 'waiting' or not exists (select from connectors.channels c where c.name = d.channel and c.enabled)
)

-- name: deliveries_delete
delete from connectors.deliveries where id in (
    select id from connectors.deliveries d where since < %(before)s and (
        status <> 'waiting' or not exists (select from connectors.channels c where c.name = d.channel and c.enabled)
    )
    order by since limit %(limit)s
)

-- name: events_count
select count(*) as rows from connectors.events e where at < %(before)s
    and not exists (select from connectors.deliveries d where d.event_id = e.id and d.status = 'waiting')

-- name: events_delete
delete from connectors.events where id in (
    select id from connectors.events e where at < %(before)s
        and not exists (select from connectors.deliveries d where d.event_id = e.id and d.status = 'waiting')
    order by at limit %(limit)s
)

-- The newest run of an instance stays, however old: it says how things stand.
-- name: runs_count
select count(*) as rows from connectors.connector_runs r where finished_at < %(before)s
    and exists (select from connectors.connector_runs n where n.instance = r.instance and n.id > r.id)

-- name: runs_delete
delete from connectors.connector_runs where id in (
    select id from connectors.connector_runs r where finished_at < %(before)s
        and exists (select from connectors.connector_runs n where n.instance = r.instance and n.id > r.id)
    order by finished_at limit %(limit)s
)

-- name: jobs_count
select connectors.leftover_jobs(null) as rows

-- name: jobs_delete
select connectors.leftover_jobs(%(limit)s) as rows

-- Tables that say of each row where it came from, with their columns that are moments.
-- name: lineage_tables
select c.relname as name,
    array_agg(a.attname::text) filter (where a.atttypid in ('timestamptz'::regtype, 'timestamp'::regtype, 'date'::regtype)) as moments
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
where n.nspname = %(schema)s and c.relkind = 'r'
group by c.oid, c.relname
having count(*) filter (where a.attname in ('_sdc_source', '_sdc_stream')) = 2
order by c.relname

-- name: archive_insert
insert into connectors.archives (instance, stream, table_name, path, rows, bytes, sha256)
values (%(instance)s, %(stream)s, %(table_name)s, %(path)s, %(rows)s, %(bytes)s, %(sha256)s)
