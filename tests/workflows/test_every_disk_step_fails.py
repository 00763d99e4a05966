"""Each step of a disk operation fails in turn, runs twice, or is lost with its lifecycle: the data is whole all the same."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Literal

import pytest

from domain.disk import DiskAction, DiskPhase, OperationStatus
from tests.workflows.disk_kit import (
    assert_gone,
    assert_only_in_copy,
    assert_only_in_volume,
    copied,
    names,
    never_copied,
    storage,
    used_again,
)
from tests.workflows.disturbances import FOR_EVER, FailingStep, Recording
from tests.workflows.stage import Stage

if TYPE_CHECKING:
    from temporalio.testing import WorkflowEnvironment

    from clusters.connection import ClusterConnection
    from ledger.connection import Ledger

LEDGER_STEPS = ["load_disk_operation", "settle_disk_operation"]
SNAPSHOT_STEPS = ["await_volume_free", "take_snapshot", "delete_volume", "prune_snapshots"]
PURGE_STEPS = ["begin_purge", "purge_disk", "disk_purged"]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", [*LEDGER_STEPS, *SNAPSHOT_STEPS])
async def test_a_copy_of_which_a_step_fails_once_or_runs_twice_is_the_same_copy(
    skipping: WorkflowEnvironment,
    ledger: Ledger,
    cluster: ClusterConnection,
    step: str,
    when: Literal["before", "after"],
) -> None:
    failing = FailingStep(step, when=when)
    async with Stage(skipping, ledger, cluster, interceptors=[failing]) as stage:
        disk_id = await stage.a_used_disk(await stage.a_workspace())
        assert (await stage.done(disk_id, DiskAction.SNAPSHOT)).status is OperationStatus.COMPLETED
        await assert_only_in_copy(stage, disk_id)
    assert failing.failed == 1


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", [*LEDGER_STEPS, *PURGE_STEPS])
async def test_a_deletion_of_which_a_step_fails_once_or_runs_twice_leaves_nothing(
    skipping: WorkflowEnvironment,
    ledger: Ledger,
    cluster: ClusterConnection,
    step: str,
    when: Literal["before", "after"],
) -> None:
    failing = FailingStep(step, when=when, times=0)
    async with Stage(skipping, ledger, cluster, interceptors=[failing]) as stage:
        disk_id = await copied(stage, times=1)
        await used_again(stage, disk_id)
        failing.times = 1
        deletion = await stage.an_operation(disk_id, DiskAction.DELETE)
        assert await (await stage.start_operation(deletion)).result() == DiskPhase.PURGED
        await assert_gone(stage, disk_id)
    assert failing.failed == 1


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_rename_of_which_the_step_fails_once_or_runs_twice_is_the_same_rename(
    skipping: WorkflowEnvironment, ledger: Ledger, cluster: ClusterConnection, when: Literal["before", "after"]
) -> None:
    failing = FailingStep("label_disk", when=when)
    async with Stage(skipping, ledger, cluster, interceptors=[failing]) as stage:
        disk_id = await stage.a_used_disk(await stage.a_workspace())
        renamed = await stage.done(disk_id, DiskAction.RENAME, name="new-name")
        assert (renamed.status, renamed.result) == (OperationStatus.COMPLETED, {})
        assert await names(stage, disk_id) == ["new-name"]
    assert failing.failed == 1


@pytest.mark.parametrize("when", ["before", "after"])
async def test_to_take_a_copy_back_may_fail_once_or_run_twice(
    skipping: WorkflowEnvironment, ledger: Ledger, cluster: ClusterConnection, when: Literal["before", "after"]
) -> None:
    failing = FailingStep("drop_snapshot", when=when)
    async with Stage(skipping, ledger, cluster, interceptors=[failing], patience_seconds=0) as stage:
        disk_id = await never_copied(stage)
        assert (await stage.done(disk_id, DiskAction.SNAPSHOT)).status is OperationStatus.FAILED
        await assert_only_in_volume(stage, disk_id)
    assert failing.failed == 1


@pytest.mark.parametrize("step", ["await_volume_free", "delete_volume", "settle_disk_operation"])
async def test_a_step_that_must_succeed_is_tried_until_it_does(
    skipping: WorkflowEnvironment, ledger: Ledger, cluster: ClusterConnection, step: str
) -> None:
    failing = FailingStep(step, times=25)
    async with Stage(skipping, ledger, cluster, interceptors=[failing]) as stage:
        disk_id = await stage.a_used_disk(await stage.a_workspace())
        assert (await stage.done(disk_id, DiskAction.SNAPSHOT)).status is OperationStatus.COMPLETED
        await assert_only_in_copy(stage, disk_id)
    assert failing.failed == 25


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", [*SNAPSHOT_STEPS, "settle_disk_operation"])
async def test_a_lifecycle_that_is_lost_anywhere_is_begun_anew_and_ends_as_it_would_have(
    skipping: WorkflowEnvironment,
    ledger: Ledger,
    cluster: ClusterConnection,
    step: str,
    when: Literal["before", "after"],
) -> None:
    failing = FailingStep(step, when=when, times=FOR_EVER)
    async with Stage(skipping, ledger, cluster, interceptors=[failing]) as stage:
        disk_id = await stage.a_used_disk(await stage.a_workspace())
        operation_id = await stage.an_operation(disk_id, DiskAction.SNAPSHOT)
        with skipping.with_time_skipping_disabled():
            lifecycle = await stage.start_operation(operation_id)
        while not failing.failed:
            await asyncio.sleep(0.05)
        await lifecycle.terminate("lost")
        failing.times = 0
        await (await stage.start_operation(operation_id)).result()
        assert (await stage.operation(operation_id)).status is OperationStatus.COMPLETED
        await assert_only_in_copy(stage, disk_id)


async def test_the_steps_above_are_all_the_steps_there_are(
    skipping: WorkflowEnvironment, ledger: Ledger, cluster: ClusterConnection
) -> None:
    recording = Recording("DiskOperation")
    async with Stage(skipping, ledger, cluster, interceptors=[recording], patience_seconds=0) as stage:
        disk_id = await never_copied(stage)
        await stage.done(disk_id, DiskAction.SNAPSHOT)
        await storage(stage, (await stage.disk(disk_id)).workspace_id, snapshot_delay=None)
        await stage.done(disk_id, DiskAction.SNAPSHOT)
        await stage.done(disk_id, DiskAction.RENAME, name="new-name")
        await (await stage.start_operation(await stage.an_operation(disk_id, DiskAction.DELETE))).result()
    assert set(recording.steps) == {*LEDGER_STEPS, *SNAPSHOT_STEPS, *PURGE_STEPS, "label_disk", "drop_snapshot"}
