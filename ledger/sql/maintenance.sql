-- name: create
insert into maintenance (id, name, description, begins_at, ends_at, created_by, created_at) values ($1, $2, $3, $4, $5, $6, $7);

-- name: add_nodes
insert into maintenance_node (maintenance_id, cluster, node) select $1, unnest($2::text[]), unnest($3::text[]);

-- name: ahead
-- by node, what is announced and not over. For every plan; administrators announce a few in a week, so these tables stay small
select distinct n.cluster, n.name as node, m.name, m.begins_at, m.ends_at   -- once, also where its cluster is named beside it
from maintenance m join maintenance_node o on o.maintenance_id = m.id
     join node n on n.cluster = o.cluster and (o.node = '' or n.name = o.node)
where m.ended_at is null and m.ends_at > $1 order by n.cluster, n.name, m.begins_at, m.ends_at, m.name;

-- name: page
-- $1: only what is not over then; null: all, the latest announced first; $2: only this one
select m.*, (select json_agg(json_build_array(cluster, node) order by cluster, node)
               from maintenance_node o where o.maintenance_id = m.id)::jsonb as places
from maintenance m
where ($1::timestamptz is null or (m.ended_at is null and m.ends_at > $1)) and ($2::uuid is null or m.id = $2)
order by m.created_at desc, m.id limit $3;

-- name: latest
-- of this name, the one that was announced last
select id from maintenance where name = $1 order by created_at desc limit 1;

-- name: open
-- of this name, one that is not over
select id from maintenance where name = $1 and ended_at is null and ends_at > $2 limit 1;

-- name: end
update maintenance set ended_at = $2 where id = $1 and ended_at is null and ends_at > $2 returning id;
