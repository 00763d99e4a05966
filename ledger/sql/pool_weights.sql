-- name: set
-- nothing where there is no such pool; one that is being deleted is waited for
insert into pool_weight (pool, workspace_id, weight, set_by, set_at)
select name, $2, $3, $4, $5 from pool where name = $1 for key share
on conflict (pool, workspace_id) do update set weight = excluded.weight, set_by = excluded.set_by, set_at = excluded.set_at
returning pool;

-- name: remove
delete from pool_weight where pool = $1 and workspace_id = $2 returning pool;

-- name: forget_workspace
delete from pool_weight where workspace_id = $1;

-- name: weights
-- of one pool or of all, of these workspaces or of all
select p.pool, p.workspace_id, w.name as workspace, p.weight, p.set_by, p.set_at
from pool_weight p cross join lateral (select name from workspace where id = p.workspace_id limit 1) w   -- by its key
where ($1::text is null or p.pool = $1) and ($2::uuid[] is null or p.workspace_id = any($2::uuid[])) order by p.pool, w.name;
