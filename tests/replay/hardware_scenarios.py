"""The look of every minute, and the way back of GPUs, kept for their histories (`record.py`)."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from domain.gpr import Phase
from domain.identifiers import HARDWARE_SCHEDULE_ID
from tests.agent_kit import loaded, mock_node
from tests.replay.moments import Lifecycle, ended, settled
from tests.workflows.hardware_kit import NODE, recovery, set_aside, waits_for, with_agents
from worker.parts import node_worker
from workflows.gpr import GprWorkflow
from workflows.hardware_watch import WatchHardwareWorkflow

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from tests.agent_kit import MockNode
    from tests.workflows.disturbances import FailingStep
    from tests.workflows.stage import Stage


async def watch_hardware_done(stage: Stage) -> Lifecycle:
    lifecycle = await stage.start_workflow(WatchHardwareWorkflow.run, "", HARDWARE_SCHEDULE_ID)
    await lifecycle.result()
    return lifecycle


async def recovery_lifted(stage: Stage) -> Lifecycle:
    with mock_node(NODE) as gpus, loaded(gpus):
        async with node_worker(stage.environment.client, "worker-1", NODE):
            lifecycle = await recovery(stage, await set_aside(stage))
            await lifecycle.result()
    return lifecycle


async def recovery_waits_for_a_lease(stage: Stage) -> Lifecycle:
    gpr_id = await stage.a_granted_gpr(await stage.a_workspace(), shape="Tesla-T4", duration_seconds=86_400)
    (gpu,) = (await stage.gpr(gpr_id)).gpus
    quarantine_id = await set_aside(stage, node=gpu.node)
    with stage.environment.with_time_skipping_disabled():
        lifecycle = await recovery(stage, quarantine_id)
    while await waits_for(stage, quarantine_id) != "a lease holds it":
        await asyncio.sleep(0.05)
    return await settled(lifecycle)


async def recovery_open_with_a_complaint(stage: Stage) -> Lifecycle:
    with mock_node(NODE) as gpus, loaded(gpus):
        gpus.change(0, pending=1)
        async with node_worker(stage.environment.client, "worker-1", NODE):
            quarantine_id = await set_aside(stage)
            with stage.environment.with_time_skipping_disabled():
                lifecycle = await recovery(stage, quarantine_id)
            while "reset" not in await waits_for(stage, quarantine_id):
                await asyncio.sleep(0.05)
            return await settled(lifecycle)


@asynccontextmanager
async def on_a_node_with_an_agent(stage: Stage) -> AsyncIterator[tuple[Any, MockNode]]:
    """A Gpr that is granted there, and what its devices say."""
    gpr_id = await stage.a_granted_gpr(await stage.a_workspace(), shape="Tesla-T4", duration_seconds=86_400)
    (gpu,) = (await stage.gpr(gpr_id)).gpus
    await with_agents(stage, gpu.node)
    with mock_node(gpu.node) as gpus, loaded(gpus):
        async with node_worker(stage.environment.client, "worker-1", gpu.node):
            yield gpr_id, gpus


async def begun(stage: Stage, gpr_id: Any, phase: Phase) -> Lifecycle:
    with stage.environment.with_time_skipping_disabled():
        lifecycle = await stage.start_granted(gpr_id)
    while (await stage.gpr(gpr_id)).phase is not phase:
        await asyncio.sleep(0.05)
    return await settled(lifecycle)


async def gpr_on_a_node_with_an_agent(stage: Stage) -> Lifecycle:
    async with on_a_node_with_an_agent(stage) as (gpr_id, _):
        lifecycle = await begun(stage, gpr_id, Phase.ACTIVE)
        await lifecycle.signal(GprWorkflow.release, await ended(stage, gpr_id))
        await lifecycle.result()
    return lifecycle


async def gpr_devices_not_at_rest(stage: Stage) -> Lifecycle:
    async with on_a_node_with_an_agent(stage) as (gpr_id, gpus):
        gpus.change(0, pids=1)
        return await begun(stage, gpr_id, Phase.QUEUED)


async def gpr_silent_agent(stage: Stage) -> Lifecycle:
    gpr_id = await stage.a_granted_gpr(await stage.a_workspace(), shape="Tesla-T4", duration_seconds=86_400)
    (gpu,) = (await stage.gpr(gpr_id)).gpus
    await with_agents(stage, gpu.node)
    return await begun(stage, gpr_id, Phase.ACTIVE)


HARDWARE_SCENARIOS: dict[str, tuple[Callable[[Stage], Awaitable[Lifecycle]], FailingStep | None]] = {
    "Gpr.on_a_node_with_an_agent": (gpr_on_a_node_with_an_agent, None),
    "Gpr.devices_not_at_rest": (gpr_devices_not_at_rest, None),
    "Gpr.silent_agent": (gpr_silent_agent, None),
    "WatchHardware.done": (watch_hardware_done, None),
    "Recovery.lifted": (recovery_lifted, None),
    "Recovery.open_on_a_lease": (recovery_waits_for_a_lease, None),
    "Recovery.open_with_a_complaint": (recovery_open_with_a_complaint, None),
}
