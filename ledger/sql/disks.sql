-- name: insert
-- shares the workspace's row, as a Gpr's submission does: its deletion is either before this, or finds the disk
insert into disk (id, workspace_id, owner_id, name, size_gb, phase, created_at, restore_from, cluster, namespace)
select $1, w.id, $3, $4, $5, 'ready', $6, s.id, coalesce(s.cluster, ''), coalesce(s.namespace, '')
from workspace w left join disk_snapshot s on s.id = $7
where w.id = $2 and w.phase in ('creating', 'ready') for share of w
returning id;

-- name: lock
-- every decision about a disk holds its row: a grant, a wish, the end of an operation. After the Gpr's row, where both are held
select id, name, phase, size_gb, cluster, namespace, volume, volume_seen, volumes_made, restore_from, purge_begun_at, purge_at,
       workspace_id
from disk where id = $1 for no key update;

-- name: one
select d.*, w.name as workspace, p.name as owner_name,
       (select l.gpr_id from lease l where l.disk_id = d.id and l.released_at is null) as held_by,
       (select g.id from gpr g where g.disk_id = d.id and g.phase = 'queued' order by g.priority desc, g.sequence limit 1) as wanted_by,
       exists(select from disk_operation o
               where o.disk_id = d.id and o.status in ('queued', 'running') and o.action = 'snapshot') as is_backing_up,
       (select count(*) from disk_snapshot s where s.disk_id = d.id and s.phase = 'ready') as snapshots
from disk d join workspace w on w.id = d.workspace_id join principal p on p.id = d.owner_id
where d.id = $1;

-- name: of_workspaces
select d.*, w.name as workspace, p.name as owner_name,
       (select l.gpr_id from lease l where l.disk_id = d.id and l.released_at is null) as held_by,
       (select g.id from gpr g where g.disk_id = d.id and g.phase = 'queued' order by g.priority desc, g.sequence limit 1) as wanted_by,
       exists(select from disk_operation o
               where o.disk_id = d.id and o.status in ('queued', 'running') and o.action = 'snapshot') as is_backing_up,
       (select count(*) from disk_snapshot s where s.disk_id = d.id and s.phase = 'ready') as snapshots
from disk d join workspace w on w.id = d.workspace_id join principal p on p.id = d.owner_id
where d.phase <> 'purged' and d.workspace_id = any($1::uuid[]) and (d.phase = 'ready' or $2) order by d.sequence desc;

-- name: id_of
-- one of this phase, if there is one; else another that is not gone for good, the newest of several
select id from disk where workspace_id = $1 and name = $2 and phase <> 'purged'
order by phase = $3 desc, sequence desc limit 1;

-- name: kept_in_workspace
select count(*) from disk where workspace_id = $1 and phase <> 'purged';

-- name: is_held
select exists(select from lease where disk_id = $1 and released_at is null);

-- name: is_busy
select exists(select from disk_operation where disk_id = $1 and status in ('queued', 'running'));

-- name: set_name
update disk set name = $2 where id = $1;

-- name: set_size
update disk set size_gb = $2 where id = $1;

-- name: delete
update disk set phase = 'deleted', deleted_at = $2, purge_at = $3 where id = $1;

-- name: undelete
update disk set phase = 'ready', deleted_at = null, purge_at = null where id = $1;

-- name: set_content
update disk set content = $2 where id = $1;

-- name: leased
-- holds the Gpr: its release waits until the volume has its name
select l.disk_id from lease l join gpr g on g.id = l.gpr_id
where l.fence = $2 and g.id = $1 and g.fence = $2 and g.phase in ('provisioning', 'active') and l.released_at is null
for no key update of g;

-- name: give_volume
update disk set cluster = $2, namespace = $3, volume = $4, volume_seen = false, volumes_made = volumes_made + 1 where id = $1;

-- name: volume_seen
update disk set volume_seen = true where id = $1 and volume = $2 and not volume_seen;

-- name: used
-- a box came up on it: its volume is there
update disk set volume_seen = volume <> '', last_used_at = $2
where id = (select l.disk_id from lease l where l.fence = $1);

-- name: disk_of_lease
select disk_id from lease where fence = $1;

-- name: left
update disk set last_used_at = $2 where id = $1 and last_used_at is not null;

-- name: volume_gone
update disk set volume = '', volume_seen = false where id = $1 and volume = $2 returning workspace_id;

-- name: begin_purge
update disk set purge_begun_at = coalesce(purge_begun_at, $2), restore_from = null where id = $1;

-- name: hand_over
-- a copy from which a clone is still to be made is the clone's from now on
update disk_snapshot s
set disk_id = (select d.id from disk d where d.restore_from = s.id and d.id <> $1 order by d.sequence limit 1)
where s.disk_id = $1 and s.phase <> 'gone' and exists(select from disk d where d.restore_from = s.id and d.id <> $1);

