"""What Temporal is told, spelled once: workflow types, signals, and the messages that carry them.

A message is written into the outbox in the transaction that decided it and delivered at least once, so every receiver
must be indifferent to repeats and to order: a `Standing` says what the ledger holds, and the newest version wins.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID

from domain import identifiers
from domain.gpr import Phase
from domain.slices import GPU_RESOURCE, host_of

GPR_WORKFLOW = "Gpr"
JOB_WORKFLOW = "Job"
BOX_WORKFLOW = "Box"
DISK_OPERATION_WORKFLOW = "DiskOperation"
WORKSPACE_WORKFLOW = "Workspace"
RESERVATION_WORKFLOW = "Reservation"
ARBITER_WORKFLOW = "Arbiter"
RECONCILE_LEDGER_WORKFLOW = "ReconcileLedger"
RECONCILE_CLUSTER_WORKFLOW = "ReconcileCluster"
KEEP_SAMPLES_WORKFLOW = "KeepSamples"
WATCH_HARDWARE_WORKFLOW = "WatchHardware"
RECOVERY_WORKFLOW = "Recovery"

GRANTED_SIGNAL = "granted"
EXTENDED_SIGNAL = "extended"
RELEASE_SIGNAL = "release"
CHANGED_SIGNAL = "changed"
WANTED_BACK_SIGNAL = "wanted_back"
DELETE_SIGNAL = "delete"
KICK_SIGNAL = "kick"


@dataclass(frozen=True, slots=True)
class NodeGpus:
    """GPUs of one lease on one node, or on a part of one. `agent`: it has a Berth agent to be asked about the devices."""

    node: str
    ordinals: list[int]
    agent: bool = False

    @property
    def host(self) -> str:
        """The node that Kubernetes knows."""
        return host_of(self.node)


@dataclass(frozen=True, slots=True)
class Standing:
    """What the ledger holds about a Gpr at one version; all that its workflow needs to know to go on."""

    gpr_id: str
    version: int
    phase: Phase
    workspace: str
    name: str
    priority: int
    fence: int = 0
    cluster: str = ""
    tenant: str = ""
    namespaces: list[str] = field(default_factory=list)
    gpus: list[NodeGpus] = field(default_factory=list)
    end_at: datetime | None = None
    next_notice_at: datetime | None = None
    end_cause: str = ""
    exclusive: bool = True
    is_job: bool = False
    is_box: bool = False
    """A job with people in it; `is_job` is true then, too."""
    disk_id: str = ""
    """The disk that its lease holds; empty: none."""
    resource: str = GPU_RESOURCE
    """What Kubernetes counts the GPUs of its lease by."""

    @property
    def token(self) -> str:
        """The extended resource that counts the GPUs of this lease: its workspace's, or its own."""
        if self.exclusive:
            return identifiers.token_key(self.tenant, self.resource)
        return identifiers.lease_token_key(self.fence, self.resource)


@dataclass(frozen=True, slots=True)
class OutboxMessage:
    """One thing that Temporal must hear. The workflow is started first when it does not run."""

    workflow_id: str
    workflow_type: str
    argument: str
    signal: str | None = None
    standing: Standing | None = None


def start_gpr(gpr_id: str, *, is_job: bool = False, is_box: bool = False) -> OutboxMessage:
    """Begin, or begin again, the lifecycle of a Gpr, or of the job or box that it is."""
    if is_box:
        return OutboxMessage(identifiers.job_workflow_id(gpr_id), BOX_WORKFLOW, gpr_id)
    if is_job:
        return OutboxMessage(identifiers.job_workflow_id(gpr_id), JOB_WORKFLOW, gpr_id)
    return OutboxMessage(identifiers.gpr_workflow_id(gpr_id), GPR_WORKFLOW, gpr_id)


def tell_gpr(signal: str, standing: Standing) -> OutboxMessage:
    """Tell a Gpr's lifecycle where it stands now."""
    start = start_gpr(standing.gpr_id, is_job=standing.is_job, is_box=standing.is_box)
    return replace(start, signal=signal, standing=standing)


def start_workspace(workspace_id: str) -> OutboxMessage:
    """Begin, or begin again, the lifecycle of a workspace."""
    return OutboxMessage(identifiers.workspace_workflow_id(workspace_id), WORKSPACE_WORKFLOW, workspace_id)


def delete_workspace(workspace_id: str) -> OutboxMessage:
    """Tell a workspace's lifecycle that it is to be deleted."""
    return OutboxMessage(
        identifiers.workspace_workflow_id(workspace_id), WORKSPACE_WORKFLOW, workspace_id, DELETE_SIGNAL
    )


def start_disk_operation(operation_id: str) -> OutboxMessage:
    """Begin, or begin again, an operation on a disk."""
    return OutboxMessage(identifiers.disk_operation_workflow_id(operation_id), DISK_OPERATION_WORKFLOW, operation_id)


def want_back(operation_id: str) -> OutboxMessage:
    """Tell the operation that deleted a disk that the disk is wanted back."""
    return replace(start_disk_operation(operation_id), signal=WANTED_BACK_SIGNAL)


def keep_reservation(reservation_id: UUID | str) -> OutboxMessage:
    """Begin, or begin again, to keep a reservation; if it is being kept, something of it has changed."""
    return OutboxMessage(
        identifiers.reservation_workflow_id(reservation_id), RESERVATION_WORKFLOW, str(reservation_id), KICK_SIGNAL
    )


def start_recovery(quarantine_id: str) -> OutboxMessage:
    """Begin, or begin again, to see when what is set aside is well."""
    return OutboxMessage(identifiers.recovery_workflow_id(quarantine_id), RECOVERY_WORKFLOW, quarantine_id)


def kick_arbiter() -> OutboxMessage:
    """Something changed that may let a queued Gpr start, or move an estimate."""
    return OutboxMessage(
        identifiers.arbiter_workflow_id(), ARBITER_WORKFLOW, identifiers.SCHEDULING_DOMAIN, KICK_SIGNAL
    )
