-- name: costs
-- each GPU of each lease that ran within [$1, $2): its time in there, until now ($3) at the latest, at the prices of its
-- shape; and the part of it in which the readings, rolled up to $5 seconds, say that it did nothing ($7 percent at most).
-- Sums are over what $6 says; the sum of all stands beside each
with held as (
    select l.gpr_id, l.workspace_id, lg.cluster, lg.node, lg.ordinal, n.shape, greatest(lower(l.ran), $1::timestamptz) as begun,
           least(coalesce(upper(l.ran), least($3::timestamptz, g.end_at)), $2::timestamptz, $3::timestamptz) as ended
    from lease l join gpr g on g.id = l.gpr_id join lease_gpu lg on lg.fence = l.fence
    join node n on n.cluster = lg.cluster and n.name = lg.node
    where l.ran && tstzrange($1::timestamptz, $2::timestamptz) and ($4::uuid[] is null or l.workspace_id = any($4::uuid[]))),
counted as (
    select h.gpr_id, h.workspace_id, extract(epoch from h.ended - h.begun) as gpu_seconds, p.cost,
           coalesce(u.seen, 0) as seen_seconds, coalesce(u.idle, 0) as idle_seconds
    from held h
    left join lateral (
        select sum(per_gpu_hour * extract(epoch from least(h.ended, ends_at) - greatest(h.begun, starts_at)) / 3600) as cost
        from price_period
        where shape = h.shape and per_gpu_hour is not null and ends_at > h.begun and starts_at < h.ended) p on true
    left join lateral (select id from gpu where cluster = h.cluster and node = h.node and ordinal = h.ordinal and parent_uuid = ''
                       order by seen_at desc limit 1) d on true
    left join lateral (
        select sum(seconds) as seen, sum(seconds) filter (where utilisation_max <= $7::int) as idle
        from (select utilisation_max, extract(epoch from
                     least(at + make_interval(secs => $5::int), h.ended) - greatest(at, h.begun)) as seconds
              from gpu_rollup
              where step_seconds = $5::int and gpu_id = d.id and utilisation_max is not null
                and at > h.begun - make_interval(secs => $5::int) and at < h.ended) r) u on true
    where h.ended > h.begun)
select (case $6::text when 'gpr' then g.id::text when 'workspace' then w.name else w.department end) collate "C" as key,
       case $6::text when 'gpr' then max(g.name) else '' end as name,
       case $6::text when 'department' then '' else max(w.name) end as workspace,
       sum(c.gpu_seconds)::float8 as gpu_seconds, sum(c.idle_seconds)::float8 as idle_seconds, sum(c.seen_seconds)::float8 as seen_seconds,
       round(sum(c.cost), 4) as cost, round(sum(c.cost * c.idle_seconds / c.gpu_seconds), 4) as idle_cost,
       (sum(sum(c.gpu_seconds)) over ())::float8 as all_gpu_seconds, (sum(sum(c.idle_seconds)) over ())::float8 as all_idle_seconds,
       (sum(sum(c.seen_seconds)) over ())::float8 as all_seen_seconds, round(sum(sum(c.cost)) over (), 4) as all_cost,
       round(sum(sum(c.cost * c.idle_seconds / c.gpu_seconds)) over (), 4) as all_idle_cost
from counted c join gpr g on g.id = c.gpr_id join workspace w on w.id = c.workspace_id
group by 1 order by sum(c.cost) desc nulls last, sum(c.gpu_seconds) desc, 1 limit $8;
