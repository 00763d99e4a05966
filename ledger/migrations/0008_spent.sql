-- What a Gpr cost before it was suspended: it goes on from there when it is active again.

alter table gpr add column spent numeric(14, 4) not null default 0;
