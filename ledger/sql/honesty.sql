-- name: settle
-- what was shown of a Gpr that has started; a second time there is nothing left to settle
update shown_estimate set started_at = $2 where gpr_id = $1 and started_at is null
returning shown_at, starts_at, earliest, latest, started_at;

-- name: lessons
-- the newest: what runs here changes, and so do the ways in which plans go wrong
select extract(epoch from starts_at - shown_at)::float8 as ahead, extract(epoch from started_at - shown_at)::float8 as waited
from shown_estimate where started_at is not null order by started_at desc limit $1;

-- name: accuracy
-- of the newest $3 that have started since $1, by the horizons that end at $2
select horizon, count(*) as shown, avg(inside::int)::float8 as inside_share,
       percentile_cont(0.5) within group (order by error) as median_seconds,
       percentile_cont(0.9) within group (order by abs(error)) as p90_seconds
from (select width_bucket(extract(epoch from starts_at - shown_at)::float8, $2::float8[]) as horizon,
             extract(epoch from started_at - starts_at)::float8 as error,
             started_at between earliest and latest as inside
      from (select shown_at, starts_at, earliest, latest, started_at from shown_estimate
            where started_at >= $1 order by started_at desc limit $3) newest) errors
group by horizon order by horizon;

-- name: forget_old
-- some at a time, so that nobody waits for it
delete from shown_estimate
where id = any(array(select id from shown_estimate where shown_at < $1 order by shown_at limit $2));

-- name: forget_many
delete from shown_estimate where id = any(array(
    select id from shown_estimate where id <= (select max(id) from shown_estimate) - $1::bigint order by id limit $2));
