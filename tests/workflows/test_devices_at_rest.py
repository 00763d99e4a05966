"""Before a lease begins the node's agent is asked whether its GPUs are at rest; one that is silent holds nothing up."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

import pytest

from domain.gpr import Phase
from domain.hardware import NodeState
from ledger import inventory
from tests.agent_kit import loaded, mock_node
from tests.workflows.disturbances import FailingStep, Recording
from tests.workflows.hardware_kit import with_agents
from tests.workflows.stage import Stage
from worker.parts import node_worker

if TYPE_CHECKING:
    from collections.abc import Iterator
    from uuid import UUID

    from temporalio.client import WorkflowHandle
    from temporalio.testing import WorkflowEnvironment

    from clusters.connection import ClusterConnection
    from ledger.connection import Ledger
    from tests.agent_kit import MockNode
    from workflows.gpr import GprWorkflow

T4 = "Tesla-T4"
"""Two nodes have one GPU of this shape each."""


@contextmanager
def devices_of(node: str) -> Iterator[MockNode]:
    with mock_node(node) as gpus, loaded(gpus):
        yield gpus


async def granted(stage: Stage) -> tuple[UUID, str]:
    """A Gpr with a grant, and the node that it is on, which has an agent."""
    gpr_id = await stage.a_granted_gpr(await stage.a_workspace(), shape=T4, duration_seconds=86_400)
    node = await node_of(stage, gpr_id)
    await with_agents(stage, node)
    return gpr_id, node


async def node_of(stage: Stage, gpr_id: UUID) -> str:
    (gpu,) = (await stage.gpr(gpr_id)).gpus
    return gpu.node


async def begun(stage: Stage, gpr_id: UUID) -> WorkflowHandle[GprWorkflow, str]:
    with stage.environment.with_time_skipping_disabled():
        return await stage.start_granted(gpr_id)


async def becomes(stage: Stage, gpr_id: UUID, phase: Phase) -> None:
    while (await stage.gpr(gpr_id)).phase is not phase:
        await asyncio.sleep(0.05)


async def state_of(stage: Stage, node: str) -> NodeState:
    async with stage.ledger.reading() as connection:
        (found,) = [one for one in await inventory.nodes(connection) if one.name == node]
    return found.state


async def test_a_lease_begins_on_a_node_whose_agent_says_that_its_gpus_are_at_rest(
    skipping: WorkflowEnvironment, ledger: Ledger, cluster: ClusterConnection
) -> None:
    async with Stage(skipping, ledger, cluster) as stage:
        gpr_id, node = await granted(stage)
        with devices_of(node):
            async with node_worker(skipping.client, "worker-1", node):
                await begun(stage, gpr_id)
                await becomes(stage, gpr_id, Phase.ACTIVE)
        assert (await stage.gpr(gpr_id)).retries == 0


async def test_a_gpr_whose_gpu_is_not_at_rest_is_queued_again_and_starts_elsewhere(stage: Stage) -> None:
    gpr_id, node = await granted(stage)
    with devices_of(node) as gpus:
        gpus.change(0, pids=1)
        async with node_worker(stage.environment.client, "worker-1", node):
            lifecycle = await begun(stage, gpr_id)
            await becomes(stage, gpr_id, Phase.QUEUED)
            gpr = await stage.gpr(gpr_id)
            assert gpr.failure == f"node {node}: 0 of its 1 GPUs are at rest, not 1, GPU 0 has 1 compute process(es)"
            assert gpr.retries == 1
            assert await state_of(stage, node) is NodeState.QUARANTINED
            await stage.grant_again(gpr_id, lifecycle)
            await becomes(stage, gpr_id, Phase.ACTIVE)
    assert await node_of(stage, gpr_id) != node


async def test_a_lifecycle_that_goes_on_with_what_another_began_does_not_take_its_own_pods_for_strangers(
    stage: Stage,
) -> None:
    gpr_id, node = await granted(stage)
    with devices_of(node) as gpus:
        gpus.change(0, pids=1)
        async with node_worker(stage.environment.client, "worker-1", node):
            with stage.environment.with_time_skipping_disabled():
                await stage.start(gpr_id)
            await becomes(stage, gpr_id, Phase.ACTIVE)
    assert (await stage.gpr(gpr_id)).retries == 0


async def test_an_agent_that_is_silent_holds_up_no_lease(stage: Stage) -> None:
    gpr_id, _ = await granted(stage)
    await begun(stage, gpr_id)
    await becomes(stage, gpr_id, Phase.ACTIVE)


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_check_of_the_devices_that_fails_or_runs_twice_changes_nothing(
    skipping: WorkflowEnvironment, ledger: Ledger, cluster: ClusterConnection, when: Literal["before", "after"]
) -> None:
    failing, recording = FailingStep("precheck_devices", when=when), Recording("Gpr")
    async with Stage(skipping, ledger, cluster) as stage:
        gpr_id, node = await granted(stage)
        with devices_of(node):
            async with node_worker(skipping.client, "worker-1", node, interceptors=[recording, failing]):
                await begun(stage, gpr_id)
                await becomes(stage, gpr_id, Phase.ACTIVE)
    assert (failing.failed, recording.steps) == (1, ["precheck_devices"] * 2)
