-- name: hold_queued
-- a cancellation, or a suspension, at the same moment is either before the grant, and wins, or after it
select disk_id from gpr where id = $1 and phase = 'queued' and suspended_at is null for no key update;

-- name: grant
-- all of its GPUs are counted by one resource, that of the first ($4; empty: without GPUs)
insert into lease (gpr_id, workspace_id, cluster, exclusive, disk_id, granted_at, resource)
select id, workspace_id, $2, exclusive, disk_id, $3,
       coalesce((select resource from node where cluster = $2 and name = $4), 'nvidia.com/gpu')
from gpr where id = $1
returning fence, workspace_id;

-- name: grant_gpu
insert into lease_gpu (fence, cluster, node, ordinal) select $1, $2, unnest($3::text[]), unnest($4::int[]);

-- name: release
update lease set released_at = $2 where fence = $1 and released_at is null;

-- name: release_gpus
-- GPUs on a stuck node stay held: the unique index keeps everybody off them until the node is seen to be free
update lease_gpu set released_at = $2 where fence = $1 and released_at is null and node <> all($3::text[]);

-- name: open
-- with the expected end: an active lease's own; otherwise what it will be if provisioning or teardown ends soon
select l.fence, l.gpr_id::text as gpr_id, g.name as gpr_name, l.workspace_id::text as workspace, l.exclusive, l.cluster,
       g.phase, g.end_at, g.duration_seconds, w.tenant, w.name as workspace_name, g.active_at, g.stopped_at, l.granted_at,
       g.namespace, g.cpu_millis, g.memory_mib, l.disk_id::text as disk_id, g.fixed_start, g.submitted_by::text as submitter,
       l.resource, g.pool, g.priority, g.preemptible, exists(select from preemption p where p.fence = l.fence and not p.stays) as preempted,
       exists(select from preemption p where p.fence = l.fence and not p.stays and p.taken_back) as taken_back,
       array(select namespace from workspace_namespace s
              where s.workspace_id = l.workspace_id and s.cluster = l.cluster order by namespace) as namespaces
from lease l join gpr g on g.id = l.gpr_id join workspace w on w.id = l.workspace_id
where l.released_at is null and ($1::text is null or l.cluster = $1) order by l.fence;

-- name: held_gpus
select fence, cluster, node, ordinal from lease_gpu
where released_at is null and ($1::text is null or cluster = $1) order by fence, cluster, node, ordinal;

-- name: hold_active
-- the row that every decision about the Gpr holds
select fence from gpr where id = $1 and fence = $2 and phase = 'active' for no key update;

-- name: left_behind
-- GPUs whose lease is closed but that were not seen to be free: their nodes are quarantined. Devices that are read are
-- believed: each must have been read since, with no process and no more memory in use than a driver takes ($2, MiB)
select lg.fence, lg.node, w.tenant, l.exclusive, l.resource,
       n.agent_seen_at is null or bool_and(coalesce(coalesce(read.processes, 0) = 0 and read.memory_used_mib <= $2, false))
           as devices_rest
from lease_gpu lg join lease l on l.fence = lg.fence join workspace w on w.id = l.workspace_id
join node n on n.cluster = lg.cluster and n.name = lg.node
left join lateral (
    select s.processes, s.memory_used_mib from gpu g join gpu_sample s on s.gpu_id = g.id
    where g.cluster = lg.cluster and g.node = lg.node and g.ordinal = lg.ordinal and g.parent_uuid = '' and s.at > l.released_at
    order by s.at desc limit 1
) read on true
where lg.released_at is null and l.released_at is not null and lg.cluster = $1
group by lg.fence, lg.node, w.tenant, l.exclusive, l.resource, n.agent_seen_at;

-- name: release_left_behind
update lease_gpu set released_at = $4 where fence = $1 and cluster = $2 and node = $3 and released_at is null;
