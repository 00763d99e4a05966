-- Idle: rules of administrators, wishes of owners, and who has been warned. Health: GPUs that are set aside, and why.
-- Cost: when each lease ran.

create table idle_rule (
    workspace_id      uuid unique nulls not distinct references workspace,  -- null: of every workspace without a rule of its own
    window_seconds    integer not null check (window_seconds > 0),
    threshold_percent smallint not null check (threshold_percent between 0 and 100),
    warning_seconds   integer not null check (warning_seconds >= 0),
    enforced          boolean not null,               -- false: its people are told, and nothing ends
    set_by            text not null,
    set_at            timestamptz not null
);

create table idle_wish (                              -- of whoever asked for the Gpr
    gpr_id         uuid primary key references gpr,
    window_seconds integer not null check (window_seconds > 0),
    enforced       boolean not null
);
insert into idle_wish (gpr_id, window_seconds, enforced)    -- what was said while it was only kept
select id, extract(epoch from (options ->> 'idleTimeOutDuration')::interval), coalesce((options ->> 'enforceIdleTimeOut')::boolean, false)
from gpr where phase in ('queued', 'provisioning', 'active')
           and options ->> 'idleTimeOutDuration' ~ '^[0-9]+h[0-9]+m[0-9]+s$' and options ->> 'idleTimeOutDuration' <> '0h0m0s';

create table idle_warning (                           -- of a lease that is idle now
    fence      bigint primary key references lease,
    gpr_id     uuid not null references gpr,
    warned_at  timestamptz not null,
    release_at timestamptz                            -- null: nobody ends it
);
create index idle_warning_by_gpr on idle_warning (gpr_id);

alter table gpu_fault add column verdict text         -- null: nobody has looked at it yet
    check (verdict in ('noted', 'quarantined', 'withheld'));
create index gpu_fault_open on gpu_fault (id) where verdict is null or verdict = 'withheld';

create table gpu_quarantine (                         -- its history: open while nothing has lifted it
    id          uuid primary key,
    cluster     text not null,
    node        text not null,
    ordinal     integer,                              -- null: all GPUs of the node
    remedy      text not null check (remedy in ('reset_gpu', 'reboot_node', 'check_links', 'replace_gpu', 'none')),
    reason      text not null,
    fault_id    bigint references gpu_fault,
    begun_by    text not null,
    begun_at    timestamptz not null,
    clean_seconds integer,                            -- clean readings that lift it; null: only an administrator does
    clean_since timestamptz,
    waits_for   text not null default '',
    lifted_by   text not null default '',
    lifted_at   timestamptz,
    foreign key (cluster, node) references node
);
create unique index one_open_quarantine on gpu_quarantine (cluster, node, ordinal) nulls not distinct where lifted_at is null;
create index gpu_quarantine_by_place on gpu_quarantine (cluster, node, begun_at desc);
create index gpu_quarantine_by_fault on gpu_quarantine (fault_id) where fault_id is not null;

alter table lease add column ran tstzrange;           -- from its activation until its release began, or was due
update lease l set ran = tstzrange(e.begun, case when l.released_at is null and e.ended is null then null
                                                 else greatest(e.begun, least(e.ended, l.released_at)) end)
from (select fence, min(at) filter (where kind = 'activated') as begun, min(at) filter (where kind = 'releasing') as ended
      from event where kind in ('activated', 'releasing') and fence is not null group by fence) e
where e.fence = l.fence and e.begun is not null;
create index lease_by_time on lease using gist (ran) where ran is not null;

create view idle_watch as                             -- active leases for which a rule counts, or did when they were warned
select g.id as gpr_id, g.workspace_id, g.fence, g.active_at, w.warned_at, w.release_at,
       own.window_seconds as own_window_seconds, own.enforced as own_enforced,
       r.workspace_id as rule_workspace_id, r.window_seconds, r.threshold_percent, r.warning_seconds, r.enforced
from gpr g
left join idle_warning w on w.fence = g.fence
left join lateral (select * from idle_wish where gpr_id = g.id limit 1) own on true   -- by its key: few Gprs are active
left join lateral (select * from idle_rule where workspace_id = g.workspace_id or workspace_id is null
                   order by workspace_id nulls last limit 1) r on true
where g.phase = 'active' and g.gpus_per_node > 0
  and (w.fence is not null or own.gpr_id is not null or r.window_seconds is not null);
