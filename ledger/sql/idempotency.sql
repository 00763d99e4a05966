-- name: claim
-- waits for a concurrent first request with the same key; a first request that fails takes its claim back with it
insert into idempotency (principal_id, operation, key, request_hash, subject_id, created_at)
values ($1, $2, $3, $4, $5, $6) on conflict do nothing returning subject_id;

-- name: earlier
select request_hash, subject_id from idempotency where principal_id = $1 and operation = $2 and key = $3;

-- name: forget
delete from idempotency where created_at < $1;
