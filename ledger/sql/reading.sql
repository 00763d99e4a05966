-- name: workspace_ids_of
-- also of workspaces that are gone: their history stays readable to those who were in them
select workspace_id from membership where principal_id = $1;

-- name: gpr_ids
-- newest first, keyset: $1 is the sequence of the last row of the page before
select id from gpr where sequence < $1 and phase = any($2::text[]) order by sequence desc limit $3;

-- name: live_gpr_ids
-- the same where only living ones are asked for: two partial indexes hold all of them, however long the history is
select id from gpr
where (phase = 'queued' or phase in ('provisioning', 'active', 'releasing')) and phase = any($2::text[]) and sequence < $1
order by sequence desc limit $3;

-- name: gpr_ids_in
-- the newest of each workspace by its index, then the newest of those: never a walk through other tenants' rows
select g.id from unnest($4::uuid[]) as w(id)
cross join lateral (select id, sequence from gpr
                    where workspace_id = w.id and sequence < $1 and phase = any($2::text[])
                    order by sequence desc limit $3) g
order by g.sequence desc limit $3;

-- name: live_gpr_ids_in
select g.id from unnest($4::uuid[]) as w(id)
cross join lateral (select id, sequence from gpr
                    where workspace_id = w.id and phase in ('queued', 'provisioning', 'active', 'releasing')
                      and phase = any($2::text[]) and sequence < $1
                    order by sequence desc limit $3) g
order by g.sequence desc limit $3;

-- name: gprs
select g.*, w.name as workspace, p.name as submitted_by_name, l.cluster as lease_cluster,
       (select coalesce(json_agg(json_build_array(lg.node, lg.ordinal) order by lg.node, lg.ordinal), '[]')::jsonb
          from lease_gpu lg where lg.fence = l.fence) as gpus
from gpr g join workspace w on w.id = g.workspace_id join principal p on p.id = g.submitted_by
left join lateral (select fence, cluster from lease where gpr_id = g.id order by fence desc limit 1) l on true
where g.id = any($1::uuid[]) order by g.sequence desc;

-- name: hold_gpr
-- a user's wish is judged by the phase that the row keeps until the wish is written
select phase from gpr where id = $1 for no key update;

-- name: notices_of
select kind, due_at, message, delivered_at, withdrawn_at from notice where gpr_id = $1 order by due_at, id;

-- name: active_fence
-- a kubeconfig issued while this lease lives is bound to it; at most one exclusive lease of a workspace is open
select l.fence from lease l join gpr g on g.id = l.gpr_id
where l.workspace_id = $1 and l.cluster = $2 and l.released_at is null and g.phase = 'active'
order by l.fence desc limit 1;

-- name: hardware_spelling
-- clients copy these words from different fields and in different case: $1 was sent as a shape, $2 as an instance type
select (select shape from node where lower(shape) = lower($1) and state <> 'gone' limit 1) as shape,
       (select instance_type from node where lower(instance_type) = lower($1) and state <> 'gone' limit 1) as shape_as_type,
       (select instance_type from node where lower(instance_type) = lower($2) and state <> 'gone' limit 1) as instance_type;

-- name: names_of_workspaces
select id::text as id, name from workspace where id = any($1::uuid[]);

-- name: workspace_names_of
select w.name from membership m join workspace w on w.id = m.workspace_id
where m.principal_id = $1 and w.phase in ('creating', 'ready', 'deleting');
