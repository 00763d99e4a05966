"""Samples, GPUs and faults in the ledger: each once however often it comes, and what a lease made of its GPUs."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

from domain.devices import FaultKind, GpuFault, GpuSample
from ledger import sample_upkeep, telemetry
from tests.builders import a_gpr, a_workspace
from tests.ledger.sample_kit import CLUSTER, NODE, NOON, SECOND, a_gpu, fetched, gpu_ids, samples, written

if TYPE_CHECKING:
    from datetime import datetime

    from domain.devices import GpuIdentity
    from ledger.connection import Ledger
    from ledger.telemetry import Usage

COUNT = "select count(*) from gpu_sample"
A_CLUSTER = """insert into cluster (name, server, version, sufficient, registered_at, seen_at)
               values ($1, 'https://c', '1.36', true, now(), now())"""
A_NODE = """insert into node (cluster, name, shape, instance_type, gpus, memory_mib, state, observed_at)
            values ($1, $2, 'H100', 'p5', 8, 81559, 'ready', now())"""
A_LEASE = """insert into lease (gpr_id, workspace_id, cluster, exclusive, granted_at, released_at)
             values ($1, $2, $3, true, $4, $5) returning fence"""
ITS_GPU = "insert into lease_gpu (fence, cluster, node, ordinal, released_at) values ($1, $2, $3, $4, $5)"


async def seen(ledger: Ledger, *gpus: GpuIdentity, at: datetime = NOON) -> dict[str, int]:
    async with ledger.transaction() as connection:
        return await telemetry.write_gpus(connection, CLUSTER, NODE, gpus, at)


async def test_a_gpu_has_one_row_and_keeps_its_id(ledger: Ledger) -> None:
    first = await seen(ledger, a_gpu(0), a_gpu(1))
    assert await seen(ledger, a_gpu(1), a_gpu(0), at=NOON + 100 * SECOND) == first
    query = "select uuid, seen_at - first_seen_at from gpu order by uuid"
    assert await fetched(ledger, query) == [("GPU-0", 100 * SECOND), ("GPU-1", 100 * SECOND)]


async def test_a_gpu_that_was_cut_says_so_at_once(ledger: Ledger) -> None:
    await seen(ledger, a_gpu(0))
    instance = replace(a_gpu(0, uuid="MIG-1", memory_mib=9_984), parent_uuid="GPU-0", mig_profile="1g.10gb")
    await seen(ledger, replace(a_gpu(0), mig_enabled=True), instance, at=NOON + SECOND)
    query = "select uuid, mig_enabled, mig_profile, parent_uuid from gpu order by uuid"
    assert await fetched(ledger, query) == [("GPU-0", True, "", ""), ("MIG-1", False, "1g.10gb", "GPU-0")]


async def test_the_node_of_an_agent_has_an_agent(ledger: Ledger) -> None:
    async with ledger.transaction() as connection:
        await connection.execute(A_CLUSTER, CLUSTER)
        await connection.execute(A_NODE, CLUSTER, NODE)
    await seen(ledger, at=NOON)
    assert await fetched(ledger, "select agent_seen_at from node") == [(NOON,)]


async def test_samples_are_there_once_however_often_they_come(ledger: Ledger) -> None:
    [gpu_id] = await gpu_ids(ledger)
    batch = samples(gpu_id, NOON, 6, utilisation_percent=50)
    assert await written(ledger, batch) == 6
    assert await written(ledger, batch) == 6
    assert await written(ledger, [*batch[3:], *samples(gpu_id, NOON + 60 * SECOND, 3), batch[0], batch[0]]) == 8
    assert await fetched(ledger, COUNT) == [(9,)]


async def test_readings_that_are_missing_are_null(ledger: Ledger) -> None:
    [gpu_id] = await gpu_ids(ledger)
    row = GpuSample(NOON, gpu_id, None, 3, None, 450, 71.5, None)
    await written(ledger, [row])
    assert await fetched(ledger, "select * from gpu_sample") == [row]


async def test_samples_across_midnight_and_after_a_repeat_find_their_partitions(ledger: Ledger) -> None:
    [gpu_id] = await gpu_ids(ledger)
    await written(ledger, samples(gpu_id, NOON, 1))
    night = samples(gpu_id, NOON.replace(hour=23, minute=59), 12)
    await written(ledger, [*samples(gpu_id, NOON, 1), *night])
    query = "select tableoid::regclass::text, count(*) from gpu_sample group by 1 order by 1"
    assert await fetched(ledger, query) == [("gpu_sample_20260310", 7), ("gpu_sample_20260311", 6)]


async def test_samples_from_before_what_is_kept_are_left_out(ledger: Ledger) -> None:
    [gpu_id] = await gpu_ids(ledger)
    await sample_upkeep.roll_up(ledger, NOON)
    assert await written(ledger, [*samples(gpu_id, NOON - timedelta(days=3), 2), *samples(gpu_id, NOON, 1)]) == 1


async def test_a_fault_that_comes_twice_is_there_once(ledger: Ledger) -> None:
    [gpu_id] = await gpu_ids(ledger)
    faults = [
        GpuFault(0, NOON, FaultKind.XID, "GPU-0", 79),
        GpuFault(0, NOON, FaultKind.XID, "GPU-0", 48),
        GpuFault(0, NOON, FaultKind.LOST, "GPU-0", detail={"listed": True}),
    ]
    async with ledger.transaction() as connection:
        assert await telemetry.write_faults(connection, CLUSTER, NODE, faults) == 3
        assert await telemetry.write_faults(connection, CLUSTER, NODE, faults) == 0
    query = "select gpu_id, kind, code, detail from gpu_fault order by id"
    assert await fetched(ledger, query) == [
        (gpu_id, "xid", 79, {}),
        (gpu_id, "xid", 48, {}),
        (gpu_id, "lost", None, {"listed": True}),
    ]


async def test_a_fault_without_a_uuid_is_that_of_the_gpu_last_seen_at_its_place(ledger: Ledger) -> None:
    await seen(ledger, a_gpu(0, uuid="GPU-old"), at=NOON - 100 * SECOND)
    await seen(ledger, a_gpu(0, uuid="GPU-new"), a_gpu(0, uuid="MIG", parent_uuid="GPU-new"))
    async with ledger.transaction() as connection:
        found = await telemetry.write_faults(connection, CLUSTER, NODE, [GpuFault(0, NOON, FaultKind.LOST)])
        nowhere = await telemetry.write_faults(connection, CLUSTER, NODE, [GpuFault(7, NOON, FaultKind.LOST)])
    assert (found, nowhere) == (1, 0)
    query = "select g.uuid from gpu_fault f join gpu g on g.id = f.gpu_id"
    assert await fetched(ledger, query) == [("GPU-new",)]


async def a_lease(ledger: Ledger, begin: datetime, end: datetime | None, ordinals: tuple[int, ...] = (0,)) -> int:
    workspace_id = await a_workspace(ledger)
    gpr_id = await a_gpr(ledger, workspace_id)
    async with ledger.transaction() as connection:
        if not await connection.fetchval("select count(*) from node"):
            await connection.execute(A_CLUSTER, CLUSTER)
            await connection.execute(A_NODE, CLUSTER, NODE)
        fence = int(await connection.fetchval(A_LEASE, gpr_id, workspace_id, CLUSTER, begin, end))
        for ordinal in ordinals:
            await connection.execute(ITS_GPU, fence, CLUSTER, NODE, ordinal, end)
        assert await telemetry.fences_of(connection, gpr_id) == [fence]
    return fence


async def used(ledger: Ledger, fence: int, minutes: int, step_seconds: int) -> list[Usage]:
    async with ledger.reading() as connection:
        return await telemetry.usage(connection, [fence], NOON, NOON + minutes * 60 * SECOND, step_seconds)


async def test_use_of_a_lease_is_that_of_its_gpus_while_it_held_them(ledger: Ledger) -> None:
    ids = await gpu_ids(ledger, 3)
    fence = await a_lease(ledger, NOON + 60 * SECOND, NOON + 180 * SECOND, ordinals=(0, 1))
    for gpu_id, percent in zip(ids, (20, 60, 99), strict=True):
        await written(ledger, samples(gpu_id, NOON, 24, utilisation_percent=percent, memory_used_mib=1000))
    found = await used(ledger, fence, 4, 30)
    assert [one.coverage for one in found] == [None, None, 1, 1, 1, 1, None, None]
    assert {one.utilisation_average for one in found[2:6]} == {40}
    assert {one.utilisation_max for one in found[2:6]} == {60}


async def test_time_without_samples_is_not_covered(ledger: Ledger) -> None:
    ids = await gpu_ids(ledger, 2)
    fence = await a_lease(ledger, NOON, None, ordinals=(0, 1))
    await written(ledger, samples(ids[0], NOON, 6, utilisation_percent=10))
    first, second, later, _ = await used(ledger, fence, 2, 30)
    assert (first.coverage, second.coverage) == (0.5, 0.5)
    assert (later.coverage, later.utilisation_average) == (0, None)


async def test_samples_more_often_than_every_slot_cover_no_more_than_all(ledger: Ledger) -> None:
    [gpu_id] = await gpu_ids(ledger)
    fence = await a_lease(ledger, NOON, None)
    await written(ledger, [GpuSample(NOON + place * SECOND, gpu_id, 1) for place in range(20)])
    half, _ = await used(ledger, fence, 1, 40)
    assert half.coverage == 0.5


async def test_rolled_up_samples_say_the_same(ledger: Ledger) -> None:
    [gpu_id] = await gpu_ids(ledger)
    fence = await a_lease(ledger, NOON + 30 * SECOND, NOON + 300 * SECOND)
    rows = [GpuSample(NOON + place * 10 * SECOND, gpu_id, place % 6 * 10, power_watts=100) for place in range(60)]
    await written(ledger, rows)
    await sample_upkeep.roll_up(ledger, NOON + timedelta(hours=1))
    found = await used(ledger, fence, 6, 60)
    assert [one.coverage for one in found] == [None, 1, 1, 1, 1, None]
    assert {one.utilisation_average for one in found[1:5]} == {25}
    assert {one.power_average_watts for one in found[1:5]} == {100}
    [whole] = await used(ledger, fence, 6, 360)
    assert (whole.coverage, whole.utilisation_average, whole.utilisation_max) == (1, 25, 50)


async def test_nobody_used_nothing(ledger: Ledger) -> None:
    async with ledger.reading() as connection:
        assert await telemetry.usage(connection, [12345], NOON, NOON + 60 * SECOND, 10) == []
        assert await telemetry.fences_of(connection, uuid4()) == []
