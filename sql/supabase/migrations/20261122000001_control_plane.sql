-- The control plane: what exists, what runs, what happened, and how far each instance has come.
-- Applied by `ipai init` and by `supabase db push --workdir sql` alike; both record it in supabase_migrations.

create schema if not exists connectors;

comment on schema connectors is 'Control plane of IPAI Data Connectors; written only by ipai.';

create table connectors.connector_definitions (
    name text primary key,
    role text not null check (role in ('source', 'destination')),
    spec jsonb not null,
    origin text not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);

comment on table connectors.connector_definitions is 'Connectors as applied from catalogs/*/connector.yaml.';
comment on column connectors.connector_definitions.spec is 'The file as it stands.';
comment on column connectors.connector_definitions.origin is 'The folder that relative paths in the spec start from.';

create table connectors.connector_instances (
    name text primary key,
    source text not null references connectors.connector_definitions (name),
    destination text not null references connectors.connector_definitions (name),
    spec jsonb not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);

comment on table connectors.connector_instances is 'A source into a destination; secrets in it are references, never values.';

create table connectors.connector_runs (
    id bigint generated always as identity primary key,
    instance text not null,
    status text not null default 'running' check (status in ('running', 'succeeded', 'failed', 'cancelled')),
    streams text[],
    full_refresh boolean not null default false,
    started_at timestamptz not null default now(),
    finished_at timestamptz,
    error jsonb,
    check ((status = 'running') = (finished_at is null))
);

comment on table connectors.connector_runs is 'One row a run. No foreign key: history outlives the instance.';
comment on column connectors.connector_runs.id is 'Grows with every run, so it is the run''s fencing token too.';
comment on column connectors.connector_runs.streams is 'The streams asked for with --stream; null means all.';
comment on column connectors.connector_runs.error is 'Why it failed: side, exit_code, signal, stream, message, tail.';

-- The newest runs of an instance are what people look at.
create index connector_runs_newest on connectors.connector_runs (instance, id desc);

create table connectors.connector_state (
    id text primary key,
    state jsonb not null,
    fencing_token bigint not null default 0,
    updated_at timestamptz not null default now()
);

comment on table connectors.connector_state is 'The Singer STATE that an instance resumes from. id, state and fencing_token are a public contract.';
comment on column connectors.connector_state.id is 'The instance''s name.';
comment on column connectors.connector_state.fencing_token is 'The newest run that may write here; an older one is refused.';

create table connectors.connector_run_logs (
    run_id bigint not null references connectors.connector_runs (id) on delete cascade,
    line integer not null,
    logged_at timestamptz not null,
    side text not null check (side in ('tap', 'target', 'ipai')),
    message text not null,
    primary key (run_id, line)
);

comment on table connectors.connector_run_logs is 'What tap, target and orchestrator said, secrets taken out.';

create table connectors.connector_run_streams (
    run_id bigint not null references connectors.connector_runs (id) on delete cascade,
    stream text not null,
    rows bigint,
    bytes bigint,
    seconds double precision,
    primary key (run_id, stream)
);

comment on table connectors.connector_run_streams is 'Metrics per stream, as the plugins report them; null where a plugin does not say.';
