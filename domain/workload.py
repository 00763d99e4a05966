"""A workload: anything that Berth was asked to run, as lists across all dialects show it, and how it stands.

It is a Gpr, with a job or without. Its phase says in one word what several of its parts say together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

from domain.gpr import EndCause, Phase, may_come_back
from domain.job import JobState
from domain.slices import DEVICE_PREFIX, GPU_RESOURCE, cut_of

GPR_KIND: Final = "gpr"
"""The kind of a workload without pods of Berth's making; of others it is that of their job."""


class WorkloadPhase(StrEnum):
    """How a workload is, all in all."""

    PENDING = "pending"
    """It waits for GPUs."""
    CREATING = "creating"
    """It has its GPUs; tokens and access are being written."""
    INITIALIZING = "initializing"
    """It may run, and its pods do not yet."""
    RUNNING = "running"
    DEGRADED = "degraded"
    """It serves with fewer pods than it should."""
    UNKNOWN = "unknown"
    """The node of a pod does not answer."""
    UPDATING = "updating"
    """What it was given did not come up: that is taken back, and it will be given something else."""
    STOPPING = "stopping"
    """It was suspended, and its GPUs are taken back."""
    STOPPED = "stopped"
    """It is suspended; or it was ended by somebody, and is over."""
    RESUMING = "resuming"
    """It was resumed, and does not run yet though it has its GPUs, or still gives back those that it had."""
    TERMINATING = "terminating"
    """It ended by itself, or its time is up, and its GPUs are not free yet."""
    DELETING = "deleting"
    """Somebody ended it, and its GPUs are not free yet."""
    COMPLETED = "completed"
    """It ran to its end, or to the end of its time."""
    FAILED = "failed"


BY_SOMEBODY: Final = frozenset(
    {EndCause.CANCELLED, EndCause.EARLY_RELEASE, EndCause.OPERATOR, EndCause.WORKSPACE_DELETED}
)
"""Causes of an end that somebody wished for: then a workload is deleted, and not merely over."""

_LIVES: Final = frozenset({Phase.QUEUED, Phase.PROVISIONING, Phase.ACTIVE})
_OF_STATE: Final = {
    JobState.PENDING: WorkloadPhase.INITIALIZING,
    JobState.RUNNING: WorkloadPhase.RUNNING,
    JobState.DEGRADED: WorkloadPhase.DEGRADED,
    JobState.SUSPENDED: WorkloadPhase.STOPPING,
    JobState.SUCCEEDED: WorkloadPhase.COMPLETED,
    JobState.FAILED: WorkloadPhase.FAILED,
    JobState.TERMINATING: WorkloadPhase.TERMINATING,
    JobState.UNKNOWN: WorkloadPhase.UNKNOWN,
}
_AT_REST: Final = {
    Phase.EXPIRED: WorkloadPhase.COMPLETED,
    Phase.RELEASED: WorkloadPhase.COMPLETED,
    Phase.FAILED: WorkloadPhase.FAILED,
    Phase.CANCELLED: WorkloadPhase.FAILED,
}
"""Where nobody ended it; one that was cancelled by nobody could not start while its time lasted."""


@dataclass(frozen=True, slots=True)
class Signs:
    """What a phase is read from. `job_state`: None where there is no job, "" where nothing was seen of it yet."""

    phase: Phase
    end_cause: str = ""
    is_suspended: bool = False
    is_resumed: bool = False
    """It was resumed at least once."""
    may_be_requeued: bool = False
    """After a provisioning that failed."""
    job_state: str | None = None


def phase_of(signs: Signs) -> WorkloadPhase:
    """The same rule as the ledger's own (`workload_phase`), by which it sorts and filters."""
    match signs.phase:
        case Phase.QUEUED:
            return WorkloadPhase.STOPPED if signs.is_suspended else WorkloadPhase.PENDING
        case Phase.PROVISIONING:
            return WorkloadPhase.RESUMING if signs.is_resumed else WorkloadPhase.CREATING
        case Phase.ACTIVE:
            return _of_active(signs)
        case Phase.RELEASING:
            return _of_releasing(signs)
        case Phase.RELEASED | Phase.CANCELLED if signs.end_cause in BY_SOMEBODY:
            return WorkloadPhase.STOPPED
        case at_rest:
            return _AT_REST[at_rest]


def _of_active(signs: Signs) -> WorkloadPhase:
    if signs.job_state is None:
        return WorkloadPhase.RUNNING
    found = _OF_STATE[JobState(signs.job_state or JobState.PENDING)]
    return WorkloadPhase.RESUMING if found is WorkloadPhase.INITIALIZING and signs.is_resumed else found


def _of_releasing(signs: Signs) -> WorkloadPhase:
    if signs.is_suspended:
        return WorkloadPhase.STOPPING
    if signs.end_cause in {EndCause.SUSPENDED, EndCause.PREEMPTED}:
        return WorkloadPhase.RESUMING
    if signs.end_cause == EndCause.PROVISIONING_FAILED and signs.may_be_requeued:
        return WorkloadPhase.UPDATING
    return WorkloadPhase.DELETING if signs.end_cause in BY_SOMEBODY else WorkloadPhase.TERMINATING


# --- asking for workloads ---------------------------------------------------------------------------------------------


