-- Pools: nodes set aside for those who name them. Quotas: how much of a namespace may be in use at once.

create table pool (
    name        text primary key,
    description text not null default '',
    created_by  text not null,
    created_at  timestamptz not null
);

create table pool_node (
    pool    text not null references pool on delete cascade,
    cluster text not null,
    node    text not null,
    primary key (pool, cluster, node),
    foreign key (cluster, node) references node
);
create index pool_node_by_node on pool_node (cluster, node);

create table quota (
    workspace_id uuid not null references workspace,
    namespace    text not null,
    description  text not null default '',
    gpus         integer check (gpus >= 0),           -- null: no limit
    cpu_millis   bigint check (cpu_millis >= 0),
    memory_mib   bigint check (memory_mib >= 0),
    set_by       text not null,
    set_at       timestamptz not null,
    primary key (workspace_id, namespace)
);

alter table gpr add column pool text not null default '';          -- empty: nodes of no pool
alter table gpr add column spread boolean not null default true;   -- false: its nodes may be one and the same
alter table gpr add column namespace text not null default '';     -- empty: counts against every quota of its workspace
alter table gpr add column cpu_millis bigint not null default 0;   -- in all
alter table gpr add column memory_mib bigint not null default 0;   -- in all, of the nodes' own memory
create index gpr_in_pool on gpr (pool) where pool <> '' and phase in ('queued', 'provisioning', 'active', 'releasing');

alter table workspace add column pool text not null default '';    -- of its requests that name none
create index namespace_by_name on workspace_namespace (namespace) where released_at is null;
