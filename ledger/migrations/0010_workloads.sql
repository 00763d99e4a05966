-- Workloads: every Gpr, job and box in one table that lists can sort, filter and count by any column, kept by triggers.
-- Text is compared byte by byte ("C"), so that one index serves equality, order and beginnings.

alter table workspace add column department text collate "C" not null default 'default';
alter table gpr add column idle_gpus integer not null default 0 check (idle_gpus >= 0);   -- of those it holds, unused now
alter table gpr add column resumed_at timestamptz;    -- when it was last resumed; it has not run since where active_at is null

create function stable_id(kind text, name text) returns text language sql immutable strict parallel safe as $$
    -- the same for ever, for things whose key is their name (a UUID of version 3)
    select overlay(overlay(md5(kind || '/' || name) placing '3' from 13) placing '8' from 17)::uuid::text
$$;

-- what there is to choose from --------------------------------------------------------------------------------------

create table workload_category (
    name        text collate "C" primary key,
    id          text not null unique generated always as (stable_id('category', name)) stored,
    description text not null
);
insert into workload_category (name, description) values
    ('Build', 'interactive work: people sit at it'),
    ('Deploy', 'serves others until it is told to stop'),
    ('Train', 'runs to its end by itself');

create table workload_priority (
    name  text collate "C" primary key,
    id    text not null unique generated always as (stable_id('priority', name)) stored,
    value integer not null unique,
    least integer not null unique                     -- priorities of Gprs from here on, up to the next one's
);
insert into workload_priority (name, value, least) values
    ('very-low', 25, 0), ('low', 40, 36), ('medium-low', 65, 101), ('medium', 80, 136), ('medium-high', 90, 166),
    ('high', 125, 201), ('very-high', 150, 251);

create table workload_type (
    kind       text primary key,                      -- of job, or 'gpr' where there are no pods of ours
    name       text collate "C" not null unique,
    id         text not null unique generated always as (stable_id('type', kind)) stored,
    category   text collate "C" not null references workload_category,   -- of new ones
    priority   text collate "C" not null references workload_priority,   -- likewise
    updated_at timestamptz,                           -- null: as it was shipped
    updated_by text not null default ''
);
insert into workload_type (kind, name, category, priority) values
    ('gpr', 'Reservation', 'Build', 'high'), ('box', 'DevBox', 'Build', 'high'), ('notebook', 'Workspace', 'Build', 'high'),
    ('training', 'Training', 'Train', 'low'), ('compute', 'Compute', 'Deploy', 'very-high'),
    ('inference', 'Inference', 'Deploy', 'very-high');

-- what each one is ---------------------------------------------------------------------------------------------------

create function is_ended_by_somebody(cause text) returns boolean language sql immutable parallel safe as $$
    -- domain.workload.BY_SOMEBODY
    select coalesce(cause in ('cancelled', 'early_release', 'operator', 'workspace_deleted'), false)
$$;

create function workload_phase(phase text, end_cause text, is_suspended boolean, is_resumed boolean, may_be_requeued boolean,
                               job_state text) returns text language sql immutable parallel safe as $$
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
            when end_cause = 'suspended' then 'resuming'
            when end_cause = 'provisioning_failed' and may_be_requeued then 'updating'
            when is_ended_by_somebody(end_cause) then 'deleting'
            else 'terminating' end
        when 'expired' then 'completed'
        when 'failed' then 'failed'
        when 'cancelled' then case when is_ended_by_somebody(end_cause) then 'stopped' else 'failed' end
        else case when is_ended_by_somebody(end_cause) then 'stopped' else 'completed' end end
$$;

