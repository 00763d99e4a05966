"""Between this API's words for disks and Berth's. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from api.dialects.gpudev import schemas
from api.operations.disks import DiskChange, DiskContent, Renamed
from domain.disk import RETENTION, Disk, DiskPhase, OperationStatus
from domain.failures import NotFound

NOTHING_LISTED = "No snapshot contents available: they are listed when a box with this disk ends."


def operation_id_of(name: str, text: str) -> UUID:
    """The id of an operation, or NotFound."""
    try:
        return UUID(text)
    except ValueError as error:
        raise NotFound(f"Operation {text[:80]!r} not found for disk {name!r}") from error


def requested(change: DiskChange, sentence: str) -> schemas.DiskRequested:
    """An operation was taken."""
    operation = change.operation
    return schemas.DiskRequested(
        operation_id=str(operation.id),
        disk_name=change.disk.name,
        action=operation.action.value,
        message=sentence,
        requested_at=operation.created_at,
    )


def deleted(change: DiskChange) -> schemas.DiskRequested:
    """A disk is deleted, and goes for good later."""
    day = change.operation.created_at + RETENTION
    return requested(change, f"Disk deletion request queued successfully. Will be deleted on {day:%Y-%m-%d}")


def renamed(old: str, new: str, outcome: Renamed) -> schemas.DiskRenamed:
    """A disk has another name."""
    if not outcome.total:
        told = "no snapshots found"
    elif outcome.updated < outcome.total or outcome.errors:
        told = f"{outcome.updated}/{outcome.total} snapshots updated"
    else:
        told = f"{outcome.updated} snapshots updated"
    return schemas.DiskRenamed(
        message=f"Disk renamed from '{old}' to '{new}' ({told})",
        old_name=old,
        new_name=new,
        snapshots_updated=outcome.updated,
        errors=list(outcome.errors) or None,
    )


def disk(one: Disk) -> schemas.Disk:
    """A disk. One that a box waits for is as little free as one that a box has."""
    box = one.held_by or one.wanted_by
    return schemas.Disk(
        disk_name=one.name,
        user_id=one.owner_name,
        size_gb=one.size_gb,
        created_at=one.created_at,
        last_used=one.last_used_at,
        in_use=box is not None,
        reservation_id=str(box) if box else None,
        is_backing_up=one.is_backing_up,
        is_deleted=one.phase is not DiskPhase.READY,
        delete_date=one.purge_at.date() if one.purge_at else None,
        snapshot_count=one.snapshots,
    )


def disk_list(found: Sequence[Disk]) -> schemas.DiskList:
    """One's disks."""
    return schemas.DiskList(disks=[disk(one) for one in found], total=len(found))


def content(found: DiskContent) -> schemas.DiskContent:
    """The files of a disk."""
    return schemas.DiskContent(
        disk_name=found.disk.name,
        content=found.text or None,
        s3_path=None,
        snapshot_date=found.copied_at,
        message=None if found.text else NOTHING_LISTED,
    )


def operation(change: DiskChange) -> schemas.DiskOperation:
    """How far an operation is."""
    found, target = change.operation, change.disk
    return schemas.DiskOperation(
        operation_id=str(found.id),
        disk_name=target.name,
        action=found.action.value,
        status=found.status.value,
        error=found.error or None,
        is_deleted=target.phase is not DiskPhase.READY,
        delete_date=target.purge_at.date() if target.purge_at else None,
        created_at=found.created_at,
        last_updated=found.updated_at,
        completed=found.status in {OperationStatus.COMPLETED, OperationStatus.FAILED},
    )


def operation_list(changes: Sequence[DiskChange]) -> schemas.DiskOperationList:
    """What was done with a disk."""
    return schemas.DiskOperationList(operations=[operation(one) for one in changes], total=len(changes))
