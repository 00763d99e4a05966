-- name: count
-- what has started keeps its promise as a record, and counts no more
select count(*) from gpr where workspace_id = $1 and phase = 'queued' and promised_at is not null;

-- name: make
update gpr set promised_at = $2, promised_start = $3, promised_cluster = $4, promised_nodes = $5, version = version + 1
where id = $1 and phase = 'queued' and suspended_at is null returning id;

-- name: move
-- the hardware of a promise was lost; $2 null: nobody can say yet when there will be other
update gpr set promised_start = $2, promised_cluster = $3, promised_nodes = $4, promise_moves = promise_moves + 1,
               version = version + 1
where id = $1 and phase = 'queued' and promised_at is not null and promised_start is not null returning promise_moves;

-- name: find_again
-- there is other hardware for what had lost its own
update gpr set promised_start = $2, promised_cluster = $3, promised_nodes = $4, version = version + 1
where id = $1 and phase = 'queued' and promised_at is not null and promised_start is null returning promise_moves;

-- name: withdraw
update gpr set promised_at = null, promised_start = null, promised_cluster = '', promised_nodes = '{}', promise_moves = 0,
               version = version + 1
where id = $1 and phase = 'queued' and promised_at is not null returning id;

-- name: tell
-- people are told at once: it stands where they look, and nothing has to carry it
insert into notice (gpr_id, kind, due_at, message, delivered_at) values ($1, $2, $3, $4, $3) on conflict do nothing;
