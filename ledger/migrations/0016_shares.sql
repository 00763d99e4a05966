-- Limits over time: what departments and workspaces are guaranteed and what they may borrow, more or less of it for a while,
-- and what one person may hold at once.

create table department (                             -- workspaces that share what is theirs
    name        text collate "C" primary key check (name <> ''),
    description text not null default '',
    gpus        integer check (gpus >= 0),            -- guaranteed: at most so many without being preemptible; null: no limit
    ceiling     integer check (ceiling >= 0),         -- at most so many at once, with what is borrowed; null: no limit
    created_by  text not null,
    created_at  timestamptz not null
);
insert into department (name, created_by, created_at)
    select name, 'berth', now() from (select 'default' collate "C" union select department from workspace) known(name);

alter table workspace add column quota_gpus integer check (quota_gpus >= 0);        -- guaranteed, likewise
alter table workspace add column quota_ceiling integer check (quota_ceiling >= 0);
create index workspace_by_department on workspace (department) where phase in ('creating', 'ready', 'deleting');
create index workspace_with_quota on workspace (id) where quota_gpus is not null or quota_ceiling is not null;

create table quota_override (                         -- never deleted: those that are over are the history
    id           uuid primary key,
    sequence     bigint generated always as identity unique,       -- of two at one instant the one that was set later counts
    scope        text not null check (scope in ('namespace', 'workspace', 'department')),
    workspace_id uuid references workspace,
    namespace    text not null default '',
    department   text collate "C" not null default '',
    gpus         integer check (gpus >= 0),           -- instead of what else counts; null: that stays
    ceiling      integer check (ceiling >= 0),
    begins_at    timestamptz not null,
    ends_at      timestamptz not null,                -- moved to when it is taken back
    description  text not null default '',
    set_by       text not null,
    set_at       timestamptz not null,
    withdrawn_by text not null default '',
    withdrawn_at timestamptz,
    check (begins_at <= ends_at),
    check (gpus is not null or ceiling is not null),
    check ((scope = 'department') = (workspace_id is null)),
    check ((scope = 'department') = (department <> '')),
    check ((scope = 'namespace') = (namespace <> ''))
);
create index quota_override_by_end on quota_override (ends_at);

create table user_ceiling (                           -- GPUs that one person may hold at once
    principal_id uuid unique nulls not distinct references principal,   -- null: everybody for whom nothing else is set
    gpus         integer check (gpus >= 0),           -- null: as many as there are
    set_by       text not null,
    set_at       timestamptz not null
);
create index gpr_live_by_submitter on gpr (submitted_by) where phase in ('provisioning', 'active', 'releasing');
