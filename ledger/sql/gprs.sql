-- name: submit
-- shares the workspace's row: a deletion that comes at the same moment is either before it, and refuses it, or after it
insert into gpr (id, external_id, workspace_id, submitted_by, name, nodes, gpus_per_node, shape, instance_type, memory_gib,
                 clusters, duration_seconds, priority, exclusive, requeue_on_failure, options, phase, submitted_at,
                 pool, spread, namespace, cpu_millis, memory_mib, disk_id, grace_seconds, preemptible)
select $1, $2, id, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, 'queued', $17, $18, $19, $20, $21, $22, $23, $24, $25
from workspace where id = $3 and phase in ('creating', 'ready') for share
returning id;

-- name: lock
-- every decision about a Gpr holds its row, so that release, expiry, grant and change of priority have one order
select phase, fence, version, end_at, end_cause, active_at, workspace_id, grace_seconds, duration_seconds, suspended_at,
       fixed_start
from gpr where id = $1 for no key update;

-- name: standing
-- what the lifecycle needs: the row, its workspace, and where its open lease is
select g.id, g.version, g.phase, w.name as workspace, w.tenant, g.name, g.priority, g.fence, g.end_at, g.end_cause,
       g.exclusive, (select j.kind from job j where j.gpr_id = g.id) as kind,
       coalesce(l.cluster, '') as cluster, coalesce(l.disk_id::text, '') as disk_id,
       coalesce(l.resource, 'nvidia.com/gpu') as resource,
       (select min(n.due_at) from notice n
         where n.gpr_id = g.id and n.delivered_at is null and n.withdrawn_at is null) as next_notice_at,
       coalesce((select array_agg(namespace order by namespace) from workspace_namespace s
         where s.workspace_id = g.workspace_id and s.cluster = l.cluster), '{}') as namespaces
from gpr g join workspace w on w.id = g.workspace_id
left join lease l on l.fence = g.fence
where g.id = $1;

-- name: standing_gpus
select lg.node, array_agg(lg.ordinal order by lg.ordinal) as ordinals, bool_or(n.agent_seen_at is not null) as agent
from lease_gpu lg join node n on n.cluster = lg.cluster and n.name = lg.node
where lg.fence = $1 group by lg.node order by lg.node;

-- name: to_provisioning
-- what was kept of a job's earlier pods is told until there are others
with forgotten as (update job set logs = '{}', happenings = '[]' where gpr_id = $1)
update gpr set phase = 'provisioning', fence = $2, starts_at = $3, position = null, reason_code = '', reason = '',
               version = version + 1
where id = $1 and phase = 'queued' returning id;

-- name: to_active
-- what was reserved ends when it was to end, however late it began
-- its lease's time begins to be paid for
with begun as (update lease set ran = tstzrange($3::timestamptz, null)
               where fence = $2 and ran is null and exists(select from gpr where id = $1 and fence = $2 and phase = 'provisioning'))
update gpr set phase = 'active', active_at = $3::timestamptz,
               end_at = coalesce(fixed_start, $3::timestamptz) + make_interval(secs => duration_seconds),
               version = version + 1
where id = $1 and fence = $2 and phase = 'provisioning' returning id, end_at;

-- name: to_releasing
-- what its lease ran ends with it, and not later than it was to
with ended as (update lease l
               set ran = tstzrange(lower(l.ran), greatest(lower(l.ran), least($5::timestamptz, g.end_at)))
               from gpr g where g.id = $1 and g.phase in ('provisioning', 'active') and l.fence = g.fence and l.ran is not null)
update gpr set phase = 'releasing', end_cause = $2, failure = $3, excluded_nodes = $4, stopped_at = $5,
               version = version + 1
where id = $1 and phase in ('provisioning', 'active');

-- name: withdraw
-- its provisioning has failed, or it was suspended or preempted, and now it is not to come back
update gpr set end_cause = $2, suspended_at = null, version = version + 1
where id = $1 and phase = 'releasing' and end_cause in ('provisioning_failed', 'suspended', 'preempted');

-- name: suspend
-- what is planned no more has no start and no place
update gpr set suspended_at = $2, starts_at = null, position = null, planned_cluster = '', planned_nodes = '{}',
               promised_at = null, promised_start = null, promised_cluster = '', promised_nodes = '{}', promise_moves = 0,
               reason_code = $3, reason = $4, version = version + 1
