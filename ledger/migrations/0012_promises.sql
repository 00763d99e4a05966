-- Promises, extensions that were granted, and every start that was ever shown, to be held against what became of it.

alter table gpr add column starts_earliest timestamptz;          -- beside starts_at: between when and when
alter table gpr add column starts_latest timestamptz;

alter table gpr add column promised_at timestamptz;              -- null: nothing is promised
alter table gpr add column promised_start timestamptz;           -- no later than this; null beside a promise: the hardware was
                                                                 -- lost, and nobody can say when there will be other
alter table gpr add column promised_cluster text not null default '';
alter table gpr add column promised_nodes text[] not null default '{}';
alter table gpr add column promise_moves integer not null default 0;
create index gpr_promised on gpr (workspace_id) where phase = 'queued' and promised_at is not null;

create table extension (
    id              uuid primary key,
    gpr_id          uuid not null references gpr,
    at              timestamptz not null,
    seconds         integer not null check (seconds > 0),        -- as granted, which may be less than was asked for
    in_the_way      text not null default '',                    -- of more
    actor           text not null default ''
);
create index extension_by_gpr on extension (gpr_id);

create table shown_estimate (
    id         bigint generated always as identity primary key,
    gpr_id     uuid not null references gpr,
    shown_at   timestamptz not null,
    starts_at  timestamptz not null,
    earliest   timestamptz not null,
    latest     timestamptz not null,
    started_at timestamptz                                       -- when it was there to use
);
create index shown_estimate_open on shown_estimate (gpr_id) where started_at is null;
create index shown_estimate_by_start on shown_estimate (started_at) where started_at is not null;
create index shown_estimate_by_age on shown_estimate (shown_at);
