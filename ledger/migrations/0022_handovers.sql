-- How long GPUs take here from one lease to the next, learnt from the newest leases that are over. No row: nothing learnt yet.

create table handover (
    is_only              boolean primary key default true check (is_only),
    provisioning_seconds integer not null check (provisioning_seconds > 0),
    teardown_seconds     integer not null check (teardown_seconds > 0),
    learnt_at            timestamptz not null
);
