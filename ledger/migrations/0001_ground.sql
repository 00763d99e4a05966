-- The ledger's first shape. Times are UTC instants given by the caller, never the database's own clock, so that a
-- test may skip time and a deadline is computed once.

-- who asks ------------------------------------------------------------------------------------------------------------

create table principal (
    id            uuid primary key,
    name          text not null unique,
    administrator boolean not null default false,
    created_at    timestamptz not null
);

create table api_key (
    id           uuid primary key,
    principal_id uuid not null references principal,
    name         text not null,
    prefix       text not null,                       -- first characters, shown to people
    secret_hash  bytea not null unique,               -- SHA-256 of a random 256-bit secret
    role         text not null check (role in ('owner', 'editor', 'viewer')),
    workspace_id uuid,                                -- confines the key to one workspace
    valid_until  timestamptz,
    revoked_at   timestamptz,
    created_at   timestamptz not null
);
create index api_key_by_principal on api_key (principal_id, created_at);

create table signing_key (                            -- signs the bearer tokens of every API process
    kid         text primary key,
    private_pem text not null,
    created_at  timestamptz not null,
    retired_at  timestamptz
);

create table idempotency (
    principal_id uuid not null references principal,
    key          text not null,
    operation    text not null,
    request_hash bytea not null,
    subject_id   uuid not null,                       -- what the first request made
    created_at   timestamptz not null,
    primary key (principal_id, operation, key)
);
create index idempotency_by_age on idempotency (created_at);

-- what there is -------------------------------------------------------------------------------------------------------

create table cluster (
    name         text primary key,
    server       text not null,
    version      text not null,
    sufficient   boolean not null,                    -- can keep exclusive leases
    lacks        text[] not null default '{}',        -- in words, with what follows
    registered_at timestamptz not null,
    seen_at      timestamptz not null,
    away_since   timestamptz                          -- set by the reconciler while the cluster does not answer
);

create table node (
    cluster       text not null references cluster,
    name          text not null,
    shape         text not null,
    instance_type text not null,
    gpus          integer not null check (gpus >= 0),
    memory_mib    integer not null,
    region        text not null default '',
    cloud_provider text not null default '',
    state         text not null check (state in ('ready', 'not_ready', 'cordoned', 'gone')),
    condition     text not null default '',
    foreign_gpus  integer not null default 0,
    quarantined_at    timestamptz,
    quarantine_reason text not null default '',
    agent_seen_at timestamptz,                        -- null: no agent on the node, it is judged by its pods
    observed_at   timestamptz not null,
    primary key (cluster, name)
);

-- who they are for ----------------------------------------------------------------------------------------------------

create table workspace (
    id          uuid primary key,
    name        text not null,
    tenant      text not null unique,                 -- its DNS label in clusters
    owner_id    uuid not null references principal,
    username    text not null default '',
    email       text not null default '',
    description text not null default '',
    clusters    text[] not null,
    phase       text not null check (phase in ('creating', 'ready', 'deleting', 'deleted', 'failed')),
    failure     text not null default '',
    created_at  timestamptz not null,
    ended_at    timestamptz,
    sequence    bigint generated always as identity unique
);
create unique index workspace_name_in_use on workspace (name) where phase in ('creating', 'ready', 'deleting');
create index workspace_by_owner on workspace (owner_id, sequence) where phase in ('creating', 'ready', 'deleting');

create table workspace_namespace (
    workspace_id uuid not null references workspace,
    cluster      text not null,
    namespace    text not null,
    released_at  timestamptz,                         -- set when it is seen to be gone
    primary key (workspace_id, cluster, namespace)
);
create unique index namespace_in_use on workspace_namespace (cluster, namespace) where released_at is null;

create table membership (
    workspace_id uuid not null references workspace,
    principal_id uuid not null references principal,
    role         text not null check (role in ('owner', 'editor', 'viewer')),
    primary key (workspace_id, principal_id)
);
create index membership_by_principal on membership (principal_id, workspace_id);

-- what is asked for ---------------------------------------------------------------------------------------------------

