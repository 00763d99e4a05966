-- What the GPUs really do: samples in partitions of time, rolled up, and faults that devices report.
-- Partitions are made and dropped by `ledger/telemetry.py`; none is made here, for nothing here knows the time.

create table gpu (                    -- one physical GPU (or MIG instance) as its node's agent reads it
    id            integer generated always as identity primary key,
    cluster       text not null,
    node          text not null,
    ordinal       integer not null,                   -- the one of lease_gpu; of a MIG instance its parent's
    uuid          text not null,
    product       text not null,
    memory_mib    integer not null,
    parent_uuid   text not null default '',           -- of a MIG instance: its GPU
    mig_profile   text not null default '',
    mig_enabled   boolean not null default false,     -- the GPU is cut; its instances are rows of their own
    first_seen_at timestamptz not null,
    seen_at       timestamptz not null,
    unique (cluster, node, uuid)
);
create index gpu_by_place on gpu (cluster, node, ordinal);

create table gpu_sample (             -- raw; each reading is null when it could not be read
    at                  timestamptz not null,
    gpu_id              integer not null,
    utilisation_percent smallint,
    memory_percent      smallint,
    temperature_celsius smallint,
    memory_used_mib     integer,
    power_watts         real,
    processes           smallint,
    primary key (gpu_id, at)                          -- a batch that comes twice is there once
) partition by range (at);
create index gpu_sample_by_time on gpu_sample using brin (at) with (pages_per_range = 32, autosummarize = on);

create table gpu_rollup (
    step_seconds            integer not null,
    at                      timestamptz not null,     -- where the bucket begins
    gpu_id                  integer not null,
    samples                 integer not null,         -- 10 s slots of the bucket in which there is a sample
    utilisation_average     real,
    utilisation_max         smallint,
    memory_used_average_mib real,
    memory_used_max_mib     integer,
    power_average_watts     real,
    power_max_watts         real,
    temperature_max_celsius smallint,
    primary key (step_seconds, gpu_id, at)
) partition by list (step_seconds);
create index gpu_rollup_by_time on gpu_rollup using brin (at) with (pages_per_range = 32, autosummarize = on);
create table gpu_rollup_60 partition of gpu_rollup for values in (60) partition by range (at);
create table gpu_rollup_900 partition of gpu_rollup for values in (900) partition by range (at);
create table gpu_rollup_3600 partition of gpu_rollup for values in (3600) partition by range (at);

create table gpu_rollup_mark (        -- how far each step has come; no row: not begun
    step_seconds integer primary key,
    closing_to   timestamptz not null,                -- whoever writes below this says so in gpu_rollup_late
    rolled_to    timestamptz not null check (rolled_to <= closing_to)
);

create table gpu_rollup_late (        -- buckets that got a sample after they were closed: to be made again
    step_seconds integer not null,
    gpu_id       integer not null,
    at           timestamptz not null,
    primary key (step_seconds, gpu_id, at)
);

create table gpu_fault (              -- what a device reported: Xid, ECC, row remapping, lost
    id     bigint generated always as identity primary key,
    gpu_id integer not null references gpu,
    at     timestamptz not null,
    kind   text not null,
    code   integer,
    detail jsonb not null default '{}',
    unique nulls not distinct (gpu_id, kind, code, at)
);
create index gpu_fault_by_time on gpu_fault (at);
