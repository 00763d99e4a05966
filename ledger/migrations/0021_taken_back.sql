-- Leases that end early because they borrow what is guaranteed to others.

alter table preemption
    add column taken_back boolean not null default false;   -- its claimant is of the same band, and has back what is guaranteed to it
