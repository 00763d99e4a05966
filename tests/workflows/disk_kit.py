"""Disks on the stage: used, copied and deleted; what of them is in the cluster, and where their data must be."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import pytest
from temporalio.client import WorkflowFailureError, WorkflowHandle

from clusters.disks import delete_snapshot, make_volume, snapshot_state
from domain.disk import Disk, DiskAction, DiskPhase, OperationStatus, SnapshotPhase, VolumeOrder, volume_name
from domain.identifiers import DISK_LABEL, DISK_NAME_LABEL, JOB_LABEL
from tests.builders_clusters import a_pod
from tests.builders_disks import NEVER, storage_fares
from tests.workflows.stage import USED, Stage

EARLIER = "update disk set deleted_at = deleted_at - $2::interval, purge_at = purge_at - $2::interval where id = $1"
SNAPSHOTS = "/apis/snapshot.storage.k8s.io/v1"


async def copied(stage: Stage, *, times: int, workspace: UUID | None = None) -> UUID:
    """A disk that was used and copied so many times; its data is in the last copy."""
    disk_id = await stage.a_used_disk(workspace or await stage.a_workspace())
    for time in range(times):
        if time:
            await used_again(stage, disk_id)
        assert (await stage.done(disk_id, DiskAction.SNAPSHOT)).status is OperationStatus.COMPLETED
    return disk_id


async def used_again(stage: Stage, disk_id: UUID) -> None:
    """Its data is in a volume again, made from its newest copy."""
    disk, source = await stage.disk(disk_id), (await stage.snapshots(disk_id))[0].name
    order = VolumeOrder(disk_id, disk.name, volume_name(disk_id, 2), disk.size_gb, source, is_new=True)
    await asyncio.to_thread(make_volume, stage.cluster, order, namespace=disk.namespace)
    async with stage.ledger.transaction() as connection:
        await connection.execute(USED, disk_id, disk.cluster, disk.namespace, order.volume)


async def never_copied(stage: Stage) -> UUID:
    """A used disk where no copy becomes ready."""
    workspace = await stage.a_workspace()
    await storage(stage, workspace, snapshot_delay=NEVER)
    return await stage.a_used_disk(workspace)


async def deleted(stage: Stage, disk_id: UUID, *, ago: timedelta = timedelta()) -> WorkflowHandle[Any, Any]:
    """The lifecycle of its deletion, asleep in real time."""
    deletion = await stage.an_operation(disk_id, DiskAction.DELETE)
    async with stage.ledger.transaction() as connection:
        await connection.execute(EARLIER, disk_id, ago)
    with stage.environment.with_time_skipping_disabled():
        lifecycle = await stage.start_operation(deletion)
    while (await stage.operation(deletion)).status is not OperationStatus.COMPLETED:
        await asyncio.sleep(0.05)
    await asyncio.sleep(0.3)
    return lifecycle


async def cancelled(lifecycle: WorkflowHandle[Any, Any]) -> None:
    await lifecycle.cancel()
    with pytest.raises(WorkflowFailureError):
        await lifecycle.result()


async def storage(stage: Stage, workspace: UUID, **fares: str | None) -> None:
    """How storage fares in the workspace's namespace from now on."""
    namespace = (await stage.tenancy(workspace)).namespaces[0]
    await asyncio.to_thread(partial(storage_fares, stage.cluster, namespace, **fares))


async def a_user(stage: Stage, disk: Disk) -> str:
    """A running pod of Berth's that uses the volume; its path."""
    claim = {"name": "disk", "persistentVolumeClaim": {"claimName": disk.volume}}
    pods = f"/api/v1/namespaces/{disk.namespace}/pods"
    pod = a_pod("user", gpus=0, volumes=[claim])
    pod["metadata"]["labels"] = {JOB_LABEL: str(uuid4())}
    await asyncio.to_thread(stage.cluster.create, pods, pod)
    return f"{pods}/user"


