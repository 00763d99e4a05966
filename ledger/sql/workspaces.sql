-- name: create
insert into workspace (id, name, tenant, owner_id, username, email, description, clusters, pool, phase, created_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'creating', $10);

-- name: add_namespace
insert into workspace_namespace (workspace_id, cluster, namespace) values ($1, $2, $3);

-- name: add_member
insert into membership (workspace_id, principal_id, role) values ($1, $2, $3)
on conflict (workspace_id, principal_id) do update set role = excluded.role;

-- name: lock
-- not `for update`: leases refer to the row, and their foreign keys must not wait for this
select phase, name from workspace where id = $1 for no key update;

-- name: hold
-- who means to write several things of a workspace locks it first: its deletion locks it before anything in it
select id from workspace where id = $1 and phase in ('creating', 'ready') for share;

-- name: set_phase
update workspace set phase = $2, failure = $3,
       ended_at = case when $2 in ('deleted', 'failed') then $4::timestamptz end
where id = $1;

-- name: note_failure
update workspace set failure = $2 where id = $1 and failure <> $2;

-- name: release_namespaces
update workspace_namespace set released_at = $2 where workspace_id = $1 and released_at is null;

-- name: one
select w.*, m.role as member_role,
       array(select distinct namespace from workspace_namespace s where s.workspace_id = w.id order by namespace) as namespaces
from workspace w left join membership m on m.workspace_id = w.id and m.principal_id = $2
where w.id = $1;

-- name: in_use_by_name
select w.*, m.role as member_role,
       array(select distinct namespace from workspace_namespace s where s.workspace_id = w.id order by namespace) as namespaces
from workspace w left join membership m on m.workspace_id = w.id and m.principal_id = $2
where w.name = $1 and w.phase in ('creating', 'ready', 'deleting');

-- name: in_use_of_namespace
-- a namespace may belong to one workspace here and to another there: the older one counts
select w.*, null as member_role,
       array(select distinct namespace from workspace_namespace s where s.workspace_id = w.id order by namespace) as namespaces
from workspace w
where w.phase in ('creating', 'ready', 'deleting')
  and w.id in (select workspace_id from workspace_namespace where namespace = $1 and released_at is null)
order by w.sequence limit 1;

-- name: all_in_use
select w.*, m.role as member_role,
       array(select distinct namespace from workspace_namespace s where s.workspace_id = w.id order by namespace) as namespaces
from workspace w left join membership m on m.workspace_id = w.id and m.principal_id = $1
where w.phase in ('creating', 'ready', 'deleting') and w.sequence > $2 order by w.sequence limit $3;

-- name: in_use_of_member
select w.*, m.role as member_role,
       array(select distinct namespace from workspace_namespace s where s.workspace_id = w.id order by namespace) as namespaces
from membership m join workspace w on w.id = m.workspace_id
where m.principal_id = $1 and w.phase in ('creating', 'ready', 'deleting') and w.sequence > $2
order by w.sequence limit $3;

-- name: tenancy
select w.id::text as id, w.name, w.tenant,
       array(select namespace from workspace_namespace s
              where s.workspace_id = w.id and s.cluster = $2 order by namespace) as namespaces
from workspace w where w.id = $1;

-- name: unfinished
select id::text from workspace where phase in ('creating', 'ready', 'deleting');
