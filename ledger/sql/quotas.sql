-- name: set
insert into quota (workspace_id, namespace, description, gpus, cpu_millis, memory_mib, set_by, set_at)
values ($1, $2, $3, $4, $5, $6, $7, $8)
on conflict (workspace_id, namespace) do update set description = excluded.description, gpus = excluded.gpus,
    cpu_millis = excluded.cpu_millis, memory_mib = excluded.memory_mib, set_by = excluded.set_by, set_at = excluded.set_at;

-- name: delete
delete from quota where workspace_id = $1 and namespace = $2 returning namespace;

-- name: of_workspaces
-- with what is in use: leases of the namespace itself, and those of its whole workspace
select q.*, w.name as workspace, u.gpus_used, u.cpu_used, u.memory_used
from quota q join workspace w on w.id = q.workspace_id
left join lateral (
    select coalesce(sum(g.nodes * g.gpus_per_node), 0) as gpus_used, coalesce(sum(g.cpu_millis), 0)::bigint as cpu_used,
           coalesce(sum(g.memory_mib), 0)::bigint as memory_used
    from gpr g where g.workspace_id = q.workspace_id and g.phase in ('provisioning', 'active', 'releasing')
                 and g.namespace in ('', q.namespace)) u on true
where w.phase in ('creating', 'ready', 'deleting') and ($1::uuid[] is null or q.workspace_id = any($1::uuid[]))
order by q.namespace, w.name;

-- name: limits
-- for a plan: every limit that is in force
select q.workspace_id::text as workspace, q.namespace, q.gpus, q.cpu_millis, q.memory_mib
from quota q join workspace w on w.id = q.workspace_id where w.phase = 'ready' order by q.workspace_id, q.namespace;

-- name: ceilings
-- for Kubernetes' own ceiling: every namespace on one cluster, whether it has a quota or not any more. An override that gives
-- more counts for some minutes before it begins, since ceilings follow only so often
select s.namespace, case when q.gpus is not null then greatest(q.gpus, (
    select max(o.gpus) from quota_override o
    where o.workspace_id = w.id and o.scope = 'namespace' and o.namespace = s.namespace
      and o.ends_at > $2 and o.begins_at < $2::timestamptz + interval '10 minutes')) end as gpus
from workspace w join workspace_namespace s on s.workspace_id = w.id and s.cluster = $1 and s.released_at is null
left join quota q on q.workspace_id = w.id and q.namespace = s.namespace
where w.phase = 'ready' order by s.namespace;
