-- Weights in a pool: among those who ask for it they count instead of what workspaces weigh elsewhere. So that they mean something,
-- what was had is kept by the pool that was asked for.

create table pool_weight (
    pool         text not null references pool on delete cascade,
    workspace_id uuid not null references workspace,
    weight       integer not null check (weight between 1 and 1000),
    set_by       text not null,
    set_at       timestamptz not null,
    primary key (pool, workspace_id)
);
create index pool_weight_by_workspace on pool_weight (workspace_id);

alter table workspace_use add column pool text not null default '';    -- empty: none, or one that is gone
alter table workspace_use drop constraint workspace_use_pkey, add primary key (workspace_id, pool);
create index workspace_use_by_pool on workspace_use (pool) where pool <> '';

create or replace function count_use() returns trigger language plpgsql as $$
begin
    insert into workspace_use as u (workspace_id, pool, used, at)
    select new.workspace_id, r.pool, decayed_use(count(*), new.granted_at, new.released_at, new.released_at), new.released_at
    from lease_gpu g cross join (select pool from gpr where id = new.gpr_id) r where g.fence = new.fence group by r.pool
    on conflict (workspace_id, pool) do update set
        used = u.used * halvings(u.at, excluded.at) + excluded.used * halvings(excluded.at, u.at),
        at = greatest(u.at, excluded.at);
    return null;
end $$;

-- each of their closed leases is looked at: until that is done nothing is granted, and workers try again
-- reckoned anew for workspaces that ever had anything in a pool; what was had in pools that are gone counts with the rest
delete from workspace_use where workspace_id in (select workspace_id from gpr where pool in (select name from pool));
insert into workspace_use (workspace_id, pool, used, at)
select l.workspace_id, coalesce(p.name, ''), sum(decayed_use(n.gpus, l.granted_at, l.released_at, m.at)), m.at
from lease l join gpr r on r.id = l.gpr_id left join pool p on p.name = r.pool
cross join lateral (select count(*) as gpus from lease_gpu g where g.fence = l.fence) n,
     (select max(released_at) as at from lease) m
where l.released_at is not null and n.gpus > 0
  and l.workspace_id in (select workspace_id from gpr where pool in (select name from pool))
group by l.workspace_id, coalesce(p.name, ''), m.at;
