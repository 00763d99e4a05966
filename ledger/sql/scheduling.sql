-- name: policy
select * from scheduling_policy;

-- name: set_policy
update scheduling_policy set fair_share = $1, half_life_seconds = $2, ageing_seconds = $3, horizon_seconds = $4,
    reservations_max = $5, gpu_hours_max = $6, grace_seconds = $7, set_by = $8, set_at = $9,
    guaranteed_seconds = $10, notice_seconds = $11;

-- name: set_weight
update workspace set weight = $2 where id = $1;

-- name: standings
-- of the workspaces in the queue: what they had by closed leases is kept as one number each, so however long the history
-- is, only open leases are counted
select w.id::text as workspace, w.weight,
       (coalesce(u.used * halvings(u.at, $2), 0) + coalesce(o.used, 0))::bigint as used
from unnest($1::uuid[]) as q(id) join workspace w on w.id = q.id left join workspace_use u on u.workspace_id = w.id
left join lateral (
    select sum(decayed_use(n.gpus, l.granted_at, $2, $2)) as used
    from lease l cross join lateral (select count(*) as gpus from lease_gpu g where g.fence = l.fence) n
    where l.workspace_id = w.id and l.released_at is null) o on true
order by w.id;
