-- name: lock
-- one pass at a time, wherever it runs
select pg_advisory_xact_lock(hashtext('berth.arbiter.' || $1));

-- name: queue
-- nobody plans what is suspended;
-- nodes that failed a Gpr are left out for ten minutes, not for ever: they may be all there is
select g.id::text as gpr_id, g.name, g.workspace_id::text as workspace, w.name as workspace_name, g.exclusive, g.sequence, g.priority, g.nodes,
       g.gpus_per_node, g.duration_seconds, g.shape, g.instance_type, g.memory_gib, g.not_before, g.pool, g.spread,
       g.namespace, g.cpu_millis, g.memory_mib, g.fixed_start, g.submitted_by::text as submitter,
       g.disk_id::text as disk_id, coalesce(d.name, '') as disk_name, coalesce(d.cluster, '') as disk_cluster,
       (select max(o.updated_at) from disk_operation o
         where o.disk_id = g.disk_id and o.status in ('queued', 'running')) as disk_busy_since,
       case when g.not_before > $1::timestamptz - interval '10 minutes' then g.excluded_nodes else '{}' end as excluded_nodes,
       case when g.clusters = '{}' then w.clusters else g.clusters end as clusters,
       g.starts_at, g.position, g.reason_code, g.reason, g.planned_cluster, g.planned_nodes,
       g.preemptible, 
       g.preemptions > 0 and exists(select from preemption p where p.fence = (select max(fence) from lease where gpr_id = g.id)
                                     and not p.stays and not p.taken_back) as was_preempted,
       g.preemptions > 0 and exists(select from preemption p where p.fence = (select max(fence) from lease where gpr_id = g.id)
                                     and not p.stays and p.taken_back) as was_taken_back,
       exists(select from preemption p where p.claimant_id = g.id and p.settled_at is null) as has_preempted,
       g.submitted_at, g.promised_at, g.promised_start, g.promised_cluster, g.promised_nodes, g.promise_moves
from gpr g join workspace w on w.id = g.workspace_id left join disk d on d.id = g.disk_id
where g.phase = 'queued' and g.suspended_at is null and w.phase = 'ready' order by g.sequence;

-- name: write_estimates
-- delays counts how often a shown estimate moved to later by more than a few seconds; each start that is shown anew is kept
-- (both parts see the row as it was before)
with e as (
    select * from unnest($1::uuid[], $2::timestamptz[], $3::int[], $4::text[], $5::text[], $6::text[], $7::text[],
                         $8::timestamptz[], $9::timestamptz[])
           as e(id, starts_at, position, reason_code, reason, planned_cluster, planned_nodes, earliest, latest)
), kept as (
    insert into shown_estimate (gpr_id, shown_at, starts_at, earliest, latest)
    select g.id, $10, e.starts_at, e.earliest, e.latest from e join gpr g on g.id = e.id
    where g.phase = 'queued' and g.suspended_at is null and e.starts_at is not null
      and (g.starts_at is null or abs(extract(epoch from e.starts_at - g.starts_at)) > $11::int)
)
update gpr g set starts_at = e.starts_at, position = e.position, reason_code = e.reason_code, reason = e.reason,
    starts_earliest = e.earliest, starts_latest = e.latest,
    planned_cluster = e.planned_cluster, planned_nodes = string_to_array(e.planned_nodes, ' '),
    delays = g.delays + (g.starts_at is not null and (e.starts_at is null or e.starts_at > g.starts_at + interval '5 seconds'))::int
from e where g.id = e.id and g.phase = 'queued' and g.suspended_at is null;
