-- Every statement the platform runs against schema connectors. A heading names the statement below it.

-- name: definition_upsert
insert into connectors.connector_definitions (name, role, spec, origin)
values (%(name)s, %(role)s, %(spec)s, %(origin)s)
on conflict (name) do update
set role = excluded.role, spec = excluded.spec, origin = excluded.origin, updated_at = now()

-- name: definitions
select name, spec, origin from connectors.connector_definitions order by name

-- name: instance_upsert
insert into connectors.connector_instances (name, source, destination, spec)
values (%(name)s, %(source)s, %(destination)s, %(spec)s)
on conflict (name) do update
set source = excluded.source, destination = excluded.destination, spec = excluded.spec, updated_at = now()

-- name: instance_delete
delete from connectors.connector_instances where name = %(name)s

-- name: instances
select name, spec from connectors.connector_instances order by name

-- One run of an instance at a time: the lock lives as long as the session of the run.
-- name: instance_lock
select pg_try_advisory_lock(hashtextextended('ipai.instance.' || %(instance)s, 0)) as locked

-- name: instance_unlock
select pg_advisory_unlock(hashtextextended('ipai.instance.' || %(instance)s, 0))

-- Only the holder of the instance's lock asks this, so whoever is still running here is gone.
-- name: runs_close_orphans
update connectors.connector_runs
set status = 'failed', finished_at = now(),
    error = jsonb_build_object('side', 'ipai', 'message', 'The process that held this run disappeared.')
where instance = %(instance)s and status = 'running'

-- name: run_insert
insert into connectors.connector_runs (instance, streams, full_refresh)
values (%(instance)s, %(streams)s, %(full_refresh)s)
returning id, instance, status, streams, full_refresh, started_at, finished_at, error

-- name: run_finish
update connectors.connector_runs
set status = %(status)s, error = %(error)s, finished_at = now()
where id = %(id)s and status = 'running'
returning id, instance, status, streams, full_refresh, started_at, finished_at, error

-- name: runs
select id, instance, status, streams, full_refresh, started_at, finished_at, error
from connectors.connector_runs
where (%(instance)s::text is null or instance = %(instance)s) and (%(id)s::bigint is null or id = %(id)s)
order by id desc
limit %(limit)s

-- name: latest_runs
select distinct on (instance)
    id, instance, status, streams, full_refresh, started_at, finished_at, error
from connectors.connector_runs
order by instance, id desc

-- name: log_insert
insert into connectors.connector_run_logs (run_id, line, logged_at, side, message)
values (%(run_id)s, %(line)s, %(logged_at)s, %(side)s, %(message)s)

-- name: logs
select line, logged_at, side, message from (
    select line, logged_at, side, message
    from connectors.connector_run_logs
    where run_id = %(run_id)s and (%(side)s::text is null or side = %(side)s)
    order by line desc
    limit %(limit)s
) newest
order by line

-- name: run_stream_upsert
insert into connectors.connector_run_streams (run_id, stream, rows, bytes, seconds)
values (%(run_id)s, %(stream)s, %(rows)s, %(bytes)s, %(seconds)s)
on conflict (run_id, stream) do update
set rows = excluded.rows, bytes = excluded.bytes, seconds = excluded.seconds

-- name: run_streams
select stream, rows, bytes, seconds from connectors.connector_run_streams where run_id = %(run_id)s order by stream

-- name: state
select state from connectors.connector_state where id = %(id)s

-- A run takes the bookmark over before it starts: from here on, older runs are refused.
-- name: state_claim
insert into connectors.connector_state (id, state, fencing_token)
values (%(id)s, '{}', %(token)s)
on conflict (id) do update set fencing_token = excluded.fencing_token
where connector_state.fencing_token <= excluded.fencing_token
returning state

-- name: state_store
update connectors.connector_state set state = %(state)s, updated_at = now()
where id = %(id)s and fencing_token = %(token)s

-- By hand, while no run holds the instance's lock.
-- name: state_replace
insert into connectors.connector_state (id, state)
values (%(id)s, %(state)s)
on conflict (id) do update set state = excluded.state, updated_at = now()
