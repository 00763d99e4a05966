-- Suspended: it waits without GPUs, unplanned, at its place in the queue, until it is resumed.

alter table gpr add column suspended_at timestamptz;
create index gpr_ended_by_itself on gpr (finished_at)       -- what the list of jobs shows for a day
    where end_cause in ('completed', 'job_failed', 'expired', 'provisioning_failed');
