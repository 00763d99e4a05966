-- name: ensure_principal
-- a name is made once; being asked for as an administrator lifts it, never the other way round
insert into principal (id, name, administrator, created_at) values ($1, $2, $3, $4)
on conflict (name) do update set administrator = principal.administrator or excluded.administrator
returning id, name, administrator;

-- name: has_principal
select exists (select 1 from principal where name = $1);

-- name: lock_login
-- two first logins of one subject make one principal
select pg_advisory_xact_lock(hashtextextended('berth.login ' || $1, 0));

-- name: principal_of_subject
select p.id, p.name, p.administrator from login_subject s join principal p on p.id = s.principal_id
where s.issuer = $1 and s.subject = $2;

-- name: new_principal
-- nothing where the name is somebody's already, whoever's: a login never becomes them
insert into principal (id, name, administrator, created_at) values ($1, $2, false, $3)
on conflict (name) do nothing returning id, name;

-- name: add_subject
insert into login_subject (issuer, subject, principal_id, created_at) values ($1, $2, $3, $4);

-- name: principal_number
select number from principal where id = $1;

-- name: forget_login_keys
delete from api_key where principal_id = $1 and login_at is not null and valid_until < $2;

-- name: any_administrator
select exists (select 1 from principal where administrator);

-- name: add_key
insert into api_key (id, principal_id, name, prefix, secret_hash, role, workspace_id, valid_until, created_at, login_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10);

-- name: key_by_secret
-- every login: one look into a unique index and two primary keys
select k.id, k.name, k.prefix, k.role, k.workspace_id, k.valid_until, k.revoked_at, k.created_at, k.login_at,
       p.id as principal_id, p.name as principal_name, p.administrator, w.name as workspace
from api_key k join principal p on p.id = k.principal_id left join workspace w on w.id = k.workspace_id
where k.secret_hash = $1;

-- name: key_by_id
select k.id, k.name, k.prefix, k.role, k.workspace_id, k.valid_until, k.revoked_at, k.created_at, k.login_at,
       p.id as principal_id, p.name as principal_name, p.administrator, w.name as workspace
from api_key k join principal p on p.id = k.principal_id left join workspace w on w.id = k.workspace_id
where k.id = $1;

-- name: keys_of
select k.id, k.name, k.prefix, k.role, k.workspace_id, k.valid_until, k.revoked_at, k.created_at, k.login_at,
       p.id as principal_id, p.name as principal_name, p.administrator, w.name as workspace
from api_key k join principal p on p.id = k.principal_id left join workspace w on w.id = k.workspace_id
where k.principal_id = $1 order by k.created_at, k.id limit $2;

-- name: all_keys
select k.id, k.name, k.prefix, k.role, k.workspace_id, k.valid_until, k.revoked_at, k.created_at, k.login_at,
       p.id as principal_id, p.name as principal_name, p.administrator, w.name as workspace
from api_key k join principal p on p.id = k.principal_id left join workspace w on w.id = k.workspace_id
order by k.created_at, k.id limit $1;

-- name: revoke_key
update api_key set revoked_at = $2 where id = $1 and revoked_at is null;

-- name: admit_member
-- only for keys that an administrator hands out; a stronger role that the principal has already stays
insert into membership as m (workspace_id, principal_id, role) values ($1, $2, $3)
on conflict (workspace_id, principal_id) do update set role = excluded.role
where array_position(array['viewer', 'editor', 'owner'], excluded.role)
    > array_position(array['viewer', 'editor', 'owner'], m.role);

-- name: lock_signing_keys
-- one process at a time makes the next key, whoever notices first
select pg_advisory_xact_lock(hashtext('berth.signing_key'));

-- name: signing_keys
-- newest first; a retired key verifies until what it signed has expired
select kid, private_pem, created_at, retired_at from signing_key
where retired_at is null or retired_at > $1 order by created_at desc;

-- name: add_signing_key
insert into signing_key (kid, private_pem, created_at) values ($1, $2, $3);

-- name: retire_signing_keys
update signing_key set retired_at = $2 where kid <> $1 and retired_at is null;

-- name: lock_bootstrap
select pg_advisory_xact_lock(hashtext('berth.bootstrap'));
