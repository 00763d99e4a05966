-- name: insert
insert into job (gpr_id, workspace_id, namespace, name, kind, spec) values ($1, $2, $3, $4, $5, $6);

-- name: one
select j.* from job j where j.gpr_id = $1;

-- name: of_gprs
-- for lists, which tell neither logs nor events: those are most of a row
select gpr_id, namespace, name, kind, spec, state, reason, message, ready, wanted, pods, node_port, observed_at, is_forced,
       '{}'::jsonb as logs, '[]'::jsonb as happenings
from job where gpr_id = any($1::uuid[]);

-- name: marks
-- what differs when there is news of a job
select j.gpr_id, g.phase, j.observed_at from job j join gpr g on g.id = j.gpr_id where j.gpr_id = any($1::uuid[]);

-- name: by_name
-- the one that uses the name now, or the last one that did
select j.gpr_id from job j join gpr g on g.id = j.gpr_id
where ($1::uuid[] is null or j.workspace_id = any($1::uuid[])) and j.name = $2 and ($3::text is null or j.namespace = $3)
order by j.ended, g.sequence desc limit 1;

-- name: by_pod
select j.gpr_id from job j join gpr g on g.id = j.gpr_id
where ($1::uuid[] is null or j.workspace_id = any($1::uuid[])) and ($3::text is null or j.namespace = $3)
  and j.pods @> jsonb_build_array(jsonb_build_object('name', $2::text))
order by j.ended, g.sequence desc limit 1;

-- name: page
-- One row for each pod, or for the job itself while it has none, newest job first; with how many there are in all.
-- What somebody ended is gone from the list when it is gone; what ended by itself is shown for a day. Both are found by
-- indexes of their own, so a long history costs nothing, and pods are looked into only of the jobs of this page and before.
with live as (
    select j.gpr_id, g.sequence, g.phase, g.suspended_at, j.state, jsonb_array_length(j.pods) as pods
    from job j join gpr g on g.id = j.gpr_id
    where not j.ended
      and ($1::uuid[] is null or j.workspace_id = any($1::uuid[])) and ($2::text[] is null or j.kind = any($2))
      and ($3::text is null or g.pool = $3) and ($4::text is null or j.namespace = $4)),
over as (
    select j.gpr_id, g.sequence, g.phase, g.suspended_at, j.state, jsonb_array_length(j.pods) as pods
    from gpr g join job j on j.gpr_id = g.id
    where j.ended and g.finished_at > $6::timestamptz - interval '1 day'
      and g.end_cause in ('completed', 'job_failed', 'expired', 'provisioning_failed')
      and ($1::uuid[] is null or j.workspace_id = any($1::uuid[])) and ($2::text[] is null or j.kind = any($2))
      and ($3::text is null or g.pool = $3) and ($4::text is null or j.namespace = $4)),
told as (
    select gpr_id, sequence, pods,
           case when suspended_at is not null then 'suspended'
                when phase in ('queued', 'provisioning') then 'pending'
                when phase = 'releasing' then 'terminating'
                when phase = 'failed' then 'failed'
                when phase = 'cancelled' then 'cancelled'
                when phase in ('released', 'expired') then 'succeeded'
                when state = '' then 'pending'
                else state end as status
    from (select * from live union all select * from over) both_sorts),
shown as materialized (select * from told where $5::text is null or status = $5),
near as (select gpr_id, sequence from shown order by sequence desc limit $7::int + $8::int)
select n.gpr_id, coalesce(pod.value ->> 'name', '') as pod, (select sum(greatest(pods, 1)) from shown)::int as total
from near n join job j on j.gpr_id = n.gpr_id
left join lateral jsonb_array_elements(j.pods) with ordinality as pod(value, place) on true
order by n.sequence desc, place limit $7::int offset $8::int;

-- name: observe
-- writes only what is news, and nothing about a job that rests
update job set state = $2, reason = $3, message = $4, ready = $5, wanted = $6, pods = $7, node_port = $8, observed_at = $9
where gpr_id = $1 and not ended
  and (state, reason, message, ready, wanted, pods, node_port) is distinct from ($2, $3, $4, $5, $6, $7, $8)
returning gpr_id;

-- name: keep
update job set logs = $2, happenings = $3 where gpr_id = $1;

-- name: force
update job set is_forced = true where gpr_id = $1;

-- name: running
-- whose pods there should be on a cluster; those of an active one were made
select j.gpr_id::text as id, g.phase from job j join gpr g on g.id = j.gpr_id join lease l on l.fence = g.fence
where not j.ended and g.phase in ('provisioning', 'active') and l.cluster = $1;
