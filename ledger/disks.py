"""Disks in the ledger: who has one, where its data is, its copies, and what is to be done with it.

Whoever decides about a disk holds its row, so a grant, a wish and the end of an operation have one order.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final, NoReturn
from uuid import UUID, uuid4

import asyncpg

from domain.disk import (
    RETENTION,
    SNAPSHOT_AGE_MAX,
    SNAPSHOTS_KEPT,
    Disk,
    DiskAction,
    DiskOperation,
    DiskPhase,
    OperationStatus,
    Snapshot,
    SnapshotPhase,
    VolumeOrder,
    snapshot_name,
    volume_name,
)
from domain.failures import AlreadyExists, DataMissing, FenceLost, Gone, InUse, InvalidRequest, NotFound, WrongPhase
from domain.messages import kick_arbiter, start_disk_operation, want_back
from ledger import events, outbox
from ledger.statements import load

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import datetime

    from domain.messages import OutboxMessage
    from ledger.connection import Connection, Row

_SQL = load("disks")

PRUNE_PAUSE: Final = timedelta(hours=1)
"""Between two attempts to let old snapshots go."""
_ONLY_WHEN_FREE: Final = frozenset({DiskAction.RENAME, DiskAction.RESIZE, DiskAction.DELETE, DiskAction.SNAPSHOT})


# --- disks ------------------------------------------------------------------------------------------------------------


async def create(  # noqa: PLR0913 - one argument for each thing that only the caller knows
    connection: Connection,
    disk_id: UUID,
    workspace_id: UUID,
    owner_id: UUID,
    name: str,
    size_gb: int,
    now: datetime,
    *,
    restore_from: UUID | None = None,
) -> None:
    """Write a disk without a volume: empty, or with the data of a snapshot. AlreadyExists while its name is in use."""
    try:
        row = (disk_id, workspace_id, owner_id, name, size_gb, now, restore_from)
        written = await connection.fetchval(_SQL["insert"], *row)
    except asyncpg.UniqueViolationError as error:
        raise AlreadyExists(f"there is a disk {name!r} already") from error
    if written is None:
        raise WrongPhase("the workspace is being deleted")
    detail = {"disk": str(disk_id), "name": name, "size_gb": size_gb}
    await events.record(connection, now, "disk_created", workspace_id=workspace_id, detail=detail)


async def find(connection: Connection, disk_id: UUID) -> Disk:
    """One disk in whatever phase, or NotFound."""
    row = await connection.fetchrow(_SQL["one"], disk_id)
    if row is None:
        raise NotFound(f"there is no disk {disk_id}")
    return _disk(row)


async def hold(connection: Connection, disk_id: UUID) -> Disk:
    """The same, and nothing is decided about it by anybody else until the transaction ends."""
    await _locked(connection, disk_id)
    return await find(connection, disk_id)


async def id_of(connection: Connection, workspace_id: UUID, name: str, *, deleted: bool = False) -> UUID | None:
    """The disk that has this name; else the one that had it last and is deleted, but not for good.

    With `deleted` the deleted one is meant, if there are both.
    """
    phase = DiskPhase.DELETED if deleted else DiskPhase.READY
    found: UUID | None = await connection.fetchval(_SQL["id_of"], workspace_id, name, phase)
    return found


async def listing(connection: Connection, workspace_ids: Collection[UUID], *, deleted: bool = False) -> list[Disk]:
    """Disks of these workspaces, newest first; with `deleted` also those that can be had back."""
    return [_disk(row) for row in await connection.fetch(_SQL["of_workspaces"], list(workspace_ids), deleted)]


async def is_busy(connection: Connection, disk_id: UUID) -> bool:
    """Whether something is done with it, or waits to be."""
    return bool(await connection.fetchval(_SQL["is_busy"], disk_id))


async def kept_in_workspace(connection: Connection, workspace_id: UUID) -> int:
    """How many of its disks are not gone for good."""
    return int(await connection.fetchval(_SQL["kept_in_workspace"], workspace_id))


async def keep_content(connection: Connection, disk_id: UUID, content: str) -> None:
    """Keep a listing of its files."""
    await connection.execute(_SQL["set_content"], disk_id, content)


# --- operations -------------------------------------------------------------------------------------------------------


async def request(  # noqa: PLR0913 - one argument for each thing that only the caller knows
    connection: Connection,
    disk_id: UUID,
    operation_id: UUID,
    action: DiskAction,
    argument: Mapping[str, object],
    requested_by: UUID | None,
    now: datetime,
) -> list[int]:
    """Decide what the ledger can decide, and write the operation that does the rest; the ids of the messages to deliver.

    `argument`: rename `{"name"}`, resize `{"size_gb"}`. Raises Gone for a deleted disk, InUse where a box has it or waits
    for it, AlreadyExists for a name that is taken, InvalidRequest for a size that is not larger.
    """
    await _locked(connection, disk_id)
    disk = await find(connection, disk_id)
    _check(disk, action)
    messages = await _decide(connection, disk, action, argument, now)
    rests = disk.held_by is None and not await is_busy(connection, disk_id)
    status = OperationStatus.RUNNING if rests else OperationStatus.QUEUED
    row = (operation_id, disk_id, action, dict(argument), status, requested_by, None, now)
    await connection.execute(_SQL["add_operation"], *row)
    if rests:
        messages.append(start_disk_operation(str(operation_id)))
    detail = {"disk": str(disk_id), "operation": str(operation_id), "argument": dict(argument)}
    await events.record(connection, now, f"disk_{action}", workspace_id=disk.workspace_id, detail=detail)
    return await outbox.put_all(connection, messages) if messages else []


async def operation(connection: Connection, operation_id: UUID) -> DiskOperation:
    """One operation, or NotFound."""
    row = await connection.fetchrow(_SQL["operation"], operation_id)
    if row is None:
        raise NotFound(f"there is no operation {operation_id}")
    return _operation(row)


async def operations(connection: Connection, disk_id: UUID, limit: int) -> list[DiskOperation]:
    """What was done with a disk, and is to be done, newest first."""
    return [_operation(row) for row in await connection.fetch(_SQL["operations"], disk_id, limit)]


async def unfinished_operations(connection: Connection) -> list[OutboxMessage]:
    """What starts the operations that must be running: those under way, and the deletions that sleep."""
    running = await connection.fetch(_SQL["running_operations"])
    asleep = await connection.fetch(_SQL["sleeping_deletions"])
    return [start_disk_operation(row["id"]) for row in (*running, *asleep)]


async def settle(
    connection: Connection, operation_id: UUID, *, error: str, result: Mapping[str, object], now: datetime
) -> list[int]:
    """Write how an operation ended, once, and begin the next one of its disk; the ids of the messages to deliver."""
    disk_id = (await operation(connection, operation_id)).disk_id
    await _locked(connection, disk_id)
    status = OperationStatus.FAILED if error else OperationStatus.COMPLETED
    if await connection.fetchval(_SQL["settle"], operation_id, status, error, dict(result), now) is None:
        return []
    return await outbox.put_all(connection, [*await _begin_next(connection, disk_id, now), kick_arbiter()])


# --- leases -----------------------------------------------------------------------------------------------------------


async def may_be_granted(connection: Connection, disk_id: UUID, cluster: str) -> bool:
    """Whether a lease on this cluster may have it; if so, nothing else may until the transaction ends."""
    disk = await _locked(connection, disk_id)
    if disk["phase"] != DiskPhase.READY or disk["cluster"] not in {"", cluster}:
        return False
    return not await connection.fetchval(_SQL["is_held"], disk_id) and not await is_busy(connection, disk_id)


async def used(connection: Connection, fence: int, now: datetime) -> None:
    """The lease is active: whatever disk it holds has its volume, and people write on it."""
    await connection.execute(_SQL["used"], fence, now)


async def let_go(connection: Connection, gpr_id: UUID, fence: int, now: datetime) -> list[OutboxMessage]:
    """What follows from the end of a lease, which the caller has just closed, to be told to Temporal.

    A copy of the volume, if there was one to write on; otherwise what waited for the end of the lease.
    """
    disk_id: UUID | None = await connection.fetchval(_SQL["disk_of_lease"], fence)
    if disk_id is None:
        return []
    disk = await _locked(connection, disk_id)
    await connection.execute(_SQL["left"], disk_id, now)
    if not disk["volume_seen"]:
        return await _begin_next(connection, disk_id, now)
    operation_id = uuid4()
    nothing: dict[str, object] = {}
    row = (operation_id, disk_id, DiskAction.SNAPSHOT, nothing, OperationStatus.RUNNING, None, gpr_id, now)
    await connection.execute(_SQL["add_operation"], *row)
    return [start_disk_operation(str(operation_id))]


async def volume_for(
    connection: Connection, gpr_id: UUID, fence: int, cluster: str, namespace: str, now: datetime
) -> VolumeOrder:
    """The volume of the disk that this lease holds; the same one for a repeat.

    Raises FenceLost when the lease is no longer to be provisioned, DataMissing where data should be and is not.
    """
    disk_id = await connection.fetchval(_SQL["leased"], gpr_id, fence)
    if disk_id is None:
        raise FenceLost(f"lease {fence} of {gpr_id} holds no disk any more")
    disk = await _locked(connection, disk_id)
    if disk["cluster"] and (disk["cluster"], disk["namespace"]) != (cluster, namespace):
        _missing(disk, f"its data is in namespace {disk['namespace']} of cluster {disk['cluster']}")
    source = "" if disk["volume_seen"] else await _source(connection, disk)
    volume = disk["volume"]
    if not volume:
        volume = volume_name(disk_id, disk["volumes_made"] + 1)
        await connection.execute(_SQL["give_volume"], disk_id, cluster, namespace, volume)
        detail = {"disk": str(disk_id), "volume": volume, "cluster": cluster, "restore_from": source}
        await events.record(
            connection, now, "disk_volume", gpr_id=gpr_id, workspace_id=disk["workspace_id"], fence=fence, detail=detail
        )
    return VolumeOrder(disk_id, disk["name"], volume, disk["size_gb"], source, is_new=not disk["volume_seen"])


async def volume_seen(connection: Connection, disk_id: UUID, volume: str) -> None:
    """It is there: from now on its absence is a loss of data, and the end of its lease asks for a copy."""
    await connection.execute(_SQL["volume_seen"], disk_id, volume)


async def volume_gone(connection: Connection, disk_id: UUID, volume: str, now: datetime) -> None:
    """The volume is no more; the data is in the newest snapshot."""
    workspace_id = await connection.fetchval(_SQL["volume_gone"], disk_id, volume)
    if workspace_id is not None:
        detail = {"disk": str(disk_id), "volume": volume}
        await events.record(connection, now, "disk_volume_gone", workspace_id=workspace_id, detail=detail)


# --- snapshots --------------------------------------------------------------------------------------------------------


async def snapshot_begun(connection: Connection, operation_id: UUID, now: datetime) -> Snapshot:
    """The snapshot that this operation takes; the same one for a repeat."""
    await connection.execute(_SQL["begin_snapshot"], operation_id, snapshot_name(operation_id), now)
    row = await connection.fetchrow(_SQL["snapshot"], operation_id)
    if row is None:
        raise NotFound(f"there is no operation {operation_id}")
    return _snapshot(row)


async def snapshot_ready(connection: Connection, snapshot_id: UUID, size_bytes: int, now: datetime) -> None:
    """It holds the data: the disk's next volume is made from it. One that was given up is none any more."""
    disk_id = await connection.fetchval(_SQL["snapshot_ready"], snapshot_id, size_bytes, now)
    if disk_id is not None:
        workspace_id = await connection.fetchval(_SQL["restore_from"], disk_id, snapshot_id)
        detail = {"disk": str(disk_id), "snapshot": str(snapshot_id), "size_bytes": size_bytes}
        await events.record(connection, now, "disk_copied", workspace_id=workspace_id, detail=detail)


