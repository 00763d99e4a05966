-- name: all
select shape, starts_at, per_gpu_hour, set_by, set_at from price order by shape, starts_at;

-- name: set
insert into price (shape, starts_at, per_gpu_hour, set_by, set_at) values ($1, $2, $3, $4, $5)
on conflict (shape, starts_at) do update
set per_gpu_hour = excluded.per_gpu_hour, set_by = excluded.set_by, set_at = excluded.set_at;

-- name: costs
-- each GPU at the price of its shape, piece by piece where that changed meanwhile; a late teardown is not the owner's;
-- with what it cost before it was suspended
select g.id, round(g.spent + coalesce(run.cost, 0), 4) as cost
from gpr g left join lateral (
    select sum(p.per_gpu_hour * (extract(epoch from
               least(coalesce(g.stopped_at, $2), g.end_at, p.ends_at) - greatest(g.active_at, p.starts_at)) / 3600)) as cost
    from (select fence from lease where gpr_id = g.id order by fence desc limit 1) l
    join lease_gpu lg on lg.fence = l.fence
    join node n on n.cluster = lg.cluster and n.name = lg.node
    join price_period p on p.shape = n.shape and p.ends_at > g.active_at
                       and p.starts_at < least(coalesce(g.stopped_at, $2), g.end_at)
    where p.per_gpu_hour is not null) run on g.active_at is not null
where g.id = any($1::uuid[]) and (run.cost is not null or g.spent > 0);
