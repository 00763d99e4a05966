"""The look of every minute and the way back of GPUs, through real workers; each step fails in turn, or runs twice."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

import pytest

from activities.hardware_watch import LedgerRecovering
from domain.gpr import EndCause, Phase
from ledger import health
from tests.agent_kit import loaded, mock_node
from tests.builders import now
from tests.ledger.hardware_kit import reported, some_gpus, told
from tests.workflows.disturbances import FailingStep, Recording
from tests.workflows.hardware_kit import (
    FATAL_XID,
    NODE,
    a_rule,
    lifted_by,
    recovery,
    set_aside,
    unused,
    waits_for,
    watched,
)
from tests.workflows.stage import Stage
from worker.parts import node_worker
from workflows.recovery import NO_AGENT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from uuid import UUID

    from temporalio.client import WorkflowHandle
    from temporalio.testing import WorkflowEnvironment

    from clusters.connection import ClusterConnection
    from ledger.connection import Ledger
    from tests.agent_kit import MockNode
    from workflows.gpr import GprWorkflow

WATCH_STEPS = ["judge_faults", "judge_idleness"]
RECOVERY_STEPS = ["load_recovery", "judge_recovery"]


@pytest.fixture
def devices() -> Iterator[MockNode]:
    """The GPUs that the agent of the node sees."""
    with mock_node(NODE) as gpus, loaded(gpus):
        yield gpus


async def an_unused_gpr(stage: Stage) -> tuple[UUID, WorkflowHandle[GprWorkflow, str]]:
    gpr_id = await stage.a_granted_gpr(await stage.a_workspace(), duration_seconds=86_400)
    with stage.environment.with_time_skipping_disabled():
        lifecycle = await stage.start(gpr_id)
    while (await stage.gpr(gpr_id)).phase is not Phase.ACTIVE:
        await asyncio.sleep(0.05)
    await unused(stage, gpr_id)
    return gpr_id, lifecycle


# --- the look -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", WATCH_STEPS)
async def test_an_idle_lease_is_warned_and_released_once_whichever_step_fails_or_runs_twice(
    skipping: WorkflowEnvironment,
    ledger: Ledger,
    cluster: ClusterConnection,
    step: str,
    when: Literal["before", "after"],
) -> None:
    failing = FailingStep(step, when=when)
    async with Stage(skipping, ledger, cluster, interceptors=[failing]) as stage:
        gpr_id, lifecycle = await an_unused_gpr(stage)
        await a_rule(stage)
        while (await stage.gpr(gpr_id)).phase is Phase.ACTIVE:
            await watched(stage)  # each in skipped time of its own: the second may be the earlier one
        assert await lifecycle.result() == Phase.RELEASED
        gpr = await stage.gpr(gpr_id)
        await stage.assert_nothing_left(gpr.workspace_id)
    assert (gpr.end_cause, failing.failed) == (EndCause.IDLE, 1)
    assert await told(ledger, gpr_id) == ["idle", "idle_released"]


async def test_one_look_tells_what_it_did(stage: Stage) -> None:
    gpr_id, _ = await an_unused_gpr(stage)
    await a_rule(stage, warning_seconds=3600)
    await some_gpus(stage.ledger, NODE, each=8, at=now())
    await reported(stage.ledger, NODE, 7, now(), code=FATAL_XID)
    assert (await watched(stage)).mended == [
        f"set aside GPU 7 of {NODE} in worker-1: Xid 95",
        f"warned the people of an idle lease: {gpr_id}",
    ]
    assert (await watched(stage)).mended == []


async def test_the_steps_above_are_all_the_steps_of_a_look(
    skipping: WorkflowEnvironment, ledger: Ledger, cluster: ClusterConnection
) -> None:
    recording = Recording("WatchHardware")
    async with Stage(skipping, ledger, cluster, interceptors=[recording]) as stage:
        await watched(stage)
    assert set(recording.steps) == set(WATCH_STEPS)


# --- the way back -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", RECOVERY_STEPS)
async def test_a_gpu_whose_readings_are_clean_is_used_again_whichever_step_fails_or_runs_twice(
    skipping: WorkflowEnvironment,
    ledger: Ledger,
    cluster: ClusterConnection,
    devices: MockNode,
    step: str,
    when: Literal["before", "after"],
) -> None:
    failing = FailingStep(step, when=when)
    async with (
        Stage(skipping, ledger, cluster, interceptors=[failing]) as stage,
        node_worker(skipping.client, "worker-1", NODE),
    ):
        quarantine_id = await set_aside(stage)
        begun = now()
        assert await (await recovery(stage, quarantine_id)).result() == "lifted"
        assert await lifted_by(stage, quarantine_id) == health.ACTOR
        assert now() - begun < timedelta(minutes=4), "ten minutes of clean readings are skipped time"
    assert failing.failed == 1


async def test_what_the_devices_complain_of_keeps_a_gpu_out_of_use(
    stage: Stage, devices: MockNode, skipping: WorkflowEnvironment
) -> None:
    devices.change(0, pending=1)
    async with node_worker(skipping.client, "worker-1", NODE):
        quarantine_id = await set_aside(stage)
        with skipping.with_time_skipping_disabled():
            lifecycle = await recovery(stage, quarantine_id)
        while await waits_for(stage, quarantine_id) != "GPU 0 has rows to remap and wants a reset":
            await asyncio.sleep(0.05)
        await lifecycle.terminate("it waits, and the next one goes on from there")
        devices.change(0, pending=0)
        assert await (await recovery(stage, quarantine_id)).result() == "lifted"


async def test_a_node_whose_agent_does_not_answer_is_not_well(stage: Stage, skipping: WorkflowEnvironment) -> None:
    quarantine_id = await set_aside(stage)
    with skipping.with_time_skipping_disabled():
        await recovery(stage, quarantine_id)
    while not (await waits_for(stage, quarantine_id)).startswith("its agent does not answer"):
        await asyncio.sleep(0.2)


async def test_a_node_without_an_agent_is_not_well(stage: Stage, skipping: WorkflowEnvironment) -> None:
    quarantine_id = await set_aside(stage)
    async with stage.ledger.transaction() as connection:
        await connection.execute("update node set agent_seen_at = null where name = $1", NODE)
    with skipping.with_time_skipping_disabled():
        await recovery(stage, quarantine_id)
    while await waits_for(stage, quarantine_id) != NO_AGENT:
        await asyncio.sleep(0.05)


async def test_a_lease_on_it_is_waited_for_and_not_ended(
    stage: Stage, devices: MockNode, skipping: WorkflowEnvironment
) -> None:
    gpr_id = await stage.a_granted_gpr(await stage.a_workspace(), shape="Tesla-T4", duration_seconds=86_400)
    (gpu,) = (await stage.gpr(gpr_id)).gpus
    quarantine_id = await set_aside(stage, node=gpu.node)
    with skipping.with_time_skipping_disabled():
        await recovery(stage, quarantine_id)
    while await waits_for(stage, quarantine_id) != "a lease holds it":
        await asyncio.sleep(0.05)
    assert (await stage.gpr(gpr_id)).phase is Phase.PROVISIONING


async def test_an_administrator_may_lift_it_at_any_moment(
    stage: Stage, devices: MockNode, skipping: WorkflowEnvironment
) -> None:
    async with node_worker(skipping.client, "worker-1", NODE):
        quarantine_id = await set_aside(stage, is_read=False)
        with skipping.with_time_skipping_disabled():
            lifecycle = await recovery(stage, quarantine_id)
        while await waits_for(stage, quarantine_id) != "no readings of GPU 0":
            await asyncio.sleep(0.05)
        async with stage.ledger.transaction() as connection:
            await health.lift(connection, health.Place("worker-1", NODE, 0), "ada", now())
        await lifecycle.terminate("it would look again in a minute")
        assert await (await recovery(stage, quarantine_id)).result() == "lifted"
    assert await lifted_by(stage, quarantine_id) == "ada"


async def test_a_look_at_what_was_lifted_changes_nothing(stage: Stage) -> None:
    quarantine_id = await set_aside(stage)
    async with stage.ledger.transaction() as connection:
        await health.lift(connection, health.Place("worker-1", NODE, 0), "ada", now())
    steps = LedgerRecovering(stage.ledger, stage.courier)
    assert not (await steps.load_recovery(str(quarantine_id))).is_open


async def test_the_steps_above_are_all_the_steps_of_a_recovery_in_the_ledger(
    skipping: WorkflowEnvironment, ledger: Ledger, cluster: ClusterConnection, devices: MockNode
) -> None:
    recording = Recording("Recovery")
    async with (
        Stage(skipping, ledger, cluster, interceptors=[recording]) as stage,
        node_worker(skipping.client, "worker-1", NODE),
    ):
        await (await recovery(stage, await set_aside(stage))).result()
    assert set(recording.steps) == set(RECOVERY_STEPS)
