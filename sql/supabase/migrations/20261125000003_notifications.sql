-- Notifications: events go to channels (webhooks, and people through Apprise). Retention: what is kept for how long.

-- A channel holds references to its address and its signing secret, not the values: `${env:SLACK_URL}`.

create table connectors.channels (
    name text primary key,
    kind text not null check (kind in ('webhook', 'apprise')),
    url text not null,
    secret text,
    kinds text[] not null check (cardinality(kinds) > 0),
    instances text[] not null default '{*}' check (cardinality(instances) > 0),
    enabled boolean not null default true,
    first_delay interval not null default '5 seconds',
    give_up_after interval not null default '3 days',
    resume_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);

comment on table connectors.channels is 'Where events go.';
comment on column connectors.channels.url is 'The address, or a reference to it.';
comment on column connectors.channels.secret is 'A reference to the secret that webhooks are signed with: whsec_…, or two of them while one replaces the other.';
comment on column connectors.channels.kinds is 'Which kinds of events, as globs: run.failed, schema.*.';
comment on column connectors.channels.instances is 'Events of which instances, as globs. Events of no instance go to * only.';
comment on column connectors.channels.first_delay is 'At most this long before the first retry; doubled for each later one, up to an hour.';
comment on column connectors.channels.give_up_after is 'A delivery that has not succeeded after this long is dead.';
comment on column connectors.channels.resume_at is 'The receiver asked for peace until then.';

-- No foreign keys: a run that ends must neither wait for whoever removes a channel nor fail because of it.
create table connectors.deliveries (
    id bigint generated always as identity primary key,
    message_id text not null unique default 'msg_' || replace(gen_random_uuid()::text, '-', ''),
    event_id bigint not null,
    channel text not null,
    instance text not null,
    status text not null default 'waiting' check (status in ('waiting', 'delivered', 'dead')),
    attempts integer not null default 0,
    since timestamptz not null default clock_timestamp(),
    next_at timestamptz not null default clock_timestamp(),
    leased_until timestamptz,
    delivered_at timestamptz,
    response_status integer,
    error text
);

comment on table connectors.deliveries is 'One event to one channel.';
comment on column connectors.deliveries.message_id is 'The same at every attempt, so that receivers can tell a repetition.';
comment on column connectors.deliveries.instance is 'The event''s; empty if it has none. Events of an instance are delivered in order.';
comment on column connectors.deliveries.since is 'The time after which it is given up counts from here.';
comment on column connectors.deliveries.leased_until is 'Somebody is sending it. If nothing is heard of it until then, it is sent again.';

-- What a deliverer looks through every second.
create index deliveries_waiting on connectors.deliveries (channel, id) where status = 'waiting';
-- Whether an earlier one of the instance holds a later one up.
create index deliveries_in_order on connectors.deliveries (channel, instance, id) where status = 'waiting' and attempts < 6;
create index deliveries_leased on connectors.deliveries (channel, instance) where leased_until is not null;
-- Retention: the old ones, and whether an event is still to be delivered.
create index deliveries_since on connectors.deliveries (since);
create index deliveries_of_event on connectors.deliveries (event_id) where status = 'waiting';
create index connector_events_at on connectors.events (at);

create function connectors.fits(p_text text, p_globs text[]) returns boolean
language sql immutable set search_path = pg_catalog, pg_temp as $$
    select exists (
        select from unnest(p_globs) glob
        where p_text like replace(replace(regexp_replace(glob, '([\\%_])', '\\\1', 'g'), '*', '%'), '?', '_')
    )
$$;

-- In the event's own transaction: whatever number an event gets and whenever it commits, its deliveries come with it.
-- For whoever may write an event, whether or not they may see channels.
create function connectors.fan_out() returns trigger
language plpgsql security definer set search_path = connectors, pg_temp as $$
begin
    insert into connectors.deliveries (event_id, channel, instance)
    select e.id, c.name, coalesce(e.instance, '')
    from added e join connectors.channels c
        on c.enabled and connectors.fits(e.kind, c.kinds) and connectors.fits(coalesce(e.instance, ''), c.instances)
    order by e.id;
    return null;
end $$;

create trigger fan_out after insert on connectors.events
referencing new table as added for each statement execute function connectors.fan_out();

-- Take deliveries that are due: four of a channel at once, one of an instance at once and in order. One that failed six
-- times lets later ones pass. Who holds the channel's row decides alone; the others look again a second later.
create function connectors.claim_deliveries(p_limit integer, p_lease interval) returns setof connectors.deliveries
language plpgsql set search_path = connectors, pg_temp as $$
declare
    moment timestamptz := clock_timestamp();
    free integer := p_limit;
    c connectors.channels;
    d connectors.deliveries;
