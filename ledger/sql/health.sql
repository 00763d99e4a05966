-- name: lock
-- one at a time looks at faults: what may be set aside depends on what is
select pg_advisory_xact_lock(hashtext('berth.health'));

-- name: open_faults
-- nobody has looked at them, or they were withheld
select f.id, f.at, f.kind, f.code, f.verdict, d.id as gpu_id, d.cluster, d.node, d.ordinal, d.product
from gpu_fault f join gpu d on d.id = f.gpu_id join node n on n.cluster = d.cluster and n.name = d.node
where f.verdict is null or f.verdict = 'withheld' order by f.id limit $1;

-- name: set_verdict
update gpu_fault set verdict = $2 where id = $1;

-- name: settle_withheld
-- what was withheld for long is history
update gpu_fault set verdict = 'noted' where verdict = 'withheld' and at < $1;

-- name: set_aside
-- of each group of nodes that a node is in, a pool or those of none in its cluster: its GPUs, and how many are set aside;
-- of nodes that are cut, the GPUs that their agents read
with mine as (
    select p.pool from pool_node p where p.cluster = $1 and p.node = $2
    union all
    select '' where not exists(select from pool_node p where p.cluster = $1 and p.node = $2)),
members as (
    select m.pool, n.cluster, n.name, coalesce(nullif(n.gpus, 0), r.gpus) as gpus from mine m
    join pool_node p on p.pool = m.pool join node n on n.cluster = p.cluster and n.name = p.node
    cross join lateral (select count(*)::int as gpus from gpu where cluster = n.cluster and node = n.name and parent_uuid = '') r
    where n.state <> 'gone'
    union all
    select '', n.cluster, n.name, coalesce(nullif(n.gpus, 0), r.gpus) from mine m join node n on n.cluster = $1
    cross join lateral (select count(*)::int as gpus from gpu where cluster = n.cluster and node = n.name and parent_uuid = '') r
    where m.pool = '' and n.state <> 'gone' and n.name = n.host and not exists(select from pool_node p where p.cluster = n.cluster and p.node = n.name)),
aside as (
    select q.cluster, q.node, bool_or(q.ordinal is null) as whole, count(q.ordinal) as gpus
    from gpu_quarantine q where q.lifted_at is null group by q.cluster, q.node)
select m.pool, sum(m.gpus)::int as total,
       coalesce(sum(case when a.whole then m.gpus else a.gpus end), 0)::int as already
from members m left join aside a on a.cluster = m.cluster and a.node = m.name group by m.pool;

-- name: gpus_of_node
-- of one that is cut those that its agent reads
select coalesce(nullif(n.gpus, 0), (select count(*) from gpu where cluster = $1 and node = $2 and parent_uuid = ''))::int
from node n where n.cluster = $1 and n.name = $2;

-- name: quarantine
insert into gpu_quarantine (id, cluster, node, ordinal, remedy, reason, fault_id, begun_by, begun_at, clean_seconds)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
on conflict (cluster, node, ordinal) where lifted_at is null do nothing returning id;

-- name: open_at
-- what keeps a GPU, or without an ordinal its node, out of use
select id from gpu_quarantine
where lifted_at is null and cluster = $1 and node = $2 and (ordinal is null or ordinal = $3) order by ordinal nulls first;

-- name: not_clean
-- another fault of a GPU that is set aside: its readings have to be clean from then on
update gpu_quarantine set clean_since = null
where lifted_at is null and cluster = $1 and node = $2 and (ordinal is null or ordinal = $3);

-- name: leases_at
-- who is on a GPU, or without an ordinal on any of its node
select distinct l.gpr_id, l.fence from lease_gpu lg join lease l on l.fence = lg.fence join gpr g on g.id = l.gpr_id
where lg.released_at is null and lg.cluster = $1 and lg.node = $2 and ($3::int is null or lg.ordinal = $3)
  and g.phase in ('provisioning', 'active');

