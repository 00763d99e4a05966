-- name: plan_each_anew
-- a list's best way depends on what is asked for: never a plan that was made for other values
select set_config('plan_cache_mode', 'force_custom_plan', true);

-- name: page
-- $1: the workspaces that may be seen, or null for all. The marks are filled in by ledger/workload_clauses.py; one index
-- for each order gives the first rows of it without reading the others
select w.sequence from workload w
where w.is_deleted = $2 and ($1::uuid[] is null or w.workspace_id = any($1)) /*and*/
order by /*by*/ w.sequence limit $3 offset $4;

-- name: page_of_few
-- the same where few may be seen, which is known from the counts: all of them are sorted, for an order of everybody's would
-- be walked through to its end
select w.sequence from (
    select * from workload where workspace_id = any($1::uuid[]) and is_deleted = $2 offset 0) w
where true /*and*/
order by /*by*/ w.sequence limit $3 offset $4;

-- name: visible
-- how many of these workspaces there are, from what is counted as it comes
select coalesce(sum(number), 0)::bigint from workload_counts
where not is_total and is_deleted = $2 and workspace_id = any($1::uuid[]);

-- name: page_by_running
-- what stands still and what grows are each in order by themselves; together they are merged as far as this page
select sequence from (
    (select w.sequence, w.running_key as seconds from workload w
     where w.is_deleted = $2 and ($1::uuid[] is null or w.workspace_id = any($1)) and w.running_key >= 0 /*and*/
     order by w.running_key /*by*/, w.sequence /*by*/ limit $3::bigint + $4::bigint)
    union all
    (select w.sequence, w.running_key + $5::bigint as seconds from workload w
     where w.is_deleted = $2 and ($1::uuid[] is null or w.workspace_id = any($1)) and w.running_key < 0 /*and*/
     order by w.running_key /*by*/, w.sequence /*by*/ limit $3::bigint + $4::bigint)) both_sorts
order by seconds /*by*/, sequence /*by*/ limit $3 offset $4;

-- name: page_by_pending
select sequence from (
    (select w.sequence, w.pending_key as seconds from workload w
     where w.is_deleted = $2 and ($1::uuid[] is null or w.workspace_id = any($1)) and w.pending_key >= 0 /*and*/
     order by w.pending_key /*by*/, w.sequence /*by*/ limit $3::bigint + $4::bigint)
    union all
    (select w.sequence, w.pending_key + $5::bigint as seconds from workload w
     where w.is_deleted = $2 and ($1::uuid[] is null or w.workspace_id = any($1)) and w.pending_key < 0 /*and*/
     order by w.pending_key /*by*/, w.sequence /*by*/ limit $3::bigint + $4::bigint)) both_sorts
order by seconds /*by*/, sequence /*by*/ limit $3 offset $4;

-- name: rows
-- what is told of the workloads of a page
select w.*, workload_seconds(w.pending_key, $2) as pending_seconds, workload_seconds(w.running_key, $2) as running_seconds,
       coalesce(j.namespace, nullif(g.namespace, ''), s.namespace, '') as namespace,
       g.phase as gpr_phase, coalesce(g.end_cause, '') as end_cause, g.failure, l.granted_at, g.active_at, g.stopped_at, g.suspended_at,
       g.reason_code, g.reason, g.starts_at, g.nodes, g.gpus_per_node, g.memory_gib, g.cpu_millis, g.memory_mib,
       coalesce(j.state, '') as job_state, coalesce(j.reason, '') as job_reason, coalesce(j.message, '') as job_message,
       j.observed_at as job_observed_at, coalesce(j.ready, 0) as pods_ready, coalesce(j.wanted, 0) as pods_wanted,
       g.preemptible, g.options, g.fixed_start is not null as is_reserved, g.shape, coalesce(l.resource, '') as resource,
       coalesce(j.spec ->> 'image', '') as image, coalesce(j.spec -> 'command', '[]') as command, coalesce(j.spec -> 'args', '[]') as arguments
from unnest($1::bigint[]) with ordinality as wanted (sequence, place)
join workload w on w.sequence = wanted.sequence
join gpr g on g.id = w.gpr_id
left join job j on j.gpr_id = g.id
left join lateral (select granted_at, resource from lease where gpr_id = g.id order by fence desc limit 1) l on true
left join lateral (select namespace from workspace_namespace where workspace_id = w.workspace_id and cluster = w.cluster
                   order by namespace limit 1) s on true
order by wanted.place;

-- name: sequence_of
select sequence, workspace_id from workload where gpr_id = $1;

-- name: count
select count(*) from workload w
where w.is_deleted = $2 and ($1::uuid[] is null or w.workspace_id = any($1)) /*and*/;

