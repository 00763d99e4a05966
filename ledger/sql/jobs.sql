-- name: insert
insert into job (gpr_id, workspace_id, namespace, name, kind, spec) values ($1, $2, $3, $4, $5, $6);

-- name: one
select j.* from job j where j.gpr_id = $1;

-- name: of_gprs
select j.* from job j where j.gpr_id = any($1::uuid[]);

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
-- one row for each pod, or for the job itself while it has none, newest job first; with how many there are in all.
-- What somebody ended is gone from the list when it is gone; what ended by itself is shown for a day.
select gpr_id, pod, count(*) over () as total from (
    select j.gpr_id, g.sequence, pod.place, coalesce(pod.value ->> 'name', '') as pod,
           case when g.phase in ('queued', 'provisioning') then 'pending'
                when g.phase = 'releasing' then 'terminating'
                when g.phase = 'failed' then 'failed'
                when g.phase = 'cancelled' then 'cancelled'
                when g.phase in ('released', 'expired') then 'succeeded'
                when j.state = '' then 'pending'
                else j.state end as status
    from job j join gpr g on g.id = j.gpr_id
    left join lateral jsonb_array_elements(j.pods) with ordinality as pod(value, place) on true
    where ($1::uuid[] is null or j.workspace_id = any($1::uuid[])) and ($2::text is null or j.kind = $2) and ($3::text is null or g.pool = $3)
      and ($4::text is null or j.namespace = $4)
      and (not j.ended or (g.finished_at > $6::timestamptz - interval '1 day'
                           and g.end_cause in ('completed', 'job_failed', 'expired', 'provisioning_failed')))) shown
where $5::text is null or status = $5
order by sequence desc, place limit $7 offset $8;

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