create table workload (
    sequence         bigint primary key,              -- of its Gpr: ties are broken by it
    gpr_id           uuid not null unique references gpr on delete cascade,
    workspace_id     uuid not null,
    is_deleted       boolean not null,                -- somebody ended it, or its workspace is gone
    name             text collate "C" not null,
    kind             text not null,                   -- of workload_type
    type             text collate "C" not null,
    category         text collate "C" not null,       -- as its type had it when it came
    cluster          text collate "C" not null,       -- where it is or was; until then the first where it may be
    cluster_id       text collate "C" not null,
    project_id       text collate "C" not null,       -- its workspace's id as text
    project          text collate "C" not null,
    department       text collate "C" not null,
    department_id    text collate "C" not null,
    submitter        text collate "C" not null,
    pool             text collate "C" not null,
    phase            text collate "C" not null,
    phase_updated_at timestamptz not null,
    created_at       timestamptz not null,
    completed_at     timestamptz,
    deleted_at       timestamptz,
    priority         integer not null,
    priority_class   text collate "C" not null,
    allocated_gpus   integer not null,
    idle_gpus        integer not null,
    -- seconds in all. Below zero while they grow: what it was, less the instant since when (seconds of the epoch)
    pending_key      bigint not null,
    running_key      bigint not null
);
create index workload_by_workspace on workload (workspace_id, is_deleted, sequence);
create index workload_by_age on workload (is_deleted, sequence);
create index workload_by_name on workload (is_deleted, name, sequence);
create index workload_by_type on workload (is_deleted, type, sequence);
create index workload_by_category on workload (is_deleted, category, sequence);
create index workload_by_cluster on workload (is_deleted, cluster_id, sequence);
create index workload_by_project on workload (is_deleted, project, sequence);
create index workload_by_project_id on workload (is_deleted, project_id, sequence);
create index workload_by_department on workload (is_deleted, department, sequence);
create index workload_by_department_id on workload (is_deleted, department_id, sequence);
create index workload_by_submitter on workload (is_deleted, submitter, sequence);
create index workload_by_pool on workload (is_deleted, pool, sequence);
create index workload_by_phase on workload (is_deleted, phase, sequence);
create index workload_by_phase_updated on workload (is_deleted, phase_updated_at, sequence);
create index workload_by_created on workload (is_deleted, created_at, sequence);
create index workload_by_completed on workload (is_deleted, completed_at, sequence);
create index workload_by_deleted on workload (is_deleted, deleted_at, sequence);
create index workload_by_priority on workload (is_deleted, priority, sequence);
create index workload_by_priority_class on workload (is_deleted, priority_class, sequence);
create index workload_by_allocated on workload (is_deleted, allocated_gpus, sequence);
create index workload_by_idle on workload (is_deleted, idle_gpus, sequence);
create index workload_by_pending on workload (is_deleted, pending_key, sequence);
create index workload_by_running on workload (is_deleted, running_key, sequence);

create function trigrams(words text) returns text[] language sql immutable strict parallel safe as $$
    select coalesce(array_agg(distinct substr(words, place, 3)), '{}') from generate_series(1, length(words) - 2) place
$$;

create table workload_words (          -- for what contains a word: apart, because a workload often moves and its words stay
    sequence bigint primary key references workload on delete cascade,
    words    text collate "C" not null,               -- in lower case, all that the free search looks at
    grams    text[] collate "C" not null              -- every three letters in a row
);
create index workload_by_grams on workload_words using gin (grams);

create view workload_facts as
select g.sequence, g.id as gpr_id, g.workspace_id, f.gone_at is not null as is_deleted, g.name, t.kind, t.name as type, t.category,
       c.name as cluster, stable_id('cluster', c.name) as cluster_id, w.id::text as project_id, w.name as project,
       w.department, stable_id('department', w.department) as department_id, p.name as submitter,
       coalesce(nullif(g.pool, ''), 'default') as pool, f.phase, f.phase_updated_at, g.submitted_at as created_at,
       g.finished_at as completed_at, f.gone_at as deleted_at, q.value as priority, q.name as priority_class,
       case when f.is_holding then g.nodes * g.gpus_per_node else 0 end as allocated_gpus,
       case when f.is_holding then g.idle_gpus else 0 end as idle_gpus,
       -- as far as its row tells: what a workload starts with that is written late
       (case when f.phase = 'pending' then -floor(extract(epoch from g.submitted_at))
             else greatest(0, extract(epoch from coalesce(l.granted_at, f.phase_updated_at) - g.submitted_at)) end)::bigint as pending_key,
       (case when f.phase = 'running' then -floor(extract(epoch from coalesce(g.active_at, f.phase_updated_at)))
             else greatest(0, coalesce(extract(epoch from f.phase_updated_at - g.active_at), 0)) end)::bigint as running_key,
       lower(concat_ws(' ', g.name, w.name, p.name, t.name)) as words
