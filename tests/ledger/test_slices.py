"""Nodes that are cut, in the ledger: their parts, who gets them, and what keeps them from being given away twice."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from arbitration.arbiter_pass import grant
from domain.gpr import EndCause, Phase
from domain.hardware import ClusterCapabilities, NodeState, ObservedNode, ObservedPart
from domain.identifiers import lease_token_key
from domain.limits import PoolNode
from domain.slices import GPU_RESOURCE, Slicing
from ledger import health, inventory, leases, lifecycle, pools
from ledger.health import Place
from tests.builders import a_gpr, a_workspace, now
from tests.ledger.hardware_kit import CLUSTER, phase_of, reported, some_gpus

if TYPE_CHECKING:
    from uuid import UUID

    from domain.hardware import Node
    from domain.messages import Standing
    from ledger.connection import Ledger

A100, MIG = "NVIDIA-A100-SXM4-40GB", "nvidia.com/mig-1g.5gb"
SLICE = f"{A100}-MIG-1g.5gb"
WHOLE_PART = ObservedPart("gpu", GPU_RESOURCE, A100, Slicing.NONE, 2, 40_960)
INSTANCES = ObservedPart("mig-1g.5gb", MIG, SLICE, Slicing.MIG, 7, 4864)
REPLICAS = ObservedPart("gpu.replicas", GPU_RESOURCE, f"{A100}-SHARED", Slicing.SHARED, 12, 10_240)
WHOLE = ObservedNode("gpu-1", A100, "p4d", 3, 40_960, ready=True, schedulable=True)
CUT = replace(WHOLE, gpus=0, parts=(WHOLE_PART, INSTANCES))
SHARED = replace(WHOLE, gpus=0, parts=(REPLICAS,))


async def seen(ledger: Ledger, *nodes: ObservedNode) -> bool:
    """The cluster reports these nodes, and no others."""
    async with ledger.transaction() as connection:
        capabilities = ClusterCapabilities("v1.36.3", "https://10.0.0.1", True, True, True)
        await inventory.register_cluster(connection, CLUSTER, capabilities, now())
        return await inventory.observe(connection, CLUSTER, nodes, now())


async def rows(ledger: Ledger) -> dict[str, Node]:
    async with ledger.reading() as connection:
        return {node.name: node for node in await inventory.nodes(connection)}


async def queued(ledger: Ledger, workspace: UUID | None = None, **changes: Any) -> UUID:
    return await a_gpr(ledger, workspace or await a_workspace(ledger), exclusive=False, **changes)


async def granted(ledger: Ledger, gpr_id: UUID) -> Standing:
    """Where a Gpr stands after a pass, later than any back-off."""
    await grant(ledger, now() + timedelta(hours=1))
    async with ledger.reading() as connection:
        return await lifecycle.standing(connection, gpr_id)


async def ended(ledger: Ledger, gpr_id: UUID, *stuck: str) -> None:
    async with ledger.transaction() as connection:
        standing = await lifecycle.begin_release(connection, gpr_id, EndCause.EARLY_RELEASE, now())
        await lifecycle.finish_release(connection, gpr_id, standing.fence, stuck, now())


def places(standing: Standing) -> list[tuple[str, list[int]]]:
    return [(part.node, part.ordinals) for part in standing.gpus]


async def test_a_cut_node_is_a_row_without_gpus_and_one_for_each_part(ledger: Ledger) -> None:
    assert await seen(ledger, CUT)
    assert not await seen(ledger, CUT)
    found = await rows(ledger)
    assert {name: (node.gpus, node.resource, node.slicing) for name, node in found.items()} == {
        "gpu-1": (0, GPU_RESOURCE, Slicing.NONE),
        "gpu-1/gpu": (2, GPU_RESOURCE, Slicing.NONE),
        "gpu-1/mig-1g.5gb": (7, MIG, Slicing.MIG),
    }
    assert {node.host for node in found.values()} == {"gpu-1"}
    assert await seen(ledger, replace(CUT, parts=(WHOLE_PART,)))
    assert set(await rows(ledger)) == {"gpu-1", "gpu-1/gpu"}


@pytest.mark.parametrize("node", [replace(CUT, parts=(INSTANCES,)), SHARED])
@pytest.mark.parametrize("asked", [{}, {"shape": A100}, {"instance_type": "p4d"}])
async def test_a_whole_gpu_is_never_a_part_of_one(ledger: Ledger, node: ObservedNode, asked: dict[str, Any]) -> None:
    await seen(ledger, node)
    gpr = await queued(ledger, **asked)
    assert (await granted(ledger, gpr)).phase is Phase.QUEUED


async def test_each_part_goes_to_who_asks_for_it_with_tokens_of_its_own(ledger: Ledger) -> None:
    await seen(ledger, CUT)
    workspace = await a_workspace(ledger)
    whole, some = [await queued(ledger, workspace, gpus_per_node=2, **wish) for wish in ({}, {"shape": SLICE})]
    first, second = await granted(ledger, whole), await granted(ledger, some)
    assert (places(first), first.token) == ([("gpu-1/gpu", [0, 1])], lease_token_key(first.fence))
    assert (places(second), second.token) == ([("gpu-1/mig-1g.5gb", [0, 1])], lease_token_key(second.fence, MIG))
    assert {part.host for part in (*first.gpus, *second.gpus)} == {"gpu-1"}
    async with ledger.reading() as connection:
        held = {lease.fence: lease.token for lease in await leases.open_leases(connection)}
    assert held == {one.fence: one.token for one in (first, second)}


async def test_an_exclusive_lease_of_instances_has_its_workspaces_token_of_their_kind(ledger: Ledger) -> None:
    await seen(ledger, CUT)
    gpr = await a_gpr(ledger, await a_workspace(ledger), exclusive=True, shape=SLICE)
    standing = await granted(ledger, gpr)
    assert standing.token == f"{standing.tenant}.berth.io/mig-1g.5gb"


async def test_instances_are_never_held_twice(ledger: Ledger) -> None:
    await seen(ledger, CUT)
    gprs = [await queued(ledger, gpus_per_node=3, shape=SLICE) for _ in range(3)]
    standings = [await granted(ledger, gpr) for gpr in gprs]
    assert [places(one) for one in standings] == [
        [("gpu-1/mig-1g.5gb", [0, 1, 2])],
        [("gpu-1/mig-1g.5gb", [3, 4, 5])],
        [],
    ]


@pytest.mark.parametrize(
    ("before", "shape", "after", "then"),
    [
        (WHOLE, A100, CUT, SLICE),
        (WHOLE, A100, CUT, A100),
        (WHOLE, A100, SHARED, f"{A100}-SHARED"),
        (CUT, SLICE, WHOLE, A100),
        (SHARED, f"{A100}-SHARED", WHOLE, A100),
        (CUT, SLICE, SHARED, f"{A100}-SHARED"),
    ],
)
async def test_a_node_that_is_cut_anew_under_a_lease_offers_nothing_until_that_has_ended(
    ledger: Ledger, before: ObservedNode, shape: str, after: ObservedNode, then: str
) -> None:
    await seen(ledger, before)
    holder = await queued(ledger, shape=shape)
    assert (await granted(ledger, holder)).phase is Phase.PROVISIONING
    await seen(ledger, after)
    assert {(node.state, node.condition) for node in (await rows(ledger)).values()} == {
        (NodeState.CORDONED, inventory.CUT_ANEW)
    }
    waiting = await queued(ledger, shape=then)
    assert (await granted(ledger, waiting)).phase is Phase.QUEUED
    await ended(ledger, holder)
    assert (await granted(ledger, waiting)).phase is Phase.PROVISIONING


async def test_a_lease_keeps_its_tokens_when_its_node_is_cut_anew(ledger: Ledger) -> None:
    await seen(ledger, CUT)
    gpr = await queued(ledger, shape=SLICE)
    before = await granted(ledger, gpr)
    await seen(ledger, WHOLE)
    assert (await granted(ledger, gpr)).token == before.token


async def test_a_stuck_part_takes_its_whole_node_out_of_use(ledger: Ledger) -> None:
    await seen(ledger, CUT)
    gpr = await queued(ledger, shape=SLICE)
    part = (await granted(ledger, gpr)).gpus[0].node
    async with ledger.transaction() as connection:
        await inventory.quarantine(connection, CLUSTER, part, "a pod that stays", now())
        assert await inventory.quarantined(connection, CLUSTER) == ["gpu-1"]
    await ended(ledger, gpr, part)
    assert {node.state for node in (await rows(ledger)).values()} == {NodeState.QUARANTINED}
    async with ledger.transaction() as connection:
        (left,) = await leases.left_behind(connection, CLUSTER)
        assert (left.node, left.token.partition("/")[2]) == (part, "mig-1g.5gb")
        await leases.release_left_behind(connection, CLUSTER, left, now())
        await inventory.lift_quarantine(connection, CLUSTER, part, now())
    assert {node.state for node in (await rows(ledger)).values()} == {NodeState.READY}


async def test_a_gpu_that_is_set_aside_takes_all_parts_of_its_node_along(ledger: Ledger) -> None:
    await seen(ledger, CUT)
    async with ledger.transaction() as connection:
        await health.quarantine(connection, Place(CLUSTER, "gpu-1", 2), "too hot", "ann", now())
    states = {name: (node.state, node.condition) for name, node in (await rows(ledger)).items()}
    assert states["gpu-1/gpu"] == states["gpu-1/mig-1g.5gb"] == (NodeState.QUARANTINED, "too hot")
    assert (await granted(ledger, await queued(ledger))).phase is Phase.QUEUED


async def test_the_cap_of_what_is_set_aside_counts_the_gpus_of_a_cut_node(ledger: Ledger) -> None:
    names = [f"gpu-{number}" for number in range(1, 5)]
    await seen(ledger, *(replace(CUT, name=name) for name in names))
    await some_gpus(ledger, *names, each=3, at=now())
    for ordinal in (0, 1, 2):
        await reported(ledger, "gpu-1", ordinal, now(), code=95)
    async with ledger.transaction() as connection:
        judged = await health.judge_faults(connection, now(), clean_seconds=300)
    assert [words.partition(" GPU")[0] for words in judged.said] == ["set aside", "set aside", "did not set aside"]


async def test_readings_of_gpus_are_not_taken_for_those_of_parts(ledger: Ledger) -> None:
    """A place on a part says nothing about which GPU it is on."""
    await seen(ledger, CUT)
    await some_gpus(ledger, "gpu-1", each=3, at=now())
    standing = await granted(ledger, await queued(ledger, shape=A100))
    assert [part.agent for part in standing.gpus] == [False]
    async with ledger.reading() as connection:
        found = await health.gpus(connection, now(), cluster=CLUSTER)
    assert [gpu.holder_gpr for gpu in found] == [""] * 3


async def test_parts_are_in_the_pools_of_their_node(ledger: Ledger) -> None:
    await seen(ledger, CUT)
    async with ledger.transaction() as connection:
        await pools.create(connection, "gold", "", "ann", now())
        await pools.change_nodes(connection, "gold", "ann", now(), add=[PoolNode(CLUSTER, "gpu-1")])
    without, within = await queued(ledger, shape=SLICE), await queued(ledger, shape=SLICE, pool="gold")
    assert (await granted(ledger, within)).phase is Phase.PROVISIONING
    assert await phase_of(ledger, without) is Phase.QUEUED
