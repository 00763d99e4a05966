-- name: lock
-- two first needs at once make one workspace. Not `for update`: what refers to a principal must not wait for this
select id from principal where id = $1 for no key update;

-- name: in_use
select id from workspace where personal_of = $1 and phase in ('creating', 'ready', 'deleting');

-- name: failed
select distinct name from workspace where personal_of = $1 and phase = 'failed';

-- name: mark
update workspace set personal_of = $2 where id = $1;

-- name: to_join
-- clusters that were registered since, but for those where a namespace of the name is in use
select c.name from cluster c
where not exists (select 1 from workspace_namespace s where s.workspace_id = $1 and s.cluster = c.name)
  and not exists (select 1 from workspace_namespace s where s.cluster = c.name and s.namespace = $2 and s.released_at is null)
order by c.name;

-- name: join
-- the row of the workspace first, as its deletion takes it
insert into workspace_namespace (workspace_id, cluster, namespace, joining)
select w.id, c.name, $3, true
from (select id from workspace where id = $1 and phase = 'ready' for share) w, unnest($2::text[]) c(name)
on conflict do nothing;

-- name: joining
select w.id, w.id::text as workspace_id, w.name, w.tenant, w.phase, s.namespace
from workspace_namespace s join workspace w on w.id = s.workspace_id
where s.cluster = $1 and s.joining order by w.sequence limit $2;

-- name: joined
update workspace set clusters = case when $2 = any(clusters) then clusters else array_append(clusters, $2) end
where id = $1 and phase = 'ready' returning id;

-- name: joins_no_more
-- a cluster that it did not join is not tried again, and the name of the namespace is free there
update workspace_namespace set joining = false, released_at = case when $3 then released_at else coalesce(released_at, $4::timestamptz) end
where workspace_id = $1 and cluster = $2;
