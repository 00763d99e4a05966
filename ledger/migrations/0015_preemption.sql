-- Preemption: leases that may be ended early for a stronger request, and those that are.

alter table gpr add column preemptible boolean not null default false;   -- whoever submitted it lets it be ended early
alter table gpr add column preemptions integer not null default 0;       -- how often it was, and was queued again

update gpr set preemptible = true                                        -- it was kept, and takes effect from now on
where phase in ('queued', 'provisioning', 'active', 'releasing') and options -> 'enableEviction' = 'true';

alter table scheduling_policy
    add column guaranteed_seconds integer not null default 1800          -- so long no lease is ended early
        check (guaranteed_seconds between 0 and 31622400),
    add column notice_seconds integer not null default 60                -- from when it is told to when it ends
        check (notice_seconds between 0 and 86400);

create table preemption (                             -- of one lease, which ends early so that its claimant can start
    id          bigint generated always as identity primary key,
    fence       bigint not null references lease,
    gpr_id      uuid not null references gpr,         -- whose lease it is
    claimant_id uuid not null references gpr,         -- whom it makes room for
    at          timestamptz not null,
    ends_at     timestamptz not null,
    was_end_at  timestamptz,                          -- when it was to end; null: nobody knew
    settled_at  timestamptz,                          -- since when nothing is open about it: the lease has ended, or stays
    stays       boolean not null default false        -- its claimant waits no more, and it has its old end again
);
create unique index one_preemption_per_lease on preemption (fence) where not stays;
create index preemption_open on preemption (claimant_id) where settled_at is null;
create index preemption_by_gpr on preemption (gpr_id);

create or replace function workload_phase(phase text, end_cause text, is_suspended boolean, is_resumed boolean,
                                          may_be_requeued boolean, job_state text)
returns text language sql immutable parallel safe as $$
    -- the rule of domain.workload.phase_of; job_state is null where there is no job, '' where nothing was seen of it yet
    select case phase
        when 'queued' then case when is_suspended then 'stopped' else 'pending' end
        when 'provisioning' then case when is_resumed then 'resuming' else 'creating' end
        when 'active' then case
            when job_state is null then 'running'
            when job_state in ('', 'pending') then case when is_resumed then 'resuming' else 'initializing' end
            when job_state in ('running', 'degraded', 'failed', 'terminating', 'unknown') then job_state
            when job_state = 'succeeded' then 'completed'
            else 'stopping' end
        when 'releasing' then case
            when is_suspended then 'stopping'
            when end_cause in ('suspended', 'preempted') then 'resuming'
            when end_cause = 'provisioning_failed' and may_be_requeued then 'updating'
            when is_ended_by_somebody(end_cause) then 'deleting'
            else 'terminating' end
        when 'expired' then 'completed'
        when 'failed' then 'failed'
        when 'cancelled' then case when is_ended_by_somebody(end_cause) then 'stopped' else 'failed' end
        else case when is_ended_by_somebody(end_cause) then 'stopped' else 'completed' end end
$$;
