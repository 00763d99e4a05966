-- name: gpus_seen
-- once a minute is often enough to say that it is still there: most batches change no row
insert into gpu as g (cluster, node, ordinal, uuid, product, memory_mib, parent_uuid, mig_profile, mig_enabled,
                      first_seen_at, seen_at)
select $1, $2, ordinal, uuid, product, memory_mib, parent_uuid, mig_profile, mig_enabled, $10, $10
from unnest($3::integer[], $4::text[], $5::text[], $6::integer[], $7::text[], $8::text[], $9::boolean[])
  as seen (ordinal, uuid, product, memory_mib, parent_uuid, mig_profile, mig_enabled)
on conflict (cluster, node, uuid) do update set ordinal = excluded.ordinal, product = excluded.product,
    memory_mib = excluded.memory_mib, parent_uuid = excluded.parent_uuid, mig_profile = excluded.mig_profile,
    mig_enabled = excluded.mig_enabled, seen_at = greatest(g.seen_at, excluded.seen_at)
where g.seen_at < excluded.seen_at - interval '1 minute'
   or (g.ordinal, g.product, g.memory_mib, g.parent_uuid, g.mig_profile, g.mig_enabled)
      is distinct from (excluded.ordinal, excluded.product, excluded.memory_mib, excluded.parent_uuid,
                        excluded.mig_profile, excluded.mig_enabled);

-- name: ids_on_node
select uuid, id from gpu where cluster = $1 and node = $2;

-- name: agent_seen
-- likewise once a minute; whoever has no agent any longer is forgotten by the upkeep
update node set agent_seen_at = $3
where cluster = $1 and name = $2 and (agent_seen_at is null or agent_seen_at < $3::timestamptz - interval '1 minute');

-- name: begin_writing
-- whoever closes buckets waits for those who write, so that none is closed around an uncommitted sample. A writer that
-- dies without a word is not waited for longer than this
select set_config('idle_in_transaction_session_timeout', '15s', true),
       pg_advisory_xact_lock_shared(hashtext('berth.samples'));

-- name: closed_to
-- a statement of its own: one that waits for the lock above has looked at the table before
select closing_to from gpu_rollup_mark where step_seconds = 60;

-- name: add_new
-- of a batch of which some was there before; COPY knows no conflicts
insert into gpu_sample (at, gpu_id, utilisation_percent, memory_percent, temperature_celsius, memory_used_mib, power_watts,
                        processes)
select * from unnest($1::timestamptz[], $2::integer[], $3::smallint[], $4::smallint[], $5::smallint[], $6::integer[],
                     $7::real[], $8::smallint[])
on conflict do nothing;

-- name: mark_late
-- an update, not nothing, where it is marked already: whoever makes that bucket again waits for this transaction
insert into gpu_rollup_late as l (step_seconds, gpu_id, at)
select $1, gpu_id, at from unnest($2::integer[], $3::timestamptz[]) as late (gpu_id, at) order by gpu_id, at
on conflict (step_seconds, gpu_id, at) do update set at = excluded.at;

-- name: add_faults
-- of a GPU that could not say its uuid: the one that was last seen at its place
insert into gpu_fault (gpu_id, at, kind, code, detail)
select known.id, f.at, f.kind, f.code, f.detail
from unnest($3::integer[], $4::text[], $5::timestamptz[], $6::text[], $7::integer[], $8::jsonb[])
  as f (ordinal, uuid, at, kind, code, detail)
cross join lateral (
    select id from gpu g
    where g.cluster = $1 and g.node = $2 and g.ordinal = f.ordinal and (f.uuid = '' or g.uuid = f.uuid)
      and (f.uuid <> '' or g.parent_uuid = '')
    order by g.seen_at desc limit 1) known
on conflict do nothing returning gpu_id;

-- name: fences_of
select fence from lease where gpr_id = $1 order by fence;

-- name: usage_of_samples
-- what leases had: only the time in which they held a GPU, and only whole GPUs. Buckets are those of $4 seconds; what
-- was to be expected is counted in slots of ten seconds
with held as materialized (
    select g.id, greatest(l.granted_at, $2::timestamptz) as since,
           least(coalesce(lg.released_at, l.released_at, $3), $3::timestamptz) as until
    from lease l join lease_gpu lg on lg.fence = l.fence
    join gpu g on g.cluster = lg.cluster and g.node = lg.node and g.ordinal = lg.ordinal and g.parent_uuid = ''
    where l.fence = any($1::bigint[])),