begin
    for c in
        select * from connectors.channels where enabled and (resume_at is null or resume_at <= moment)
        order by random() for no key update skip locked
    loop
        for d in
            update connectors.deliveries taken set attempts = taken.attempts + 1, leased_until = moment + p_lease
            where taken.id in (
                select due.id
                from (
                    select w.id, w.instance from connectors.deliveries w
                    where w.channel = c.name and w.status = 'waiting' and w.next_at <= moment
                        and (w.leased_until is null or w.leased_until <= moment)
                    order by w.id limit 1000
                ) due
                where not exists (
                    select from connectors.deliveries e
                    where e.channel = c.name and e.instance = due.instance and e.id < due.id and e.status = 'waiting' and e.attempts < 6
                ) and not exists (
                    select from connectors.deliveries e
                    where e.channel = c.name and e.instance = due.instance and e.leased_until > moment
                )
                order by due.id
                limit least(free, greatest(0, 4 - (
                    select count(*) from connectors.deliveries e where e.channel = c.name and e.leased_until > moment
                )))
            )
            returning taken.*
        loop
            free := free - 1;
            return next d;
        end loop;
        exit when free <= 0;
    end loop;
end $$;

-- Write down what came of an attempt: delivered, failed, or gone (the receiver wants nothing any more, so the channel is
-- disabled). Returns the delivery's status now; null if the lease ran out and somebody else has taken it.
create function connectors.settle_delivery(
    p_id bigint, p_leased_until timestamptz, p_outcome text, p_response_status integer, p_error text, p_pause interval
) returns text
language plpgsql set search_path = connectors, pg_temp as $$
declare
    moment timestamptz := clock_timestamp();
    settled connectors.deliveries;
begin
    update connectors.deliveries d
    set leased_until = null, response_status = p_response_status, error = p_error,
        status = case
            when p_outcome = 'delivered' then 'delivered'
            when p_outcome = 'gone' or d.since + c.give_up_after <= moment then 'dead'
            else 'waiting'
        end,
        delivered_at = case when p_outcome = 'delivered' then moment end,
        -- Full jitter: anywhere between now and the delay, so that what failed together is not tried again together.
        next_at = moment + greatest(
            p_pause, random() * least(interval '1 hour', c.first_delay * 2 ^ least(d.attempts - 1, 20))
        )
    from connectors.channels c
    where d.id = p_id and d.leased_until = p_leased_until and d.status = 'waiting' and c.name = d.channel
    returning d.* into settled;
    if settled.id is not null and (p_outcome = 'gone' or p_pause is not null) then
        update connectors.channels
        set enabled = enabled and p_outcome <> 'gone', resume_at = greatest(resume_at, moment + p_pause)
        where name = settled.channel;
    end if;
    return settled.status;
end $$;

-- Secrets that a channel names are handed out as those of an instance are; `channel NAME` is whose they are.
create or replace function connectors.secrets_of(p_instance text) returns setof text
language sql stable set search_path = connectors, pg_temp as $$
    select distinct m[1]
    from (
        select concat(
            coalesce(s.spec -> 'config', '{}') || coalesce(i.spec -> 'source' -> 'config', '{}'),
            coalesce(d.spec -> 'config', '{}') || coalesce(i.spec -> 'destination' -> 'config', '{}'),
            d.spec -> 'state_in_destination'
        )
        from connectors.connector_instances i
        join connectors.connector_definitions s on s.name = i.source
        join connectors.connector_definitions d on d.name = i.destination
        where i.name = p_instance
        union all
        select concat_ws(' ', c.url, c.secret) from connectors.channels c where 'channel ' || c.name = p_instance
    ) named (settings), regexp_matches(named.settings, '\$\{secret:([A-Za-z_][A-Za-z0-9_]*)\}', 'g') m
$$;

-- Retention

create table connectors.retention_periods (
    subject text primary key,
    keep interval not null check (keep > '0')
);

comment on table connectors.retention_periods is 'How long the platform keeps what it writes about itself.';

insert into connectors.retention_periods (subject, keep) values
    ('logs', '90 days'), ('metrics', '90 days'), ('deliveries', '90 days'), ('events', '90 days'), ('runs', '365 days');

-- Jobs that the queue left behind: workers delete theirs, so one that has ended is of no use. Deletes some of them, or
-- counts them all when no limit is given. Procrastinate's triggers find their tables by the search path.
create function connectors.leftover_jobs(p_limit integer) returns bigint
language plpgsql set search_path = connectors_queue, pg_temp as $$
declare
    found bigint := 0;
begin
    if to_regclass('procrastinate_jobs') is null then
        null;
    elsif p_limit is null then
        select count(*) into found from procrastinate_jobs where status in ('succeeded', 'failed', 'cancelled', 'aborted');
    else
        delete from procrastinate_jobs where id in (
            select id from procrastinate_jobs where status in ('succeeded', 'failed', 'cancelled', 'aborted')
            order by id limit p_limit
        );
        get diagnostics found = row_count;
    end if;
    return found;
end $$;

create table connectors.daily_tasks (
    name text primary key,
    done_at timestamptz not null,
    result jsonb not null
);

comment on table connectors.daily_tasks is 'What the schedulers do once a day, and what came of it last.';

create table connectors.archives (
    id bigint generated always as identity primary key,
    at timestamptz not null default now(),
    instance text not null,
    stream text not null,
    table_name text not null,
    path text not null,
    rows bigint not null,
    bytes bigint not null,
    sha256 text not null
);

comment on table connectors.archives is 'Rows that left Bronze for a file, written in the transaction that deleted them.';
comment on column connectors.archives.bytes is 'Of the file, compressed.';
comment on column connectors.archives.sha256 is 'Of the lines, uncompressed.';
