"""Faults of GPUs in the ledger: what they set aside, up to how much, and when it is used again."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from arbitration.arbiter_pass import grant
from arbitration.snapshot import read_snapshot
from domain.devices import FaultKind
from domain.failures import AlreadyExists, NotFound
from domain.gpr import EndCause, Phase
from domain.hardware import Gpu, NodeState
from domain.limits import PoolNode
from domain.messages import RECOVERY_WORKFLOW
from ledger import arbitration, gprs, health, inventory, leases, lifecycle, pools
from ledger.health import Place
from tests.builders import a_gpr, a_workspace, some_nodes
from tests.ledger.hardware_kit import CLUSTER, an_active_gpr, did, happened, phase_of, reported, some_gpus, told

if TYPE_CHECKING:
    from uuid import UUID

    from ledger.connection import Ledger
    from ledger.health import Judged, Recovery

NOW = datetime.now(UTC).replace(microsecond=0)
CLEAN_SECONDS = 300
RESET, REBOOT, PROGRAM = 95, 79, 31


async def judged(ledger: Ledger, at: datetime = NOW) -> Judged:
    async with ledger.transaction() as connection:
        return await health.judge_faults(connection, at, clean_seconds=CLEAN_SECONDS)


async def looked(ledger: Ledger, quarantine_id: UUID, at: datetime, *complaints: str) -> Recovery:
    async with ledger.transaction() as connection:
        return (await health.look(connection, quarantine_id, complaints, at))[0]


async def open_quarantines(ledger: Ledger) -> list[tuple[str, int | None]]:
    async with ledger.reading() as connection:
        rows = await connection.fetch(
            "select node, ordinal from gpu_quarantine where lifted_at is null order by node, ordinal"
        )
    return [(row["node"], row["ordinal"]) for row in rows]


async def the_quarantine(ledger: Ledger) -> UUID:
    async with ledger.reading() as connection:
        found: UUID = await connection.fetchval("select id from gpu_quarantine where lifted_at is null")
    return found


async def blocked(ledger: Ledger, node: str) -> frozenset[int]:
    """Places of this node that the planner leaves alone; all of them where it may not be used."""
    async with ledger.reading() as connection:
        queue = await arbitration.queue(connection, NOW)
        snapshot = await read_snapshot(connection, queue, NOW)
    (view,) = [one for one in snapshot.nodes if one.name == node]
    return view.blocked_ordinals if view.usable else frozenset(range(view.gpus))


# --- what is set aside --------------------------------------------------------------------------------------------------


async def test_a_fatal_xid_sets_its_gpu_aside_and_the_planner_leaves_it_alone(ledger: Ledger) -> None:
    (node,) = await some_nodes(ledger, count=1, gpus=8)
    await some_gpus(ledger, node, each=8, at=NOW)
    await reported(ledger, node, 3, NOW, code=RESET)
    first, second = await judged(ledger), await judged(ledger)
    assert first.said == (f"set aside GPU 3 of {node} in {CLUSTER}: Xid 95",)
    assert second.said == ()
    assert await blocked(ledger, node) == {3}
    async with ledger.reading() as connection:
        started = await connection.fetch("select argument from outbox where workflow_type = $1", RECOVERY_WORKFLOW)
        (seen,) = await inventory.nodes(connection)
    assert [row["argument"] for row in started] == [str(await the_quarantine(ledger))]
    assert (seen.state, seen.free_gpus, seen.set_aside) == (NodeState.READY, 7, frozenset({3}))


async def test_no_grant_is_made_on_what_is_set_aside(ledger: Ledger) -> None:
    (node,) = await some_nodes(ledger, count=1, gpus=2)
    await some_gpus(ledger, node, each=2, at=NOW)
    await reported(ledger, node, 0, NOW, code=RESET)
    await judged(ledger)
    workspace = await a_workspace(ledger)
    ids = [await a_gpr(ledger, workspace, exclusive=False) for _ in range(2)]
    await grant(ledger, NOW)
    async with ledger.reading() as connection:
        found = [await gprs.find(connection, one) for one in ids]
    assert [gpr.gpus for gpr in found] == [(Gpu(node, 1),), ()]


async def test_a_fault_that_needs_a_reboot_sets_the_whole_node_aside(ledger: Ledger) -> None:
    node, other = await some_nodes(ledger, count=2, gpus=4)
    await some_gpus(ledger, node, other, each=4, at=NOW)
    await reported(ledger, node, 2, NOW, code=REBOOT)
    await judged(ledger)
    assert await open_quarantines(ledger) == [(node, None)]
    assert (await blocked(ledger, node), await blocked(ledger, other)) == (frozenset(range(4)), frozenset())
    async with ledger.reading() as connection:
        seen, _ = await inventory.nodes(connection)
    assert (seen.state, seen.condition, seen.free_gpus) == (NodeState.QUARANTINED, "Xid 79 on GPU 2", 0)


async def test_a_programs_own_fault_is_noted_and_nothing_follows(ledger: Ledger) -> None:
    (node,) = await some_nodes(ledger, count=1)
    await some_gpus(ledger, node, at=NOW)
    await reported(ledger, node, 0, NOW, code=PROGRAM)
    assert (await judged(ledger)).said == ()
    assert await open_quarantines(ledger) == []
    assert len(await happened(ledger, "gpu_fault_noted")) == 1


@pytest.mark.parametrize("kind", [FaultKind.LOST, FaultKind.ECC_UNCORRECTED, FaultKind.ROW_REMAP_PENDING])
async def test_faults_that_are_no_xids_set_the_gpu_aside_too(ledger: Ledger, kind: FaultKind) -> None:
    (node,) = await some_nodes(ledger, count=1)
    await some_gpus(ledger, node, at=NOW)
    await reported(ledger, node, 0, NOW, kind=kind)
    await judged(ledger)
    assert await open_quarantines(ledger) == [(node, 0)]


async def test_many_faults_of_one_gpu_are_one_quarantine(ledger: Ledger) -> None:
    (node,) = await some_nodes(ledger, count=1)
    await some_gpus(ledger, node, at=NOW)
    for seconds in range(3):
        await reported(ledger, node, 0, NOW + timedelta(seconds=seconds), code=RESET)
    assert len((await judged(ledger)).said) == 1
    assert await open_quarantines(ledger) == [(node, 0)]


async def test_people_on_a_faulty_gpu_are_told_and_keep_it(ledger: Ledger) -> None:
    (node,) = await some_nodes(ledger, count=1, gpus=2)
    await some_gpus(ledger, node, each=2, at=NOW)
    on_it = await an_active_gpr(ledger, Gpu(node, 0), since=NOW)
    beside = await an_active_gpr(ledger, Gpu(node, 1), since=NOW)
    await reported(ledger, node, 0, NOW, code=RESET)
    await judged(ledger)
    await judged(ledger)
    assert [kind.startswith("gpu_fault") for kind in await told(ledger, on_it)] == [True]
    assert await told(ledger, beside) == []
    assert await phase_of(ledger, on_it) is Phase.ACTIVE


# --- how much ------------------------------------------------------------------------------------------------------------


async def test_no_more_than_a_fifth_of_a_pool_is_set_aside_and_the_rest_when_there_is_room(ledger: Ledger) -> None:
    nodes = await some_nodes(ledger, count=10)
    ids = await some_gpus(ledger, *nodes, at=NOW)
    for node in nodes[:3]:
        await reported(ledger, node, 0, NOW, code=RESET)
    assert [said.split()[0] for said in (await judged(ledger)).said] == ["set", "set", "did"]
    assert (await judged(ledger)).said == ()
    assert len(await happened(ledger, "quarantine_withheld")) == 1
    async with ledger.transaction() as connection:
        await health.lift(connection, await health.place_of(connection, ids[nodes[0], 0]), "ada", NOW)
    await judged(ledger)
    assert await open_quarantines(ledger) == [(nodes[1], 0), (nodes[2], 0)]


async def test_what_was_withheld_for_a_day_is_history(ledger: Ledger) -> None:
    nodes = await some_nodes(ledger, count=2)
    await some_gpus(ledger, *nodes, at=NOW)
    for node in nodes:
        await reported(ledger, node, 0, NOW, code=RESET)
    await judged(ledger)
    await judged(ledger, NOW + timedelta(days=1, seconds=1))
    async with ledger.reading() as connection:
        rows = await connection.fetch("select verdict from gpu_fault order by id")
    assert [row["verdict"] for row in rows] == ["quarantined", "noted"]


async def test_each_pool_has_a_cap_of_its_own(ledger: Ledger) -> None:
    nodes = await some_nodes(ledger, count=4)
    await some_gpus(ledger, *nodes, at=NOW)
    async with ledger.transaction() as connection:
        await pools.create(connection, "apart", "", "ada", NOW)
        members = [PoolNode(CLUSTER, node) for node in nodes[2:]]
        await pools.change_nodes(connection, "apart", "ada", NOW, add=members)
    for node in nodes:
        await reported(ledger, node, 0, NOW, code=RESET)
    await judged(ledger)
    assert await open_quarantines(ledger) == [(nodes[0], 0), (nodes[2], 0)]


async def test_a_whole_node_counts_with_all_of_its_gpus(ledger: Ledger) -> None:
    nodes = await some_nodes(ledger, count=5, gpus=4)
    await some_gpus(ledger, *nodes, each=4, at=NOW)
    await reported(ledger, nodes[0], 0, NOW, code=REBOOT)
    await reported(ledger, nodes[1], 0, NOW, code=RESET)
    await judged(ledger)
    assert await open_quarantines(ledger) == [(nodes[0], None)]


# --- by hand ---------------------------------------------------------------------------------------------------------------


async def test_an_administrator_sets_aside_and_releases_and_the_history_stays(ledger: Ledger) -> None:
    (node,) = await some_nodes(ledger, count=1, gpus=2)
    ids = await some_gpus(ledger, node, each=2, at=NOW)
    async with ledger.transaction() as connection:
        place = await health.place_of(connection, ids[node, 1])
        await health.quarantine(connection, place, "noisy fan", "ada", NOW)
        assert await health.unfinished(connection) == []
    assert await blocked(ledger, node) == {1}
    with pytest.raises(AlreadyExists):
        async with ledger.transaction() as connection:
            await health.quarantine(connection, place, "again", "ada", NOW)
    async with ledger.transaction() as connection:
        await health.lift(connection, place, "bob", NOW)
        assert await health.lift(connection, place, "bob", NOW) == []
        (past,) = await health.quarantines_of(connection, place, limit=10)
    assert (past.reason, past.begun_by, past.lifted_by) == ("noisy fan", "ada", "bob")
    assert await blocked(ledger, node) == set()


async def test_a_gpu_that_nobody_knows_is_not_found(ledger: Ledger) -> None:
    async with ledger.reading() as connection:
        with pytest.raises(NotFound):
            await health.place_of(connection, 12345)


async def test_gpus_are_shown_with_reading_holder_and_what_keeps_them_out_of_use(ledger: Ledger) -> None:
    (node,) = await some_nodes(ledger, count=1, gpus=2)
    ids = await some_gpus(ledger, node, each=2, at=NOW)
    await an_active_gpr(ledger, Gpu(node, 0), since=NOW, name="mine")
    await did(ledger, ids[node, 0], NOW - timedelta(seconds=30), NOW, 77, 9000, 2)
    await reported(ledger, node, 1, NOW, code=RESET)
    await judged(ledger)
    async with ledger.reading() as connection:
        first, second = await health.gpus(connection, NOW)
        (fault,) = await health.faults_of(connection, second.id, limit=10)
    assert first.reading is not None
    assert (first.reading.utilisation_percent, first.reading.memory_used_mib, first.reading.processes) == (77, 9000, 2)
    assert (first.holder_gpr, first.set_aside_because) == ("mine", "")
    assert (second.reading, second.set_aside_because, second.remedy) == (None, "Xid 95 on GPU 1", "reset_gpu")
    assert (fault.code, fault.verdict, fault.remedy) == (RESET, "quarantined", "reset_gpu")


# --- the way back ------------------------------------------------------------------------------------------------------------


async def set_aside(ledger: Ledger, code: int = RESET, **changes: Any) -> tuple[str, int, UUID]:
    """Node, id of the GPU, and quarantine of one that had a fault."""
    (node,) = await some_nodes(ledger, count=1)
    ids = await some_gpus(ledger, node, at=NOW)
    await reported(ledger, node, 0, NOW, code=code, **changes)
    await judged(ledger)
    return node, ids[node, 0], await the_quarantine(ledger)


async def test_it_is_used_again_after_clean_readings_for_long_enough(ledger: Ledger) -> None:
    node, gpu_id, quarantine_id = await set_aside(ledger)
    begin, end = NOW + timedelta(seconds=10), NOW + timedelta(seconds=10 + CLEAN_SECONDS)
    await did(ledger, gpu_id, begin, end + timedelta(seconds=10))
    assert (await looked(ledger, quarantine_id, begin)).is_open
    assert (await looked(ledger, quarantine_id, end - timedelta(seconds=1))).is_open
    after = await looked(ledger, quarantine_id, end)
    assert not after.is_open
    assert await blocked(ledger, node) == set()
    assert not (await looked(ledger, quarantine_id, end)).is_open
    assert len(await happened(ledger, "gpu_quarantine_lifted")) == 1


@pytest.mark.parametrize("trouble", ["a complaint", "no readings", "a lease", "another fault"])
async def test_whatever_is_wrong_begins_the_wait_anew(ledger: Ledger, trouble: str) -> None:
    node, gpu_id, quarantine_id = await set_aside(ledger)
    begin, half = NOW + timedelta(seconds=10), NOW + timedelta(seconds=150)
    silent = trouble == "no readings"
    await did(ledger, gpu_id, begin, half - timedelta(seconds=70) if silent else half + timedelta(hours=1))
    await looked(ledger, quarantine_id, begin)
    complaints = ("GPU 0 has a reset pending",) if trouble == "a complaint" else ()
    holder = await an_active_gpr(ledger, Gpu(node, 0), since=half) if trouble == "a lease" else None
    if trouble == "another fault":
        await reported(ledger, node, 0, half, code=RESET)
        await judged(ledger, half)
    waits = await looked(ledger, quarantine_id, half, *complaints)
    assert waits.waits_for
    if holder:
        async with ledger.transaction() as connection:
            fence = (await gprs.find(connection, holder)).fence
            await lifecycle.begin_release(connection, holder, EndCause.EARLY_RELEASE, half)
            await lifecycle.finish_release(connection, holder, fence or 0, [], half)
    if silent:
        await did(ledger, gpu_id, half, half + timedelta(hours=1))
    again = half + timedelta(seconds=20)
    await looked(ledger, quarantine_id, again)
    assert (await looked(ledger, quarantine_id, begin + timedelta(seconds=CLEAN_SECONDS))).is_open
    assert not (await looked(ledger, quarantine_id, again + timedelta(seconds=CLEAN_SECONDS))).is_open


async def test_all_gpus_of_a_node_that_is_set_aside_must_be_well(ledger: Ledger) -> None:
    (node,) = await some_nodes(ledger, count=1, gpus=2)
    ids = await some_gpus(ledger, node, each=2, at=NOW)
    await reported(ledger, node, 0, NOW, code=REBOOT)
    await judged(ledger)
    quarantine_id = await the_quarantine(ledger)
    later = NOW + timedelta(seconds=60)
    await did(ledger, ids[node, 0], NOW, later)
    waits = await looked(ledger, quarantine_id, later)
    assert (waits.ordinals, waits.waits_for) == ((0, 1), "no readings of GPU 1")
    await did(ledger, ids[node, 1], NOW, later)
    assert (await looked(ledger, quarantine_id, later)).clean_since == later


async def test_what_readings_cannot_clear_only_an_administrator_does(ledger: Ledger) -> None:
    _, gpu_id, quarantine_id = await set_aside(ledger, kind=FaultKind.ROW_REMAP_FAILED, code=None)  # type: ignore[arg-type]
    await did(ledger, gpu_id, NOW, NOW + timedelta(hours=1))
    for minutes in (10, 20, 50):
        assert (await looked(ledger, quarantine_id, NOW + timedelta(minutes=minutes))).is_open
    async with ledger.reading() as connection:
        assert await health.unfinished(connection) == []


async def test_a_quarantine_that_is_lifted_by_hand_meanwhile_stays_lifted(ledger: Ledger) -> None:
    _, gpu_id, quarantine_id = await set_aside(ledger)
    await did(ledger, gpu_id, NOW, NOW + timedelta(hours=1))

    async def lift() -> None:
        async with ledger.transaction() as connection:
            await health.lift(connection, await health.place_of(connection, gpu_id), "ada", NOW)

    await asyncio.gather(lift(), looked(ledger, quarantine_id, NOW + timedelta(minutes=1)))
    assert not (await looked(ledger, quarantine_id, NOW + timedelta(minutes=2))).is_open
    assert len(await happened(ledger, "gpu_quarantine_lifted")) == 1


def test_a_place_says_where_it_is() -> None:
    assert str(Place("c", "n", None)) == "all GPUs of n in c"


# --- what a teardown left behind --------------------------------------------------------------------------------------


async def left_behind(ledger: Ledger) -> list[bool]:
    """Of what closed leases still hold: whether the devices say that nothing is left."""
    async with ledger.reading() as connection:
        return [part.devices_rest for part in await leases.left_behind(connection, CLUSTER)]


async def a_teardown_that_left_something(ledger: Ledger, node: str) -> None:
    holder = await an_active_gpr(ledger, Gpu(node, 0), since=NOW - timedelta(minutes=10))
    async with ledger.transaction() as connection:
        fence = (await gprs.find(connection, holder)).fence
        await lifecycle.begin_release(connection, holder, EndCause.EARLY_RELEASE, NOW)
        await lifecycle.finish_release(connection, holder, fence or 0, [node], NOW)


async def test_a_node_is_not_free_of_a_lease_while_its_devices_say_otherwise(ledger: Ledger) -> None:
    (node,) = await some_nodes(ledger, count=1)
    (gpu,) = (await some_gpus(ledger, node, at=NOW)).values()
    await did(ledger, gpu, NOW - timedelta(minutes=2), NOW, memory_mib=10, processes=0)
    await a_teardown_that_left_something(ledger, node)
    assert await left_behind(ledger) == [False]  # nobody has looked since
    await did(ledger, gpu, NOW + timedelta(seconds=1), NOW + timedelta(seconds=20), memory_mib=10, processes=1)
    assert await left_behind(ledger) == [False]
    await did(ledger, gpu, NOW + timedelta(seconds=21), NOW + timedelta(seconds=40), memory_mib=9000, processes=0)
    assert await left_behind(ledger) == [False]
    await did(ledger, gpu, NOW + timedelta(seconds=41), NOW + timedelta(seconds=60), memory_mib=10, processes=0)
    assert await left_behind(ledger) == [True]


async def test_a_node_whose_devices_nobody_reads_is_judged_by_its_pods(ledger: Ledger) -> None:
    (node,) = await some_nodes(ledger, count=1)
    await a_teardown_that_left_something(ledger, node)
    assert await left_behind(ledger) == [True]
