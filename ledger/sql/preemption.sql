-- name: hold_claimant
-- a cancellation, or a suspension, at the same moment is either before the preemption, and prevents it, or after it
select name from gpr where id = $1 and phase = 'queued' and suspended_at is null for no key update;

-- name: hold_lease
-- one that works, and would go on longer than until $2
select g.id, g.name, g.end_at from lease l join gpr g on g.id = l.gpr_id
where l.fence = $1 and l.released_at is null and g.fence = l.fence and g.phase = 'active' and g.preemptible
  and (g.end_at is null or g.end_at > $2)
  and not exists(select from preemption p where p.fence = l.fence and not p.stays) for no key update of g;

-- name: begin
insert into preemption (fence, gpr_id, claimant_id, at, ends_at, was_end_at, taken_back) values ($1, $2, $3, $4, $5, $6, $7);

-- name: open
-- of each: whether its lease is over, whether it still works, and whether anybody still waits for what it holds
select p.id, p.fence, p.gpr_id, p.at, p.ends_at, p.was_end_at, c.name as claimant, l.released_at is not null as is_over,
       v.phase = 'active' and v.fence = p.fence as works, c.phase = 'queued' and c.suspended_at is null as is_wanted
from preemption p join lease l on l.fence = p.fence join gpr v on v.id = p.gpr_id join gpr c on c.id = p.claimant_id
where p.settled_at is null order by p.id;

-- name: settle
update preemption set settled_at = $2, stays = $3 where id = any($1::bigint[]);

-- name: ends
-- it ends at its end because it makes room, and not because its time is over
select exists(select from preemption where fence = $1 and not stays);

-- name: of_gpr
select p.id, p.fence, p.gpr_id, p.at, p.ends_at, p.was_end_at, c.name as claimant, false as is_over, true as works,
       true as is_wanted
from preemption p join gpr c on c.id = p.claimant_id where p.gpr_id = $1 and p.settled_at is null;

-- name: rested
-- what was promised to it was kept when it started
update gpr set preemptions = preemptions + 1, promised_at = null, promised_start = null, promised_cluster = '',
               promised_nodes = '{}', promise_moves = 0
where id = $1;

-- name: restore_notices
-- those that were withdrawn when it was to end early
update notice set withdrawn_at = null where gpr_id = $1 and withdrawn_at = $2 and due_at > $3 and delivered_at is null;

-- name: tell
insert into notice (gpr_id, kind, due_at, message, delivered_at) values ($1, $2, $3, $4, $3) on conflict do nothing;
