-- Channels, and what is delivered to them. A heading names the statement below it.

-- name: channel_upsert
insert into connectors.channels (name, kind, url, secret, kinds, instances)
values (%(name)s, %(kind)s, %(url)s, %(secret)s, %(kinds)s, %(instances)s)
on conflict (name) do update
set kind = excluded.kind, url = excluded.url, secret = excluded.secret, kinds = excluded.kinds,
    instances = excluded.instances, enabled = true, resume_at = null, updated_at = now()

-- name: channels
select c.name, c.kind, c.url, c.secret, c.kinds, c.instances, c.enabled, c.resume_at,
    (select count(*) from connectors.deliveries d where d.channel = c.name and d.status = 'waiting') as waiting,
    (select count(*) from connectors.deliveries d where d.channel = c.name and d.status = 'dead') as dead,
    (select max(d.delivered_at) from connectors.deliveries d where d.channel = c.name) as last_delivered_at
from connectors.channels c
where (%(name)s::text is null or c.name = %(name)s)
order by c.name

-- name: channel_delete
with gone as (delete from connectors.channels where name = %(name)s)
delete from connectors.deliveries where channel = %(name)s

-- name: claim
select id, leased_until from connectors.claim_deliveries(%(limit)s, make_interval(secs => %(lease_seconds)s))

-- A run's columns are those that do not change after the event.
-- name: messages
select d.id, d.leased_until, d.message_id, d.attempts, c.name as channel, c.kind as channel_kind, c.url, c.secret,
    e.id as event_id, e.at, e.kind, e.instance, e.run_id, e.payload,
    case when r.id is not null then jsonb_build_object(
        'kind', r.kind, 'trigger', r.trigger, 'streams', r.streams, 'full_refresh', r.full_refresh, 'sla_tier', r.sla_tier,
        'started_at', r.started_at, 'finished_at', case when r.finished_at <= e.at then r.finished_at end,
        'rows', case when r.finished_at <= e.at then
            (select sum(s.rows) from connectors.connector_run_streams s where s.run_id = r.id) end
    ) end as run
from connectors.deliveries d
join connectors.channels c on c.name = d.channel
join connectors.events e on e.id = d.event_id
left join connectors.connector_runs r on r.id = e.run_id
where d.id = any (%(ids)s)
order by d.id

-- name: settle
select connectors.settle_delivery(
    %(id)s, %(leased_until)s, %(outcome)s, %(response_status)s, %(error)s, make_interval(secs => %(pause)s)
) as status

-- name: deliveries
select d.id, d.message_id, d.channel, d.event_id, e.kind, e.instance, e.run_id, e.at, d.status, d.attempts,
    case when d.status = 'waiting' then d.next_at end as next_at, d.delivered_at, d.response_status, d.error
from connectors.deliveries d join connectors.events e on e.id = d.event_id
where (%(channel)s::text is null or d.channel = %(channel)s)
    and (not %(failing)s or d.status = 'dead' or (d.status = 'waiting' and d.error is not null))
order by d.id desc
limit %(limit)s

-- What is being sent at this moment is left alone.
-- name: retry
with again as (
    update connectors.deliveries d
    set status = 'waiting', next_at = clock_timestamp(), since = clock_timestamp(), attempts = 0
    where (%(channel)s::text is null or d.channel = %(channel)s) and (%(id)s::bigint is null or d.id = %(id)s)
        and (d.status = 'dead' or (d.status = 'waiting' and d.attempts > 0))
        and (d.leased_until is null or d.leased_until <= clock_timestamp())
    returning d.channel
), resumed as (
    update connectors.channels set resume_at = null where name in (select channel from again)
)
select count(*) as again from again
