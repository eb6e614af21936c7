-- Workers and schedulers: signs of life. A heading names the statement below it.

-- What has not been seen for a day ended without a word, and is of no interest any more.
-- name: beat
with gone as (
    delete from connectors.fleet_members where seen_at < clock_timestamp() - interval '1 day' and name <> %(name)s
)
insert into connectors.fleet_members (name, kind, host) values (%(name)s, %(kind)s, %(host)s)
on conflict (name) do update set seen_at = clock_timestamp()

-- name: leave
delete from connectors.fleet_members where name = %(name)s

-- name: members
select name, kind, host, started_at, seen_at, extract(epoch from clock_timestamp() - seen_at)::float8 as silent_seconds
from connectors.fleet_members
where (%(kind)s::text is null or kind = %(kind)s) and (%(host)s::text is null or host = %(host)s)
order by name

-- name: platform_id
select id from connectors.platform

-- name: make_login
select connectors.make_worker_login(%(name)s, %(password)s, %(loads)s) as is_new, session_user as session_login

-- name: queue_tables
select to_regclass('connectors_queue.procrastinate_jobs') is not null as there
