"""Every statement's plan with 100,000 Gprs: none reads a whole growing table, but for those that say why."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from ledger.connection import Ledger
from ledger.statements import load
from tests.ledger.test_statements import SUBJECTS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from cli.stack.testing import Postgres

GROWING = {
    *("gpr", "lease", "lease_gpu", "event", "outbox", "notice", "idempotency", "workspace", "workspace_namespace"),
    *("job", "box", "box_person", "disk", "disk_operation", "disk_snapshot"),
    *("shown_estimate", "extension", "preemption"),
    *("reservation", "occurrence", "workspace_use"),
    *("gpu_fault", "gpu_quarantine", "idle_wish"),
    "quota_override",
}
EXPLAINED = ("select", "insert", "update", "delete")

READS_A_WHOLE_TABLE = {
    "overrides.all": "the whole history is asked for",
    "leases.open": "joins hundreds of open leases with thousands of workspaces: the server prefers to hash the smaller table",
    "outbox.forget_delivered": "once a minute, by the reconciler; an index on delivered_at would cost every message a write",
}
"""Statement -> why it may."""

FILL = """
alter table gpr disable trigger workload_submitted;
alter table job disable trigger workload_is_job;
insert into principal (id, name, created_at)
    select md5('p' || i)::uuid, 'p' || i, now() from generate_series(1, 500) i;
insert into cluster (name, server, version, sufficient, registered_at, seen_at)
    select 'c' || i, 'https://c', '1.36', true, now(), now() from generate_series(1, 4) i;
insert into node (cluster, name, shape, instance_type, gpus, memory_mib, state, observed_at)
    select 'c' || c, 'n' || n, 'H100', 'p5', 8, 81559, 'ready', now() from generate_series(1, 4) c, generate_series(1, 250) n;
insert into workspace (id, name, tenant, owner_id, clusters, phase, created_at)
    select md5('w' || i)::uuid, 'w' || i, 't' || i, md5('p' || (1 + i % 500))::uuid, '{c1}',
           case when i % 10 = 0 then 'ready' else 'deleted' end, now() from generate_series(1, 5000) i;
insert into workspace_namespace (workspace_id, cluster, namespace, released_at)
    select id, 'c1', name || '-ns', case when phase = 'deleted' then now() end from workspace;
insert into membership (workspace_id, principal_id, role) select id, owner_id, 'owner' from workspace;
insert into disk (id, workspace_id, owner_id, name, size_gb, phase, volumes_made, created_at, deleted_at, purge_at)
    select md5('d' || i)::uuid, md5('w' || (10 * (1 + i % 500)))::uuid, md5('p' || (1 + i % 500))::uuid, 'd' || i, 100,
           case when i % 10 = 0 then 'ready' when i % 100 = 1 then 'deleted' else 'purged' end, 1, now(), now(), now()
    from generate_series(1, 10000) i;
insert into gpr (id, external_id, workspace_id, submitted_by, name, nodes, gpus_per_node, duration_seconds, priority, exclusive,
                 requeue_on_failure, phase, submitted_at, disk_id)
    select md5('g' || i)::uuid, 'gpr-' || i, md5('w' || (10 * (1 + i % 500)))::uuid, md5('p' || (1 + i % 500))::uuid, 'g' || i,
           1, 1, 600, i % 301, true, true,
           case when i % 50 = 0 then 'queued' when i % 333 = 0 then 'active' else 'expired' end, now(),
           case when i % 5 = 0 then md5('d' || (10 * (1 + i % 1000)))::uuid end
    from generate_series(1, 100000) i;
insert into lease (gpr_id, workspace_id, cluster, exclusive, granted_at, released_at)
    select id, workspace_id, 'c1', false, now(), case when phase = 'active' then null else now() end
    from gpr where phase <> 'queued';
insert into lease_gpu (fence, cluster, node, ordinal, released_at)
    select fence, 'c1', 'n' || (1 + place % 250), (place / 250) % 8, released_at
    from (select fence, released_at, row_number() over (order by released_at is not null, fence) as place from lease) l;
update gpr set fence = lease.fence from lease where lease.gpr_id = gpr.id;
insert into event (at, kind, gpr_id, workspace_id) select now(), 'granted', id, workspace_id from gpr, generate_series(1, 3);
insert into outbox (workflow_id, workflow_type, argument, delivered_at, created_at)
    select 'gpr/' || i, 'Gpr', 'x', now(), now() from generate_series(1, 200000) i;
insert into notice (gpr_id, kind, due_at, message, delivered_at) select id, 'k', now(), 'm', now() from gpr;
insert into job (gpr_id, workspace_id, namespace, name, kind, spec, state, ended)
    select id, workspace_id, 'ns', name, 'box', '{}', 'running', phase = 'expired' from gpr where disk_id is not null;
insert into box (gpr_id, owner_id) select j.gpr_id, g.submitted_by from job j join gpr g on g.id = j.gpr_id;
insert into box_person (gpr_id, name, is_owner, fetched_at, requested_at)
    select b.gpr_id, 'someone-' || (g.sequence % 500), true, now(), now() from box b join gpr g on g.id = b.gpr_id;
insert into disk_snapshot (id, disk_id, cluster, namespace, name, phase, created_at, ready_at)
    select md5(d.id::text || i)::uuid, d.id, 'c1', 'ns', 's' || i,
           case when d.phase = 'ready' and i > 3 then 'ready' else 'gone' end, now(), now() from disk d, generate_series(1, 5) i;
update disk set restore_from = md5(id::text || 5)::uuid where phase = 'ready';
insert into disk_operation (id, disk_id, action, status, created_at, updated_at)
    select md5('o' || s.id::text)::uuid, disk_id, 'snapshot', 'completed', now(), now() from disk_snapshot s;
