"""A dev box: a job with people in it, who come by SSH and by Jupyter."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

from domain.gpr import EndCause, Phase
from domain.job import Job, JobState

GRACE_SECONDS: Final = 120
"""Between the time that people are shown as the end, and the end."""
EXTENSION_HOURS_MAX: Final = 48
"""In all, from launch."""
SSH_PORT: Final = 22
JUPYTER_PORT: Final = 8888
HOME: Final = "/home/dev"
"""Where the disk is mounted."""
LOGIN: Final = "dev"
"""Whom people are inside."""


def pod_name(job_id: UUID | str, index: int = 0) -> str:
    """The pod of a box; of one on several nodes, that with this index."""
    first = f"gpu-dev-{str(job_id)[:8]}"
    return first if index == 0 else f"{first}-{index}"


class BoxStatus(StrEnum):
    """How a box is, to those who wait for it and work in it."""

    QUEUED = "queued"
    PREPARING = "preparing"
    """It has its GPUs, and its pods do not run yet; or it had some, did not come up there, and is given others."""
    ACTIVE = "active"
    EXPIRED = "expired"
    """Its time was up. Like the other two ends it is said at once, while the box is still taken away."""
    CANCELLED = "cancelled"
    """It was told to end."""
    FAILED = "failed"


_OF_PHASE: Final = {
    Phase.QUEUED: BoxStatus.QUEUED,
    Phase.PROVISIONING: BoxStatus.PREPARING,
    Phase.ACTIVE: BoxStatus.ACTIVE,
    Phase.RELEASED: BoxStatus.CANCELLED,
    Phase.EXPIRED: BoxStatus.EXPIRED,
    Phase.CANCELLED: BoxStatus.CANCELLED,
    Phase.FAILED: BoxStatus.FAILED,
}
_OF_CAUSE: Final = {
    EndCause.EXPIRED: BoxStatus.EXPIRED,
    EndCause.PROVISIONING_FAILED: BoxStatus.PREPARING,
    EndCause.JOB_FAILED: BoxStatus.FAILED,
    EndCause.SUSPENDED: BoxStatus.QUEUED,
    EndCause.PREEMPTED: BoxStatus.QUEUED,
}


def status_of(phase: Phase, end_cause: str, state: JobState | None) -> BoxStatus:
    """The same rule as the one by which the ledger filters (`ledger/sql/boxes.sql`)."""
    if phase is Phase.ACTIVE and state in {None, JobState.PENDING}:
        return BoxStatus.PREPARING
    if phase is Phase.RELEASING:
        return _OF_CAUSE.get(EndCause(end_cause), BoxStatus.CANCELLED)
    return _OF_PHASE[phase]


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who may enter a box. `name` is theirs on GitHub, in lower case; empty: the keys were given."""

    name: str
    is_owner: bool
    keys: tuple[str, ...]
    fetched_at: datetime | None
    told_at: datetime | None
    """When their keys were in the box; None: they are not yet."""
    failure: str


@dataclass(frozen=True, slots=True)
class Box:
    """A box as the ledger holds it."""

    job: Job
    github_user: str
    disk_id: UUID | None
    disk_name: str
    grace_seconds: int
    jupyter_wanted: bool
    jupyter_token: str
    people: tuple[Person, ...]
    extended_hours: int = 0
    """By which it was made to last longer, in all."""

    @property
    def status(self) -> BoxStatus:
        """How it is, all in all."""
        state = self.job.observed.state if self.job.observed else None
        return status_of(self.job.gpr.phase, self.job.gpr.end_cause, state)

    @property
    def expires_at(self) -> datetime | None:
        """The end that people are shown: the grace comes after it. None while it has not begun."""
        end_at = self.job.gpr.end_at
        return None if end_at is None else end_at - timedelta(seconds=self.grace_seconds)

    @property
    def secondary_users(self) -> tuple[str, ...]:
        """Those besides its owner whose keys are in the box."""
        return tuple(person.name for person in self.people if not person.is_owner and person.told_at and person.keys)


@dataclass(frozen=True, slots=True)
class BoxOrders:
    """All that a box is to know, as its Secret says it. The whole of it each time, so that nothing depends on order."""

    authorized_keys: tuple[str, ...]
    jupyter_token: str
    """Empty: Jupyter does not run."""
    notices: tuple[str, ...]
    """What its people are to read in their terminals, oldest first; each is shown once."""