create table gpr (
    id            uuid primary key,
    external_id   text not null unique,
    workspace_id  uuid not null references workspace,
    submitted_by  uuid not null references principal,
    sequence      bigint generated always as identity unique,
    name          text not null,
    nodes         integer not null check (nodes > 0),
    gpus_per_node integer not null check (gpus_per_node > 0),
    shape         text not null default '',
    instance_type text not null default '',
    memory_gib    integer not null default 0,
    clusters      text[] not null default '{}',       -- candidates in order of preference; empty: any
    duration_seconds integer not null check (duration_seconds > 0),
    priority      integer not null check (priority between 0 and 300),
    exclusive     boolean not null,
    requeue_on_failure boolean not null,
    options       jsonb not null default '{}',        -- what a dialect's client sent beyond the fields above, echoed

    phase         text not null check (phase in ('queued', 'provisioning', 'active', 'releasing',
                                                 'released', 'expired', 'cancelled', 'failed')),
    fence         bigint,                             -- of the lease it holds now
    submitted_at  timestamptz not null,
    active_at     timestamptz,
    end_at        timestamptz,                        -- when the lease ends; absolute, moved by extensions
    finished_at   timestamptz,
    end_cause     text,                               -- why it is or was torn down
    failure       text not null default '',
    retries       integer not null default 0,         -- provisionings that failed
    delays        integer not null default 0,         -- times its estimate moved to later
    not_before    timestamptz,                        -- back-off after a failed provisioning
    excluded_nodes text[] not null default '{}',      -- 'cluster/node' that failed it
    starts_at     timestamptz,                        -- the estimate
    position      integer,
    planned_cluster text not null default '',         -- where the plan has it, so that the next plan keeps it there
    planned_nodes text[] not null default '{}',
    reason_code   text not null default '',
    reason        text not null default '',
    version       integer not null default 1          -- grows with every change
);
create index gpr_queue on gpr (sequence) where phase = 'queued';
create index gpr_live on gpr (phase) where phase in ('provisioning', 'active', 'releasing');
create index gpr_by_workspace on gpr (workspace_id, sequence desc);
create index gpr_by_workspace_live on gpr (workspace_id)
    where phase in ('queued', 'provisioning', 'active', 'releasing');

create table lease (
    fence        bigint generated always as identity primary key,
    gpr_id       uuid not null references gpr,
    workspace_id uuid not null references workspace,
    cluster      text not null references cluster,
    exclusive    boolean not null,
    granted_at   timestamptz not null,
    released_at  timestamptz
);
create unique index one_exclusive_lease on lease (workspace_id) where released_at is null and exclusive;
create unique index one_lease_per_gpr on lease (gpr_id) where released_at is null;
create index lease_open on lease (fence) where released_at is null;
create index lease_by_gpr on lease (gpr_id, fence desc);

create table lease_gpu (
    fence       bigint not null references lease,
    cluster     text not null,
    node        text not null,
    ordinal     integer not null check (ordinal >= 0),
    released_at timestamptz,                          -- later than the lease's own on a quarantined node
    primary key (fence, cluster, node, ordinal),
    foreign key (cluster, node) references node
);
create unique index one_holder_per_gpu on lease_gpu (cluster, node, ordinal) where released_at is null;

-- what must be told ---------------------------------------------------------------------------------------------------

create table notice (
    id           bigint generated always as identity primary key,
    gpr_id       uuid not null references gpr,
    kind         text not null,
    due_at       timestamptz not null,
    message      text not null,
    delivered_at timestamptz,
    withdrawn_at timestamptz,                         -- the lease ended, or was extended, before it was due
    unique (gpr_id, kind, due_at)
);
create index notice_open on notice (gpr_id, due_at) where delivered_at is null and withdrawn_at is null;

create table event (                                  -- append only: the history that a checker can judge
    id           bigint generated always as identity primary key,
    at           timestamptz not null,
    kind         text not null,
    gpr_id       uuid,
    workspace_id uuid,
    fence        bigint,
    actor        text not null default '',
    detail       jsonb not null default '{}'
);
create index event_by_gpr on event (gpr_id, id);
create index event_by_workspace on event (workspace_id, id);

-- what Temporal must hear ---------------------------------------------------------------------------------------------

create table outbox (
    id            bigint generated always as identity primary key,
    workflow_id   text not null,
    workflow_type text not null,                      -- it is started first when it does not run
    argument      text not null,
    signal        text,
    signal_argument jsonb,
    created_at    timestamptz not null default now(), -- the database's clock: only its age is looked at
    delivered_at  timestamptz,
    attempts      integer not null default 0,
    failure       text not null default ''
);
create index outbox_open on outbox (id) where delivered_at is null;

create function outbox_announce() returns trigger language plpgsql as $$
begin
    perform pg_notify('outbox', '');
    return null;
end $$;
create trigger outbox_announce after insert on outbox for each statement execute function outbox_announce();