seen as (
    select date_bin(make_interval(secs => $4::integer), s.at, $2) as bucket,
           count(distinct (s.gpu_id, date_bin('10 seconds', s.at, timestamptz '1970-01-01 00:00:00+00'))) as slots,
           avg(s.utilisation_percent) as utilisation_average, max(s.utilisation_percent) as utilisation_max,
           avg(s.memory_used_mib) as memory_used_average_mib, max(s.memory_used_mib) as memory_used_max_mib,
           avg(s.power_watts) as power_average_watts, max(s.temperature_celsius) as temperature_max_celsius
    from held join gpu_sample s on s.gpu_id = held.id and s.at >= held.since and s.at < held.until
         and s.at >= $2 and s.at < $3
    group by bucket),
wanted as (
    select bucket, sum(greatest(0, extract(epoch from least(bucket + make_interval(secs => $4::integer), held.until)
                                                     - greatest(bucket, held.since)))) / 10 as slots
    from generate_series($2, $3 - interval '1 microsecond', make_interval(secs => $4::integer)) bucket cross join held
    group by bucket)
select w.bucket as at, w.slots::float8 as wanted, coalesce(s.slots, 0)::float8 as seen, s.utilisation_average::float8,
       s.utilisation_max, s.memory_used_average_mib::float8, s.memory_used_max_mib, s.power_average_watts::float8,
       s.temperature_max_celsius
from wanted w left join seen s using (bucket) order by w.bucket;

-- name: usage_of_rollups
-- the same from rolled-up samples: of a GPU's buckets of $5 seconds only those that lie in the time it was held
with held as materialized (
    select g.id, date_bin(make_interval(secs => $5::integer), greatest(l.granted_at, $2::timestamptz)
                              + make_interval(secs => $5::integer) - interval '1 microsecond', timestamptz '1970-01-01 00:00:00+00') as since,
           date_bin(make_interval(secs => $5::integer), least(coalesce(lg.released_at, l.released_at, $3), $3::timestamptz),
                    timestamptz '1970-01-01 00:00:00+00') as until
    from lease l join lease_gpu lg on lg.fence = l.fence
    join gpu g on g.cluster = lg.cluster and g.node = lg.node and g.ordinal = lg.ordinal and g.parent_uuid = ''
    where l.fence = any($1::bigint[])),
seen as (
    select date_bin(make_interval(secs => $4::integer), r.at, $2) as bucket, sum(r.samples) as slots,
           sum(r.utilisation_average * r.samples) / nullif(sum(r.samples) filter (where r.utilisation_average is not null), 0)
               as utilisation_average,
           max(r.utilisation_max) as utilisation_max,
           sum(r.memory_used_average_mib * r.samples)
               / nullif(sum(r.samples) filter (where r.memory_used_average_mib is not null), 0) as memory_used_average_mib,
           max(r.memory_used_max_mib) as memory_used_max_mib,
           sum(r.power_average_watts * r.samples) / nullif(sum(r.samples) filter (where r.power_average_watts is not null), 0)
               as power_average_watts,
           max(r.temperature_max_celsius) as temperature_max_celsius
    from held join gpu_rollup r on r.step_seconds = $5::integer and r.gpu_id = held.id and r.at >= held.since and r.at < held.until
         and r.at >= $2 and r.at < $3
    group by bucket),
wanted as (
    select bucket, sum(greatest(0, extract(epoch from least(bucket + make_interval(secs => $4::integer), held.until)
                                                     - greatest(bucket, held.since)))) / 10 as slots
    from generate_series($2, $3 - interval '1 microsecond', make_interval(secs => $4::integer)) bucket cross join held
    group by bucket)
select w.bucket as at, w.slots::float8 as wanted, coalesce(s.slots, 0)::float8 as seen, s.utilisation_average::float8,
       s.utilisation_max, s.memory_used_average_mib::float8, s.memory_used_max_mib, s.power_average_watts::float8,
       s.temperature_max_celsius
from wanted w left join seen s using (bucket) order by w.bucket;