async def snapshot_failed(connection: Connection, snapshot_id: UUID, why: str, now: datetime) -> None:
    """It will not become ready."""
    row = await connection.fetchrow(_SQL["snapshot_failed"], snapshot_id, why)
    if row is not None:
        detail = {"disk": str(row["id"]), "snapshot": str(snapshot_id), "why": why}
        await events.record(connection, now, "disk_not_copied", workspace_id=row["workspace_id"], detail=detail)


async def all_snapshots(connection: Connection, disk_id: UUID) -> list[Snapshot]:
    """Those of a disk that are not gone, newest first."""
    return [_snapshot(row) for row in await connection.fetch(_SQL["snapshots"], disk_id)]


async def to_prune(connection: Connection, disk_id: UUID, now: datetime) -> list[Snapshot]:
    """Those of a disk that are to go, oldest first; never one that a disk's data is still to be had from."""
    rows = await connection.fetch(_SQL["to_prune"], disk_id, SNAPSHOTS_KEPT, now - SNAPSHOT_AGE_MAX)
    return [_snapshot(row) for row in rows]


async def due_prunes(connection: Connection, now: datetime) -> list[UUID]:
    """Disks that nothing is done with and that have snapshots which are to go."""
    rows = await connection.fetch(_SQL["due_prunes"], now - SNAPSHOT_AGE_MAX, now - PRUNE_PAUSE)
    return [row["disk_id"] for row in rows]


