"""Boxes and disks, lived through for their histories (`record.py`)."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import UUID

from domain.disk import DiskAction, OperationStatus
from domain.gpr import Phase
from ledger import boxes
from ledger import lifecycle as moves
from tests.builders import a_box, a_disk, now
from tests.builders_disks import storage_fares
from tests.replay.moments import Lifecycle, ended, settled
from tests.workflows.disturbances import FOR_EVER, FailingStep
from workflows.box import BoxWorkflow
from workflows.disk_operation import DiskOperationWorkflow

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.workflows.stage import Stage


async def box_expired(stage: Stage) -> Lifecycle:
    lifecycle = await stage.start_box(await a_granted_box_with_disk(stage))
    await lifecycle.result()
    return lifecycle


async def box_open_in_the_lease(stage: Stage) -> Lifecycle:
    return (await active_box(stage))[1]


async def box_extended(stage: Stage) -> Lifecycle:
    box_id, lifecycle = await active_box(stage)
    end_at = (await stage.gpr(box_id)).end_at
    assert end_at is not None
    async with stage.ledger.transaction() as connection:
        later = await moves.move_end(connection, box_id, end_at + timedelta(hours=4), now(), "somebody")
    await lifecycle.signal(BoxWorkflow.extended, later)
    return await settled(lifecycle)


async def box_told_of_a_change(stage: Stage) -> Lifecycle:
    box_id, lifecycle = await active_box(stage)
    async with stage.ledger.transaction() as connection:
        await boxes.want_jupyter(connection, box_id, True, "token", now())
        changed = await moves.standing(connection, box_id)
    await lifecycle.signal(BoxWorkflow.changed, changed)
    return await settled(lifecycle)


async def box_ended(stage: Stage) -> Lifecycle:
    box_id, lifecycle = await active_box(stage)
    await lifecycle.signal(BoxWorkflow.release, await ended(stage, box_id))
    await lifecycle.result()
    return lifecycle


async def box_cancelled_in_the_queue(stage: Stage) -> Lifecycle:
    box_id = await a_box(stage.ledger, await stage.a_workspace(), gpus_per_node=64)
    lifecycle = await stage.start_box(box_id)
    await lifecycle.signal(BoxWorkflow.release, await ended(stage, box_id))
    await lifecycle.result()
    return lifecycle


async def box_not_provisioned(stage: Stage) -> Lifecycle:
    lifecycle = await stage.start_box(await a_granted_box_with_disk(stage, requeue_on_failure=False))
    await lifecycle.result()
    return lifecycle


async def disk_created(stage: Stage) -> Lifecycle:
    disk_id = await a_disk(stage.ledger, await stage.a_workspace())
    return await operated(stage, disk_id, DiskAction.CREATE)


async def disk_renamed(stage: Stage) -> Lifecycle:
    return await operated(stage, await stage.a_used_disk(await stage.a_workspace()), DiskAction.RENAME, name="new-name")


async def disk_copied(stage: Stage) -> Lifecycle:
    return await operated(stage, await stage.a_used_disk(await stage.a_workspace()), DiskAction.SNAPSHOT)


async def disk_not_copied(stage: Stage) -> Lifecycle:
    workspace = await stage.a_workspace()
    namespace = (await stage.tenancy(workspace)).namespaces[0]
    await asyncio.to_thread(partial(storage_fares, stage.cluster, namespace, snapshot_error="no room"))
    return await operated(stage, await stage.a_used_disk(workspace), DiskAction.SNAPSHOT)


async def disk_pruned(stage: Stage) -> Lifecycle:
    return await operated(stage, await stage.a_used_disk(await stage.a_workspace()), DiskAction.PRUNE)


async def disk_deleted_and_asleep(stage: Stage) -> Lifecycle:
    return (await deleted_disk(stage))[1]


async def disk_deleted_and_wanted_back(stage: Stage) -> Lifecycle:
    disk_id, lifecycle = await deleted_disk(stage)
    await operated(stage, disk_id, DiskAction.UNDELETE)
    await lifecycle.signal(DiskOperationWorkflow.wanted_back)
    await lifecycle.result()
    return lifecycle


async def disk_deleted_and_purged(stage: Stage) -> Lifecycle:
    return await operated(stage, await stage.a_used_disk(await stage.a_workspace()), DiskAction.DELETE)


async def disk_operation_cancelled_by_an_operator(stage: Stage) -> Lifecycle:
    disk_id = await stage.a_used_disk(await stage.a_workspace())
    operation_id = await stage.an_operation(disk_id, DiskAction.SNAPSHOT)
    lifecycle = await stage.start_operation(operation_id)
    await asyncio.sleep(1)
    await lifecycle.cancel()
    while (await stage.operation(operation_id)).status is not OperationStatus.FAILED:
        await asyncio.sleep(0.05)
    return await settled(lifecycle)


BOX_SCENARIOS: dict[str, tuple[Callable[[Stage], Awaitable[Lifecycle]], FailingStep | None]] = {
    "Box.expired": (box_expired, None),
    "Box.open_in_the_lease": (box_open_in_the_lease, None),
    "Box.extended": (box_extended, None),
    "Box.told_of_a_change": (box_told_of_a_change, None),
    "Box.not_told": (box_expired, FailingStep("tell_box", times=8)),
    "Box.ended": (box_ended, None),
    "Box.cancelled_in_the_queue": (box_cancelled_in_the_queue, None),
    "Box.not_provisioned": (box_not_provisioned, FailingStep("attach_volume", times=FOR_EVER)),
    "DiskOperation.created": (disk_created, None),
    "DiskOperation.renamed": (disk_renamed, None),
    "DiskOperation.copied": (disk_copied, None),
    "DiskOperation.not_copied": (disk_not_copied, None),
    "DiskOperation.not_copied_in_time": (disk_copied, FailingStep("take_snapshot", times=FOR_EVER)),
    "DiskOperation.pruned": (disk_pruned, None),
    "DiskOperation.deleted_and_asleep": (disk_deleted_and_asleep, None),
    "DiskOperation.deleted_and_wanted_back": (disk_deleted_and_wanted_back, None),
    "DiskOperation.deleted_and_purged": (disk_deleted_and_purged, None),
    "DiskOperation.cancelled_by_an_operator": (
        disk_operation_cancelled_by_an_operator,
        FailingStep("await_volume_free", times=FOR_EVER),
    ),
}


async def active_box(stage: Stage) -> tuple[Any, Lifecycle]:
    box_id = await a_granted_box_with_disk(stage)
    with stage.environment.with_time_skipping_disabled():
        lifecycle = await stage.start_box(box_id)
    while (await stage.gpr(box_id)).phase is not Phase.ACTIVE:
        await asyncio.sleep(0.05)
    return box_id, await settled(lifecycle)


async def a_granted_box_with_disk(stage: Stage, **changes: Any) -> UUID:
    workspace = await stage.a_workspace()
    disk_id = await a_disk(stage.ledger, workspace)
    return await stage.a_granted_box(workspace, disk_id=disk_id, **changes)


async def operated(stage: Stage, disk_id: UUID, action: DiskAction, **argument: object) -> Lifecycle:
    lifecycle = await stage.start_operation(await stage.an_operation(disk_id, action, **argument))
    await lifecycle.result()
    return lifecycle


async def deleted_disk(stage: Stage) -> tuple[UUID, Lifecycle]:
    disk_id = await stage.a_used_disk(await stage.a_workspace())
    with stage.environment.with_time_skipping_disabled():
        lifecycle = await stage.start_operation(await stage.an_operation(disk_id, DiskAction.DELETE))
    return disk_id, await settled(lifecycle)
