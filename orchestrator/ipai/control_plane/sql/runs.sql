-- Runs: from the queue to their end, and what they said and moved. A heading names the statement below it. What changes a
-- run's status is a function of the schema, so that every face and every worker keeps to the same rules; those called work_…
-- are for logins too that may only work, see docs/access.md.

-- name: enqueue
select {run} from connectors.enqueue_run(
    %(instance)s, %(streams)s, %(full_refresh)s, %(backfill_from)s, %(backfill_to)s, %(due_at)s, %(priority)s, %(trigger)s
)

-- name: claim
select outcome, token from connectors.work_claim(%(id)s, %(worker)s, make_interval(secs => %(lease_seconds)s))

-- name: renew
select id, cancel_requested from connectors.work_renew(%(ids)s, %(tokens)s, make_interval(secs => %(lease_seconds)s))

-- name: finish
select {run} from connectors.work_finish(
    %(id)s, %(token)s, %(status)s, %(error)s, %(error_kind)s, make_interval(secs => %(retry_after)s), %(retry_streams)s
) where id is not null

-- name: forget_job
select connectors.forget_job(%(id)s)

-- name: cancel
select connectors.cancel_run(%(id)s) as status

-- name: reap
select {run} from connectors.reap()

-- name: defer_due
select connectors.defer_due_runs() as deferred

-- name: mark_state_cleared
update connectors.connector_runs set state_cleared = true
where id = %(id)s and status = 'running' and fencing_token = %(token)s

-- The run holds this besides its lease: a second guard, and a sign of life that a foreground run's process cannot leave behind.
-- name: instance_lock
select pg_try_advisory_lock(hashtextextended('ipai.instance.' || %(instance)s, 0)) as locked

-- name: instance_unlock
select pg_advisory_unlock(hashtextextended('ipai.instance.' || %(instance)s, 0))

-- Whoever still holds the lock of an instance whose run has ended is a zombie.
-- name: instance_lock_holders_end
select connectors.work_end_holders(%(instance)s)

-- name: running
select {run} from connectors.connector_runs where instance = %(instance)s and status = 'running'

-- name: runs
select {run} from connectors.connector_runs
where (%(instance)s::text is null or instance = %(instance)s) and (%(id)s::bigint is null or id = %(id)s)
order by id desc
limit %(limit)s

-- name: newest_attempt
select {run} from connectors.connector_runs
where instance = (select instance from connectors.connector_runs where id = %(id)s) and first_run_id = %(id)s
order by id desc limit 1

-- Walks the index from instance to instance instead of reading every run.
-- name: latest_runs
select {run} from connectors.connector_runs
where id in (
    select (select max(r.id) from connectors.connector_runs r where r.instance = i.name) from connectors.connector_instances i
)
order by instance

-- name: log_insert
insert into connectors.connector_run_logs (run_id, line, logged_at, side, message, level, stream)
values (%(run_id)s, %(line)s, %(logged_at)s, %(side)s, %(message)s, %(level)s, %(stream)s)
on conflict do nothing -- when a lost connection has the same lines written again

-- name: logs
select line, logged_at, side, message, level, stream from (
    select line, logged_at, side, message, level, stream
    from connectors.connector_run_logs
    where run_id = %(run_id)s and line > %(after)s and (%(side)s::text is null or side = %(side)s)
    order by line desc
    limit %(limit)s
) newest
order by line

-- name: run_stream_upsert
insert into connectors.connector_run_streams (run_id, stream, rows, bytes, seconds, retries, http_requests)
values (%(run_id)s, %(stream)s, %(rows)s, %(bytes)s, %(seconds)s, %(retries)s, %(http_requests)s)
on conflict (run_id, stream) do update
set rows = excluded.rows, bytes = excluded.bytes, seconds = excluded.seconds, retries = excluded.retries,
    http_requests = excluded.http_requests

-- name: run_streams
select stream, rows, bytes, seconds, retries, http_requests
from connectors.connector_run_streams where run_id = %(run_id)s order by stream

-- What each stream took lately: what the split of a catalog goes by.
-- name: stream_costs
select s.stream, avg(s.seconds) as seconds, avg(s.rows) as rows
from connectors.connector_run_streams s
where s.run_id in (
    select id from connectors.connector_runs where instance = %(instance)s and status = 'succeeded' order by id desc limit 5
)
group by s.stream
