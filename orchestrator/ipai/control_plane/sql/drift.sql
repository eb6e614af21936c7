-- Schemas that were accepted, changes that were found, and decisions. A heading names the statement below it.

-- Only the run that holds the instance may say what its schemas are.
-- name: hold
select 1 from connectors.connector_runs
where id = %(run_id)s and status = 'running' and fencing_token is not distinct from %(token)s for share

-- name: schemas
select {seen_schema} from connectors.stream_schemas where instance = %(instance)s order by stream, seen_by, status

-- name: schema_put
insert into connectors.stream_schemas (
    instance, stream, seen_by, status, schema, key_properties, replication_key, left_out, run_id
)
values (
    %(instance)s, %(stream)s, %(seen_by)s, %(status)s, %(schema)s, %(key_properties)s, %(replication_key)s, %(left_out)s, %(run_id)s
)
on conflict (instance, stream, seen_by, status) do update
set schema = excluded.schema, key_properties = excluded.key_properties, replication_key = excluded.replication_key,
    left_out = excluded.left_out, run_id = excluded.run_id, seen_at = excluded.seen_at

-- name: schemas_delete
delete from connectors.stream_schemas
where instance = %(instance)s and status = %(status)s and (%(seen_by)s::text is null or seen_by = %(seen_by)s)
    and (%(streams)s::text[] is null or stream = any (%(streams)s))

-- name: schemas_forget
delete from connectors.stream_schemas where instance = %(instance)s

-- A change that waits, or was rejected, is met again. `xmax` is 0 in a row that has just been inserted.
-- name: drift_put
insert into connectors.schema_drift (
    run_id, instance, stream, property, kind, before, after, severity, models, baseline, seen_by, policy
)
values (
    %(run_id)s, %(instance)s, %(stream)s, %(property)s, %(kind)s, %(before)s, %(after)s, %(severity)s, %(models)s,
    %(baseline)s, %(seen_by)s, %(policy)s
)
on conflict (instance, stream, seen_by, kind, md5(coalesce(property, '') || chr(31) || coalesce(before, '') || chr(31) || coalesce(after, '')))
    where status in ('pending', 'rejected')
do update set run_id = excluded.run_id, severity = excluded.severity, models = excluded.models, baseline = excluded.baseline,
    policy = excluded.policy
returning id, status, xmax = 0 as is_new

-- What waited and is not met any more: the source went back.
-- name: drift_withdraw
update connectors.schema_drift set status = 'withdrawn', decided_at = clock_timestamp()
where instance = %(instance)s and status = 'pending' and (%(seen_by)s::text is null or seen_by = %(seen_by)s)
    and (%(streams)s::text[] is null or stream = any (%(streams)s)) and id <> all (%(met)s)

-- name: drift_apply
select connectors.work_apply_drift(%(ids)s)

-- A person decides on what waits, or thinks better of a rejection.
-- name: drift_decide
update connectors.schema_drift d set status = %(status)s, decided_at = clock_timestamp(), decided_by = connectors.actor()
where d.instance = %(instance)s and (%(stream)s::text is null or d.stream = %(stream)s) and d.status = any (%(of)s)
    and exists (
        select from connectors.stream_schemas s
        where s.instance = d.instance and s.stream = d.stream and s.seen_by = d.seen_by and s.status = 'pending'
    )
returning {drift}

-- The schema that waited becomes the one that loads go by. What the target received of such a stream is taken anew.
-- name: schemas_accept
with waiting as (
    delete from connectors.stream_schemas
    where instance = %(instance)s and status = 'pending' and stream = any (%(streams)s)
    returning *
), old as (
    delete from connectors.stream_schemas s using waiting w
    where s.instance = w.instance and s.stream = w.stream and s.status = 'accepted'
        and (s.seen_by = 'target' and w.seen_by = 'discovery' or w.schema is null and s.seen_by = w.seen_by)
)
insert into connectors.stream_schemas
select instance, stream, seen_by, 'accepted', schema, key_properties, replication_key, left_out, run_id, clock_timestamp()
from waiting where schema is not null
on conflict (instance, stream, seen_by, status) do update
set schema = excluded.schema, key_properties = excluded.key_properties, replication_key = excluded.replication_key,
    left_out = excluded.left_out, run_id = excluded.run_id, seen_at = excluded.seen_at

-- name: drift
select {drift} from connectors.schema_drift
where %(instance)s::text is null or instance = %(instance)s
order by status <> 'pending', id desc limit %(limit)s

-- name: schedules_rest
select connectors.rest_for_drift(%(instance)s)

-- name: schedules_go_on
select connectors.go_on_after_drift(%(instance)s)

-- name: tell
select connectors.work_tell_drift(%(run_id)s, %(payload)s)

-- name: emit
select connectors.emit(%(kind)s, %(instance)s, null, %(payload)s)