async def snapshot_going(connection: Connection, snapshot_id: UUID, now: datetime) -> None:
    """It is to be deleted now. InUse where a disk's data is still to be had from it."""
    row = await connection.fetchrow(_SQL["snapshot_going"], snapshot_id)
    if row is None:
        raise InUse(f"a disk's data is in snapshot {snapshot_id}, or it is gone")
    detail = {"disk": str(row["id"]), "snapshot": str(snapshot_id)}
    await events.record(connection, now, "disk_copy_going", workspace_id=row["workspace_id"], detail=detail)


async def snapshot_gone(connection: Connection, snapshot_id: UUID, now: datetime) -> None:
    """Its cluster knows it no more."""
    await connection.execute(_SQL["snapshot_gone"], snapshot_id, now)


# --- the end of a disk ------------------------------------------------------------------------------------------------


async def begin_purge(connection: Connection, disk_id: UUID, now: datetime) -> bool:
    """Whether a deleted disk goes for good now: its time is up, and nobody wanted it back. From now on nobody can.

    A snapshot from which a clone is still to be made becomes the clone's; `all_snapshots` are then those that go.
    """
    disk = await _locked(connection, disk_id)
    if disk["phase"] != DiskPhase.DELETED or disk["purge_at"] > now:
        return False
    await connection.execute(_SQL["begin_purge"], disk_id, now)
    await connection.execute(_SQL["hand_over"], disk_id)
    return True


