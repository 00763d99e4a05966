-- name: insert
insert into box (gpr_id, owner_id, github_user, jupyter_wanted, jupyter_token, request_hash) values ($1, $2, $3, $4, $5, $6);

-- name: set_message
update box set message_id = $2 where gpr_id = $1;

-- name: add_person
-- asked for again, somebody whose keys could not be had is tried again
insert into box_person (gpr_id, name, is_owner, keys, requested_at) values ($1, $2, $3, $4, $5)
on conflict (gpr_id, name) do update set failure = '', requested_at = excluded.requested_at;

-- name: of_gprs
select b.*, g.grace_seconds, g.disk_id, coalesce(d.name, '') as disk_name
from box b join gpr g on g.id = b.gpr_id left join disk d on d.id = g.disk_id
where b.gpr_id = any($1::uuid[]);

-- name: people
select gpr_id, name, is_owner, keys, fetched_at, told_at, failure from box_person
where gpr_id = any($1::uuid[]) order by gpr_id, is_owner desc, requested_at, name;

-- name: begun
-- what a repeat of its submission is compared with, and answered; nulls for a Gpr that is no box. One look, so that what is
-- written at this moment is seen as a whole or not at all
select b.owner_id, b.request_hash, b.message_id from gpr g left join box b on b.gpr_id = g.id where g.id = $1;

-- name: page
-- newest first, with how many there are in all; the rule is that of domain.box.status_of
select id, count(*) over () as total from (
    select g.id, g.sequence,
           case when g.phase = 'queued' then 'queued'
                when g.phase = 'provisioning' then 'preparing'
                when g.phase = 'active' and (select j.state from job j where j.gpr_id = g.id) in ('', 'pending') then 'preparing'
                when g.phase = 'active' then 'active'
                when g.phase in ('expired', 'failed', 'cancelled') then g.phase
                when g.phase = 'releasing' and g.end_cause = 'expired' then 'expired'
                when g.phase = 'releasing' and g.end_cause = 'provisioning_failed' then 'preparing'
                when g.phase = 'releasing' and g.end_cause = 'job_failed' then 'failed'
                when g.phase = 'releasing' and g.end_cause in ('suspended', 'preempted') then 'queued'
                else 'cancelled' end as status
    from box b join gpr g on g.id = b.gpr_id
    where b.owner_id = $1 and ($5::uuid is null or g.workspace_id = $5)) shown
where $2::text[] is null or status = any($2::text[]) order by sequence desc limit $3 offset $4;

-- name: ids_by_prefix
-- a range of ids rather than a pattern, so that the primary key serves it
select gpr_id from box where gpr_id between $2 and $3 and owner_id = $1 limit 2;

-- name: want_jupyter
update box set jupyter_wanted = $2, jupyter_token = case when $2 and jupyter_token = '' then $3 else jupyter_token end
where gpr_id = $1;

-- name: extended
update box set extended_hours = extended_hours + $2 where gpr_id = $1;

-- name: changed
update gpr set version = version + 1 where id = $1 returning version;

-- name: without_keys
select name from box_person where gpr_id = $1 and name <> '' and keys = '{}' order by name;

-- name: cached_keys
select keys from box_person where name = $1 and fetched_at >= $2 order by fetched_at desc limit 1;

-- name: lock
select version from gpr where id = $1 for no key update;

-- name: write_keys
-- writes only what is news, with the version that it makes
update box_person set keys = $3, failure = $4, version = $6, fetched_at = case when $3::text[] = '{}' then fetched_at else $5 end
where gpr_id = $1 and name = $2 and (keys, failure) is distinct from ($3::text[], $4::text)
returning name;

-- name: authorized_keys
select keys from box_person where gpr_id = $1 order by is_owner desc, requested_at, name;

-- name: jupyter
select jupyter_wanted, jupyter_token from box where gpr_id = $1;

-- name: notices
select message from notice where gpr_id = $1 and delivered_at <= $2 order by due_at, id;

-- name: told
update box set told_version = $2 where gpr_id = $1 and told_version < $2;

-- name: told_people
-- whose keys were in the ledger when it was told
update box_person set told_at = $3 where gpr_id = $1 and version <= $2 and keys <> '{}' and told_at is null;

-- name: tell_anew
-- the next box of this Gpr knows nothing yet
with forgotten as (update box set told_version = 0 where gpr_id = $1)
update box_person set told_at = null, failure = '' where gpr_id = $1;
