"""Steps of an operation on a disk."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from datetime import datetime

from temporalio import activity

from domain.disk import DiskAction, DiskPhase
from domain.messages import Standing


@dataclass(frozen=True)
class DiskStep:
    """An operation on a disk, and where the disk is: what the steps on a cluster need to find the rest."""

    operation_id: str
    disk_id: str
    disk: str
    """What people call it."""
    workspace: str
    action: DiskAction
    is_settled: bool
    """It has succeeded or failed; a deletion sleeps then."""
    phase: DiskPhase
    cluster: str
    """Where its data is; empty: nowhere yet, and no cluster has to be asked."""
    purge_at: datetime | None = None


@dataclass(frozen=True)
class DiskStepAt:
    """The same at an instant of its workflow's clock."""

    step: DiskStep
    now: datetime


@dataclass(frozen=True)
class DiskOutcome:
    """How an operation ended; no error: well. `updated` and `errors` are of the objects that were labelled."""

    operation_id: str
    now: datetime
    error: str = ""
    updated: int = 0
    errors: list[str] = field(default_factory=list)
    note: str = ""
    """What its people may want to know though it went well."""


@dataclass(frozen=True)
class Copied:
    """How the copying of a volume ended: a copy that is ready, why there is none, or a note why none was made."""

    is_ready: bool = False
    failure: str = ""
    note: str = ""


@dataclass(frozen=True)
class CopyGivenUp:
    """A copy that is not waited for any longer, and why."""

    step: DiskStep
    why: str
    now: datetime


@dataclass(frozen=True)
class Labelled:
    """How many of a disk's snapshots bear its name and size now, and what kept the others from it."""

    updated: int
    errors: list[str] = field(default_factory=list)


class DiskBookkeeping(ABC):
    """Steps in the ledger about disks. Each compares before it writes, so that a repeat changes nothing."""

    @activity.defn(name="load_disk_operation")
    @abstractmethod
    async def load_disk_operation(self, operation_id: str) -> DiskStep:
        """What the ledger holds about an operation."""

    @activity.defn(name="settle_disk_operation")
    @abstractmethod
    async def settle_disk_operation(self, outcome: DiskOutcome) -> DiskStep:
        """Write how it ended, and begin the next operation of its disk."""

    @activity.defn(name="begin_purge")
    @abstractmethod
    async def begin_purge(self, at: DiskStepAt) -> bool:
        """Whether a deleted disk goes for good now; from then on it cannot be had back."""

    @activity.defn(name="disk_purged")
    @abstractmethod
    async def disk_purged(self, at: DiskStepAt) -> None:
        """Nothing of the disk is left."""


class Disks(ABC):
    """A disk's volume and snapshots, on its cluster's own task queue."""

    @activity.defn(name="attach_volume")
    @abstractmethod
    async def attach_volume(self, standing: Standing) -> None:
        """See that the disk of this lease has its volume: the one that there is, or one made from its newest copy."""

    @activity.defn(name="await_volume_free")
    @abstractmethod
    async def await_volume_free(self, step: DiskStep) -> None:
        """Wait until no pod uses the volume; fails with `not_ready_yet`, to be tried again, while one does."""

    @activity.defn(name="take_snapshot")
    @abstractmethod
    async def take_snapshot(self, at: DiskStepAt) -> Copied:
        """Copy the volume, or see that the copy is ready; fails with `not_ready_yet`, to be tried again, while it is not."""

    @activity.defn(name="drop_snapshot")
    @abstractmethod
    async def drop_snapshot(self, given_up: CopyGivenUp) -> Copied:
        """Take a copy back that was not ready in time; or say that it is ready after all."""

    @activity.defn(name="delete_volume")
    @abstractmethod
    async def delete_volume(self, at: DiskStepAt) -> None:
        """Let the volume go whose copy is ready; fails with `data_missing` rather than let the only copy go."""

    @activity.defn(name="label_disk")
    @abstractmethod
    async def label_disk(self, step: DiskStep) -> Labelled:
        """Write the disk's name, and its size, on what it is made of."""

    @activity.defn(name="prune_snapshots")
    @abstractmethod
    async def prune_snapshots(self, at: DiskStepAt) -> int:
        """Let the snapshots go that are too many or too old; how many went."""

    @activity.defn(name="purge_disk")
    @abstractmethod
    async def purge_disk(self, at: DiskStepAt) -> None:
        """Let all snapshots go, then the volume, and wait until they have gone."""