async def purged(connection: Connection, disk_id: UUID, now: datetime) -> None:
    """Nothing of it is left."""
    row = await connection.fetchrow(_SQL["purged"], disk_id)
    if row is None:
        return
    await connection.execute(_SQL["fail_queued"], disk_id, "the disk is gone", now)
    detail = {"disk": str(disk_id), "name": row["name"]}
    await events.record(connection, now, "disk_purged", workspace_id=row["workspace_id"], detail=detail)


# --- inside -----------------------------------------------------------------------------------------------------------


async def _locked(connection: Connection, disk_id: UUID) -> Row:
    row = await connection.fetchrow(_SQL["lock"], disk_id)
    if row is None:
        raise NotFound(f"there is no disk {disk_id}")
    return row


def _check(disk: Disk, action: DiskAction) -> None:
    if action is DiskAction.UNDELETE:
        if disk.phase is DiskPhase.READY:
            raise WrongPhase(f"disk {disk.name!r} is not deleted", phase=disk.phase)
    elif disk.phase is not DiskPhase.READY:
        raise Gone(f"disk {disk.name!r} is deleted")
    user = disk.held_by or disk.wanted_by
    if action in _ONLY_WHEN_FREE and user is not None:
        how = "in use by" if disk.held_by else "waited for by"
        raise InUse(f"disk {disk.name!r} is {how} {user}", used_by=str(user))


async def _decide(
    connection: Connection, disk: Disk, action: DiskAction, argument: Mapping[str, object], now: datetime
) -> list[OutboxMessage]:
    if action is DiskAction.RENAME:
        await _rename(connection, disk, str(argument["name"]))
    elif action is DiskAction.RESIZE:
        await _resize(connection, disk, argument["size_gb"])
    elif action is DiskAction.DELETE:
        await connection.execute(_SQL["delete"], disk.id, now, now + RETENTION)
    elif action is DiskAction.UNDELETE:
        return await _undelete(connection, disk, now)
    return []


async def _rename(connection: Connection, disk: Disk, name: str) -> None:
    try:
        await connection.execute(_SQL["set_name"], disk.id, name)
    except asyncpg.UniqueViolationError as error:
        raise AlreadyExists(f"there is a disk {name!r} already") from error


