-- name: put
insert into outbox (workflow_id, workflow_type, argument, signal, signal_argument)
values ($1, $2, $3, $4, $5) returning id;

-- name: put_later
-- as if it had been written then: until then nobody delivers it, and it is not late
insert into outbox (workflow_id, workflow_type, argument, signal, signal_argument, created_at)
values ($1, $2, $3, $4, $5, $6) returning id;

-- name: put_all
-- one statement, so one announcement and one round trip, however many
insert into outbox (workflow_id, workflow_type, argument, signal, signal_argument)
select * from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::jsonb[]) returning id;

-- name: claim_some
-- skip locked: the API that wrote a row and the relay never deliver it at the same time
select id, workflow_id, workflow_type, argument, signal, signal_argument
from outbox where delivered_at is null and id = any($1::bigint[])
order by id for update skip locked;

-- name: claim_open
-- a short grace leaves fresh rows to the process that wrote them; attempts push a poisoned row behind the others
select id, workflow_id, workflow_type, argument, signal, signal_argument
from outbox where delivered_at is null and created_at < now() - make_interval(secs => $2)
order by attempts, id limit $1 for update skip locked;

-- name: mark_delivered
update outbox set delivered_at = now(), attempts = attempts + 1, failure = '' where id = any($1::bigint[]);

-- name: mark_failed
update outbox set attempts = attempts + 1, failure = $2 where id = any($1::bigint[]);

-- name: backlog
-- the age in seconds and number of what is not delivered: the relay's health
select count(*) as waiting, coalesce(extract(epoch from now() - min(created_at)), 0)::float8 as oldest_seconds
from outbox where delivered_at is null and created_at <= now();

-- name: forget_delivered
delete from outbox where delivered_at < now() - interval '7 days';
