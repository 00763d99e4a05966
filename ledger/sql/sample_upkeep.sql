-- name: lock_partitions
-- one at a time makes or drops them; a reader or vacuum in the way is waited for briefly, and the next run tries again
select set_config('lock_timeout', '2s', true), pg_advisory_xact_lock(hashtext('berth.sample_partitions'));

-- name: partitions
select c.relname as name from pg_inherits i join pg_class c on c.oid = i.inhrelid
where i.inhparent = ($1::text)::regclass order by c.relname;

-- name: making
-- the statements that make a partition, for identifiers are no parameters. Attached rather than made in place, which
-- would stop everybody who writes
select format('create table %1$I (like %2$I including defaults); '
              'alter table %2$I attach partition %1$I for values from (%3$L) to (%4$L)',
              $1::text, $2::text, $3::timestamptz, $4::timestamptz);

-- name: dropping
select format('drop table if exists %I', $1::text);

-- name: lock_rolling
-- false: another one rolls up
select pg_try_advisory_xact_lock(hashtext('berth.roll_up'));

-- name: lock_closing
-- waits for those who write now; who begins later waits for this, so not for long
select set_config('lock_timeout', '2s', true), pg_advisory_xact_lock(hashtext('berth.samples'));

-- name: close_to
-- from the begin ($3) where nothing was rolled up yet; never backwards
insert into gpu_rollup_mark as m (step_seconds, closing_to, rolled_to) values ($1, greatest($2::timestamptz, $3), $3)
on conflict (step_seconds) do update set closing_to = greatest(m.closing_to, excluded.closing_to);

-- name: marks
select step_seconds, closing_to, rolled_to from gpu_rollup_mark order by step_seconds;

-- name: rolled
update gpu_rollup_mark set rolled_to = $2 where step_seconds = $1;

-- name: roll_samples
-- one bucket is made of all that there is of it, whenever it is made: again is the same
insert into gpu_rollup (step_seconds, at, gpu_id, samples, utilisation_average, utilisation_max, memory_used_average_mib,
                        memory_used_max_mib, power_average_watts, power_max_watts, temperature_max_celsius)
select 60, date_bin('60 seconds', at, timestamptz '1970-01-01 00:00:00+00') as bucket, gpu_id,
       count(distinct date_bin('10 seconds', at, timestamptz '1970-01-01 00:00:00+00')),
       avg(utilisation_percent), max(utilisation_percent), avg(memory_used_mib), max(memory_used_mib),
       avg(power_watts), max(power_watts), max(temperature_celsius)
from gpu_sample where at >= $1 and at < $2 and ($3::integer[] is null or gpu_id = any($3))
group by bucket, gpu_id
on conflict (step_seconds, gpu_id, at) do update set samples = excluded.samples,
    utilisation_average = excluded.utilisation_average, utilisation_max = excluded.utilisation_max,
    memory_used_average_mib = excluded.memory_used_average_mib, memory_used_max_mib = excluded.memory_used_max_mib,
    power_average_watts = excluded.power_average_watts, power_max_watts = excluded.power_max_watts,
    temperature_max_celsius = excluded.temperature_max_celsius;

-- name: roll_rollups
-- the same from a finer step ($5) to a coarser one ($4); averages weigh as much as there were samples
insert into gpu_rollup (step_seconds, at, gpu_id, samples, utilisation_average, utilisation_max, memory_used_average_mib,
                        memory_used_max_mib, power_average_watts, power_max_watts, temperature_max_celsius)
select $4::integer, date_bin(make_interval(secs => $4::integer), at, timestamptz '1970-01-01 00:00:00+00') as bucket, gpu_id,
       sum(samples),
       sum(utilisation_average * samples) / nullif(sum(samples) filter (where utilisation_average is not null), 0),
       max(utilisation_max),
       sum(memory_used_average_mib * samples) / nullif(sum(samples) filter (where memory_used_average_mib is not null), 0),
       max(memory_used_max_mib),
       sum(power_average_watts * samples) / nullif(sum(samples) filter (where power_average_watts is not null), 0),
       max(power_max_watts), max(temperature_max_celsius)
from gpu_rollup where step_seconds = $5 and at >= $1 and at < $2 and ($3::integer[] is null or gpu_id = any($3))
group by bucket, gpu_id
on conflict (step_seconds, gpu_id, at) do update set samples = excluded.samples,
    utilisation_average = excluded.utilisation_average, utilisation_max = excluded.utilisation_max,
    memory_used_average_mib = excluded.memory_used_average_mib, memory_used_max_mib = excluded.memory_used_max_mib,
    power_average_watts = excluded.power_average_watts, power_max_watts = excluded.power_max_watts,
    temperature_max_celsius = excluded.temperature_max_celsius;

-- name: take_late
-- before they are made again: who marks one of them in the meantime waits, and marks it anew
delete from gpu_rollup_late
where step_seconds = $1
  and at in (select distinct at from gpu_rollup_late where step_seconds = $1 order by at limit $2)
returning gpu_id, at;

-- name: late_too
-- what was made of them is to be made again, as far as it was made
insert into gpu_rollup_late (step_seconds, gpu_id, at)
select distinct $1::integer, gpu_id, date_bin(make_interval(secs => $1::integer), at, timestamptz '1970-01-01 00:00:00+00')
from unnest($2::integer[], $3::timestamptz[]) as late (gpu_id, at)
where at < (select rolled_to from gpu_rollup_mark where step_seconds = $1)
on conflict do nothing;

-- name: forget_agents
-- a node whose agent was taken away is judged by its pods again
update node set agent_seen_at = null where agent_seen_at < $1 returning cluster, name;
