"""What one can do with disks: one's own, by their names. What the ledger decides is true when the call returns.

What is left to do on a cluster is an operation, which is carried out afterwards and can be asked about.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final
from uuid import UUID, uuid4

from api.operations.permission import workspace_for
from api.operations.personal import personal_workspace
from domain.disk import (
    SIZE_GB_DEFAULT,
    SIZE_GB_MAX,
    SIZE_GB_MIN,
    Disk,
    DiskAction,
    DiskOperation,
    DiskPhase,
    OperationStatus,
    SnapshotPhase,
    checked_disk_name,
)
from domain.failures import AlreadyExists, Gone, InUse, InvalidRequest, NotFound
from domain.permissions import Action
from ledger import disks

if TYPE_CHECKING:
    from api.operations.call import Call
    from domain.workspace import Workspace
    from ledger.connection import Connection

OPERATIONS_SHOWN: Final = 100
_LOOK_SECONDS: Final = 0.1
_SETTLED: Final = frozenset({OperationStatus.COMPLETED, OperationStatus.FAILED})


@dataclass(frozen=True, slots=True)
class DiskChange:
    """An operation, and the disk as it is."""

    disk: Disk
    operation: DiskOperation


@dataclass(frozen=True, slots=True)
class DiskContent:
    """The files of a disk, as they were when its last box ended, and when its newest copy was made; None: there is none."""

    disk: Disk
    text: str
    copied_at: datetime | None


@dataclass(frozen=True, slots=True)
class Renamed:
    """How many of a disk's copies bear its new name, of how many; what keeps the others from it."""

    updated: int
    total: int
    errors: tuple[str, ...]


async def create(call: Call, name: str, size_gb: int | None = None) -> DiskChange:
    """Make a disk; empty, and nowhere until a box has it. AlreadyExists while its name is in use."""
    checked_disk_name(name)
    size_gb = checked_size(size_gb)
    workspace = await personal_workspace(call)
    messages: list[int] = []
    async with call.backends.ledger.transaction() as connection:
        workspace = await workspace_for(connection, call, workspace.request.name, Action.SUBMIT)
        operation_id, new = await call.subject(connection, "create_disk", (name, size_gb), uuid4())
        if new:
            disk_id = uuid4()
            await disks.create(connection, disk_id, workspace.id, call.principal_id, name, size_gb, call.now)
            messages = await _request(connection, call, disk_id, operation_id, DiskAction.CREATE, {})
        made = await _change(connection, operation_id)
    call.deliver(messages)
    return made


async def listing(call: Call) -> list[Disk]:
    """The caller's disks, newest first, without the deleted ones."""
    workspace = await personal_workspace(call)
    async with call.backends.ledger.reading() as connection:
        return await disks.listing(connection, [workspace.id])


async def find(call: Call, name: str) -> Disk:
    """The disk of this name; a deleted one where there is no other. NotFound."""
    workspace = await personal_workspace(call)
    async with call.backends.ledger.reading() as connection:
        return await _named(connection, workspace, name)


async def content(call: Call, name: str) -> DiskContent:
    """What is on it, as far as it was looked at. Gone for a deleted disk."""
    workspace = await personal_workspace(call)
    async with call.backends.ledger.reading() as connection:
        disk = await _named(connection, workspace, name)
        if disk.phase is not DiskPhase.READY:
            raise Gone(f"disk {name!r} is deleted")
        copies = await disks.all_snapshots(connection, disk.id)
    copied_at = next((one.ready_at for one in copies if one.phase is SnapshotPhase.READY), None)
    return DiskContent(disk, disk.content, copied_at)


