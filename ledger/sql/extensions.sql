-- name: insert
insert into extension (id, gpr_id, at, seconds, in_the_way, actor) values ($1, $2, $3, $4, $5, $6);

-- name: find
select seconds, in_the_way from extension where id = $1;

-- name: total
select coalesce(sum(seconds), 0)::bigint from extension where gpr_id = $1;