where id = $1;

-- name: resume
update gpr set suspended_at = null, resumed_at = $2, reason_code = '', reason = '', version = version + 1 where id = $1;

-- name: cancel_queued
with rested as (update job set ended = true where gpr_id = $1 and exists(select from gpr where id = $1 and phase = 'queued'))
update gpr set phase = 'cancelled', end_cause = $2, finished_at = $3, starts_at = null, position = null, suspended_at = null,
               reason_code = '', reason = '', version = version + 1
where id = $1 and phase = 'queued';

-- name: to_rest
with rested as (update job set ended = true where gpr_id = $1)
update gpr set phase = $2, finished_at = $3, fence = null, suspended_at = null, version = version + 1
where id = $1 and phase = 'releasing';

-- name: requeue
-- keeps its place: sequence and priority stay, and what it has cost; of a job's pods of that try nothing is true any more
with forgotten as (update job set state = '', reason = '', message = '', ready = 0, pods = '[]' where gpr_id = $1)
update gpr set phase = 'queued', fence = null, active_at = null, end_at = null, stopped_at = null, end_cause = '', starts_at = null,
               retries = retries + $3, not_before = $2, spent = $4, version = version + 1
where id = $1 and phase = 'releasing';

-- name: set_end
update gpr set end_at = $2, version = version + 1 where id = $1 and phase = 'active';

-- name: lengthen
-- its time has not begun yet
update gpr set duration_seconds = duration_seconds + $2, version = version + 1 where id = $1 and phase = 'provisioning';

-- name: set_priority
update gpr set priority = $2, version = version + 1 where id = $1 and phase = 'queued';

-- name: set_name
update gpr set name = $2, version = version + 1 where id = $1;

-- name: add_notice
insert into notice (gpr_id, kind, due_at, message) values ($1, $2, $3, $4) on conflict do nothing;

-- name: withdraw_notices
update notice set withdrawn_at = $2 where gpr_id = $1 and delivered_at is null and withdrawn_at is null;

-- name: deliver_notices
update notice set delivered_at = $2
where gpr_id = $1 and due_at <= $2 and delivered_at is null and withdrawn_at is null
returning kind, due_at, message;

-- name: failure_history
select retries, requeue_on_failure, active_at, end_cause, failure from gpr where id = $1;

-- name: one
select g.*, w.name as workspace, p.name as submitted_by_name, l.cluster as lease_cluster,
       (select coalesce(json_agg(json_build_array(lg.node, lg.ordinal) order by lg.node, lg.ordinal), '[]')::jsonb
          from lease_gpu lg where lg.fence = (select max(fence) from lease where gpr_id = g.id)) as gpus
from gpr g join workspace w on w.id = g.workspace_id join principal p on p.id = g.submitted_by
left join lease l on l.fence = (select max(fence) from lease where gpr_id = g.id)
where g.id = $1;

-- name: id_of_external
select id from gpr where external_id = $1;

-- name: page_of_workspace
-- newest first, keyset: $3 is the sequence of the last row of the page before
select g.*, w.name as workspace, p.name as submitted_by_name, l.cluster as lease_cluster,
       (select coalesce(json_agg(json_build_array(lg.node, lg.ordinal) order by lg.node, lg.ordinal), '[]')::jsonb
          from lease_gpu lg where lg.fence = l.fence) as gpus
from gpr g join workspace w on w.id = g.workspace_id join principal p on p.id = g.submitted_by
left join lateral (select fence, cluster from lease where gpr_id = g.id order by fence desc limit 1) l on true
where g.workspace_id = $1 and g.sequence < $2 order by g.sequence desc limit $3;

-- name: live_in_workspace
select count(*) from gpr where workspace_id = $1 and phase in ('provisioning', 'active', 'releasing');

-- name: queued_in_workspace
select id from gpr where workspace_id = $1 and phase = 'queued' order by sequence;

-- name: unfinished
-- every Gpr whose lifecycle must run somewhere
select id::text, (select j.kind from job j where j.gpr_id = g.id) as kind
from gpr g where phase in ('queued', 'provisioning', 'active', 'releasing');
