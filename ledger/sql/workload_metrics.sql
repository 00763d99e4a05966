-- name: held
-- whether a workload had a lease at each of some instants, which GPUs, and their memory
with held as materialized (
    select l.granted_at as since, coalesce(lg.released_at, l.released_at, 'infinity') as until, lg.ordinal, n.memory_mib
    from lease l left join lease_gpu lg on lg.fence = l.fence left join node n on n.cluster = lg.cluster and n.name = lg.node
    where l.gpr_id = $1)
select count(h.since) > 0 as is_held, count(h.ordinal)::integer as gpus, coalesce(sum(h.memory_mib), 0)::bigint as memory_mib
from unnest($2::timestamptz[]) with ordinality i (at, place) left join held h on h.since <= i.at and h.until > i.at
group by i.place order by i.place;

-- name: from_samples
-- what the GPUs of a workload did while it held them, in so many ($4) buckets of equal length: on average of those that there
-- are readings of, and the memory of all of them together
with held as materialized (
    select g.id, greatest(l.granted_at, $2::timestamptz) as since,
           least(coalesce(lg.released_at, l.released_at, $3), $3::timestamptz) as until
    from lease l join lease_gpu lg on lg.fence = l.fence
    join gpu g on g.cluster = lg.cluster and g.node = lg.node and g.ordinal = lg.ordinal and g.parent_uuid = ''
    where l.gpr_id = $1),
seen as (
    select least($4::integer - 1, floor(extract(epoch from s.at - $2) / extract(epoch from ($3 - $2) / $4))::integer) as bucket, held.id,
           avg(s.utilisation_percent) as utilisation, avg(s.memory_used_mib) as memory_mib
    from held join gpu_sample s on s.gpu_id = held.id and s.at >= held.since and s.at < held.until and s.at >= $2 and s.at < $3
    group by 1, 2)
select bucket, avg(utilisation)::float8 as utilisation_percent, (sum(memory_mib) * 1048576)::float8 as memory_bytes
from seen group by bucket order by bucket;

-- name: from_rollups
-- the same from rolled-up samples of $5 seconds: of a GPU's only those that lie wholly in the time it was held
with held as materialized (
    select g.id, greatest(l.granted_at, $2::timestamptz) as since,
           least(coalesce(lg.released_at, l.released_at, $3), $3::timestamptz) - make_interval(secs => $5) as until
    from lease l join lease_gpu lg on lg.fence = l.fence
    join gpu g on g.cluster = lg.cluster and g.node = lg.node and g.ordinal = lg.ordinal and g.parent_uuid = ''
    where l.gpr_id = $1),
seen as (
    select least($4::integer - 1, floor(extract(epoch from r.at - $2) / extract(epoch from ($3 - $2) / $4))::integer) as bucket, held.id,
           sum(r.utilisation_average * r.samples)
               / nullif(sum(r.samples) filter (where r.utilisation_average is not null), 0) as utilisation,
           sum(r.memory_used_average_mib * r.samples)
               / nullif(sum(r.samples) filter (where r.memory_used_average_mib is not null), 0) as memory_mib
    from held join gpu_rollup r on r.step_seconds = $5::integer and r.gpu_id = held.id and r.at >= held.since and r.at <= held.until
         and r.at >= $2 and r.at < $3
    group by 1, 2)
select bucket, avg(utilisation)::float8 as utilisation_percent, (sum(memory_mib) * 1048576)::float8 as memory_bytes
from seen group by bucket order by bucket;
