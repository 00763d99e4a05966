-- Dev boxes: jobs with people in them. Disks: volumes that outlive them, and their copies.

create table disk (
    id            uuid primary key,
    workspace_id  uuid not null references workspace,
    owner_id      uuid not null references principal,
    sequence      bigint generated always as identity unique,
    name          text not null,
    size_gb       integer not null check (size_gb between 1 and 65536),
    phase         text not null check (phase in ('ready', 'deleted', 'purged')),
    cluster       text not null default '',           -- where its data is; empty: nowhere yet
    namespace     text not null default '',           -- there
    volume        text not null default '',           -- its claim there, while the data is in one
    volume_seen   boolean not null default false,     -- that claim was there once: if it is not now, data is lost
    volumes_made  integer not null default 0,         -- claims so far: the next one's name has the next number
    restore_from  uuid,                               -- of disk_snapshot: what the next volume is made from; null: empty
    content       text not null default '',           -- a listing of its files, taken at the end of its last box
    created_at    timestamptz not null,
    last_used_at  timestamptz,
    deleted_at    timestamptz,
    purge_at      timestamptz,                        -- when a deleted one goes for good
    purge_begun_at timestamptz                        -- from then on it cannot be had back
);
create unique index disk_name_in_use on disk (workspace_id, name) where phase = 'ready';
create index disk_by_workspace on disk (workspace_id, sequence desc) where phase <> 'purged';
create index disk_deleted on disk (sequence) where phase = 'deleted';

create table disk_snapshot (
    id         uuid primary key,
    disk_id    uuid not null references disk,
    sequence   bigint generated always as identity unique,
    cluster    text not null,
    namespace  text not null,
    name       text not null,                         -- its VolumeSnapshot
    phase      text not null check (phase in ('creating', 'ready', 'failed', 'going', 'gone')),
    size_bytes bigint not null default 0,
    failure    text not null default '',
    created_at timestamptz not null,
    ready_at   timestamptz,
    gone_at    timestamptz
);
create index disk_snapshot_by_disk on disk_snapshot (disk_id, sequence desc) where phase <> 'gone';
alter table disk add foreign key (restore_from) references disk_snapshot;
create index disk_by_origin on disk (restore_from) where restore_from is not null;

create table disk_operation (
    id           uuid primary key,
    disk_id      uuid not null references disk,
    sequence     bigint generated always as identity unique,   -- their order
    action       text not null check (action in ('create', 'rename', 'resize', 'clone', 'snapshot', 'delete', 'undelete', 'prune')),
    argument     jsonb not null default '{}',
    status       text not null check (status in ('queued', 'running', 'completed', 'failed')),
    error        text not null default '',
    result       jsonb not null default '{}',
    requested_by uuid references principal,           -- null: Berth itself
    gpr_id       uuid references gpr,                 -- whose end asked for it
    created_at   timestamptz not null,
    updated_at   timestamptz not null
);
create unique index one_operation_per_disk on disk_operation (disk_id) where status = 'running';
create index disk_operation_open on disk_operation (disk_id, sequence) where status in ('queued', 'running');
create index disk_operation_by_disk on disk_operation (disk_id, sequence desc);

alter table gpr add column disk_id uuid references disk;              -- what it needs beside its GPUs
create index gpr_with_disk on gpr (disk_id) where disk_id is not null and phase in ('queued', 'provisioning', 'active', 'releasing');
alter table gpr add column grace_seconds integer not null default 0 check (grace_seconds >= 0);  -- the last part of its duration
alter table lease add column disk_id uuid references disk;
create unique index one_lease_per_disk on lease (disk_id) where released_at is null;

alter table job drop constraint job_kind_check;
create index job_by_name on job (name);
create index job_by_pod on job using gin (pods jsonb_path_ops);
alter table job add check (kind in ('training', 'inference', 'notebook', 'compute', 'box'));

create table box (
    gpr_id         uuid primary key references gpr,
    owner_id       uuid not null references principal,
    github_user    text not null default '',          -- its owner's; empty: keys were given
    jupyter_wanted boolean not null default false,
    jupyter_token  text not null default '',          -- empty until it is first wanted
    told_version   integer not null default 0,        -- of its Gpr, when the box last heard who may enter and what to run
    extended_hours integer not null default 0,        -- in all
    request_hash   bytea not null default '',         -- of what was asked for: a repeat of it is answered, anything else refused
    message_id     bigint not null default 0          -- of the outbox, which told of it first: a repeat is told the same
);

create index box_by_owner on box (owner_id);

create table box_person (                             -- who may enter a box
    gpr_id       uuid not null references box,
    name         text not null,                       -- on GitHub, in lower case; empty: keys that were given
    is_owner     boolean not null,
    keys         text[] not null default '{}',        -- one line each, of authorized_keys
    fetched_at   timestamptz,
    version      integer not null default 0,          -- of its Gpr, since when the keys are what they are
    told_at      timestamptz,                         -- their keys are in the box
    failure      text not null default '',            -- why there are no keys
    requested_at timestamptz not null,
    primary key (gpr_id, name)
);
create index box_person_by_name on box_person (name, fetched_at desc) where fetched_at is not null;