async def rename(call: Call, name: str, new: str) -> Renamed:
    """Give it another name, and wait a while until its copies bear it.

    Gone for a deleted disk, InUse where a box has it or waits for it, AlreadyExists while the name is in use.
    """
    checked_disk_name(new)
    if new == name:
        raise AlreadyExists(f"there is a disk {new!r} already: this one")
    change = await _asked(call, name, DiskAction.RENAME, {"name": new, "was": name})
    operation = await _settled(call, change.operation)
    updated, errors = operation.result.get("updated", 0), operation.result.get("errors", [])
    told = tuple(map(str, errors)) if isinstance(errors, list) else ()
    if operation.error:
        told = (*told, operation.error)
    elif operation.status not in _SETTLED and change.disk.snapshots:
        told = ("its copies are still being told their new name",)
    return Renamed(updated if isinstance(updated, int) else 0, change.disk.snapshots, told)


async def resize(call: Call, name: str, size_gb: int) -> DiskChange:
    """Make it larger. InvalidRequest for a size that is not; Gone and InUse as with another name."""
    return await _asked(call, name, DiskAction.RESIZE, {"size_gb": checked_size(size_gb)})


async def delete(call: Call, name: str) -> DiskChange:
    """Delete it, so that it can be had back for 30 days. Gone if it is; InUse where a box has it or waits for it."""
    return await _asked(call, name, DiskAction.DELETE, {})


async def undelete(call: Call, name: str) -> DiskChange:
    """Have a deleted disk back. Gone when its time is up, AlreadyExists while another disk has its name."""
    return await _asked(call, name, DiskAction.UNDELETE, {})


async def clone(call: Call, name: str, new: str) -> DiskChange:
    """Make another disk with the same data. InUse while that is not in a copy of which a clone can be made."""
    checked_disk_name(new)
    workspace = await personal_workspace(call)
    messages: list[int] = []
    async with call.backends.ledger.transaction() as connection:
        workspace = await workspace_for(connection, call, workspace.request.name, Action.SUBMIT)
        operation_id, is_new = await call.subject(connection, "clone_disk", (name, new), uuid4())
        if is_new:
            disk_id = await _write_clone(connection, call, workspace, name, new)
            messages = await _request(connection, call, disk_id, operation_id, DiskAction.CLONE, {"from": name})
        made = await _change(connection, operation_id)
    call.deliver(messages)
    return made


async def operation(call: Call, name: str, operation_id: UUID) -> DiskChange:
    """An operation on the disk that has this name, or had it before the operation. NotFound."""
    workspace = await personal_workspace(call)
    missing = NotFound(f"operation {operation_id} of disk {name!r} not found")
    async with call.backends.ledger.reading() as connection:
        try:
            change = await _change(connection, operation_id)
        except NotFound as failure:
            raise missing from failure
    if change.disk.workspace_id != workspace.id or name not in {change.disk.name, change.operation.argument.get("was")}:
        raise missing
    return change


async def operations(call: Call, name: str) -> list[DiskChange]:
    """What was done with a disk, newest first."""
    workspace = await personal_workspace(call)
    async with call.backends.ledger.reading() as connection:
        disk = await _named(connection, workspace, name)
        return [DiskChange(disk, one) for one in await disks.operations(connection, disk.id, OPERATIONS_SHOWN)]


async def disk_for_box(
    connection: Connection, call: Call, workspace: Workspace, name: str, size_gb: int | None
) -> tuple[UUID, list[int]]:
    """The disk that a new box is to have, held, and made where there is none; and the ids of the messages to deliver.

    Another size than it has: it grows, if it is free. Gone for a deleted disk.
    """
    disk = await _held_or_made(connection, call, workspace, checked_disk_name(name), size_gb)
    if disk.phase is not DiskPhase.READY:
        raise Gone(f"disk {name!r} is deleted")
    if size_gb is None or size_gb == disk.size_gb:
        return disk.id, []
    try:
        return disk.id, await _request(connection, call, disk.id, uuid4(), DiskAction.RESIZE, {"size_gb": size_gb})
    except InUse as busy:
        raise InvalidRequest(f"disk {name!r} has {disk.size_gb} GB, and can only grow while no box needs it") from busy


