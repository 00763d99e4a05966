"""Statements about samples with a day of them: what is asked of a few GPUs, or of some minutes, reads no whole partition."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest_asyncio

from ledger.connection import Ledger
from ledger.sample_upkeep import RAW, make_partitions, roll_up
from ledger.statements import load
from tests.ledger.sample_kit import CLUSTER, NOON

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from cli.stack.testing import Postgres

TELEMETRY, UPKEEP = load("telemetry"), load("sample_upkeep")
MINUTE = timedelta(minutes=1)
MIDNIGHT = NOON.replace(hour=0)
FILL = """
insert into cluster (name, server, version, sufficient, registered_at, seen_at) values ('worker-1', '', '', true, now(), now());
insert into node (cluster, name, shape, instance_type, gpus, memory_mib, state, observed_at)
    select 'worker-1', 'n' || n, 'H100', 'p5', 8, 81559, 'ready', now() from generate_series(1, 50) n;
insert into gpu (cluster, node, ordinal, uuid, product, memory_mib, first_seen_at, seen_at)
    select cluster, name, o, name || '-' || o, 'H100', 81559, now(), now() from node, generate_series(0, 7) o;
insert into gpu_sample (at, gpu_id, utilisation_percent, memory_used_mib, power_watts)
    select at, id, id % 100, id, id from generate_series(timestamptz '2026-03-10', '2026-03-11', '8 minutes') at, gpu;
insert into principal (id, name, created_at) select md5('p')::uuid, 'p', now();
insert into workspace (id, name, tenant, owner_id, clusters, phase, created_at)
    select md5('w')::uuid, 'w', 't', md5('p')::uuid, '{worker-1}', 'ready', now();
insert into gpr (id, external_id, workspace_id, submitted_by, name, nodes, gpus_per_node, duration_seconds, priority, exclusive,
                 requeue_on_failure, phase, submitted_at)
    select md5('g' || i)::uuid, 'g' || i, md5('w')::uuid, md5('p')::uuid, 'g', 1, 8, 600, 1, true, true, 'expired', now()
    from generate_series(1, 5000) i;
insert into lease (gpr_id, workspace_id, cluster, exclusive, granted_at, released_at)
    select id, workspace_id, 'worker-1', true, '2026-03-10', '2026-03-11' from gpr;
insert into lease_gpu (fence, cluster, node, ordinal, released_at)
    select fence, 'worker-1', 'n' || (1 + fence % 50), o, '2026-03-11' from lease, generate_series(0, 7) o;
"""


@pytest_asyncio.fixture(scope="module")
async def day(postgres: Postgres, migrated_template: str) -> AsyncIterator[Ledger]:
    """400 GPUs, a sample every eight minutes."""
    ledger = Ledger(postgres.create_database(template=migrated_template))
    async with ledger.transaction() as connection:
        await make_partitions(connection, RAW, MIDNIGHT, MIDNIGHT + timedelta(days=1))
        await connection.execute(FILL, timeout=300)
    for _ in range(2):  # a day and what is beyond its last full hour
        await roll_up(ledger, MIDNIGHT + timedelta(days=1))
    async with ledger.reading() as connection:
        await connection.execute("vacuum analyze", timeout=300)
    yield ledger
    await ledger.close()


async def plan(ledger: Ledger, statement: str, *arguments: Any) -> str:
    async with ledger.reading() as connection:
        types = [each.name for each in (await connection.prepare(statement)).get_parameters()]
        assert len(types) == len(arguments)
        return "\n".join(
            row[0] for row in await connection.fetch(f"explain (analyze, timing off) {statement}", *arguments)
        )


def read_whole(text: str) -> set[str]:
    """Partitions and large tables that were gone through, whoever owns them."""
    return set(re.findall(r"Seq Scan on ((?:gpu_sample|gpu_rollup|lease|gpr)\w*)", text))


async def test_use_of_a_lease_reads_only_its_gpus(day: Ledger) -> None:
    begin, end = MIDNIGHT, MIDNIGHT + timedelta(days=1)
    for name, more in (("usage_of_samples", (30,)), ("usage_of_rollups", (3600, 3600)), ("usage_of_rollups", (60, 60))):
        text = await plan(day, TELEMETRY[name], [17, 18], begin, end, *more)
        assert read_whole(text) == set(), text


async def test_leases_of_a_gpr_are_found_by_it(day: Ledger) -> None:
    text = await plan(day, TELEMETRY["fences_of"], uuid4())
    assert read_whole(text) == set(), text


async def test_rolling_up_some_minutes_reads_only_those(day: Ledger) -> None:
    text = await plan(day, UPKEEP["roll_samples"], NOON, NOON + 15 * MINUTE, None)
    assert read_whole(text) == set(), text
    text = await plan(day, UPKEEP["roll_samples"], NOON, NOON + MINUTE, [17, 18])
    assert read_whole(text) == set(), text


async def test_rolling_up_late_buckets_of_a_gpu_reads_only_its_own(day: Ledger) -> None:
    text = await plan(day, UPKEEP["roll_rollups"], NOON, NOON + 15 * MINUTE, [17, 18], 900, 60)
    assert read_whole(text) == set(), text


async def test_what_a_node_writes_is_found_by_its_name(day: Ledger) -> None:
    fault: tuple[Any, ...] = ([3], [""], [NOON], ["xid"], [79], [{}])
    for name, arguments in (("ids_on_node", ()), ("add_faults", fault)):
        text = await plan(day, TELEMETRY[name], CLUSTER, "n7", *arguments)
        assert "Seq Scan on gpu" not in text, text
