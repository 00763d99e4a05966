"""Disks: what the ledger is told of them, and their volumes and snapshots on a cluster.

Steps that wait look for a few seconds and then fail with `not_ready_yet`; Temporal tries them again. A step is found
where it was left by what the ledger names (`ledger/disks.py`), so a second run of any of them changes nothing.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Final
from uuid import UUID

import structlog
from temporalio import activity

from clusters.connection import ClusterConnection
from clusters.disks import (
    CLAIM,
    SNAPSHOT,
    delete_snapshot,
    delete_volume,
    disk_labels,
    grow_volume,
    label,
    make_snapshot,
    make_volume,
    snapshot_left,
    snapshot_state,
    takes_snapshots,
    volume_left,
    volume_users,
)
from delivery.courier import Courier
from domain.disk import Disk, DiskAction, DiskOperation, OperationStatus, Snapshot, SnapshotPhase, VolumeOrder
from domain.failures import BerthFailure, ClusterRefused, DataMissing, InUse, NotReadyYet, Unavailable
from domain.messages import Standing
from ledger import disks, jobs
from ledger.connection import Ledger
from workflows.signatures.disks import (
    Copied,
    CopyGivenUp,
    DiskBookkeeping,
    DiskOutcome,
    Disks,
    DiskStep,
    DiskStepAt,
    Labelled,
)

log = structlog.get_logger()

LOOK_SECONDS: Final = 0.25
_SETTLED: Final = frozenset({OperationStatus.COMPLETED, OperationStatus.FAILED})


class LedgerDisks(DiskBookkeeping):
    """The real ledger. What the end of an operation lets begin is delivered right after the commit."""

    def __init__(self, ledger: Ledger, courier: Courier) -> None:
        self._ledger = ledger
        self._courier = courier

    @activity.defn(name="load_disk_operation")
    async def load_disk_operation(self, operation_id: str) -> DiskStep:
        async with self._ledger.reading() as connection:
            operation = await disks.operation(connection, UUID(operation_id))
            disk = await disks.find(connection, operation.disk_id)
        return _step(operation, disk)

    @activity.defn(name="settle_disk_operation")
    async def settle_disk_operation(self, outcome: DiskOutcome) -> DiskStep:
        operation_id, result = UUID(outcome.operation_id), _result(outcome)
        async with self._ledger.transaction() as connection:
            messages = await disks.settle(connection, operation_id, error=outcome.error, result=result, now=outcome.now)
        self._courier.deliver_soon(messages)
        return await self.load_disk_operation(outcome.operation_id)

    @activity.defn(name="begin_purge")
    async def begin_purge(self, at: DiskStepAt) -> bool:
        async with self._ledger.transaction() as connection:
            return await disks.begin_purge(connection, UUID(at.step.disk_id), at.now)

    @activity.defn(name="disk_purged")
    async def disk_purged(self, at: DiskStepAt) -> None:
        async with self._ledger.transaction() as connection:
            await disks.purged(connection, UUID(at.step.disk_id), at.now)


class ClusterDisks(Disks):
    """One real cluster. `storage_class`: of new volumes, empty for the cluster's default one.

    `patience_seconds`: how long a step looks whether what it waits for has come, before it is tried again.
    """

    def __init__(
        self, cluster: ClusterConnection, ledger: Ledger, *, storage_class: str = "", patience_seconds: float = 5
    ) -> None:
        self._cluster = cluster
        self._ledger = ledger
        self._storage_class = storage_class
        self._patience_seconds = patience_seconds

    # --- a box gets its volume ----------------------------------------------------------------------------------------

    @activity.defn(name="attach_volume")
    async def attach_volume(self, standing: Standing) -> None:
        """Named in the ledger first: a volume that is made, and whose maker dies, is known by its name."""
        gpr_id = UUID(standing.gpr_id)
        async with self._ledger.transaction() as connection:
            namespace = (await jobs.spec_of(connection, gpr_id)).namespace
            order = await disks.volume_for(
                connection, gpr_id, standing.fence, standing.cluster, namespace, datetime.now(UTC)
            )
        await asyncio.to_thread(self._provide, order, namespace)
        async with self._ledger.transaction() as connection:
            await disks.volume_seen(connection, order.disk_id, order.volume)

    def _provide(self, order: VolumeOrder, namespace: str) -> None:
        make_volume(self._cluster, order, namespace=namespace, storage_class=self._storage_class)
        try:
            grow_volume(self._cluster, namespace, order.volume, order.size_gb)  # where a resize did not reach it
        except ClusterRefused as refusal:
            log.warning("volume smaller than its disk", volume=order.volume, failure=str(refusal))

    # --- copy the volume, and let it go -------------------------------------------------------------------------------

    @activity.defn(name="await_volume_free")
    async def await_volume_free(self, step: DiskStep) -> None:
        disk = await self._disk(step)
        if disk.volume:
            await self._until_none(
                lambda: ", ".join(volume_users(self._cluster, disk.namespace, disk.volume)), "in use by"
            )

    @activity.defn(name="take_snapshot")
    async def take_snapshot(self, at: DiskStepAt) -> Copied:
        disk = await self._disk(at.step)
        snapshot = await self._copy_of(at.step)
        if snapshot is None:
            if why := await self._why_not_copied(disk):
                return Copied(note=why)
            async with self._ledger.transaction() as connection:
                snapshot = await disks.snapshot_begun(connection, UUID(at.step.operation_id), at.now)
        if snapshot.phase is not SnapshotPhase.CREATING:
            return _copied(snapshot)
        await asyncio.to_thread(
            make_snapshot,
            self._cluster,
            snapshot.namespace,
            snapshot.name,
            disk.volume,
            disk_labels(disk.id, disk.name),
        )
        return await self._watch(snapshot, at.now)

    @activity.defn(name="drop_snapshot")
    async def drop_snapshot(self, given_up: CopyGivenUp) -> Copied:
        snapshot = await self._copy_of(given_up.step)
        if snapshot is None:
            return Copied(failure=given_up.why)
        if snapshot.phase is not SnapshotPhase.CREATING:
            return _copied(snapshot)
        return await self._ready(snapshot, given_up.now) or await self._drop(snapshot, given_up.why, given_up.now)

    @activity.defn(name="delete_volume")
    async def delete_volume(self, at: DiskStepAt) -> None:
        disk, snapshot = await self._disk(at.step), await self._copy_of(at.step)
        if not disk.volume:
            return
        if snapshot is None or snapshot.phase is not SnapshotPhase.READY or disk.restore_from != snapshot.id:
            raise DataMissing(f"disk {disk.name!r} has no copy of its volume that would do without it")
        if await asyncio.to_thread(volume_left, self._cluster, disk.namespace, disk.volume):
            await self._let_volume_go(disk, snapshot)
        async with self._ledger.transaction() as connection:
            await disks.volume_gone(connection, disk.id, disk.volume, at.now)

    async def _let_volume_go(self, disk: Disk, snapshot: Snapshot) -> None:
        """The ledger says that the copy is ready. Somebody may have taken it away since, on the cluster."""
        state = await asyncio.to_thread(snapshot_state, self._cluster, snapshot.namespace, snapshot.name)
        if state is None or not state.is_ready:
            raise DataMissing(f"the copy {snapshot.name} of disk {disk.name!r} is not there any more: its volume stays")
        await asyncio.to_thread(delete_volume, self._cluster, disk.namespace, disk.volume)
        await self._until_volume_gone(disk)

    async def _why_not_copied(self, disk: Disk) -> str:
        if not disk.volume:
            return "there is no volume to copy"
        if await asyncio.to_thread(takes_snapshots, self._cluster, self._storage_class):
            return ""
        return f"cluster {self._cluster.name} takes no snapshots: the data stays in the volume"

    async def _watch(self, snapshot: Snapshot, now: datetime) -> Copied:
        """What is wrong for a moment may pass; what is wrong after a whole look is taken for a failure."""
        give_up_at = time.monotonic() + self._patience_seconds
        while (ready := await self._ready(snapshot, now)) is None:
            if time.monotonic() >= give_up_at:
                state = await asyncio.to_thread(snapshot_state, self._cluster, snapshot.namespace, snapshot.name)
                if state is not None and state.failure:
                    return await self._drop(snapshot, state.failure, now)
                raise NotReadyYet(f"snapshot {snapshot.name} is not ready yet")
            await asyncio.sleep(LOOK_SECONDS)
        return ready

    async def _ready(self, snapshot: Snapshot, now: datetime) -> Copied | None:
        """The copy if it is ready, which is then written down."""
        state = await asyncio.to_thread(snapshot_state, self._cluster, snapshot.namespace, snapshot.name)
        if state is None or not state.is_ready:
            return None
        async with self._ledger.transaction() as connection:
            await disks.snapshot_ready(connection, snapshot.id, state.size_bytes, now)
        return Copied(is_ready=True)

    async def _drop(self, snapshot: Snapshot, why: str, now: datetime) -> Copied:
        """Its deletion is begun and not waited for: one that hangs must not keep the disk. It is pruned later."""
        await asyncio.to_thread(delete_snapshot, self._cluster, snapshot.namespace, snapshot.name)
        async with self._ledger.transaction() as connection:
            await disks.snapshot_failed(connection, snapshot.id, why, now)
        return Copied(failure=why)

    # --- name and size ------------------------------------------------------------------------------------------------

    @activity.defn(name="label_disk")
    async def label_disk(self, step: DiskStep) -> Labelled:
        disk = await self._disk(step)
        ready = [one for one in await self._snapshots(step) if one.phase is SnapshotPhase.READY]
        labels = disk_labels(disk.id, disk.name)
        of_volume = await asyncio.to_thread(self._label_volume, disk, labels, grow=step.action is DiskAction.RESIZE)
        of_snapshots = [await asyncio.to_thread(self._label_snapshot, snapshot, labels) for snapshot in ready]
        return Labelled(of_snapshots.count(""), [error for error in (of_volume, *of_snapshots) if error])

    def _label_volume(self, disk: Disk, labels: Mapping[str, str], *, grow: bool) -> str:
        if not disk.volume:
            return ""
        try:
            label(self._cluster, disk.namespace, CLAIM, disk.volume, labels)
            if grow:
                grow_volume(self._cluster, disk.namespace, disk.volume, disk.size_gb)
        except BerthFailure as failure:
            return _error(disk.volume, failure)
        return ""

    def _label_snapshot(self, snapshot: Snapshot, labels: Mapping[str, str]) -> str:
        try:
            label(self._cluster, snapshot.namespace, SNAPSHOT, snapshot.name, labels)
        except BerthFailure as failure:
            return _error(snapshot.name, failure)
        return ""

    # --- old copies, and the end of a disk ----------------------------------------------------------------------------

    @activity.defn(name="prune_snapshots")
    async def prune_snapshots(self, at: DiskStepAt) -> int:
        async with self._ledger.reading() as connection:
            old = await disks.to_prune(connection, UUID(at.step.disk_id), at.now)
        going = [snapshot for snapshot in old if await self._may_go(snapshot, at.now)]
        await self._let_snapshots_go(going, at.now)
        return len(going)

    @activity.defn(name="purge_disk")
    async def purge_disk(self, at: DiskStepAt) -> None:
        """The snapshots first: with some drivers they hold on to the volume, with others they go with it."""
        await self._let_snapshots_go(await self._snapshots(at.step), at.now)
        disk = await self._disk(at.step)
        if disk.volume:
            await asyncio.to_thread(delete_volume, self._cluster, disk.namespace, disk.volume)
            await self._until_volume_gone(disk)

    async def _may_go(self, snapshot: Snapshot, now: datetime) -> bool:
        """From then on nothing can be made from it; unless somebody was faster, and makes a clone of it."""
        try:
            async with self._ledger.transaction() as connection:
                await disks.snapshot_going(connection, snapshot.id, now)
        except InUse:
            return False
        return True

    async def _let_snapshots_go(self, snapshots: Sequence[Snapshot], now: datetime) -> None:
        """All begin to go before any is waited for. Gone in the ledger only when gone from the cluster."""
        for snapshot in snapshots:
            await asyncio.to_thread(delete_snapshot, self._cluster, snapshot.namespace, snapshot.name)
        for snapshot in snapshots:
            left = partial(snapshot_left, self._cluster, snapshot.namespace, snapshot.name)
            await self._until_none(left, f"snapshot {snapshot.name} is still there")
            async with self._ledger.transaction() as connection:
                await disks.snapshot_gone(connection, snapshot.id, now)

    # --- what all of them need ----------------------------------------------------------------------------------------

    async def _disk(self, step: DiskStep) -> Disk:
        async with self._ledger.reading() as connection:
            return await disks.find(connection, UUID(step.disk_id))

    async def _snapshots(self, step: DiskStep) -> list[Snapshot]:
        async with self._ledger.reading() as connection:
            return await disks.all_snapshots(connection, UUID(step.disk_id))

    async def _copy_of(self, step: DiskStep) -> Snapshot | None:
        """The snapshot that this operation takes, if it was begun: it has the operation's id."""
        found = await self._snapshots(step)
        return next((snapshot for snapshot in found if snapshot.id == UUID(step.operation_id)), None)

    async def _until_volume_gone(self, disk: Disk) -> None:
        left = partial(volume_left, self._cluster, disk.namespace, disk.volume)
        await self._until_none(left, f"volume {disk.volume} is still there")

    async def _until_none(self, look: Callable[[], str], what: str) -> None:
        give_up_at = time.monotonic() + self._patience_seconds
        while why := await asyncio.to_thread(look):
            if time.monotonic() >= give_up_at:
                raise NotReadyYet(f"{what}: {why}")
            await asyncio.sleep(LOOK_SECONDS)


def _step(operation: DiskOperation, disk: Disk) -> DiskStep:
    return DiskStep(
        operation_id=str(operation.id),
        disk_id=str(disk.id),
        disk=disk.name,
        workspace=disk.workspace,
        action=operation.action,
        is_settled=operation.status in _SETTLED,
        phase=disk.phase,
        cluster=disk.cluster,
        purge_at=disk.purge_at,
    )


def _result(outcome: DiskOutcome) -> dict[str, object]:
    """What the operation's askers are told besides; nothing where there is nothing to tell."""
    told = {"updated": outcome.updated, "errors": outcome.errors, "note": outcome.note}
    return {key: value for key, value in told.items() if value}


def _copied(snapshot: Snapshot) -> Copied:
    """How a copy ended that is not being made any more."""
    if snapshot.phase is SnapshotPhase.READY:
        return Copied(is_ready=True)
    return Copied(failure=snapshot.failure or f"snapshot {snapshot.name} is {snapshot.phase}")


def _error(name: str, failure: BerthFailure) -> str:
    """What kept one object from being labelled; a cluster that is away is tried again with all of them."""
    if isinstance(failure, Unavailable):
        raise failure
    return f"{name}: {failure}"
