-- Reservations: Gprs whose start is fixed, one or many by a rule. Fair share: what is due to workspaces, and what they had.

create table scheduling_policy (                      -- one row: what administrators decided for the whole installation
    only_one          boolean primary key default true check (only_one),
    fair_share        boolean not null default true,  -- false: among equals the order of submission alone decides
    half_life_seconds integer not null default 604800 check (half_life_seconds between 60 and 31622400),
    ageing_seconds    integer not null default 0 check (ageing_seconds between 0 and 31622400),  -- 0: no wait counts
    horizon_seconds   integer not null default 1209600 check (horizon_seconds between 60 and 31622400),
    reservations_max  integer not null default 200 check (reservations_max >= 0),      -- that one workspace has ahead
    gpu_hours_max     integer not null default 20000 check (gpu_hours_max >= 0),       -- likewise
    grace_seconds     integer not null default 900 check (grace_seconds between 0 and 31622400),  -- 0: for as long as it lasts
    set_by            text not null default '',
    set_at            timestamptz
);
insert into scheduling_policy default values;

alter table gpr add column fixed_start timestamptz;   -- it starts then or, its place being lost, as soon after as it can
alter table workspace add column weight integer not null default 1 check (weight between 1 and 1000);

create table reservation (
    id            uuid primary key,
    workspace_id  uuid not null references workspace,
    created_by    uuid not null references principal,
    sequence      bigint generated always as identity unique,
    name          text not null,
    nodes         integer not null check (nodes > 0),
    gpus_per_node integer not null check (gpus_per_node > 0),
    shape         text not null default '',
    instance_type text not null default '',
    memory_gib    integer not null default 0,
    clusters      text[] not null default '{}',
    pool          text not null default '',
    starts_at     timestamptz not null,               -- the first time
    duration_seconds integer not null check (duration_seconds > 0),  -- of the place that is kept, its teardown included
    rule          text not null default '',           -- RFC 5545; empty: once
    created_at    timestamptz not null,
    cancelled_at  timestamptz,
    ended_at      timestamptz                         -- nothing of it is still to come
);
create index reservation_by_workspace on reservation (workspace_id, sequence desc);
create index reservation_open on reservation (id) where ended_at is null;

create table occurrence (                             -- each time of a reservation, from when it is near enough to be placed
    reservation_id uuid not null references reservation,
    starts_at      timestamptz not null,
    gpr_id         uuid unique references gpr,        -- null: there was no room, or it was cancelled before it was placed
    failure        text not null default '',          -- why there was no room
    tried_at       timestamptz not null,              -- when room was last looked for
    used_at        timestamptz,                       -- when somebody was first seen to use it
    lost_at        timestamptz,                       -- since when it cannot start in time
    cancelled_at   timestamptz,
    primary key (reservation_id, starts_at)
);

create table workspace_use (                          -- what a workspace had by leases that are closed
    workspace_id uuid primary key references workspace,
    used         double precision not null,           -- GPU-seconds, the older the less
    at           timestamptz not null                 -- as of then
);
create index lease_open_by_workspace on lease (workspace_id) where released_at is null;

create function halvings(from_ timestamptz, seen timestamptz) returns double precision
language sql stable as $$
    -- a half, as often multiplied with itself as there are half-lives between the two; older than a thousand is as good as never
    select power(2::double precision, greatest(-1000, extract(epoch from least(from_, seen) - seen)::double precision
                                                      / (select half_life_seconds from scheduling_policy)))
$$;

create function decayed_use(gpus bigint, began timestamptz, ended timestamptz, seen timestamptz) returns double precision
language sql stable as $$
    -- GPU-seconds from `began` to `ended`, each halved for every half-life that it lies before `seen`
    select gpus * half_life_seconds / ln(2::double precision) * (halvings(ended, seen) - halvings(least(began, ended), seen))
    from scheduling_policy
$$;

create function count_use() returns trigger language plpgsql as $$
begin
    insert into workspace_use as u (workspace_id, used, at)
    select new.workspace_id, decayed_use(count(*), new.granted_at, new.released_at, new.released_at), new.released_at
    from lease_gpu g where g.fence = new.fence having count(*) > 0
    on conflict (workspace_id) do update set
        used = u.used * halvings(u.at, excluded.at) + excluded.used * halvings(excluded.at, u.at),
        at = greatest(u.at, excluded.at);
    return null;
end $$;
create trigger lease_use after update of released_at on lease for each row
    when (old.released_at is null and new.released_at is not null) execute function count_use();

insert into workspace_use (workspace_id, used, at)
select l.workspace_id, sum(decayed_use(n.gpus, l.granted_at, l.released_at, m.at)), m.at
from lease l cross join lateral (select count(*) as gpus from lease_gpu g where g.fence = l.fence) n,
     (select max(released_at) as at from lease) m
where l.released_at is not null and n.gpus > 0 group by l.workspace_id, m.at;
