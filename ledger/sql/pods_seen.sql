-- name: note
-- a look at $2 at active leases ($1), with when each was last used ($3); jobs are left out. After a hole of more than $4 seconds
-- nothing is known of the time before it. In the order of leases, so that two looks at a time do not lock each other out
insert into pods_seen as p (fence, since, looked_at, used_at)
select a.fence, $2, $2, a.used_at from unnest($1::bigint[], $3::timestamptz[]) as a(fence, used_at)
join lease l on l.fence = a.fence
join gpr g on g.id = l.gpr_id and g.fence = l.fence and g.phase = 'active'
where not exists (select from job where gpr_id = g.id) order by a.fence
on conflict (fence) do update set
    since = case when p.looked_at < excluded.looked_at - make_interval(secs => $4::float8) then excluded.since else p.since end,
    looked_at = excluded.looked_at, used_at = greatest(p.used_at, excluded.used_at)
where p.looked_at < excluded.looked_at;

-- name: forget
-- those of closed leases; whatever somebody is busy with is left for the next time
delete from pods_seen where fence in (
    select p.fence from pods_seen p join lease l on l.fence = p.fence
    where l.released_at is not null for update of p skip locked);
