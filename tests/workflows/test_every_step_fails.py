"""Each step of a Gpr's life fails in turn, runs twice, or fails for ever, and nothing is left behind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import pytest

from domain.gpr import Phase
from tests.workflows.disturbances import FOR_EVER, FailingStep, Recording
from tests.workflows.stage import Stage

if TYPE_CHECKING:
    from temporalio.testing import WorkflowEnvironment

    from clusters.connection import ClusterConnection
    from ledger.connection import Ledger

PROVISIONING_STEPS = ["precheck_nodes", "write_tokens", "open_access"]
LEDGER_STEPS = ["load_gpr", "activate_gpr", "deliver_notices", "expire_gpr", "finish_release"]
TEARDOWN_STEPS = ["fence_lease", "clear_pods", "await_free", "take_tokens"]
ALL_STEPS = [*PROVISIONING_STEPS, *LEDGER_STEPS, *TEARDOWN_STEPS]
HOUR = 3600


async def lived(stage: Stage) -> Phase:
    """The phase in which an hour's lease on two nodes ends."""
    workspace = await stage.a_workspace()
    gpr_id = await stage.a_granted_gpr(workspace, nodes=2, gpus_per_node=4, duration_seconds=HOUR)
    lifecycle = await stage.start(gpr_id)
    while not await stage.is_over(lifecycle):
        await stage.grant_again(gpr_id, lifecycle)
    await stage.assert_nothing_left(workspace)
    return (await stage.gpr(gpr_id)).phase


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", ALL_STEPS)
async def test_a_step_that_fails_once_or_runs_twice_changes_nothing(
    skipping: WorkflowEnvironment,
    ledger: Ledger,
    cluster: ClusterConnection,
    step: str,
    when: Literal["before", "after"],
) -> None:
    failing = FailingStep(step, when=when)
    async with Stage(skipping, ledger, cluster, interceptors=[failing]) as stage:
        assert await lived(stage) is Phase.EXPIRED
    assert failing.failed == 1


@pytest.mark.parametrize("step", [*LEDGER_STEPS, *TEARDOWN_STEPS])
async def test_a_step_that_must_succeed_is_tried_until_it_does(
    skipping: WorkflowEnvironment, ledger: Ledger, cluster: ClusterConnection, step: str
) -> None:
    failing = FailingStep(step, times=25)
    async with Stage(skipping, ledger, cluster, interceptors=[failing]) as stage:
        assert await lived(stage) is Phase.EXPIRED
    assert failing.failed == 25


@pytest.mark.parametrize("step", PROVISIONING_STEPS)
async def test_provisioning_that_fails_for_ever_is_queued_again_and_in_the_end_fails(
    skipping: WorkflowEnvironment, ledger: Ledger, cluster: ClusterConnection, step: str
) -> None:
    failing = FailingStep(step, times=FOR_EVER)
    async with Stage(skipping, ledger, cluster, interceptors=[failing]) as stage:
        assert await lived(stage) is Phase.FAILED
    assert failing.failed > 6


async def test_the_steps_above_are_all_the_steps_there_are(
    skipping: WorkflowEnvironment, ledger: Ledger, cluster: ClusterConnection
) -> None:
    recording = Recording("Gpr")
    async with Stage(skipping, ledger, cluster, interceptors=[recording]) as stage:
        await lived(stage)
    assert set(recording.steps) == set(ALL_STEPS)
