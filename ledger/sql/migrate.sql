-- name: lock
-- one migrator at a time, whoever starts first; the lock goes with the transaction
select pg_advisory_xact_lock(hashtext('berth.migrate'));

-- name: create_table
create table if not exists schema_migration (
    name text primary key, checksum text not null, run_at timestamptz not null default now()
);

-- name: done
select name, checksum from schema_migration;

-- name: record
insert into schema_migration (name, checksum) values ($1, $2);
