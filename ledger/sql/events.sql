-- name: record
insert into event (at, kind, gpr_id, workspace_id, fence, actor, detail) values ($1, $2, $3, $4, $5, $6, $7);

-- name: of_gpr
select id, at, kind, fence, actor, detail from event where gpr_id = $1 and id > $2 order by id limit $3;

-- name: since
-- the change feed: ids grow, though rows of concurrent transactions may appear a moment out of order
select id, at, kind, gpr_id, workspace_id, fence, actor, detail from event where id > $1 order by id limit $2;