def checked_size(size_gb: int | None) -> int:
    """The size itself, the usual one when absent, or InvalidRequest."""
    if size_gb is None:
        return SIZE_GB_DEFAULT
    if not SIZE_GB_MIN <= size_gb <= SIZE_GB_MAX:
        raise InvalidRequest(f"the size of a disk must be from {SIZE_GB_MIN} to {SIZE_GB_MAX} GB, not {size_gb}")
    return size_gb


async def _asked(call: Call, name: str, action: DiskAction, argument: Mapping[str, object]) -> DiskChange:
    """Have something done with the disk of this name; undone, if it is a deletion that is to be taken back."""
    workspace = await personal_workspace(call)
    messages: list[int] = []
    async with call.backends.ledger.transaction() as connection:
        workspace = await workspace_for(connection, call, workspace.request.name, Action.CHANGE)
        operation_id, new = await call.subject(connection, f"{action}_disk", (name, dict(argument)), uuid4())
        if new:
            disk = await _held(connection, workspace, name, deleted=action is DiskAction.UNDELETE)
            messages = await _request(connection, call, disk.id, operation_id, action, argument)
        change = await _change(connection, operation_id)
    call.deliver(messages)
    return change


async def _request(
    connection: Connection,
    call: Call,
    disk_id: UUID,
    operation_id: UUID,
    action: DiskAction,
    argument: Mapping[str, object],
) -> list[int]:
    return await disks.request(connection, disk_id, operation_id, action, argument, call.principal_id, call.now)


async def _change(connection: Connection, operation_id: UUID) -> DiskChange:
    found = await disks.operation(connection, operation_id)
    return DiskChange(await disks.find(connection, found.disk_id), found)


async def _named(connection: Connection, workspace: Workspace, name: str, *, deleted: bool = False) -> Disk:
    disk_id = None if "\0" in name else await disks.id_of(connection, workspace.id, name, deleted=deleted)
    if disk_id is None:
        raise NotFound(f"disk {name!r} not found", disk=name)
    return await disks.find(connection, disk_id)


async def _held(connection: Connection, workspace: Workspace, name: str, *, deleted: bool = False) -> Disk:
    """The same, and it stays what it is, and is called so, until the transaction ends."""
    while True:
        named = await _named(connection, workspace, name, deleted=deleted)
        disk = await disks.hold(connection, named.id)
        if (disk.name, disk.phase) == (name, named.phase):  # it may have got another name even before it was read
            return disk


async def _held_or_made(
    connection: Connection, call: Call, workspace: Workspace, name: str, size_gb: int | None
) -> Disk:
    """Of two boxes that are asked for with a new disk at the same moment, one makes it, and the other one finds it."""
    try:
        return await _held(connection, workspace, name)
    except NotFound:
        pass
    row = (uuid4(), workspace.id, call.principal_id, name, checked_size(size_gb), call.now)
    try:
        async with connection.transaction():
            await disks.create(connection, *row)
    except AlreadyExists:
        pass
    return await _held(connection, workspace, name)


async def _write_clone(connection: Connection, call: Call, workspace: Workspace, name: str, new: str) -> UUID:
    source = await _held(connection, workspace, name)
    if source.phase is not DiskPhase.READY:
        raise Gone(f"disk {name!r} is deleted")
    if source.held_by is not None:
        raise InUse(f"disk {name!r} is in use by {source.held_by}")
    if source.volume or await disks.is_busy(connection, source.id):
        raise InUse(f"the data of disk {name!r} is not in a finished copy; try again when it is backed up")
    disk_id = uuid4()
    copy = source.restore_from
    row = (disk_id, workspace.id, call.principal_id, new, source.size_gb, call.now)
    await disks.create(connection, *row, restore_from=copy)
    return disk_id


async def _settled(call: Call, operation: DiskOperation) -> DiskOperation:
    """As it is when it has ended, or after a while."""
    until = asyncio.get_running_loop().time() + call.backends.ready_seconds
    while operation.status not in _SETTLED and asyncio.get_running_loop().time() < until:
        await asyncio.sleep(_LOOK_SECONDS)
        async with call.backends.ledger.reading() as connection:
            operation = await disks.operation(connection, operation.id)
    return operation
