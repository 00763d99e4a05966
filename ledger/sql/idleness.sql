-- name: rules
select r.*, coalesce(w.name, '') as workspace from idle_rule r left join workspace w on w.id = r.workspace_id
where $1::uuid[] is null or r.workspace_id is null or r.workspace_id = any($1::uuid[]) order by w.name nulls first;

-- name: set_rule
insert into idle_rule (workspace_id, window_seconds, threshold_percent, warning_seconds, enforced, set_by, set_at)
values ($1, $2, $3, $4, $5, $6, $7)
on conflict (workspace_id) do update set window_seconds = excluded.window_seconds,
    threshold_percent = excluded.threshold_percent, warning_seconds = excluded.warning_seconds,
    enforced = excluded.enforced, set_by = excluded.set_by, set_at = excluded.set_at;

-- name: delete_rule
delete from idle_rule where workspace_id is not distinct from $1 returning *;

-- name: wish
insert into idle_wish (gpr_id, window_seconds, enforced) values ($1, $2, $3) on conflict do nothing;

-- name: watched
select * from idle_watch order by gpr_id;

-- name: watched_one
select * from idle_watch where gpr_id = $1;

-- name: use
-- of every GPU of a lease ($1) since $3 less its window ($2): what it did at most, by how much its memory grew at any time,
-- and for how long there are readings; each vouches for the time until the next, at most $4 seconds. Later ones count, too
select a.fence, a.window_seconds, lg.node, lg.ordinal, u.newest_at, u.utilisation_max, u.memory_growth_mib, u.processes_max,
       coalesce(u.covered_seconds, 0)::float8 as covered_seconds
from unnest($1::bigint[], $2::int[]) as a(fence, window_seconds)
join lease_gpu lg on lg.fence = a.fence
left join lateral (select id from gpu where cluster = lg.cluster and node = lg.node and ordinal = lg.ordinal and parent_uuid = ''
                   order by seen_at desc limit 1) d on true
left join lateral (
    select max(at) as newest_at, max(utilisation_percent) as utilisation_max, max(growth) as memory_growth_mib,
           max(processes) as processes_max, sum(least(gap, $4::float8)) as covered_seconds
    from (select at, utilisation_percent, coalesce(processes, 1) as processes,
                 memory_used_mib - min(memory_used_mib) over (order by at) as growth,
                 extract(epoch from lead(at, 1, greatest($3::timestamptz, at)) over (order by at) - at) as gap
          from gpu_sample
          where gpu_id = d.id and at > $3::timestamptz - make_interval(secs => a.window_seconds)
            and utilisation_percent is not null and memory_used_mib is not null) readings) u on true
order by a.fence, a.window_seconds, lg.node, lg.ordinal;

-- name: long_use
-- the same for long windows, by the minutes that are rolled up, and by raw readings since
select a.fence, a.window_seconds, lg.node, lg.ordinal, u.newest_at, u.utilisation_max, u.memory_growth_mib, null::int as processes_max,
       coalesce(u.covered_seconds, 0)::float8 as covered_seconds
from unnest($1::bigint[], $2::int[]) as a(fence, window_seconds)
cross join (select coalesce((select rolled_to from gpu_rollup_mark where step_seconds = 60), '-infinity') as rolled_to) m
join lease_gpu lg on lg.fence = a.fence
left join lateral (select id from gpu where cluster = lg.cluster and node = lg.node and ordinal = lg.ordinal and parent_uuid = ''
                   order by seen_at desc limit 1) d on true
left join lateral (
    select max(at) as newest_at, max(utilisation) as utilisation_max, max(growth) as memory_growth_mib,
           sum(coalesce(seconds, least(gap, $4::float8))) as covered_seconds
    from (select at, seconds, utilisation, memory_mib - min(memory_mib) over (order by at) as growth,
                 extract(epoch from lead(at, 1, greatest($3::timestamptz, at)) over (order by at) - at) as gap
          from (select at, samples * 10.0 as seconds, utilisation_max as utilisation, memory_used_max_mib as memory_mib
                from gpu_rollup
                where step_seconds = 60 and gpu_id = d.id and at < m.rolled_to
                  and at > $3::timestamptz - make_interval(secs => a.window_seconds)
                  and utilisation_max is not null and memory_used_max_mib is not null
                union all
                select at, null, utilisation_percent, memory_used_mib from gpu_sample
                where gpu_id = d.id and at >= m.rolled_to
                  and at > $3::timestamptz - make_interval(secs => a.window_seconds)
                  and utilisation_percent is not null and memory_used_mib is not null) readings) steps) u on true
order by a.fence, a.window_seconds, lg.node, lg.ordinal;

-- name: warn
insert into idle_warning (fence, gpr_id, warned_at, release_at) values ($1, $2, $3, $4)
on conflict (fence) do update set warned_at = excluded.warned_at, release_at = excluded.release_at;

-- name: withdraw
delete from idle_warning where fence = $1;

-- name: forget_warnings
-- of leases that are active no more
delete from idle_warning w using gpr g where g.id = w.gpr_id and (g.phase <> 'active' or g.fence is distinct from w.fence);

-- name: tell
-- a notice that is told as it is written
insert into notice (gpr_id, kind, due_at, message, delivered_at) values ($1, $2, $3, $4, $3) on conflict do nothing;

-- name: count_idle
-- how many GPUs of each active Gpr have done nothing for five minutes ($1: now; $2 percent at most, $3: what a reading vouches
-- for), or had no pod for as long, as looks show ($4: how old the last one may be). Who is busy with a Gpr now is not waited for
with held as (
    select g.id, g.idle_gpus, count(*) filter (where u.is_idle or (p.is_empty and u.is_busy is not true)) as idle
    from gpr g join lease_gpu lg on lg.fence = g.fence and lg.released_at is null
    left join lateral (select looked_at > $1::timestamptz - make_interval(secs => $4::float8)
                              and greatest(since, used_at) <= looked_at - interval '5 minutes' as is_empty
                       from pods_seen where fence = g.fence limit 1) p on true
    left join lateral (select id from gpu where cluster = lg.cluster and node = lg.node and ordinal = lg.ordinal and parent_uuid = ''
                       order by seen_at desc limit 1) d on true
    left join lateral (
        select max(utilisation_percent) <= $2::int and max(at) > $1::timestamptz - interval '1 minute'
               and count(*) * $3::float8 >= 240 and min(at) < $1::timestamptz - interval '4 minutes' as is_idle,
               max(utilisation_percent) > $2::int as is_busy
        from gpu_sample where gpu_id = d.id and at > $1::timestamptz - interval '5 minutes' and utilisation_percent is not null) u on true
    where g.phase = 'active' group by g.id, g.idle_gpus),
changed as (
    select g.id, h.idle from held h join gpr g on g.id = h.id where h.idle <> h.idle_gpus for no key update of g skip locked)
update gpr g set idle_gpus = c.idle from changed c where g.id = c.id and g.phase = 'active';
