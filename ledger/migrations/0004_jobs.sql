-- Jobs: Gprs with pods of their own between the grant and the release.

alter table gpr alter column duration_seconds drop not null;       -- null: until it ends by itself or is told to
alter table gpr drop constraint gpr_gpus_per_node_check;
alter table gpr add check (gpus_per_node >= 0);                    -- a job may run without GPUs

create table job (
    gpr_id       uuid primary key references gpr,
    workspace_id uuid not null references workspace,
    namespace    text not null,
    name         text not null,
    kind         text not null check (kind in ('training', 'inference', 'notebook', 'compute')),
    spec         jsonb not null,                      -- domain.job.JobSpec
    state        text not null default '',            -- empty: nothing was seen of it yet
    reason       text not null default '',
    message      text not null default '',
    ready        integer not null default 0,
    wanted       integer not null default 0,
    pods         jsonb not null default '[]',
    node_port    integer not null default 0,
    observed_at  timestamptz,
    is_forced    boolean not null default false,      -- its pods are to go at once
    logs         jsonb not null default '{}',         -- last lines of each pod, kept at its end
    happenings   jsonb not null default '[]',         -- Kubernetes' events about it, kept at its end
    ended        boolean not null default false       -- its Gpr rests: the name is free again
);
create unique index job_name_in_use on job (workspace_id, namespace, name) where not ended;
create index job_live on job (gpr_id) where not ended;
