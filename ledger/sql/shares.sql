-- name: create_department
insert into department (name, description, gpus, ceiling, created_by, created_at) values ($1, $2, $3, $4, $5, $6)
on conflict (name) do nothing returning name;

-- name: change_department
update department set description = $2, gpus = $3, ceiling = $4 where name = $1 returning name;

-- name: hold_department
-- it is not deleted while a workspace joins it
select name from department where name = $1 for share;

-- name: lock_department
select name from department where name = $1 for update;

-- name: members
select count(*) from workspace where department = $1 and phase in ('creating', 'ready', 'deleting');

-- name: delete_department
delete from department where name = $1;

-- name: departments
-- with what their workspaces hold
with held as (
    select w.department, coalesce(sum(g.nodes * g.gpus_per_node) filter (where not g.preemptible), 0) as guaranteed,
           coalesce(sum(g.nodes * g.gpus_per_node) filter (where g.preemptible), 0) as preemptible
    from gpr g cross join lateral (select department from workspace where id = g.workspace_id limit 1) w   -- by its key: few are live
    where g.phase in ('provisioning', 'active', 'releasing') group by w.department
)
select d.*, coalesce(h.guaranteed, 0) as guaranteed, coalesce(h.preemptible, 0) as preemptible,
       array(select w.name from workspace w
             where w.department = d.name and w.phase in ('creating', 'ready', 'deleting') order by w.name) as workspaces
from department d left join held h on h.department = d.name where $1::text is null or d.name = $1 order by d.name;

-- name: assign
update workspace set department = $2 where id = $1;

-- name: departments_of
select distinct department from workspace where id = any($1::uuid[]);

-- name: set_workspace_quota
update workspace set quota_gpus = $2, quota_ceiling = $3 where id = $1;

-- name: workspace_quotas
-- of workspaces that have one, with what they hold
select w.id, w.name, w.department, w.quota_gpus, w.quota_ceiling, u.guaranteed, u.preemptible
from workspace w cross join lateral (
    select coalesce(sum(g.nodes * g.gpus_per_node) filter (where not g.preemptible), 0) as guaranteed,
           coalesce(sum(g.nodes * g.gpus_per_node) filter (where g.preemptible), 0) as preemptible
    from gpr g where g.workspace_id = w.id and g.phase in ('provisioning', 'active', 'releasing')) u
where (w.quota_gpus is not null or w.quota_ceiling is not null) and w.phase in ('creating', 'ready', 'deleting')
  and ($1::uuid[] is null or w.id = any($1::uuid[])) order by w.name;

-- name: workspace_quota
-- of one, which need not have any
select w.id, w.name, w.department, w.quota_gpus, w.quota_ceiling, u.guaranteed, u.preemptible
from workspace w cross join lateral (
    select coalesce(sum(g.nodes * g.gpus_per_node) filter (where not g.preemptible), 0) as guaranteed,
           coalesce(sum(g.nodes * g.gpus_per_node) filter (where g.preemptible), 0) as preemptible
    from gpr g where g.workspace_id = w.id and g.phase in ('provisioning', 'active', 'releasing')) u
where w.id = $1;

-- name: shares_in_force
-- for a plan: what the workspaces that have or want GPUs may hold
select w.id::text as workspace, w.name, w.quota_gpus, w.quota_ceiling, w.department, d.gpus as department_gpus,
       d.ceiling as department_ceiling
from workspace w left join department d on d.name = w.department where w.id = any($1::uuid[]) order by w.id;

-- name: user_ceilings_in_force
-- for a plan: people who have or want GPUs, as far as anything limits them
select p.id::text as user_id, p.name, case when own.principal_id is null then others.gpus else own.gpus end as gpus
from principal p left join user_ceiling own on own.principal_id = p.id
left join user_ceiling others on others.principal_id is null
where p.id = any($1::uuid[]) and case when own.principal_id is null then others.gpus else own.gpus end is not null
order by p.id;

-- name: set_user_ceiling
insert into user_ceiling (principal_id, gpus, set_by, set_at) values ($1, $2, $3, $4)
on conflict (principal_id) do update set gpus = excluded.gpus, set_by = excluded.set_by, set_at = excluded.set_at;

-- name: delete_user_ceiling
delete from user_ceiling where principal_id = $1 returning principal_id;

-- name: user_ceilings
-- everybody's first, with what each holds
select coalesce(p.name, '') as name, c.gpus, c.set_by, c.set_at,
       (select coalesce(sum(g.nodes * g.gpus_per_node), 0) from gpr g
        where g.submitted_by = c.principal_id and g.phase in ('provisioning', 'active', 'releasing')) as held
from user_ceiling c left join principal p on p.id = c.principal_id
where $1::uuid is null or c.principal_id is null or c.principal_id = $1 order by p.name nulls first;

-- name: principal
select id from principal where name = $1;
