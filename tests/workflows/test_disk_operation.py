"""Operations on a disk: whatever fails, and whoever dies when, its data is whole in one place and nothing is left over."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest

from clusters.connection import ClusterConnection
from clusters.disks import snapshot_state, volume_left
from clusters.failures import refusal
from domain.disk import RETENTION, DiskAction, DiskPhase, OperationStatus, SnapshotPhase
from domain.failures import Gone
from domain.identifiers import reconcile_schedule_id
from ledger import disks
from tests.builders import a_disk, a_principal, now
from tests.workflows.disk_kit import (
    SNAPSHOTS,
    a_user,
    aged,
    assert_gone,
    assert_only_in_copy,
    assert_only_in_volume,
    cancelled,
    claims,
    copied,
    deleted,
    hold,
    in_cluster,
    let_go,
    names,
    never_copied,
    storage,
    taken_away,
    used_again,
)
from tests.workflows.disturbances import FOR_EVER, FailingStep, Recording
from tests.workflows.stage import Stage
from workflows.disk_operation import CANCELLED, DiskOperationWorkflow
from workflows.reconcile import ReconcileLedgerWorkflow

if TYPE_CHECKING:
    from temporalio.testing import WorkflowEnvironment

    from cli.stack.cluster import Cluster
    from ledger.connection import Ledger
    from workflows.signatures.reconciling import Repairs

LEDGER_STEPS = ["load_disk_operation", "settle_disk_operation"]


# --- what the ledger has decided --------------------------------------------------------------------------------------


async def test_what_the_ledger_has_decided_is_completed_at_once_and_no_cluster_is_asked(
    skipping: WorkflowEnvironment, ledger: Ledger, cluster: ClusterConnection
) -> None:
    recording = Recording("DiskOperation")
    async with Stage(skipping, ledger, cluster, interceptors=[recording]) as stage:
        disk_id = await a_disk(stage.ledger, await stage.a_workspace())
        done = [
            await stage.done(disk_id, DiskAction.CREATE),
            await stage.done(disk_id, DiskAction.RENAME, name="other"),
        ]
    assert [operation.status for operation in done] == [OperationStatus.COMPLETED] * 2
    assert recording.steps == LEDGER_STEPS * 2


# --- name and size ----------------------------------------------------------------------------------------------------


async def test_a_new_name_is_written_on_the_volume_and_on_every_snapshot(stage: Stage) -> None:
    disk_id = await copied(stage, times=2)
    await used_again(stage, disk_id)
    renamed = await stage.done(disk_id, DiskAction.RENAME, name="new-name")
    assert (renamed.status, renamed.result) == (OperationStatus.COMPLETED, {"updated": 2})
    assert await names(stage, disk_id) == ["new-name"] * 3


async def test_a_snapshot_that_cannot_be_renamed_is_named_and_the_rename_stands(stage: Stage) -> None:
    disk_id = await copied(stage, times=2)
    older = (await stage.snapshots(disk_id))[1]
    await taken_away(stage, older.namespace, older.name)
    renamed = await stage.done(disk_id, DiskAction.RENAME, name="new-name")
    assert (renamed.status, renamed.result["updated"]) == (OperationStatus.COMPLETED, 1)
    assert [str(error).startswith(f"{older.name}: ") for error in renamed.result["errors"]] == [True]  # type: ignore[attr-defined]
    assert (await stage.disk(disk_id)).name == "new-name"


async def test_a_larger_disk_has_a_larger_volume(stage: Stage) -> None:
    disk_id = await stage.a_used_disk(await stage.a_workspace(), size_gb=20)
    resized = await stage.done(disk_id, DiskAction.RESIZE, size_gb=30)
    assert (resized.status, resized.result) == (OperationStatus.COMPLETED, {})
    claim = (await claims(stage, disk_id))[0]
    assert claim["spec"]["resources"]["requests"]["storage"] == "30Gi"


async def test_a_cluster_that_does_not_answer_is_named_and_does_not_hold_up_the_disk(
    skipping: WorkflowEnvironment, ledger: Ledger, cluster: ClusterConnection
) -> None:
    failing = FailingStep("label_disk", times=FOR_EVER)
    async with Stage(skipping, ledger, cluster, interceptors=[failing]) as stage:
        disk_id = await stage.a_used_disk(await stage.a_workspace())
        renamed = await stage.done(disk_id, DiskAction.RENAME, name="new-name")
    assert renamed.status is OperationStatus.COMPLETED
    assert "label_disk is made to fail" in str(renamed.result["errors"])


# --- copies -----------------------------------------------------------------------------------------------------------


async def test_the_volume_goes_when_its_copy_is_ready_and_the_data_is_in_the_copy(stage: Stage) -> None:
    disk_id = await stage.a_used_disk(await stage.a_workspace())
    taken = await stage.done(disk_id, DiskAction.SNAPSHOT)
    assert (taken.status, taken.error) == (OperationStatus.COMPLETED, "")
    await assert_only_in_copy(stage, disk_id)


class JustStarted(ClusterConnection):
    """A cluster whose API server does not know yet what snapshots are, and soon will."""

    refusals = 3
    words = b'{"kind": "Status", "reason": "ServiceUnavailable", "message": "no resource mapper for kind", "code": 503}'

    def create(self, path: str, body: dict[str, Any], **query: str) -> dict[str, Any]:
        if path.endswith("/volumesnapshots") and self.refusals:
            self.refusals -= 1
            raise refusal(self.name, f"POST {path}", 503, self.words)
        return super().create(path, body, **query)


@pytest.mark.usefixtures("cluster")
async def test_a_copy_that_an_api_server_does_not_take_while_it_starts_is_asked_for_until_it_does(
    skipping: WorkflowEnvironment, ledger: Ledger, kube_cluster: Cluster
) -> None:
    starting = JustStarted.from_kubeconfig(kube_cluster.name, kube_cluster.kubeconfig_path)
    async with Stage(skipping, ledger, starting) as stage:
        disk_id = await stage.a_used_disk(await stage.a_workspace())
        taken = await stage.done(disk_id, DiskAction.SNAPSHOT)
        assert (taken.status, taken.error, taken.result) == (OperationStatus.COMPLETED, "", {})
        await assert_only_in_copy(stage, disk_id)
    starting.close()
    assert isinstance(starting, JustStarted)
    assert starting.refusals == 0


async def test_a_copy_that_fails_costs_nothing_but_the_copy(stage: Stage) -> None:
    workspace = await stage.a_workspace()
    disk_id = await stage.a_used_disk(workspace)
    await storage(stage, workspace, snapshot_error="no room")
    taken = await stage.done(disk_id, DiskAction.SNAPSHOT)
    assert (taken.status, taken.error) == (OperationStatus.FAILED, "no room")
    await assert_only_in_volume(stage, disk_id)
    await storage(stage, workspace, snapshot_error=None)
    assert (await stage.done(disk_id, DiskAction.SNAPSHOT)).status is OperationStatus.COMPLETED
    await assert_only_in_copy(stage, disk_id)


async def test_a_copy_that_is_not_ready_in_time_is_taken_back(
    skipping: WorkflowEnvironment, ledger: Ledger, cluster: ClusterConnection
) -> None:
    async with Stage(skipping, ledger, cluster, patience_seconds=0) as stage:
        disk_id = await never_copied(stage)
        taken = await stage.done(disk_id, DiskAction.SNAPSHOT)
        assert taken.status is OperationStatus.FAILED
        assert "is not ready yet" in taken.error
        await assert_only_in_volume(stage, disk_id)


async def test_where_volumes_cannot_be_copied_the_volume_stays_and_the_operation_says_so(stage: Stage) -> None:
    disk_id = await stage.a_used_disk(await stage.a_workspace())
    classes = f"{SNAPSHOTS}/volumesnapshotclasses"
    known = await asyncio.to_thread(stage.cluster.items, classes)
    for one in known:
        await asyncio.to_thread(stage.cluster.delete, f"{classes}/{one['metadata']['name']}")
    try:
        taken = await stage.done(disk_id, DiskAction.SNAPSHOT)
    finally:
        for one in known:
            del one["metadata"]["resourceVersion"]
            await asyncio.to_thread(stage.cluster.create, classes, one)
    assert (taken.status, taken.error) == (OperationStatus.COMPLETED, "")
    assert "takes no snapshots" in str(taken.result["note"])
    await assert_only_in_volume(stage, disk_id)


async def test_nothing_is_copied_while_a_pod_uses_the_volume_and_the_pod_is_left_alone(stage: Stage) -> None:
    disk_id = await stage.a_used_disk(await stage.a_workspace())
    pod = await a_user(stage, await stage.disk(disk_id))
    operation_id = await stage.an_operation(disk_id, DiskAction.SNAPSHOT)
    lifecycle = await stage.start_operation(operation_id)
    await asyncio.sleep(3)
    assert await stage.snapshots(disk_id) == []
    await asyncio.to_thread(stage.cluster.delete, pod, grace_seconds=1)
    assert await lifecycle.result() == DiskPhase.READY
    await assert_only_in_copy(stage, disk_id)


async def test_a_copy_that_somebody_took_away_leaves_the_volume_where_it_is(
    skipping: WorkflowEnvironment, ledger: Ledger, cluster: ClusterConnection
) -> None:
    failing = FailingStep("delete_volume", times=FOR_EVER)
    async with Stage(skipping, ledger, cluster, interceptors=[failing]) as stage:
        disk_id = await stage.a_used_disk(await stage.a_workspace())
        operation_id = await stage.an_operation(disk_id, DiskAction.SNAPSHOT)
        lifecycle = await stage.start_operation(operation_id)
        while not failing.failed:
            await asyncio.sleep(0.05)
        copy = (await stage.snapshots(disk_id))[0]
        await taken_away(stage, copy.namespace, copy.name)
        failing.times = 0
        await lifecycle.result()
        taken, disk = await stage.operation(operation_id), await stage.disk(disk_id)
        assert taken.status is OperationStatus.FAILED
        assert (
            await asyncio.to_thread(volume_left, cluster, disk.namespace, disk.volume) == "its deletion has not begun"
        )


async def test_three_copies_are_kept_and_none_that_is_older_than_a_week_but_the_one_with_the_data(stage: Stage) -> None:
    disk_id = await copied(stage, times=5)
    kept = await stage.snapshots(disk_id)
    assert [snapshot.phase for snapshot in kept] == [SnapshotPhase.READY] * 3
    assert await in_cluster(stage, disk_id) == sorted(snapshot.name for snapshot in kept)
    await aged(stage, disk_id, timedelta(days=8))
    assert (await stage.done(disk_id, DiskAction.PRUNE)).status is OperationStatus.COMPLETED
    assert await in_cluster(stage, disk_id) == [kept[0].name]
    assert (await stage.disk(disk_id)).restore_from == kept[0].id


async def test_an_old_copy_that_does_not_go_keeps_nobody_waiting(
    skipping: WorkflowEnvironment, ledger: Ledger, cluster: ClusterConnection
) -> None:
    async with Stage(skipping, ledger, cluster, patience_seconds=0) as stage:
        disk_id = await copied(stage, times=3)
        oldest = (await stage.snapshots(disk_id))[2]
        path = f"{SNAPSHOTS}/namespaces/{oldest.namespace}/volumesnapshots/{oldest.name}"
        await hold(stage, path)
        await used_again(stage, disk_id)
        taken = await stage.done(disk_id, DiskAction.SNAPSHOT)
        await let_go(stage, path)
        assert taken.status is OperationStatus.COMPLETED
        assert oldest.name in str(taken.result["note"])


async def test_the_next_operation_begins_when_this_one_ends(stage: Stage) -> None:
    disk_id = await stage.a_used_disk(await stage.a_workspace())
    first = await stage.an_operation(disk_id, DiskAction.SNAPSHOT)
    second = await stage.an_operation(disk_id, DiskAction.RENAME, name="later")
    assert (await stage.operation(second)).status is OperationStatus.QUEUED
    await (await stage.start_operation(first)).result()
    while (await stage.operation(second)).status is not OperationStatus.COMPLETED:
        await asyncio.sleep(0.05)
    assert await names(stage, disk_id) == ["later"]


# --- deleted, wanted back, gone ---------------------------------------------------------------------------------------


async def test_a_deleted_disk_can_be_had_back_on_day_29(stage: Stage) -> None:
    disk_id = await copied(stage, times=1)
    lifecycle = await deleted(stage, disk_id, ago=timedelta(days=29))
    await stage.done(disk_id, DiskAction.UNDELETE)
    await lifecycle.signal(DiskOperationWorkflow.wanted_back)
    assert await lifecycle.result() == DiskPhase.READY
    await assert_only_in_copy(stage, disk_id)


async def test_a_deleted_disk_is_gone_on_day_31_with_all_that_it_was_made_of(stage: Stage) -> None:
    disk_id = await copied(stage, times=2)
    await used_again(stage, disk_id)
    deletion = await stage.an_operation(disk_id, DiskAction.DELETE)
    lifecycle = await stage.start_operation(deletion)
    assert await lifecycle.result() == DiskPhase.PURGED
    description = await lifecycle.describe()
    assert description.close_time is not None
    assert timedelta(days=30) <= description.close_time - description.start_time < timedelta(days=31)
    await assert_gone(stage, disk_id)


async def test_a_deletion_is_completed_at_once_and_nothing_goes_before_its_time(stage: Stage) -> None:
    disk_id = await copied(stage, times=1)
    with stage.environment.with_time_skipping_disabled():
        deletion = await stage.an_operation(disk_id, DiskAction.DELETE)
        await stage.start_operation(deletion)
    while (await stage.operation(deletion)).status is not OperationStatus.COMPLETED:
        await asyncio.sleep(0.05)
    disk = await stage.disk(disk_id)
    assert disk.deleted_at is not None
    assert (disk.phase, disk.purge_at) == (DiskPhase.DELETED, disk.deleted_at + RETENTION)
    assert len(await in_cluster(stage, disk_id)) == 1


async def test_a_disk_whose_purge_has_begun_cannot_be_had_back(
    skipping: WorkflowEnvironment, ledger: Ledger, cluster: ClusterConnection
) -> None:
    failing = FailingStep("purge_disk", times=FOR_EVER)
    async with Stage(skipping, ledger, cluster, interceptors=[failing]) as stage:
        disk_id = await copied(stage, times=1)
        await stage.start_operation(await stage.an_operation(disk_id, DiskAction.DELETE))
        while not failing.failed:
            await asyncio.sleep(0.05)
        with pytest.raises(Gone):
            await stage.an_operation(disk_id, DiskAction.UNDELETE)


async def test_the_copy_that_a_clone_is_made_from_outlives_the_disk(stage: Stage) -> None:
    workspace = await stage.a_workspace()
    disk_id = await copied(stage, times=1, workspace=workspace)
    source, clone_id = (await stage.snapshots(disk_id))[0], uuid4()
    async with stage.ledger.transaction() as connection:
        owner = await a_principal(stage.ledger)
        await disks.create(connection, clone_id, workspace, owner, "clone", 20, now(), restore_from=source.id)
    await (await stage.start_operation(await stage.an_operation(disk_id, DiskAction.DELETE))).result()
    assert (await stage.disk(disk_id)).phase is DiskPhase.PURGED
    state = await asyncio.to_thread(snapshot_state, stage.cluster, source.namespace, source.name)
    assert state is not None
    assert state.is_ready
    assert [one.id for one in await stage.snapshots(clone_id)] == [source.id]


# --- an operator ------------------------------------------------------------------------------------------------------


async def test_an_operator_ends_what_only_waits_and_the_data_stays_in_the_volume(stage: Stage) -> None:
    disk_id = await stage.a_used_disk(await stage.a_workspace())
    await a_user(stage, await stage.disk(disk_id))
    operation_id = await stage.an_operation(disk_id, DiskAction.SNAPSHOT)
    lifecycle = await stage.start_operation(operation_id)
    await asyncio.sleep(0.5)
    await cancelled(lifecycle)
    operation = await stage.operation(operation_id)
    assert (operation.status, operation.error) == (OperationStatus.FAILED, CANCELLED)
    await assert_only_in_volume(stage, disk_id)


async def test_what_has_begun_is_carried_through_before_the_operator_has_his_way(
    skipping: WorkflowEnvironment, ledger: Ledger, cluster: ClusterConnection
) -> None:
    failing = FailingStep("delete_volume", times=3)
    async with Stage(skipping, ledger, cluster, interceptors=[failing]) as stage:
        disk_id = await stage.a_used_disk(await stage.a_workspace())
        operation_id = await stage.an_operation(disk_id, DiskAction.SNAPSHOT)
        with skipping.with_time_skipping_disabled():
            lifecycle = await stage.start_operation(operation_id)
        while not failing.failed:
            await asyncio.sleep(0.05)
        await cancelled(lifecycle)
        assert (await stage.operation(operation_id)).status is OperationStatus.COMPLETED
        await assert_only_in_copy(stage, disk_id)


async def test_a_deletion_that_an_operator_cancels_is_begun_again_and_purges_in_its_time(stage: Stage) -> None:
    disk_id = await copied(stage, times=1)
    lifecycle = await deleted(stage, disk_id)
    await cancelled(lifecycle)
    assert (await stage.disk(disk_id)).phase is DiskPhase.DELETED
    async with stage.ledger.reading() as connection:
        assert [start.workflow_id for start in await disks.unfinished_operations(connection)] == [lifecycle.id]
    again = await stage.start_operation(UUID(lifecycle.id.partition("/")[2]))
    assert await again.result() == DiskPhase.PURGED
    await assert_gone(stage, disk_id)


# --- the reconciler ---------------------------------------------------------------------------------------------------


async def test_the_reconciler_begins_operations_that_do_not_run_and_has_old_copies_pruned(stage: Stage) -> None:
    old = await copied(stage, times=2)
    await aged(stage, old, timedelta(days=8))
    lost = await stage.an_operation(await stage.a_used_disk(await stage.a_workspace()), DiskAction.SNAPSHOT)
    run, workflow_id = ReconcileLedgerWorkflow.run, reconcile_schedule_id(f"ledger-{id(stage)}")
    repairs: Repairs = await (await stage.start_workflow(run, "", workflow_id)).result()
    assert [str(lost) in line for line in repairs.mended if "disk-op/" in line] == [True]
    while (await stage.operation(lost)).status is not OperationStatus.COMPLETED or len(
        await in_cluster(stage, old)
    ) > 1:
        await asyncio.sleep(0.05)
    assert [one.phase for one in await stage.snapshots(old)] == [SnapshotPhase.READY]
