-- name: register_cluster
insert into cluster (name, server, version, sufficient, lacks, registered_at, seen_at)
values ($1, $2, $3, $4, $5, $6, $6)
on conflict (name) do update set server = excluded.server, version = excluded.version,
    sufficient = excluded.sufficient, lacks = excluded.lacks, seen_at = excluded.seen_at, away_since = null;

-- name: cluster_seen
-- returns a row when the cluster came back
update cluster c set seen_at = $2, away_since = null
from (select name, away_since from cluster where name = $1 for update) before
where c.name = before.name returning before.away_since is not null as came_back;

-- name: cluster_away
-- $2: when somebody began to ask; whoever has seen it since then knows better
update cluster set away_since = $2 where name = $1 and away_since is null and seen_at < $2 returning name;

-- name: clusters
select * from cluster order by name;

-- name: observe_node
-- returns a row only when something that matters to the plan has changed
insert into node as n (cluster, name, shape, instance_type, gpus, memory_mib, region, cloud_provider, state, condition,
                       foreign_gpus, resource, slicing, observed_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
on conflict (cluster, name) do update set shape = excluded.shape, instance_type = excluded.instance_type,
    gpus = excluded.gpus, memory_mib = excluded.memory_mib, region = excluded.region,
    cloud_provider = excluded.cloud_provider, state = excluded.state, condition = excluded.condition,
    foreign_gpus = excluded.foreign_gpus, resource = excluded.resource, slicing = excluded.slicing,
    observed_at = excluded.observed_at
where (n.shape, n.instance_type, n.gpus, n.memory_mib, n.region, n.cloud_provider, n.state, n.condition, n.foreign_gpus,
       n.resource, n.slicing)
   is distinct from (excluded.shape, excluded.instance_type, excluded.gpus, excluded.memory_mib, excluded.region,
                     excluded.cloud_provider, excluded.state, excluded.condition, excluded.foreign_gpus,
                     excluded.resource, excluded.slicing)
returning n.name;

-- name: nodes_gone
update node set state = 'gone', condition = 'not in the cluster', observed_at = $3
where cluster = $1 and name <> all($2::text[]) and state <> 'gone' returning name;

-- name: quarantine
-- the node, whichever of its parts it is about: the taint that goes with it is the node's
update node set quarantined_at = $3, quarantine_reason = $4
where cluster = $1 and name = split_part($2, '/', 1) and quarantined_at is null returning name;

-- name: lift_quarantine
update node set quarantined_at = null, quarantine_reason = ''
where cluster = $1 and name = split_part($2, '/', 1) and quarantined_at is not null returning name;

-- name: quarantined
select name from node where cluster = $1 and quarantined_at is not null order by name;

-- name: nodes
-- with what is set aside on each: all of it, for a reason, or some GPUs, of which some may still be held. What is set aside
-- of a node that is cut takes all its parts along: on which of them a GPU is, nobody says. A node that was cut anew under
-- a lease offers nothing until that lease has ended: what it holds may be what others would get
with part as materialized (select cluster, host, name, state, gpus from node where name like '%/%'),
cut as (select * from part union all
    select n.cluster, n.host, n.name, n.state, n.gpus from (select distinct cluster, host from part) p
    join node n on n.cluster = p.cluster and n.name = p.host),
cut_anew as materialized (
    select distinct p.cluster, p.host from cut p
    join lease_gpu lg on lg.released_at is null and lg.cluster = p.cluster and lg.node = p.name
    where lg.ordinal >= case when p.state = 'gone' then 0 else p.gpus end)
select n.*, c.away_since, c.sufficient, c.lacks,
       case when n.name = n.host then n.quarantined_at else h.quarantined_at end as host_quarantined_at,
       case when n.name = n.host then n.quarantine_reason else h.quarantine_reason end as host_quarantine_reason,
       (n.cluster, n.host) in (select cluster, host from cut_anew) as is_cut_anew,
       case when n.name = n.host then coalesce(q.ordinals, '{}') else '{}' end as set_aside,
       case when n.name = n.host then coalesce(q.unheld, 0) else 0 end as set_aside_unheld,
       case when n.name = n.host then q.whole_because else coalesce(q.whole_because, q.any_because) end as whole_because
from node n join cluster c on c.name = n.cluster
left join node h on n.name <> n.host and h.cluster = n.cluster and h.name = n.host
left join (select cluster, node, array_agg(ordinal) filter (where ordinal is not null) as ordinals,
                  min(reason) filter (where ordinal is null) as whole_because, min(reason) as any_because,
                  count(ordinal) filter (where not exists(
                      select from lease_gpu lg where lg.released_at is null and lg.cluster = o.cluster and lg.node = o.node
                                                 and lg.ordinal = o.ordinal)) as unheld
           from gpu_quarantine o where lifted_at is null group by cluster, node) q on q.cluster = n.cluster and q.node = n.host
where n.state <> 'gone' and ($1::text is null or n.cluster = $1) order by n.cluster, n.name;

-- name: holders
select lg.cluster, lg.node, g.name as gpr_name, w.name as workspace, count(*) as gpus, l.granted_at
from lease_gpu lg join lease l on l.fence = lg.fence join gpr g on g.id = l.gpr_id join workspace w on w.id = l.workspace_id
where lg.released_at is null and ($1::text is null or lg.cluster = $1)
group by lg.cluster, lg.node, lg.fence, g.name, w.name, l.granted_at order by lg.cluster, lg.node, l.granted_at;
