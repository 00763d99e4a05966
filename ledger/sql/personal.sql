-- name: lock
-- two first needs at once make one workspace. Not `for update`: what refers to a principal must not wait for this
select id from principal where id = $1 for no key update;

-- name: in_use
select id from workspace where personal_of = $1 and phase in ('creating', 'ready', 'deleting');

-- name: failed
select distinct name from workspace where personal_of = $1 and phase = 'failed';

-- name: mark
update workspace set personal_of = $2 where id = $1;
