-- Whether anybody uses a lease is also known from its pods, where no device is read. A job's pods are its own matter.

create table pods_seen (
    fence     bigint primary key references lease,
    since     timestamptz not null,                   -- the first of the looks that have come one soon after the other
    looked_at timestamptz not null,
    used_at   timestamptz                             -- when a pod was last known to be on its GPUs; null: never
);

create or replace view idle_watch as                  -- active leases for which a rule counts, or did when they were warned
select g.id as gpr_id, g.workspace_id, g.fence, g.active_at, w.warned_at, w.release_at,
       own.window_seconds as own_window_seconds, own.enforced as own_enforced,
       r.workspace_id as rule_workspace_id, r.window_seconds, r.threshold_percent, r.warning_seconds, r.enforced,
       greatest(p.since, p.used_at) as empty_since, p.looked_at
from gpr g
left join idle_warning w on w.fence = g.fence
left join lateral (select * from idle_wish where gpr_id = g.id limit 1) own on true   -- by its key: few Gprs are active
left join lateral (select * from idle_rule where workspace_id = g.workspace_id or workspace_id is null
                   order by workspace_id nulls last limit 1) r on true
left join lateral (select * from pods_seen where fence = g.fence limit 1) p on true   -- likewise
where g.phase = 'active' and g.gpus_per_node > 0
  and (w.fence is not null or own.gpr_id is not null or r.window_seconds is not null);

-- What new workloads of a type are given that name no priority: what an administrator has said, or what their dialect gives.
alter table workload_priority add column given integer;   -- to those that are given this class; within its bounds
update workload_priority p set given = g.given
from (values ('very-low', 20), ('low', 50), ('medium-low', 120), ('medium', 150), ('medium-high', 180), ('high', 220),
             ('very-high', 280)) g (name, given)
where g.name = p.name;
alter table workload_priority alter column given set not null;
alter table workload_type add column given_priority integer;           -- null: what the dialect gives
update workload_type t set given_priority = p.given
from workload_priority p,
     (values ('gpr', 'high'), ('box', 'high'), ('notebook', 'high'), ('training', 'low'), ('compute', 'very-high'),
             ('inference', 'very-high')) shipped (kind, name)
where t.updated_at is not null and p.name = t.priority and shipped.kind = t.kind and shipped.name <> t.priority;
update workload_type set priority = case when kind in ('gpr', 'box') then 'medium-low' else 'medium' end
where given_priority is null;                                          -- the classes of what dialects give
