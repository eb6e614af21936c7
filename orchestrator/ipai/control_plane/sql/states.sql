-- STATE: an instance's row, and its parts, one for each pipeline of a run. A heading names the statement below it.

-- name: state
select state, fencing_token from connectors.connector_state where id = %(id)s

-- name: parts
select id, state, streams from connectors.connector_state where instance = %(scope)s order by id

-- name: lock_timeout
select set_config('lock_timeout', %(timeout)s, true)

-- The instance's row says whose turn it is.
-- name: hold
select state from connectors.connector_state where id = %(instance)s and fencing_token = %(token)s for update

-- name: fence
select connectors.fence(%(instance)s, %(token)s, true)

-- name: parts_hold
select id, state, streams from connectors.connector_state where instance = %(scope)s order by id for update

-- name: scope_store
insert into connectors.connector_state (id, state, fencing_token) values (%(id)s, %(state)s, %(token)s)
on conflict (id) do update set state = excluded.state, fencing_token = excluded.fencing_token, updated_at = now()

-- Emptied, not deleted: a target that was left behind finds the newer token in them.
-- name: parts_empty
update connectors.connector_state set state = '{}', streams = '{}', fencing_token = %(token)s, updated_at = now()
where instance = %(scope)s

-- name: part_open
insert into connectors.connector_state (id, instance, state, streams, fencing_token)
select %(id)s, %(scope)s, %(state)s, %(streams)s, %(token)s
where exists (select from connectors.connector_state where id = %(instance)s and fencing_token = %(token)s)
on conflict (id) do update
set state = excluded.state, streams = excluded.streams, fencing_token = excluded.fencing_token, updated_at = now()
where connector_state.fencing_token <= excluded.fencing_token

-- name: part_store
update connectors.connector_state set state = %(state)s, updated_at = now()
where id = %(id)s and fencing_token = %(token)s
    and exists (select from connectors.connector_state i where i.id = %(instance)s and i.fencing_token = %(token)s)

-- By hand, while no run holds the instance.
-- name: state_replace
insert into connectors.connector_state (id, state)
values (%(id)s, %(state)s)
on conflict (id) do update set state = excluded.state, updated_at = now()

-- name: end_targets
select connectors.work_end_targets(%(instance)s)
