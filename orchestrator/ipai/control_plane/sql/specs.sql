-- Connectors, instances and quota groups as they were applied. A heading names the statement below it.

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

-- name: instance
select spec from connectors.connector_instances where name = %(name)s

-- Every environment variable that a setting or a channel names.
-- name: variables
select connectors.named_variables() as name

-- name: quota_upsert
insert into connectors.quota_groups (name, max_running) values (%(name)s, %(max_running)s)
on conflict (name) do update set max_running = excluded.max_running, updated_at = now()
where quota_groups.max_running <> excluded.max_running

-- name: quota_delete
delete from connectors.quota_groups where name = %(name)s

-- name: quotas
select q.name, q.max_running, count(r.id) filter (where r.status = 'running') as running,
    count(r.id) filter (where r.status = 'queued' and r.waits_for = 'quota') as waiting
from connectors.quota_groups q left join connectors.connector_runs r
    on r.quota_group = q.name and r.status in ('queued', 'running')
group by q.name order by q.name