from gpr g
join workspace w on w.id = g.workspace_id
join principal p on p.id = g.submitted_by
left join job j on j.gpr_id = g.id
left join lateral (select cluster, granted_at, released_at from lease where gpr_id = g.id order by fence desc limit 1) l on true
join workload_type t on t.kind = coalesce(j.kind, 'gpr')
cross join lateral (select value, name from workload_priority where least <= g.priority order by least desc limit 1) q
cross join lateral (select coalesce(l.cluster, g.clusters[1], w.clusters[1], '') as name) c
cross join lateral (
    select workload_phase(g.phase, g.end_cause, g.suspended_at is not null, g.resumed_at is not null, g.requeue_on_failure, j.state) as phase,
           g.phase in ('provisioning', 'active', 'releasing') as is_holding,
           greatest(g.submitted_at, l.granted_at, l.released_at, g.active_at, g.stopped_at, g.finished_at, g.suspended_at, g.resumed_at,
                    case when g.phase = 'active' and j.state <> '' then j.observed_at end) as phase_updated_at,
           case when w.phase in ('deleted', 'failed') then coalesce(w.ended_at, g.finished_at, g.submitted_at)
                when g.phase in ('cancelled', 'released') and is_ended_by_somebody(g.end_cause) then g.finished_at end as gone_at) f;

create function workload_seconds(key bigint, at timestamptz) returns bigint language sql immutable parallel safe as $$
    select case when key < 0 then greatest(0, key + floor(extract(epoch from at))::bigint) else key end
$$;

create function workload_key(key bigint, at timestamptz, grows boolean) returns bigint language sql immutable parallel safe as $$
    -- the same seconds from `at` on, growing or not
    select workload_seconds(key, at) - case when grows then floor(extract(epoch from at))::bigint else 0 end
$$;

create function workload_write(ids uuid[]) returns void language plpgsql as $$
begin
    -- in this language, its plans are kept
    insert into workload as w (sequence, gpr_id, workspace_id, is_deleted, name, kind, type, category, cluster, cluster_id, project_id, project,
                               department, department_id, submitter, pool, phase, phase_updated_at, created_at, completed_at, deleted_at,
                               priority, priority_class, allocated_gpus, idle_gpus, pending_key, running_key)
    select sequence, gpr_id, workspace_id, is_deleted, name, kind, type, category, cluster, cluster_id, project_id, project,
           department, department_id, submitter, pool, phase, phase_updated_at, created_at, completed_at, deleted_at,
           priority, priority_class, allocated_gpus, idle_gpus, pending_key, running_key
    from workload_facts where gpr_id = any(ids) order by sequence
    on conflict (sequence) do update set
        is_deleted = excluded.is_deleted, name = excluded.name, kind = excluded.kind, type = excluded.type,
        category = case when w.kind = excluded.kind then w.category else excluded.category end,
        cluster = excluded.cluster, cluster_id = excluded.cluster_id,
        department = excluded.department, department_id = excluded.department_id,
        phase = excluded.phase,
        phase_updated_at = case when w.phase = excluded.phase then w.phase_updated_at
                                else greatest(w.phase_updated_at, excluded.phase_updated_at) end,
        completed_at = excluded.completed_at, deleted_at = excluded.deleted_at,
        priority = excluded.priority, priority_class = excluded.priority_class,
        allocated_gpus = excluded.allocated_gpus, idle_gpus = excluded.idle_gpus,
        pending_key = case when w.phase = excluded.phase then w.pending_key
                           else workload_key(w.pending_key, greatest(w.phase_updated_at, excluded.phase_updated_at), excluded.phase = 'pending') end,
        running_key = case when w.phase = excluded.phase then w.running_key
                           else workload_key(w.running_key, greatest(w.phase_updated_at, excluded.phase_updated_at), excluded.phase = 'running') end;
    insert into workload_words as w (sequence, words, grams)
    select sequence, words, trigrams(words) from workload_facts f where gpr_id = any(ids)
        and not exists (select from workload_words old where old.sequence = f.sequence and old.words = f.words)
    on conflict (sequence) do update set words = excluded.words, grams = excluded.grams;
