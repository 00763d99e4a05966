"""A dev box: a job with people in it, who come by SSH and by Jupyter."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from domain.job import Job

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