insert into disk_operation (id, disk_id, action, status, created_at, updated_at)
    select gen_random_uuid(), id, 'rename', 'running', now(), now() from disk where phase = 'ready' and sequence % 200 = 0;
insert into shown_estimate (gpr_id, shown_at, starts_at, earliest, latest, started_at)
    select g.id, now() - interval '1 hour' * i, now(), now(), now(), case when g.phase <> 'queued' then now() end
    from gpr g, generate_series(1, 2) i;
update gpr set promised_at = now(), promised_start = now() where phase = 'queued' and sequence % 3 = 0;
insert into extension (id, gpr_id, at, seconds) select id, id, now(), 60 from gpr where sequence % 3 = 0;
insert into preemption (fence, gpr_id, claimant_id, at, ends_at, settled_at)
    select fence, gpr_id, gpr_id, now(), now(), case when fence % 1000 > 0 then now() end from lease where fence <= 50000;
insert into idempotency (principal_id, key, operation, request_hash, subject_id, created_at)
    select submitted_by, id::text, 'submit', 'x', id, now() from gpr;
insert into reservation
    (id, workspace_id, created_by, name, nodes, gpus_per_node, starts_at, duration_seconds, created_at, ended_at)
    select md5('r' || i)::uuid, md5('w' || (10 * (1 + i % 500)))::uuid, md5('p' || (1 + i % 500))::uuid, 'r' || i, 1, 1, now(), 600,
           now(), case when i % 100 > 0 then now() end from generate_series(1, 20000) i;
insert into occurrence (reservation_id, starts_at, gpr_id, tried_at)
    select md5('r' || sequence)::uuid, now(), id, now() from gpr where sequence <= 20000;
update gpr set fixed_start = now() where sequence <= 20000;
insert into pool (name, created_by, created_at) select 'pool-' || i, 'b', now() from generate_series(1, 40) i;
insert into pool_weight (pool, workspace_id, weight, set_by, set_at)
    select 'pool-' || i, id, 2, 'b', now() from workspace, generate_series(1, 4) i where phase = 'ready';
insert into workspace_use (workspace_id, pool, used, at)
    select id, case when i > 0 then 'pool-' || i else '' end, 1000, now() from workspace, generate_series(0, 4) i;
update lease set ran = tstzrange(now() - fence * interval '1 minute', now() - (fence - 1) * interval '1 minute')
    where released_at is not null;
insert into gpu (cluster, node, ordinal, uuid, product, memory_mib, first_seen_at, seen_at)
    select cluster, name, o, name || '-' || o, 'H100', 81559, now(), now() from node, generate_series(0, 7) o;
insert into gpu_fault (gpu_id, at, kind, code, verdict)
    select 1 + i % 8000, now() - i * interval '1 minute', 'xid', 31, case when i > 20 then 'noted' end
    from generate_series(1, 100000) i;
insert into gpu_quarantine (id, cluster, node, ordinal, remedy, reason, fault_id, begun_by, begun_at, lifted_at)
    select gen_random_uuid(), d.cluster, d.node, d.ordinal, 'reset_gpu', 'Xid 95', f.id, 'b', f.at,
           case when f.id % 1000 > 0 or f.id > 7000 then now() end
    from gpu_fault f join gpu d on d.id = f.gpu_id where f.id <= 20000;
insert into idle_wish (gpr_id, window_seconds, enforced) select id, 1800, true from gpr;
update workspace set quota_gpus = 8, department = 'd' || sequence % 20 where sequence % 100 = 0;
insert into department (name, created_by, created_at) select 'd' || i, 'b', now() from generate_series(0, 19) i;
insert into quota_override (id, scope, workspace_id, gpus, begins_at, ends_at, set_by, set_at)
    select gen_random_uuid(), 'workspace', md5('w' || (1 + i % 5000))::uuid, 8, now() - i * interval '1 hour',
           now() - (i - 20) * interval '1 hour', 'b', now() from generate_series(1, 20000) i;
insert into user_ceiling (principal_id, gpus, set_by, set_at) select id, 8, 'b', now() from principal;
set constraints all immediate;
alter table gpr enable trigger workload_submitted;
alter table job enable trigger workload_is_job;
analyze;
"""


@pytest_asyncio.fixture(scope="module")
async def large_ledger(postgres: Postgres, migrated_template: str) -> AsyncIterator[Ledger]:
    ledger = Ledger(postgres.create_database(template=migrated_template))
    async with ledger.transaction() as connection:
        await connection.execute(FILL, timeout=300)
    yield ledger
    await ledger.close()


@pytest.mark.parametrize("subject", SUBJECTS)
async def test_no_statement_reads_a_whole_growing_table(large_ledger: Ledger, subject: str) -> None:
    for name, statement in load(subject).items():
        read = await tables_read_whole(large_ledger, statement)
        excused = f"{subject}.{name}" in READS_A_WHOLE_TABLE
        assert bool(read) == excused, f"{subject}.{name} reads {read}"


async def tables_read_whole(ledger: Ledger, statement: str) -> set[str]:
    if not bare(statement).lower().startswith((*EXPLAINED, "with")):
        return set()
    async with ledger.reading() as connection:
        nulls = ", ".join("null" for _ in (await connection.prepare(statement)).get_parameters())
        await connection.execute("set plan_cache_mode = force_generic_plan")
        await connection.execute(f"prepare explained as {statement}")
        plan = await connection.fetch("explain execute explained" + (f"({nulls})" if nulls else ""))
        await connection.execute("deallocate explained")
    text = "\n".join(row[0] for row in plan)
    return set(re.findall(r"Seq Scan on (\w+)", text)) & GROWING


def bare(statement: str) -> str:
    return "\n".join(line for line in statement.splitlines() if not line.startswith("--")).strip()
