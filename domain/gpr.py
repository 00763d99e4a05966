"""A Gpr: a request for GPUs, the phases of its life, and the moves between them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Final
from uuid import UUID

from domain.hardware import Gpu
from domain.promises import Promise


class Phase(StrEnum):
    """Where a Gpr stands in its life."""

    QUEUED = "queued"
    """Waits for its grant."""
    PROVISIONING = "provisioning"
    """Holds GPUs; tokens and access are being written."""
    ACTIVE = "active"
    """Tokens are written and read back, access is issued; the lease's time runs."""
    RELEASING = "releasing"
    """Torn down; its GPUs are still held until they are seen to be free."""
    RELEASED = "released"
    """Ended before its time: by its owner, by policy, or with its workspace."""
    EXPIRED = "expired"
    """Ended on time."""
    CANCELLED = "cancelled"
    """Ended before it held anything."""
    FAILED = "failed"
    """Could not be provisioned, or its job failed."""


TERMINAL: Final = frozenset({Phase.RELEASED, Phase.EXPIRED, Phase.CANCELLED, Phase.FAILED})
HOLDING: Final = frozenset({Phase.PROVISIONING, Phase.ACTIVE, Phase.RELEASING})

MOVES: Final[dict[Phase, frozenset[Phase]]] = {
    Phase.QUEUED: frozenset({Phase.PROVISIONING, Phase.CANCELLED}),
    Phase.PROVISIONING: frozenset({Phase.ACTIVE, Phase.RELEASING}),
    Phase.ACTIVE: frozenset({Phase.RELEASING}),
    Phase.RELEASING: frozenset({Phase.QUEUED, Phase.RELEASED, Phase.EXPIRED, Phase.CANCELLED, Phase.FAILED}),
    Phase.RELEASED: frozenset(),
    Phase.EXPIRED: frozenset(),
    Phase.CANCELLED: frozenset(),
    Phase.FAILED: frozenset(),
}
"""The legal moves. A failed provisioning goes through releasing back to queued (requeue) or to failed."""


class EndCause(StrEnum):
    """Why a Gpr stopped holding, or waiting for, its GPUs."""

    EXPIRED = "expired"
    EARLY_RELEASE = "early_release"
    CANCELLED = "cancelled"
    PROVISIONING_FAILED = "provisioning_failed"
    WORKSPACE_DELETED = "workspace_deleted"
    OPERATOR = "operator"
    COMPLETED = "completed"
    """Its job ran to its end."""
    JOB_FAILED = "job_failed"
    SUSPENDED = "suspended"
    """It is to wait without GPUs until it is resumed."""
    IDLE = "idle"
    """Nobody used its GPUs, also after a warning."""
    UNUSED = "unused"
    """It was reserved, and nobody used it in time."""
    MISSED = "missed"
    """It was reserved, and could not start while its time lasted."""
    PREEMPTED = "preempted"
    """It made room for another request, and is queued again."""


SUSPENDED: Final = "suspended"
"""The code of the reason why it does not start."""
_COME_BACK: Final = frozenset({EndCause.PROVISIONING_FAILED, EndCause.SUSPENDED, EndCause.PREEMPTED})


def phase_after(cause: EndCause, *, was_active: bool, requeue: bool) -> Phase:
    """The phase in which a Gpr comes to rest once everything it held is free."""
    if cause is EndCause.EXPIRED:
        return Phase.EXPIRED
    if cause is EndCause.PROVISIONING_FAILED:
        return Phase.QUEUED if requeue else Phase.FAILED
    if cause in {EndCause.SUSPENDED, EndCause.PREEMPTED}:
        return Phase.QUEUED
    if cause is EndCause.JOB_FAILED:
        return Phase.FAILED
    return Phase.RELEASED if was_active or cause is EndCause.COMPLETED else Phase.CANCELLED


def may_come_back(phase: Phase, end_cause: str) -> bool:
    """Whether it is torn down now and, unless somebody ends it for good, queued again."""
    return phase is Phase.RELEASING and end_cause in _COME_BACK


@dataclass(frozen=True, slots=True)
class GprRequest:
    """What is asked for. `gpus_per_node` on each of `nodes`; GiB per GPU; seconds from the moment it becomes active.

    Without a duration it lasts until it ends by itself, or is told to.
    """

    name: str
    nodes: int
    gpus_per_node: int
    duration_seconds: int | None
    priority: int
    shape: str = ""
    instance_type: str = ""
    memory_gib: int = 0
    clusters: tuple[str, ...] = ()
    exclusive: bool = True
    requeue_on_failure: bool = True
    pool: str = ""
    """Only nodes of this pool; empty: only nodes of none."""
    spread: bool = True
    """Each of `nodes` is a node of its own; False: they may share nodes."""
    namespace: str = ""
    """Whose quota it counts against; empty: that of every namespace of its workspace."""
    cpu_millis: int = 0
    """Thousandths of a CPU, in all."""
    memory_mib: int = 0
    """Of the nodes' own memory, in all."""
    disk_id: UUID | None = None
    """The disk that it needs beside its GPUs."""
    grace_seconds: int = 0
    """The last part of its duration: people are shown an end that comes so much earlier."""
    idle_seconds: int | None = None
    """Its people want to be told when nobody has used its GPUs for so long; None: only others' rules count."""
    ends_when_idle: bool = False
    """And then it is to end."""
    preemptible: bool = False
    """Its lease may be ended early, for a stronger band or whoever is guaranteed what it borrows; then it is queued again."""

    @property
    def gpus(self) -> int:
        """GPUs in all."""
        return self.nodes * self.gpus_per_node


@dataclass(frozen=True, slots=True)
class Estimate:
    """When a queued Gpr is expected to start, its place in the queue, and why it waits."""

    starts_at: datetime | None
    position: int
    reason_code: str
    reason: str
    earliest: datetime | None = None
    """Between this instant and `latest` it starts, as far as what became of earlier estimates teaches."""
    latest: datetime | None = None


@dataclass(frozen=True, slots=True)
class PlannedStart:
    """What is shown of a start to come, and where the plan has it."""

    estimate: Estimate
    cluster: str
    nodes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Gpr:
    """A Gpr as the ledger holds it. Instants are UTC; those that have not happened yet are None."""

    id: UUID
    external_id: str
    workspace_id: UUID
    workspace: str
    sequence: int
    request: GprRequest
    phase: Phase
    estimate: Estimate
    submitted_at: datetime
    active_at: datetime | None
    end_at: datetime | None
    finished_at: datetime | None
    end_cause: str
    failure: str
    retries: int
    delays: int
    fence: int | None
    cluster: str
    gpus: tuple[Gpu, ...]
    options: dict[str, object]
    version: int
    submitted_by: str = ""
    suspended_at: datetime | None = None
    """Since when it waits to be resumed."""
    spent: Decimal = Decimal(0)
    """What it had cost when it was last suspended."""
    promise: Promise | None = None
    """Stays as a record once it has started."""
    preemptions: int = 0
    """How often its lease made room for another request."""
    cost: Decimal | None = None
    """Until now, or in all; None where there is no price or it has not run. Only readers that look it up set it."""