async def aged(stage: Stage, disk_id: UUID, age: timedelta) -> None:
    async with stage.ledger.transaction() as connection:
        await connection.execute(
            "update disk_snapshot set ready_at = ready_at - $2::interval where disk_id = $1", disk_id, age
        )


async def taken_away(stage: Stage, namespace: str, name: str) -> None:
    """Somebody deletes a snapshot on its cluster."""
    await asyncio.to_thread(delete_snapshot, stage.cluster, namespace, name)
    while await asyncio.to_thread(snapshot_state, stage.cluster, namespace, name):
        await asyncio.sleep(0.05)


async def hold(stage: Stage, path: str) -> None:
    """Somebody else's finalizer keeps it."""
    snapshot = await asyncio.to_thread(stage.cluster.get, path)
    held = [*snapshot["metadata"].get("finalizers", []), "example.com/held"]
    await asyncio.to_thread(stage.cluster.merge, path, {"metadata": {"finalizers": held}})


async def let_go(stage: Stage, path: str) -> None:
    await asyncio.to_thread(stage.cluster.merge, path, {"metadata": {"finalizers": None}})


async def claims(stage: Stage, disk_id: UUID) -> list[dict[str, Any]]:
    disk = await stage.disk(disk_id)
    path = f"/api/v1/namespaces/{disk.namespace}/persistentvolumeclaims"
    return await asyncio.to_thread(stage.cluster.items, path, labelSelector=f"{DISK_LABEL}={disk_id}")


async def copies(stage: Stage, disk_id: UUID) -> list[dict[str, Any]]:
    disk = await stage.disk(disk_id)
    path = f"{SNAPSHOTS}/namespaces/{disk.namespace}/volumesnapshots"
    return await asyncio.to_thread(stage.cluster.items, path, labelSelector=f"{DISK_LABEL}={disk_id}")


async def in_cluster(stage: Stage, disk_id: UUID) -> list[str]:
    """Names of its snapshots there."""
    return sorted(copy["metadata"]["name"] for copy in await copies(stage, disk_id))


async def names(stage: Stage, disk_id: UUID) -> list[str]:
    """What everything of the disk is called on its cluster."""
    objects = [*await claims(stage, disk_id), *await copies(stage, disk_id)]
    return [thing["metadata"]["labels"][DISK_NAME_LABEL] for thing in objects]


async def assert_only_in_copy(stage: Stage, disk_id: UUID) -> None:
    """The data is in the newest copy, which is ready, and no volume is left, in the cluster or in the ledger."""
    disk, snapshots = await stage.disk(disk_id), await stage.snapshots(disk_id)
    assert (disk.volume, disk.restore_from) == ("", snapshots[0].id)
    assert await claims(stage, disk_id) == []
    newest = await asyncio.to_thread(snapshot_state, stage.cluster, disk.namespace, snapshots[0].name)
    assert newest is not None
    assert newest.is_ready


async def assert_only_in_volume(stage: Stage, disk_id: UUID) -> None:
    """The data is in the volume, which is not going, and no copy is left or named."""
    disk = await stage.disk(disk_id)
    assert [claim["metadata"].get("deletionTimestamp") for claim in await claims(stage, disk_id)] == [None]
    assert (bool(disk.volume), disk.restore_from) == (True, None)
    assert {snapshot.phase for snapshot in await stage.snapshots(disk_id)} <= {SnapshotPhase.FAILED}
    while await copies(stage, disk_id):
        await asyncio.sleep(0.05)


async def assert_gone(stage: Stage, disk_id: UUID) -> None:
    disk = await stage.disk(disk_id)
    assert (disk.phase, disk.volume, disk.restore_from) == (DiskPhase.PURGED, "", None)
    assert await stage.snapshots(disk_id) == []
    assert await claims(stage, disk_id) == []
    assert await copies(stage, disk_id) == []