-- name: purged
update disk set phase = 'purged', volume = '', volume_seen = false, restore_from = null, content = ''
where id = $1 and phase = 'deleted' returning workspace_id, name;

-- name: fail_queued
update disk_operation set status = 'failed', error = $2, updated_at = $3 where disk_id = $1 and status = 'queued';

-- name: add_operation
insert into disk_operation (id, disk_id, action, argument, status, requested_by, gpr_id, created_at, updated_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $8);

-- name: operation
select * from disk_operation where id = $1;

-- name: operations
select * from disk_operation where disk_id = $1 order by sequence desc limit $2;

-- name: settle
update disk_operation set status = $2, error = $3, result = $4, updated_at = $5
where id = $1 and status = 'running' returning id;

-- name: begin_next
update disk_operation set status = 'running', updated_at = $2
where id = (select id from disk_operation where disk_id = $1 and status = 'queued' order by sequence limit 1)
  and not exists(select from disk_operation where disk_id = $1 and status = 'running')
returning id;

-- name: deletion
-- the operation that deleted it, which sleeps, or is still to begin
select id, status from disk_operation where disk_id = $1 and action = 'delete' order by sequence desc limit 1;

-- name: withdraw
update disk_operation set status = 'completed', updated_at = $2 where id = $1 and status = 'queued';

-- name: running_operations
select id::text from disk_operation where status = 'running';

-- name: sleeping_deletions
select o.id::text from disk d
cross join lateral (select id, status from disk_operation
                     where disk_id = d.id and action = 'delete' order by sequence desc limit 1) o
where d.phase = 'deleted' and o.status in ('completed', 'failed');

-- name: begin_snapshot
-- its id is that of the operation that takes it, so that a repeat finds it
insert into disk_snapshot (id, disk_id, cluster, namespace, name, phase, created_at)
select o.id, d.id, d.cluster, d.namespace, $2, 'creating', $3
from disk_operation o join disk d on d.id = o.disk_id where o.id = $1
on conflict (id) do nothing;

-- name: snapshot
select * from disk_snapshot where id = $1;

-- name: snapshot_ready
-- one that was given up is being deleted: whoever still sees it ready comes too late
update disk_snapshot set phase = 'ready', size_bytes = $2, ready_at = $3 where id = $1 and phase = 'creating' returning disk_id;

-- name: restore_from
update disk set restore_from = $2 where id = $1 returning workspace_id;

-- name: snapshot_failed
update disk_snapshot s set phase = 'failed', failure = $2 from disk d
where s.id = $1 and s.phase = 'creating' and d.id = s.disk_id returning d.id, d.workspace_id;

-- name: newest_snapshot
select id, phase, failure from disk_snapshot
where disk_id = $1 and phase <> 'gone' and phase <> 'going' order by sequence desc limit 1;

-- name: snapshots
select * from disk_snapshot where disk_id = $1 and phase <> 'gone' order by sequence desc;

-- name: to_prune
-- beyond the newest, too old, of no use, or on its way out already; never one that data is still to be had from
select s.* from (select *, row_number() over (partition by phase = 'ready' order by sequence desc) as place
                   from disk_snapshot where disk_id = $1 and phase <> 'gone') s
where (s.phase in ('failed', 'going') or (s.phase = 'ready' and (s.place > $2 or s.ready_at < $3))
       or (s.phase = 'creating' and exists(select from disk_operation o where o.id = s.id and o.status in ('completed', 'failed'))))
  and not exists(select from disk d where d.restore_from = s.id)
order by s.sequence;

-- name: snapshot_going
update disk_snapshot s set phase = 'going' from disk d
where s.id = $1 and s.phase <> 'gone' and d.id = s.disk_id and not exists(select from disk r where r.restore_from = s.id)
returning d.id, d.workspace_id;

-- name: snapshot_gone
update disk_snapshot set phase = 'gone', gone_at = $2 where id = $1 and phase <> 'gone';

-- name: due_prunes
-- disks at rest with a copy that is too old; not those where it was tried within the hour
select distinct s.disk_id from disk_snapshot s join disk d on d.id = s.disk_id
where s.phase <> 'gone' and (s.phase in ('failed', 'going') or (s.phase = 'ready' and s.ready_at < $1))
  and d.phase = 'ready'
  and not exists(select from disk r where r.restore_from = s.id)
  and not exists(select from lease l where l.disk_id = d.id and l.released_at is null)
  and not exists(select from disk_operation o where o.disk_id = d.id and o.status in ('queued', 'running'))
  and not exists(select from disk_operation o where o.disk_id = d.id and o.action = 'prune' and o.created_at > $2);