end $$;

-- how many there are -------------------------------------------------------------------------------------------------
-- Counted as they come: each move writes what it takes from one count and adds to another, and some writer now and then adds
-- those up. Nobody waits for anybody: changes are only inserted, and one at a time adds up.

create table workload_change (
    id            bigint generated always as identity primary key,
    workspace_id  uuid not null,
    is_deleted    boolean not null,
    project       text collate "C" not null,
    department    text collate "C" not null,
    department_id text collate "C" not null,
    cluster       text collate "C" not null,
    cluster_id    text collate "C" not null,
    type          text collate "C" not null,
    category      text collate "C" not null,
    pool          text collate "C" not null,
    phase         text collate "C" not null,
    number        bigint not null,
    allocated     bigint not null,
    idle          bigint not null
);

create table workload_tally (                         -- of each workspace; and of all together, with no workspace
    workspace_id  uuid,
    is_deleted    boolean not null,
    project       text collate "C" not null,
    department    text collate "C" not null,
    department_id text collate "C" not null,
    cluster       text collate "C" not null,
    cluster_id    text collate "C" not null,
    type          text collate "C" not null,
    category      text collate "C" not null,
    pool          text collate "C" not null,
    phase         text collate "C" not null,
    number        bigint not null,
    allocated     bigint not null,
    idle          bigint not null,
    unique nulls not distinct (workspace_id, is_deleted, project, department, department_id, cluster, cluster_id, type, category, pool, phase)
);

create view workload_counts as                        -- what is added up already, and what is not yet
with every_sort as (
    select workspace_id is null as is_total, * from workload_tally
    union all
    select is_total, workspace_id, is_deleted, project, department, department_id, cluster, cluster_id, type, category, pool, phase,
           number, allocated, idle
    from workload_change cross join (values (true), (false)) sorts (is_total))
select *, workspace_id::text as project_id from every_sort;

create function workload_fold() returns void language plpgsql as $$
begin
    if not pg_try_advisory_xact_lock(hashtext('berth.workload_fold')) then
        return;
    end if;
    with taken as (delete from workload_change returning *),
    both_sorts as (
        select workspace_id, project, is_deleted, department, department_id, cluster, cluster_id, type, category, pool, phase,
               number, allocated, idle from taken
        union all
        select null, '', is_deleted, department, department_id, cluster, cluster_id, type, category, pool, phase, number, allocated, idle
        from taken)
    insert into workload_tally as t (workspace_id, project, is_deleted, department, department_id, cluster, cluster_id, type, category,
                                     pool, phase, number, allocated, idle)
    select workspace_id, project, is_deleted, department, department_id, cluster, cluster_id, type, category, pool, phase,
           sum(number), sum(allocated), sum(idle)
    from both_sorts group by 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 having sum(number) <> 0 or sum(allocated) <> 0 or sum(idle) <> 0
    on conflict (workspace_id, is_deleted, project, department, department_id, cluster, cluster_id, type, category, pool, phase)
    do update set number = t.number + excluded.number, allocated = t.allocated + excluded.allocated, idle = t.idle + excluded.idle;
end $$;

create function workload_counted() returns trigger language plpgsql as $$
declare
    is_time boolean;
