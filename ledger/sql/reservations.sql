-- name: create
insert into reservation (id, workspace_id, created_by, name, nodes, gpus_per_node, shape, instance_type, memory_gib, clusters,
                         pool, starts_at, duration_seconds, rule, created_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15);

-- name: one
select r.*, w.name as workspace, p.name as created_by_name
from reservation r join workspace w on w.id = r.workspace_id join principal p on p.id = r.created_by where r.id = $1;

-- name: hold
-- who decides about a reservation holds its row: its keeper, and whoever cancels it
select id from reservation where id = $1 for no key update;

-- name: of_workspaces
-- newest first, keyset: $2 is the sequence of the last row of the page before
select r.*, (select name from workspace where id = r.workspace_id) as workspace,
       (select name from principal where id = r.created_by) as created_by_name
from unnest($1::uuid[]) as v(id)
cross join lateral (select * from reservation where workspace_id = v.id and sequence < $2
                    order by sequence desc limit $3) r
order by r.sequence desc limit $3;

-- name: all
select r.*, (select name from workspace where id = r.workspace_id) as workspace,
       (select name from principal where id = r.created_by) as created_by_name
from reservation r where sequence < $1 order by sequence desc limit $2;

-- name: occurrences
-- those that are still to come or run, and the latest of the others
select o.*, g.phase, coalesce(g.end_cause, '') as end_cause, g.active_at, g.end_at, g.fence, g.planned_cluster, g.planned_nodes
from unnest($1::uuid[]) as r(id)
cross join lateral (select * from occurrence where reservation_id = r.id order by starts_at desc limit $2) o
left join gpr g on g.id = o.gpr_id
order by o.reservation_id, o.starts_at;

-- name: ahead
-- of a workspace: how many times are still to come or run, and how many GPU-seconds they take
select count(*) as times, coalesce(sum(g.nodes * g.gpus_per_node * g.duration_seconds), 0)::bigint as gpu_seconds
from gpr g where g.workspace_id = $1 and g.phase in ('queued', 'provisioning', 'active') and g.fixed_start is not null;

-- name: put_occurrence
insert into occurrence (reservation_id, starts_at, gpr_id, failure, tried_at, cancelled_at) values ($1, $2, $3, $4, $5, $6)
on conflict (reservation_id, starts_at) do update set gpr_id = excluded.gpr_id, failure = excluded.failure,
    tried_at = excluded.tried_at, cancelled_at = excluded.cancelled_at;

-- name: fix_start
update gpr set fixed_start = $2, starts_at = $2, planned_cluster = $3, planned_nodes = $4, reason_code = 'reserved', reason = $5
where id = $1 and phase = 'queued';

-- name: used
update occurrence set used_at = $2 where gpr_id = $1 and used_at is null;

-- name: lose
-- what will start later than it should; told once, until it is in time again
update occurrence o set lost_at = $3 from unnest($1::uuid[], $2::text[]) as l(gpr_id, why)
where o.gpr_id = l.gpr_id and o.lost_at is null returning o.reservation_id, o.gpr_id, o.starts_at, l.why;

-- name: regain
update occurrence o set lost_at = null where o.gpr_id = any($1::uuid[]) and o.lost_at is not null
returning o.reservation_id, o.gpr_id, o.starts_at;

-- name: tell
insert into notice (gpr_id, kind, due_at, message, delivered_at) values ($1, $2, $3, $4, $5) on conflict do nothing
returning id;

-- name: cancel
update reservation set cancelled_at = $2 where id = $1 and cancelled_at is null;

-- name: end
update reservation set ended_at = $2 where id = $1 and ended_at is null;

-- name: unfinished
select id::text from reservation where ended_at is null;
