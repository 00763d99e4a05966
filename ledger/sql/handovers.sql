-- name: known
select provisioning_seconds, teardown_seconds from handover;

-- name: newest
-- of leases that began and are over: within how many seconds half of them had begun, and were free after their end
select count(*) as leases, percentile_disc(0.5) within group (order by began) as provisioning,
       percentile_disc(0.5) within group (order by freed) as teardown
from (select extract(epoch from lower(ran) - granted_at)::float8 as began, extract(epoch from released_at - upper(ran))::float8 as freed
      from lease where released_at is not null and not isempty(ran) and not upper_inf(ran)
      order by fence desc limit $1) newest;

-- name: keep
insert into handover (provisioning_seconds, teardown_seconds, learnt_at) values ($1, $2, $3)
on conflict (is_only) do update set provisioning_seconds = $1, teardown_seconds = $2, learnt_at = $3;
