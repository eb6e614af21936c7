-- Schema drift: what each stream looked like when it was last accepted, what has changed since, and what was decided.

create table connectors.stream_schemas (
    instance text not null references connectors.connector_instances (name) on delete cascade,
    stream text not null,
    seen_by text not null check (seen_by in ('discovery', 'target')),
    status text not null default 'accepted' check (status in ('accepted', 'pending')),
    schema json,
    key_properties text[] not null default '{}',
    replication_key text,
    left_out text[] not null default '{}',
    run_id bigint,
    seen_at timestamptz not null default clock_timestamp(),
    primary key (instance, stream, seen_by, status),
    check (status = 'pending' or schema is not null)
);

comment on table connectors.stream_schemas is 'Per stream the schema that loads go by, and one that waits for a decision. What a run finds is compared with the accepted one.';
comment on column connectors.stream_schemas.seen_by is 'discovery: the catalog the tap discovered; target: the SCHEMA message that the target received.';
comment on column connectors.stream_schemas.schema is 'As the tap wrote it: json, not jsonb, which refuses some of the strings that may stand in it. Null: the stream is gone, and that waits for a decision.';
comment on column connectors.stream_schemas.left_out is 'Properties that are not selected, so that nobody is told of their changes.';

create table connectors.schema_drift (
    id bigint generated always as identity primary key,
    run_id bigint,
    instance text not null,
    stream text not null,
    property text,
    kind text not null check (kind in (
        'stream_added', 'stream_removed', 'added', 'removed', 'widened', 'narrowed', 'type_changed', 'key_changed',
        'replication_key_changed'
    )),
    before text,
    after text,
    severity text not null check (severity in ('info', 'warning', 'breaking')),
    models jsonb not null default '[]',
    baseline text not null check (baseline in ('instance', 'connector')),
    seen_by text not null check (seen_by in ('discovery', 'target')),
    policy text not null check (policy in ('apply', 'pause', 'fail')),
    status text not null default 'pending' check (status in ('applied', 'pending', 'rejected', 'withdrawn')),
    seen_at timestamptz not null default clock_timestamp(),
    decided_at timestamptz,
    decided_by text
);

comment on table connectors.schema_drift is 'One row a change. No foreign keys: history outlives the instance and the run.';
comment on column connectors.schema_drift.property is 'A path such as address.city or tags[]; null where the change is one of the whole stream.';
comment on column connectors.schema_drift.models is 'The dbt models that read it, and those built on them: [{name, layer, reads}].';
comment on column connectors.schema_drift.baseline is 'What was compared with: what the instance last accepted, or the catalog that comes with the connector.';
comment on column connectors.schema_drift.status is 'applied, pending (a person decides), rejected (a run that meets it fails), withdrawn (the source went back).';
comment on column connectors.schema_drift.decided_by is 'Null where the policy decided.';
comment on column connectors.schema_drift.run_id is 'The last run that met it.';

-- A change that is met again before it is accepted is the same change: told once.
create unique index schema_drift_open on connectors.schema_drift (
    instance, stream, seen_by, kind,
    md5(coalesce(property, '') || chr(31) || coalesce(before, '') || chr(31) || coalesce(after, ''))
) where status in ('pending', 'rejected');
create index schema_drift_newest on connectors.schema_drift (instance, id desc);

alter table connectors.connector_schedules
    add column paused_by text check (paused_by in ('person', 'drift'));

comment on column connectors.connector_schedules.paused_by is 'drift: goes on by itself when the drift is decided. Null where it is not paused, or was before this was recorded.';

comment on column connectors.connector_runs.error_kind is 'config, data, drift: never retried; transient, stalled: with growing delays; quota: when it refills; interrupted: resumed at once.';

-- Who reads it; what a person decides goes into the audit log.

call connectors.let_read('connectors.stream_schemas', 'read');
call connectors.let_read('connectors.schema_drift', 'read');

create trigger audit after update of status on connectors.schema_drift
    for each row when (new.decided_by is not null) execute function connectors.audit_change('drift', 'instance', 'id');

call connectors.secure();
