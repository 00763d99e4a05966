-- name: policy
select * from scheduling_policy;

-- name: set_policy
update scheduling_policy set fair_share = $1, half_life_seconds = $2, ageing_seconds = $3, horizon_seconds = $4,
    reservations_max = $5, gpu_hours_max = $6, grace_seconds = $7, set_by = $8, set_at = $9,
    guaranteed_seconds = $10, notice_seconds = $11;

-- name: set_weight
update workspace set weight = $2 where id = $1;

-- name: pools_apart
-- pools that have weights: what is had there counts there alone
select name from pool p where exists(select from pool_weight w where w.pool = p.name) order by name;

-- name: weights
-- of workspaces: in general, under no pool, and in pools
select id::text as workspace, '' as pool, weight from workspace where id = any($1::uuid[])
union all
select workspace_id::text, pool, weight from pool_weight where workspace_id = any($1::uuid[]) order by workspace, pool;

-- name: had
-- of workspaces, by the pools that they asked for: what they had by closed leases is kept as one number for each, so however
-- long the history is, only open leases are counted
select q.id::text as workspace, h.pool, sum(h.used)::bigint as used
from unnest($1::uuid[]) as q(id) cross join lateral (
    select u.pool, u.used * halvings(u.at, $2) as used from workspace_use u where u.workspace_id = q.id
    union all
    select r.pool, decayed_use(n.gpus, l.granted_at, $2, $2)
    from lease l cross join lateral (select count(*) as gpus from lease_gpu g where g.fence = l.fence) n
    cross join lateral (select pool from gpr where id = l.gpr_id limit 1) r   -- by its key: few are open
    where l.workspace_id = q.id and l.released_at is null) h
group by q.id, h.pool order by q.id, h.pool;