-- name: recovery
-- a quarantine, the GPUs that it is about, and whether anybody holds them
select q.*, n.agent_seen_at is not null as has_agent,
       array(select distinct d.ordinal from gpu d
              where d.cluster = q.cluster and d.node = q.node and (q.ordinal is null or d.ordinal = q.ordinal)
                and d.ordinal < n.gpus order by d.ordinal) as ordinals,
       exists(select from lease_gpu lg where lg.cluster = q.cluster and lg.node = q.node and lg.released_at is null
                                          and (q.ordinal is null or lg.ordinal = q.ordinal)) as is_held
from gpu_quarantine q join node n on n.cluster = q.cluster and n.name = q.node where q.id = $1;

-- name: hold
select id from gpu_quarantine where id = $1 for no key update;

-- name: readings
-- of the GPUs that a quarantine is about: when they could last be read, and when they last had a fault that is no program's
select d.ordinal, s.at as read_at,
       (select max(f.at) from gpu_fault f where f.gpu_id = d.id and f.verdict in ('quarantined', 'withheld')) as fault_at
from gpu_quarantine q
join lateral (select distinct on (ordinal) id, ordinal from gpu
               where cluster = q.cluster and node = q.node and parent_uuid = '' and (q.ordinal is null or ordinal = q.ordinal)
               order by ordinal, seen_at desc) d on true
left join lateral (select at from gpu_sample where gpu_id = d.id and at > $2 and memory_used_mib is not null
                   order by at desc limit 1) s on true
where q.id = $1 order by d.ordinal;

-- name: waits
update gpu_quarantine set clean_since = $2, waits_for = $3 where id = $1 and lifted_at is null;

-- name: lift
update gpu_quarantine set lifted_at = $2, lifted_by = $3, waits_for = '' where id = $1 and lifted_at is null
returning cluster, node, ordinal;

-- name: unfinished
-- quarantines that are lifted when readings are clean: somebody must be looking
select id from gpu_quarantine where lifted_at is null and clean_seconds is not null;

-- name: gpus
-- every GPU that was seen lately, with its newest reading, what keeps it out of use, and who holds it
select d.*, s.at as read_at, s.utilisation_percent, s.memory_used_mib, s.temperature_celsius, s.power_watts, s.processes,
       q.id as quarantine_id, q.reason as quarantine_reason, q.remedy as quarantine_remedy, q.begun_at as quarantine_begun_at,
       q.begun_by as quarantine_begun_by, q.waits_for as quarantine_waits_for, q.ordinal is null as quarantine_is_whole_node,
       h.gpr as holder_gpr, h.workspace as holder_workspace
from gpu d
left join lateral (select * from gpu_sample where gpu_id = d.id and at > $1 order by at desc limit 1) s on true
left join lateral (select * from gpu_quarantine where lifted_at is null and cluster = d.cluster and node = d.node
                   and (ordinal is null or ordinal = d.ordinal) order by ordinal nulls first limit 1) q on true
left join lateral (select g.name as gpr, w.name as workspace
                   from lease_gpu lg join lease l on l.fence = lg.fence join gpr g on g.id = l.gpr_id
                   join workspace w on w.id = l.workspace_id
                   where lg.released_at is null and lg.cluster = d.cluster and lg.node = d.node and lg.ordinal = d.ordinal
                   limit 1) h on true
where ($2::text is null or d.cluster = $2) and ($3::text is null or d.node = $3) and ($4::int is null or d.id = $4)
order by d.cluster, d.node, d.ordinal, d.parent_uuid, d.uuid;

-- name: gpu
select cluster, node, ordinal from gpu where id = $1;

-- name: faults
select id, at, kind, code, detail, verdict from gpu_fault where gpu_id = $1 and id < $2 order by id desc limit $3;

-- name: quarantines
-- of a GPU or its node, newest first
select * from gpu_quarantine where cluster = $1 and node = $2 and (ordinal is null or ordinal = $3)
order by begun_at desc, id limit $4;
