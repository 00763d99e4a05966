"""A disk: a volume that outlives the boxes that use it; its snapshots, and what can be done with it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

from domain.failures import InvalidRequest

RETENTION: Final = timedelta(days=30)
"""How long a deleted disk can be had back."""
SNAPSHOTS_KEPT: Final = 3
SNAPSHOT_AGE_MAX: Final = timedelta(days=7)
"""Older ones go, but never the one that holds the data."""
SIZE_GB_MIN: Final = 10
SIZE_GB_MAX: Final = 10_000
SIZE_GB_DEFAULT: Final = 100
NAME_LENGTH_MAX: Final = 63
_NAME: Final = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)


class DiskPhase(StrEnum):
    """Where a disk stands in its life."""

    READY = "ready"
    DELETED = "deleted"
    """It can be had back until its time is up."""
    PURGED = "purged"
    """Nothing of it is left."""


class SnapshotPhase(StrEnum):
    """Where a snapshot stands in its life."""

    CREATING = "creating"
    READY = "ready"
    FAILED = "failed"
    GOING = "going"
    GONE = "gone"


class DiskAction(StrEnum):
    """What an operation does."""

    CREATE = "create"
    RENAME = "rename"
    RESIZE = "resize"
    CLONE = "clone"
    SNAPSHOT = "snapshot"
    """Copy the volume, and let the volume go once the copy is ready."""
    DELETE = "delete"
    """Decided at once; its workflow sleeps until the disk goes for good, or is wanted back."""
    UNDELETE = "undelete"
    PRUNE = "prune"
    """Let old snapshots go."""


class OperationStatus(StrEnum):
    """How far an operation is."""

    QUEUED = "queued"
    """Behind another operation of its disk, or behind the box that has it."""
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A copy of a disk's volume. `name` is its VolumeSnapshot's, in a namespace of one cluster."""

    id: UUID
    disk_id: UUID
    cluster: str
    namespace: str
    name: str
    phase: SnapshotPhase
    size_bytes: int
    failure: str
    created_at: datetime
    ready_at: datetime | None


@dataclass(frozen=True, slots=True)
class Disk:
    """A disk as the ledger holds it."""

    id: UUID
    workspace_id: UUID
    workspace: str
    owner_name: str
    name: str
    size_gb: int
    phase: DiskPhase
    cluster: str
    """Where its data is; empty: nowhere yet."""
    namespace: str
    volume: str
    """Its claim, while the data is in one; empty: in `restore_from`, or there is none yet."""
    restore_from: UUID | None
    content: str
    created_at: datetime
    last_used_at: datetime | None
    deleted_at: datetime | None
    purge_at: datetime | None
    held_by: UUID | None
    """The Gpr whose open lease holds it."""
    wanted_by: UUID | None
    """The first Gpr in the queue that needs it."""
    is_backing_up: bool
    """A snapshot of it is queued or under way."""
    snapshots: int
    """Those that are ready."""


@dataclass(frozen=True, slots=True)
class DiskOperation:
    """One thing that is done with a disk. `result` and `argument` are its action's own (`workflows/disk_operation.py`)."""

    id: UUID
    disk_id: UUID
    action: DiskAction
    status: OperationStatus
    error: str
    created_at: datetime
    updated_at: datetime
    argument: dict[str, object] = field(default_factory=dict)
    result: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class VolumeOrder:
    """The volume that a disk is to have for a lease. `restore_from` is a VolumeSnapshot; empty: the volume begins empty."""

    disk_id: UUID
    disk_name: str
    volume: str
    size_gb: int
    restore_from: str
    is_new: bool
    """It may have to be made. Otherwise it was seen before: if it is not there, data is lost (DataMissing), and nothing
    may be made in its place."""


def checked_disk_name(text: str) -> str:
    """A name of letters, digits, hyphens and underscores, or InvalidRequest."""
    if not text or len(text) > NAME_LENGTH_MAX or not _NAME.fullmatch(text):
        raise InvalidRequest(
            f"invalid disk name: it must be 1 to {NAME_LENGTH_MAX} letters, digits, hyphens and underscores"
        )
    return text


def volume_name(disk_id: UUID | str, number: int) -> str:
    """The claim that is a disk's so-manieth volume."""
    return f"berth-disk-{disk_id}-{number}"


def snapshot_name(snapshot_id: UUID | str) -> str:
    """The VolumeSnapshot of a disk's snapshot."""
    return f"berth-snap-{snapshot_id}"
