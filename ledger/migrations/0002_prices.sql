-- What GPUs cost, and from when on; and when a Gpr stopped being its owner's, which is where its cost ends.

create table price (
    shape        text not null,                       -- as the inventory spells it
    starts_at    timestamptz not null,                -- counts until the next one of its shape
    per_gpu_hour numeric(12, 4) check (per_gpu_hour >= 0),  -- null: no price from then on
    set_by       text not null,
    set_at       timestamptz not null,
    primary key (shape, starts_at)
);

create view price_period as
select shape, starts_at, per_gpu_hour,
       coalesce(lead(starts_at) over (partition by shape order by starts_at), 'infinity') as ends_at
from price;

alter table gpr add column stopped_at timestamptz;    -- its release began