class Field(StrEnum):
    """What workloads are sorted and filtered by: columns of the ledger, or what no workload has here."""

    TYPE = "type"
    NAME = "name"
    CLUSTER_ID = "cluster_id"
    PROJECT_ID = "project_id"
    PROJECT = "project"
    DEPARTMENT_ID = "department_id"
    DEPARTMENT = "department"
    CREATED_AT = "created_at"
    DELETED_AT = "deleted_at"
    SUBMITTER = "submitter"
    PHASE = "phase"
    COMPLETED_AT = "completed_at"
    POOL = "pool"
    ALLOCATED_GPUS = "allocated_gpus"
    IDLE_GPUS = "idle_gpus"
    PHASE_UPDATED_AT = "phase_updated_at"
    CATEGORY = "category"
    PRIORITY = "priority"
    PRIORITY_CLASS = "priority_class"
    PENDING_SECONDS = "pending_seconds"
    RUNNING_SECONDS = "running_seconds"
    NO_TEXT = "no_text"
    """A text that no workload has."""
    NO_INSTANT = "no_instant"
    """An instant that no workload has."""


class FieldKind(StrEnum):
    """What a field holds."""

    TEXT = "text"
    NUMBER = "number"
    INSTANT = "instant"


KIND_OF: Final = {
    **dict.fromkeys(Field, FieldKind.TEXT),
    **dict.fromkeys(
        (
            Field.ALLOCATED_GPUS,
            Field.IDLE_GPUS,
            Field.PRIORITY,
            Field.PENDING_SECONDS,
            Field.RUNNING_SECONDS,
        ),
        FieldKind.NUMBER,
    ),
    **dict.fromkeys(
        (
            Field.CREATED_AT,
            Field.DELETED_AT,
            Field.COMPLETED_AT,
            Field.PHASE_UPDATED_AT,
            Field.NO_INSTANT,
        ),
        FieldKind.INSTANT,
    ),
}


class Operator(StrEnum):
    """How a field is compared. Those on parts of a text are for texts only."""

    IS = "is"
    IS_NOT = "is_not"
    AT_MOST = "at_most"
    AT_LEAST = "at_least"
    CONTAINS = "contains"
    LACKS = "lacks"
    BEGINS = "begins"
    ENDS = "ends"
    ONE_OF = "one_of"
    """The value is a tuple of texts."""


@dataclass(frozen=True, slots=True)
class Condition:
    """A field compared with a value of its kind."""

    field: Field
    operator: Operator
    value: str | float | datetime | tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WorkloadFilter:
    """Which workloads are meant: those for which all conditions hold, and in which every word of the search occurs."""

    is_deleted: bool = False
    conditions: tuple[Condition, ...] = ()
    search: str = ""


@dataclass(frozen=True, slots=True)
class WorkloadPage:
    """Which part of a list. Ties are in the order of submission; the other direction is the exact reverse."""

    sort: Field | None = None
    """None: the order of submission."""
    is_descending: bool = False
    limit: int = 50
    offset: int = 0


class Measure(StrEnum):
    """What can be counted of many workloads."""

    NUMBER = "number"
    ALLOCATED_GPUS = "allocated"
    IDLE_GPUS = "idle"


@dataclass(frozen=True, slots=True)
class Workload:
    """A workload as the ledger holds it: how it stands now, what it asked for, what is seen of it."""

    id: UUID
    workspace_id: UUID
    workspace: str
    sequence: int
    name: str
    kind: str
    """Of its job; `gpr` where it has none."""
    type: str
    category: str
    cluster: str
    cluster_id: str
    department: str
    department_id: str
    submitter: str
    pool: str
    phase: WorkloadPhase
    phase_updated_at: datetime
    created_at: datetime
    completed_at: datetime | None
    deleted_at: datetime | None
    priority: int
    priority_class: str
    allocated_gpus: int
    idle_gpus: int
    pending_seconds: int
    running_seconds: int
    namespace: str
    gpr_phase: Phase
    end_cause: str
    failure: str
    granted_at: datetime | None
    active_at: datetime | None
    stopped_at: datetime | None
    suspended_at: datetime | None
    reason_code: str
    reason: str
    starts_at: datetime | None
    nodes: int
    gpus_per_node: int
    memory_gib: int
    cpu_millis: int
    memory_mib: int
    job_state: str
    job_reason: str
    job_message: str
    job_observed_at: datetime | None
    pods_ready: int
    pods_wanted: int
    image: str
    command: tuple[str, ...]
    arguments: tuple[str, ...]
    preemptible: bool
    options: Mapping[str, object]
    """What its client said beyond all that, as its dialect keeps it."""
    is_reserved: bool
    """It has a time of its own, and cannot wait longer."""
    shape: str
    resource: str
    """What Kubernetes counted its GPUs by when it last had some; empty: it had none yet."""

    @property
    def gpus(self) -> int:
        """GPUs in all that it asks for."""
        return self.nodes * self.gpus_per_node

    @property
    def counted_by(self) -> str:
        """Of what asks for MIG instances or shared GPUs, what Kubernetes counts these by; empty: whole GPUs."""
        cut = cut_of(self.shape)
        if not cut or self.resource:
            return self.resource if cut else ""
        profile = cut.removesuffix("-shared") if cut.startswith("mig-") else GPU_RESOURCE.removeprefix(DEVICE_PREFIX)
        return f"{DEVICE_PREFIX}{profile}{'.shared' if cut.endswith('shared') else ''}"

    @property
    def is_job(self) -> bool:
        """Whether its pods are Berth's own making."""
        return self.kind != GPR_KIND

    @property
    def may_be_ended(self) -> bool:
        """Whether it waits, runs, or will again, so that somebody may end it."""
        return self.gpr_phase in _LIVES or may_come_back(self.gpr_phase, self.end_cause)

    @property
    def may_be_suspended(self) -> bool:
        """Likewise, or resumed."""
        return self.may_be_ended and not self.is_reserved
