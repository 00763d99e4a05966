-- name: set
insert into quota_override (id, scope, workspace_id, namespace, department, gpus, ceiling, begins_at, ends_at, description, set_by, set_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12);

-- name: withdraw
-- what has begun ends now, what has not never begins; what is over stays as it was
update quota_override set ends_at = least(ends_at, greatest(begins_at, $2)), withdrawn_by = $3, withdrawn_at = $2
where id = $1 and withdrawn_at is null and ends_at > $2;

-- name: ahead
-- those that count at an instant or later, of what there is still, in the order in which they were set
select o.*, coalesce((select name from workspace where id = o.workspace_id), '') as workspace
from quota_override o
where o.ends_at > $1 and o.ends_at > o.begins_at
  and (o.workspace_id is null or exists(select from workspace where id = o.workspace_id and phase in ('creating', 'ready', 'deleting')))
order by o.sequence;

-- name: withdraw_all_of_department
update quota_override set ends_at = least(ends_at, greatest(begins_at, $2)), withdrawn_by = $3, withdrawn_at = $2
where department = $1 and withdrawn_at is null and ends_at > $2;

-- name: all
-- the whole history, likewise
select o.*, coalesce(w.name, '') as workspace
from quota_override o left join workspace w on w.id = o.workspace_id order by o.sequence;

-- name: one
select o.*, coalesce(w.name, '') as workspace
from quota_override o left join workspace w on w.id = o.workspace_id where o.id = $1;