async def _resize(connection: Connection, disk: Disk, size_gb: object) -> None:
    if not isinstance(size_gb, int) or size_gb <= disk.size_gb:
        raise InvalidRequest(f"disk {disk.name!r} has {disk.size_gb} GB: a disk can only grow")
    await connection.execute(_SQL["set_size"], disk.id, size_gb)


async def _undelete(connection: Connection, disk: Disk, now: datetime) -> list[OutboxMessage]:
    """Take the deletion back: one that is still to begin is never begun, one that sleeps is told."""
    is_going = (await _locked(connection, disk.id))["purge_begun_at"] is not None
    if is_going or (disk.purge_at is not None and disk.purge_at <= now):
        raise Gone(f"disk {disk.name!r} cannot be had back: its {RETENTION.days} days are over")
    try:
        await connection.execute(_SQL["undelete"], disk.id)
    except asyncpg.UniqueViolationError as error:
        raise AlreadyExists(f"there is a disk {disk.name!r} again; rename that one first") from error
    deletion = await connection.fetchrow(_SQL["deletion"], disk.id)
    if deletion is None:
        return []
    if deletion["status"] == OperationStatus.QUEUED:
        await connection.execute(_SQL["withdraw"], deletion["id"], now)
        return []
    return [want_back(str(deletion["id"]))]


async def _begin_next(connection: Connection, disk_id: UUID, now: datetime) -> list[OutboxMessage]:
    if await connection.fetchval(_SQL["is_held"], disk_id):
        return []
    begun = await connection.fetchval(_SQL["begin_next"], disk_id, now)
    return [start_disk_operation(str(begun))] if begun else []


async def _source(connection: Connection, disk: Row) -> str:
    """The VolumeSnapshot from which its volume is made; "": it has never held anything."""
    newest = await connection.fetchrow(_SQL["newest_snapshot"], disk["id"])
    if newest is not None and newest["phase"] != SnapshotPhase.READY:
        _missing(
            disk, f"its newest copy is {newest['phase']} ({newest['failure'] or newest['id']}), and there is no volume"
        )
    if disk["restore_from"] is None:
        if disk["volumes_made"] > (1 if disk["volume"] else 0):
            _missing(disk, "it had a volume, and there is neither one nor a copy of it")
        return ""
    row = await connection.fetchrow(_SQL["snapshot"], disk["restore_from"])
    if row is None or row["phase"] != SnapshotPhase.READY:
        _missing(disk, "the copy that holds its data is not there")
    return str(row["name"])


def _missing(disk: Row, why: str) -> NoReturn:
    raise DataMissing(f"disk {disk['name']!r} cannot be attached: {why}", disk=str(disk["id"]))


def _disk(row: Row) -> Disk:
    return Disk(
        id=row["id"],
        workspace_id=row["workspace_id"],
        workspace=row["workspace"],
        owner_name=row["owner_name"],
        name=row["name"],
        size_gb=row["size_gb"],
        phase=DiskPhase(row["phase"]),
        cluster=row["cluster"],
        namespace=row["namespace"],
        volume=row["volume"],
        restore_from=row["restore_from"],
        content=row["content"],
        created_at=row["created_at"],
        last_used_at=row["last_used_at"],
        deleted_at=row["deleted_at"],
        purge_at=row["purge_at"],
        held_by=row["held_by"],
        wanted_by=row["wanted_by"],
        is_backing_up=row["is_backing_up"],
        snapshots=row["snapshots"],
    )


def _snapshot(row: Row) -> Snapshot:
    return Snapshot(
        id=row["id"],
        disk_id=row["disk_id"],
        cluster=row["cluster"],
        namespace=row["namespace"],
        name=row["name"],
        phase=SnapshotPhase(row["phase"]),
        size_bytes=row["size_bytes"],
        failure=row["failure"],
        created_at=row["created_at"],
        ready_at=row["ready_at"],
    )


def _operation(row: Row) -> DiskOperation:
    return DiskOperation(
        id=row["id"],
        disk_id=row["disk_id"],
        action=DiskAction(row["action"]),
        status=OperationStatus(row["status"]),
        error=row["error"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        argument=row["argument"],
        result=row["result"],
    )
