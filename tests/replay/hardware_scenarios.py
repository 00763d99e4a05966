"""The look of every minute, and the way back of GPUs, kept for their histories (`record.py`)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from domain.identifiers import HARDWARE_SCHEDULE_ID
from tests.agent_kit import loaded, mock_node
from tests.replay.moments import Lifecycle, settled
from tests.workflows.hardware_kit import NODE, recovery, set_aside, waits_for
from worker.parts import node_worker
from workflows.hardware_watch import WatchHardwareWorkflow

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

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


HARDWARE_SCENARIOS: dict[str, tuple[Callable[[Stage], Awaitable[Lifecycle]], FailingStep | None]] = {
    "WatchHardware.done": (watch_hardware_done, None),
    "Recovery.lifted": (recovery_lifted, None),
    "Recovery.open_on_a_lease": (recovery_waits_for_a_lease, None),
    "Recovery.open_with_a_complaint": (recovery_open_with_a_complaint, None),
}