-- name: tally
-- from what is counted as it comes, which has few rows however many workloads there are; the totals of all, unless it is about
-- some workspaces
select coalesce(sum(w.number), 0)::bigint as number, coalesce(sum(w.allocated), 0)::bigint as allocated,
       coalesce(sum(w.idle), 0)::bigint as idle
from workload_counts w
where w.is_total = $3 and w.is_deleted = $2 and ($1::uuid[] is null or w.workspace_id = any($1)) /*and*/;

-- name: groups
-- the same by up to two fields; what holds nothing is in no current pool
select w.one, w.two, sum(w.number)::bigint as number, sum(w.allocated)::bigint as allocated, sum(w.idle)::bigint as idle
from (select c.*, case $4 when 'type' then type when 'category' then category when 'phase' then phase when 'requested_pool' then pool
                          when 'current_pool' then case when phase = any($6::text[]) then pool else '' end
                          when 'cluster' then cluster_id when 'department' then department_id when 'project' then project_id
                          else '' end as one,
                  case $5 when 'type' then type when 'category' then category when 'phase' then phase when 'requested_pool' then pool
                          when 'current_pool' then case when phase = any($6::text[]) then pool else '' end
                          when 'cluster' then cluster_id when 'department' then department_id when 'project' then project_id
                          else '' end as two
      from workload_counts c) w
where w.is_total = $3 and w.is_deleted = $2 and ($1::uuid[] is null or w.workspace_id = any($1)) /*and*/
group by w.one, w.two having sum(w.number) <> 0 order by w.one, w.two;

-- name: waits
-- how long what waits has waited by now, by bounds in seconds ($6) and up to two fields: one look at each that waits
select width_bucket(extract(epoch from $3::timestamptz - w.phase_updated_at)::float8, $6::float8[]) as bucket, w.one, w.two,
       count(*) as number
from (select c.*, case $4 when 'type' then type when 'category' then category when 'phase' then phase when 'requested_pool' then pool
                          when 'cluster' then cluster_id when 'department' then department_id when 'project' then project_id
                          else '' end as one,
                  case $5 when 'type' then type when 'category' then category when 'phase' then phase when 'requested_pool' then pool
                          when 'cluster' then cluster_id when 'department' then department_id when 'project' then project_id
                          else '' end as two
      from workload c where c.phase = 'pending') w
where w.is_deleted = $2 and ($1::uuid[] is null or w.workspace_id = any($1)) /*and*/
group by 1, 2, 3 order by 1, 2, 3;

-- name: names
-- what the ids of groups are called
select c.cluster_id as id, c.cluster as name from workload_counts c where c.is_total and c.cluster_id = any($1::text[])
union select c.department_id, c.department from workload_counts c where c.is_total and c.department_id = any($1::text[])
union select s.id::text, s.name from workspace s where s.id = any($2::uuid[]);

-- name: types
select t.kind, t.id, t.name, t.category, c.id as category_id, t.priority, p.id as priority_id, t.updated_at, t.updated_by
from workload_type t join workload_category c on c.name = t.category join workload_priority p on p.name = t.priority
order by t.name;

-- name: set_type
update workload_type t set category = coalesce((select name from workload_category where id = $2), t.category),
                           priority = coalesce((select name from workload_priority where id = $3), t.priority),
                           given_priority = coalesce((select given from workload_priority where id = $3), t.given_priority),
                           updated_at = $4, updated_by = $5
where t.id = $1 and ($2::text is null or exists (select from workload_category where id = $2))
  and ($3::text is null or exists (select from workload_priority where id = $3)) returning t.id;

-- name: delete_some
-- some of what has ended in a workspace that is going, as it will be when that is gone ($2): all at once would take longer than
-- a statement may, for each is in an index for every order
update workload set is_deleted = true, deleted_at = $2
where sequence in (select sequence from workload where workspace_id = $1 and not is_deleted and completed_at is not null
                   order by sequence limit $3 for no key update)
  and exists (select from workspace where id = $1 and phase = 'deleting') returning sequence;

-- name: given_priority
select given_priority from workload_type where kind = $1;

-- name: categories
select id, name, description from workload_category order by name;

-- name: priorities
select id, name, value from workload_priority order by value;

-- name: lease_parts
-- the last lease of a workload, and what it held
select l.fence, l.cluster, l.granted_at, l.released_at, lg.node, array_agg(lg.ordinal order by lg.ordinal) as ordinals
from (select * from lease where gpr_id = $1 order by fence desc limit 1) l left join lease_gpu lg on lg.fence = l.fence
group by l.fence, l.cluster, l.granted_at, l.released_at, lg.node order by lg.node;
