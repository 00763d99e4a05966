-- name: create
insert into pool (name, description, created_by, created_at) values ($1, $2, $3, $4) on conflict do nothing returning name;

-- name: describe
update pool set description = $2 where name = $1 returning name;

-- name: all
select p.*, coalesce((select json_agg(json_build_array(cluster, node) order by cluster, node)
                        from pool_node n where n.pool = p.name), '[]')::jsonb as nodes
from pool p where $1::text is null or p.name = $1 order by p.name;

-- name: add_nodes
insert into pool_node (pool, cluster, node) select $1, unnest($2::text[]), unnest($3::text[]) on conflict do nothing;

-- name: remove_nodes
delete from pool_node p using unnest($2::text[], $3::text[]) as gone(cluster, node)
where p.pool = $1 and p.cluster = gone.cluster and p.node = gone.node;

-- name: users
-- what waits for, or holds, nodes of the pool
select count(*) from gpr where pool = $1 and pool <> '' and phase in ('queued', 'provisioning', 'active', 'releasing');

-- name: delete
delete from pool where name = $1 returning name;

-- name: give_use_back
-- what was had in a pool that goes counts with the rest from now on, as its nodes do
with gone as (delete from workspace_use where pool = $1 and pool <> '' returning workspace_id, used, at)
insert into workspace_use as u (workspace_id, used, at) select workspace_id, used, at from gone order by workspace_id
on conflict (workspace_id, pool) do update set
    used = u.used * halvings(u.at, excluded.at) + excluded.used * halvings(excluded.at, u.at),
    at = greatest(u.at, excluded.at);

-- name: of_nodes
select cluster, node, array_agg(pool order by pool) as pools from pool_node group by cluster, node;
