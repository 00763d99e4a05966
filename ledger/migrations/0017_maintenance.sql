-- Maintenance: nodes that are announced to be away from an instant until another. Nothing is placed into it.

create table maintenance (
    id          uuid primary key,
    name        text not null,
    description text not null default '',
    begins_at   timestamptz not null,
    ends_at     timestamptz not null check (ends_at > begins_at),
    created_by  text not null,
    created_at  timestamptz not null,
    ended_at    timestamptz                    -- somebody ended it, or called it off, before its time
);
create index maintenance_ahead on maintenance (ends_at) where ended_at is null;
create index maintenance_by_name on maintenance (name, created_at desc);

create table maintenance_node (
    maintenance_id uuid not null references maintenance,
    cluster        text not null references cluster,
    node           text not null,              -- empty: every node of the cluster, also those that join meanwhile
    primary key (maintenance_id, cluster, node)
);