begin
    if tg_op = 'INSERT' then
        with made as (
            insert into workload_change (workspace_id, is_deleted, project, department, department_id, cluster, cluster_id, type, category,
                                         pool, phase, number, allocated, idle)
            select workspace_id, is_deleted, project, department, department_id, cluster, cluster_id, type, category, pool, phase,
                   count(*), sum(allocated_gpus), sum(idle_gpus)
            from after_it group by 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 returning id)
        select bool_or(id % 500 = 0) into is_time from made;
    elsif tg_op = 'DELETE' then
        insert into workload_change (workspace_id, is_deleted, project, department, department_id, cluster, cluster_id, type, category,
                                     pool, phase, number, allocated, idle)
        select workspace_id, is_deleted, project, department, department_id, cluster, cluster_id, type, category, pool, phase,
               -count(*), -sum(allocated_gpus), -sum(idle_gpus)
        from before_it group by 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11;
    else
        with moved as (
            select workspace_id, is_deleted, project, department, department_id, cluster, cluster_id, type, category, pool, phase,
                   1 as number, allocated_gpus as allocated, idle_gpus as idle from after_it
            union all
            select workspace_id, is_deleted, project, department, department_id, cluster, cluster_id, type, category, pool, phase,
                   -1, -allocated_gpus, -idle_gpus from before_it),
        made as (
            insert into workload_change (workspace_id, is_deleted, project, department, department_id, cluster, cluster_id, type, category,
                                         pool, phase, number, allocated, idle)
            select workspace_id, is_deleted, project, department, department_id, cluster, cluster_id, type, category, pool, phase,
                   sum(number), sum(allocated), sum(idle)
            from moved group by 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11
            having sum(number) <> 0 or sum(allocated) <> 0 or sum(idle) <> 0 returning id)
        select bool_or(id % 500 = 0) into is_time from made;
    end if;
    if is_time then
        perform workload_fold();
    end if;
    return null;
end $$;
create trigger workload_counted_new after insert on workload referencing new table as after_it
    for each statement execute function workload_counted();
create trigger workload_counted_moved after update on workload referencing old table as before_it new table as after_it
    for each statement execute function workload_counted();
create trigger workload_counted_gone after delete on workload referencing old table as before_it
    for each statement execute function workload_counted();

-- what keeps it ------------------------------------------------------------------------------------------------------
-- Moves are written at the commit, when their transaction holds all that it will hold: so a workload is always what is locked
-- last, and these triggers add no order of locks to those that there are.

create function workload_of_new_gprs() returns trigger language plpgsql as $$
begin
    perform workload_write(array(select id from new_rows));
    return null;
end $$;
create trigger workload_submitted after insert on gpr referencing new table as new_rows
    for each statement execute function workload_of_new_gprs();

create function workload_of_new_jobs() returns trigger language plpgsql as $$
begin
    perform workload_write(array(select gpr_id from new_rows));
    return null;
end $$;
create trigger workload_is_job after insert on job referencing new table as new_rows
    for each statement execute function workload_of_new_jobs();

create function workload_of_gpr() returns trigger language plpgsql as $$
begin
    perform workload_write(array[new.id]);
    return null;
end $$;
create constraint trigger workload_moved
    after update of phase, end_cause, suspended_at, resumed_at, finished_at, name, priority, idle_gpus, pool on gpr
    deferrable initially deferred for each row
    when ((old.phase, old.end_cause, old.suspended_at, old.resumed_at, old.finished_at, old.name, old.priority, old.idle_gpus, old.pool)
          is distinct from
          (new.phase, new.end_cause, new.suspended_at, new.resumed_at, new.finished_at, new.name, new.priority, new.idle_gpus, new.pool))
    execute function workload_of_gpr();

create function workload_of_job() returns trigger language plpgsql as $$
begin
    perform workload_write(array[new.gpr_id]);
    return null;
end $$;
create constraint trigger workload_seen after update of state on job
    deferrable initially deferred for each row
    when (old.state is distinct from new.state) execute function workload_of_job();

create function workload_of_workspace() returns trigger language plpgsql as $$
begin
    -- where nothing else of them moves any more, that much is enough
    if new.phase in ('deleted', 'failed') and old.phase <> new.phase then
        update workload set is_deleted = true, deleted_at = coalesce(new.ended_at, completed_at, created_at)
        where workspace_id = new.id and not is_deleted;
    end if;
    if new.department <> old.department then
        update workload set department = new.department, department_id = stable_id('department', new.department)
        where workspace_id = new.id;
    end if;
    return null;
end $$;
create trigger workload_tenant after update of phase, department on workspace for each row
    when (old.phase is distinct from new.phase or old.department is distinct from new.department)
    execute function workload_of_workspace();

select workload_write(array(select id from gpr));
select workload_fold();
