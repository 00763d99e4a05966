"""The arbiter: a kick leads to a pass, many kicks to few, and a pass never gives a GPU out twice."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from arbitration.arbiter_pass import estimate, grant
from domain.gpr import EndCause, Phase
from domain.identifiers import arbiter_workflow_id
from ledger import leases
from ledger import lifecycle as moves
from tests.builders import a_gpr, now
from tests.workflows.disturbances import FailingStep, Recording
from tests.workflows.stage import Stage
from workflows.arbiter import ArbiterWorkflow

if TYPE_CHECKING:
    from uuid import UUID

    from temporalio.client import WorkflowHandle
    from temporalio.testing import WorkflowEnvironment

    from clusters.connection import ClusterConnection
    from ledger.connection import Ledger

GPUS = 18
"""What the test cluster has."""


async def test_a_kick_grants_what_was_queued(stage: Stage) -> None:
    arbiter = await begun(stage)
    gpr_id = await a_gpr(stage.ledger, await stage.a_workspace())
    await arbiter.signal(ArbiterWorkflow.kick)
    await until(stage, gpr_id, Phase.PROVISIONING)


async def test_a_hundred_kicks_cost_few_passes(
    skipping: WorkflowEnvironment, ledger: Ledger, cluster: ClusterConnection
) -> None:
    recording = Recording("Arbiter")
    async with Stage(skipping, ledger, cluster, interceptors=[recording]) as stage:
        arbiter = await begun(stage)
        await asyncio.gather(*(arbiter.signal(ArbiterWorkflow.kick) for _ in range(100)))
        gpr_id = await a_gpr(ledger, await stage.a_workspace())
        await arbiter.signal(ArbiterWorkflow.kick)
        await until(stage, gpr_id, Phase.PROVISIONING)
    assert recording.steps.count("arbitrate") < 50


async def test_a_pass_that_runs_twice_grants_once(
    skipping: WorkflowEnvironment, ledger: Ledger, cluster: ClusterConnection
) -> None:
    failing = FailingStep("arbitrate", when="after")
    async with Stage(skipping, ledger, cluster, interceptors=[failing]) as stage:
        gpr_ids = [await a_gpr(ledger, await stage.a_workspace()) for _ in range(3)]
        await begun(stage)
        for gpr_id in gpr_ids:
            await until(stage, gpr_id, Phase.PROVISIONING)
        async with ledger.reading() as connection:
            assert len(await leases.open_leases(connection)) == 3
    assert failing.failed == 1


async def test_passes_and_cancellations_at_the_same_moment_have_one_outcome(stage: Stage) -> None:
    gpr_ids = [await a_gpr(stage.ledger, await stage.a_workspace()) for _ in range(12)]
    await asyncio.gather(*(grant(stage.ledger, now()) for _ in range(4)), *(cancel(stage, one) for one in gpr_ids))
    async with stage.ledger.reading() as connection:
        held = await leases.open_leases(connection)
    holding = {lease.gpr_id for lease in held}
    for gpr_id in gpr_ids:
        phase = (await stage.gpr(gpr_id)).phase
        assert (phase is Phase.RELEASING) == (str(gpr_id) in holding)
        assert phase in {Phase.RELEASING, Phase.CANCELLED}


async def test_no_gpu_is_granted_twice_when_many_passes_run_at_once(stage: Stage) -> None:
    gpr_ids = [await a_gpr(stage.ledger, await stage.a_workspace(), gpus_per_node=2) for _ in range(12)]
    await asyncio.gather(*(grant(stage.ledger, now()) for _ in range(5)))
    async with stage.ledger.reading() as connection:
        held = [gpu for lease in await leases.open_leases(connection) for gpu in lease.gpus]
    assert len(held) == len(set(held)) <= GPUS
    granted = [gpr_id for gpr_id in gpr_ids if (await stage.gpr(gpr_id)).phase is Phase.PROVISIONING]
    assert len(granted) == 8


async def test_everything_queued_has_a_start_or_a_reason(stage: Stage) -> None:
    workspace = await stage.a_workspace()
    gpr_ids = [await a_gpr(stage.ledger, workspace) for _ in range(3)]
    impossible = await a_gpr(stage.ledger, await stage.a_workspace(), gpus_per_node=64)
    await grant(stage.ledger, now())
    await estimate(stage.ledger, now())
    first, second = [(await stage.gpr(gpr_id)).estimate for gpr_id in gpr_ids[1:]]
    assert first.starts_at is not None
    assert second.starts_at is not None
    assert first.starts_at < second.starts_at
    assert first.reason
    never = (await stage.gpr(impossible)).estimate
    assert (never.starts_at, never.reason_code) == (None, "larger_than_any_node")


async def begun(stage: Stage) -> WorkflowHandle[ArbiterWorkflow, None]:
    """An arbiter in real time: in skipped time its own timer would spin."""
    with stage.environment.with_time_skipping_disabled():
        return await stage.start_workflow(ArbiterWorkflow.run, "test", arbiter_workflow_id("test"))


async def cancel(stage: Stage, gpr_id: UUID) -> None:
    async with stage.ledger.transaction() as connection:
        await moves.end_for_user(connection, gpr_id, EndCause.CANCELLED, now(), "somebody")


async def until(stage: Stage, gpr_id: UUID, phase: Phase) -> None:
    while (await stage.gpr(gpr_id)).phase is not phase:
        await asyncio.sleep(0.05)
