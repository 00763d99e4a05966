"""A job: pods that run on GPUs which Berth leases for it, and what is seen of them.

A job waits, holds and lets go like any request for GPUs: it is a Gpr (`domain/gpr.py`) whose lease is its own, with pods
between the grant and the release.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

from domain.gpr import Gpr, Phase


class JobKind(StrEnum):
    """What sort of work it is, which decides how its pods are kept."""

    TRAINING = "training"
    """Runs to its end; with several replicas they find each other by rank."""
    INFERENCE = "inference"
    """Serves until told to stop; replicas are equal."""
    NOTEBOOK = "notebook"
    """One person's interactive pod, with a stable name."""
    COMPUTE = "compute"
    """Serves or computes until told to stop."""
    BOX = "box"
    """People log in to it (`domain/box.py`)."""


SERVICE_KINDS: Final = frozenset({JobKind.INFERENCE, JobKind.NOTEBOOK, JobKind.COMPUTE})
"""Kinds that listen on a port and have no end of their own."""


class JobState(StrEnum):
    """What the pods of a job show, once there are any."""

    PENDING = "pending"
    """Not all of them run yet; the reason says why."""
    RUNNING = "running"
    DEGRADED = "degraded"
    """It serves with fewer replicas than asked for."""
    SUSPENDED = "suspended"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    """It will not go on by itself."""
    TERMINATING = "terminating"
    UNKNOWN = "unknown"
    """The node of a pod does not answer."""


FINISHED: Final = frozenset({JobState.SUCCEEDED, JobState.FAILED})


class JobStatus(StrEnum):
    """How a job is, all in all: where its Gpr stands, and what its pods show while they run."""

    PENDING = "pending"
    RUNNING = "running"
    DEGRADED = "degraded"
    SUSPENDED = "suspended"
    UNKNOWN = "unknown"
    TERMINATING = "terminating"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


_OF_PHASE: Final = {
    Phase.QUEUED: JobStatus.PENDING,
    Phase.PROVISIONING: JobStatus.PENDING,
    Phase.RELEASING: JobStatus.TERMINATING,
    Phase.RELEASED: JobStatus.SUCCEEDED,
    Phase.EXPIRED: JobStatus.SUCCEEDED,
    Phase.CANCELLED: JobStatus.CANCELLED,
    Phase.FAILED: JobStatus.FAILED,
}


def status_of(phase: Phase, state: JobState | None, *, is_suspended: bool = False) -> JobStatus:
    """The same rule as the one by which the ledger filters (`ledger/sql/jobs.sql`)."""
    if is_suspended:
        return JobStatus.SUSPENDED
    if phase is not Phase.ACTIVE:
        return _OF_PHASE[phase]
    return JobStatus.PENDING if state is None else JobStatus(state)


@dataclass(frozen=True, slots=True)
class EnvironmentVariable:
    """One variable of a job's containers. Values are kept in a Secret, never in a pod's spec, and sealed in the ledger."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class JobSpec:
    """What to run. Quantities (`cpu`, `memory`) are Kubernetes' own; empty: none asked for."""

    name: str
    kind: JobKind
    namespace: str
    image: str
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    environment: tuple[EnvironmentVariable, ...] = ()
    image_pull_secret: str = ""
    replicas: int = 1
    gpus_per_replica: int = 0
    cpu: str = ""
    memory: str = ""
    port: int = 0
    """0: it does not listen."""
    health_check: str = ""
    """An HTTP path; empty: a replica is healthy when its container runs."""
    host_paths: tuple[str, ...] = ()
    """Mounted where they are on the host."""
    retries: int = 3
    """Failed pods of a training job that are replaced before it fails."""
    keeps_entrypoint: bool = False
    """Of a box: its image's own program runs, whatever that is, instead of Berth's; SSH is then the image's affair."""
    description: str = ""
    architecture: str = ""
    """Of the nodes that it may stand on, as they say it (`amd64`, `arm64`); empty: any."""


@dataclass(frozen=True, slots=True)
class ObservedPod:
    """One pod of a job. `reason` is the kubelet's, the scheduler's or the container's own word; empty when all is well."""

    name: str
    phase: str
    node: str = ""
    ip: str = ""
    is_ready: bool = False
    reason: str = ""
    message: str = ""
    restarts: int = 0
    created_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    node_address: str = ""
    """Its node's own, as the node gives it."""
    node_ports: dict[str, int] = field(default_factory=dict)
    """Ports of that address that lead to it, each by its name."""


@dataclass(frozen=True, slots=True)
class ObservedJob:
    """What is seen of a job in its cluster at one instant."""

    state: JobState
    reason: str = ""
    message: str = ""
    ready: int = 0
    wanted: int = 0
    pods: tuple[ObservedPod, ...] = ()
    service_node_port: int = 0

    @property
    def entrance(self) -> ObservedPod | None:
        """The pod that is reached from outside, by its node's address and ports; None while there is none."""
        return next((pod for pod in self.pods if pod.node_address and pod.node_ports), None)


RESERVED_VARIABLES: Final = frozenset({"NVIDIA_VISIBLE_DEVICES"})
"""Variables that nobody may set: they would open GPUs that are not the job's."""


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line of a pod's log. `at` is RFC 3339 with nanoseconds, as the node wrote it; reading goes on from there."""

    at: str
    text: str


Moment = tuple[datetime, str]
"""The instant to the microsecond, and the nanoseconds as written."""


@dataclass(frozen=True, slots=True)
class LogPlace:
    """Where a reader is in a pod's log: so many lines of this instant, and all before it, were told."""

    at: str
    told: int = 1


def moment_of(at: str) -> Moment | None:
    """What the time of a line is ordered by; None for what is no time."""
    try:
        instant = datetime.fromisoformat(at)
    except ValueError:
        return None
    if instant.tzinfo is None:
        return None
    fraction = at.partition(".")[2]
    digits = fraction[: len(fraction) - len(fraction.lstrip("0123456789"))]
    return instant, digits.ljust(9, "0")


@dataclass(frozen=True, slots=True)
class JobEvent:
    """Something that the cluster said about a job or one of its pods. The cluster forgets it within the hour."""

    uid: str
    kind: str
    """Of the object that it is about: Job, Pod, …"""
    name: str
    is_warning: bool
    reason: str
    message: str
    count: int
    at: datetime | None


@dataclass(frozen=True, slots=True)
class Job:
    """A job as the ledger holds it: its Gpr, what it is to run, and what was last seen of it."""

    gpr: Gpr
    spec: JobSpec
    observed: ObservedJob | None
    """None: nothing was seen of it yet."""
    observed_at: datetime | None
    is_forced: bool
    logs: dict[str, tuple[str, ...]]
    """The last lines of each pod, kept at its end."""
    happenings: tuple[JobEvent, ...]
    """What the cluster said about it, kept at its end."""

    @property
    def status(self) -> JobStatus:
        """How it is, all in all."""
        state = self.observed.state if self.observed else None
        return status_of(self.gpr.phase, state, is_suspended=self.gpr.suspended_at is not None)
