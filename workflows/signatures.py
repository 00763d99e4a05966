"""Typed signatures of every activity, without bodies: all that workflows know about them.

The classes in `activities/` implement these; a test compares the two. Names are wire contracts of running workflows.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from datetime import datetime

from temporalio import activity

from domain.disk import DiskAction, DiskPhase
from domain.gpr import EndCause
from domain.messages import Standing
from domain.workspace import Tenancy, WorkspacePhase


@dataclass(frozen=True)
class GprAt:
    """A Gpr at an instant of its workflow's clock."""

    gpr_id: str
    now: datetime


@dataclass(frozen=True)
class FencedGprAt:
    """The same for a step that is right only while this lease is the current one."""

    gpr_id: str
    fence: int
    now: datetime


@dataclass(frozen=True)
class ReleaseOrder:
    """End a Gpr from inside Temporal."""

    gpr_id: str
    cause: EndCause
    now: datetime


@dataclass(frozen=True)
class ProvisioningFailure:
    """What kept a grant from becoming active; `nodes` are at fault, if any are."""

    gpr_id: str
    fence: int
    failure: str
    nodes: list[str]
    now: datetime


@dataclass(frozen=True)
class StuckNode:
    """A node that was not seen to be free in time, and why."""

    node: str
    why: str


@dataclass(frozen=True)
class TeardownReport:
    """How a teardown ended. GPUs on stuck nodes stay held."""

    gpr_id: str
    fence: int
    cluster: str
    now: datetime
    stuck: list[StuckNode] = field(default_factory=list)


@dataclass(frozen=True)
class QuarantineOrder:
    """Keep new pods off these nodes."""

    cluster: str
    nodes: list[StuckNode]


@dataclass(frozen=True)
class DeviceCheck:
    """GPUs of one node that are to be free."""

    node: str
    ordinals: list[int]


@dataclass(frozen=True)
class WorkspaceStanding:
    """What the ledger holds about a workspace; one tenancy for each cluster, by cluster name."""

    workspace_id: str
    name: str
    phase: WorkspacePhase
    tenancies: dict[str, Tenancy]


@dataclass(frozen=True)
class WorkspaceEnd:
    """Nothing of a workspace is left."""

    workspace_id: str
    phase: WorkspacePhase
    why: str
    now: datetime


@dataclass(frozen=True)
class WorkspaceWait:
    """What the making or deletion of a workspace waits for."""

    workspace_id: str
    why: str


@dataclass(frozen=True)
class WorkspaceAt:
    """A workspace at an instant of its workflow's clock."""

    workspace_id: str
    now: datetime


@dataclass(frozen=True)
class ArbiterReport:
    """What a pass of the arbiter did."""

    queued: int
    granted: int


@dataclass(frozen=True)
class ClusterAt:
    """A cluster at an instant."""

    cluster: str
    now: datetime


@dataclass(frozen=True)
class Repairs:
    """Drift between the three truths that was found and mended, in words."""

    mended: list[str] = field(default_factory=list)


class Bookkeeping(ABC):
    """Steps in the ledger. Each compares before it writes, so that a repeat changes nothing."""

    @activity.defn(name="load_gpr")
    @abstractmethod
    async def load_gpr(self, gpr_id: str) -> Standing:
        """What the ledger holds about a Gpr."""

    @activity.defn(name="activate_gpr")
    @abstractmethod
    async def activate_gpr(self, at: FencedGprAt) -> Standing:
        """Let the lease's time run from now."""

    @activity.defn(name="expire_gpr")
    @abstractmethod
    async def expire_gpr(self, at: GprAt) -> Standing:
        """Begin its release if the ledger's end has come."""

    @activity.defn(name="deliver_notices")
    @abstractmethod
    async def deliver_notices(self, at: GprAt) -> Standing:
        """Deliver the notices that are due."""

    @activity.defn(name="release_gpr")
    @abstractmethod
    async def release_gpr(self, order: ReleaseOrder) -> Standing:
        """Begin its release whatever its phase."""

    @activity.defn(name="fail_provisioning")
    @abstractmethod
    async def fail_provisioning(self, failure: ProvisioningFailure) -> Standing:
        """Give a grant up."""

    @activity.defn(name="finish_release")
    @abstractmethod
    async def finish_release(self, report: TeardownReport) -> Standing:
        """Close the lease."""

    @activity.defn(name="load_workspace")
    @abstractmethod
    async def load_workspace(self, workspace_id: str) -> WorkspaceStanding:
        """What the ledger holds about a workspace."""

    @activity.defn(name="workspace_ready")
    @abstractmethod
    async def workspace_ready(self, at: WorkspaceAt) -> WorkspacePhase:
        """It exists everywhere."""

    @activity.defn(name="workspace_ended")
    @abstractmethod
    async def workspace_ended(self, end: WorkspaceEnd) -> None:
        """Nothing of it is left."""

    @activity.defn(name="workspace_waits")
    @abstractmethod
    async def workspace_waits(self, wait: WorkspaceWait) -> None:
        """Say what it waits for."""

    @activity.defn(name="arbitrate")
    @abstractmethod
    async def arbitrate(self, now: datetime) -> ArbiterReport:
        """One pass: grant what can start now."""

    @activity.defn(name="estimate")
    @abstractmethod
    async def estimate(self, now: datetime) -> int:
        """Bring the estimates of everything queued up to date; how many changed."""


class Provisioning(ABC):
    """Steps from a grant to an active lease, on the cluster's own task queue."""

    @activity.defn(name="precheck_nodes")
    @abstractmethod
    def precheck_nodes(self, standing: Standing) -> None:
        """Fail with `node_unfit` when a granted node cannot take the lease."""

    @activity.defn(name="write_tokens")
    @abstractmethod
    def write_tokens(self, standing: Standing) -> None:
        """Write the capacity tokens of the lease and read them back."""

    @activity.defn(name="open_access")
    @abstractmethod
    def open_access(self, standing: Standing) -> None:
        """Make what kubeconfigs of this lease are bound to."""


class Teardown(ABC):
    """Steps from a lease to free GPUs, on the cluster's own task queue. Retried for ever."""

    @activity.defn(name="fence_lease")
    @abstractmethod
    def fence_lease(self, standing: Standing) -> None:
        """Nothing new starts on the lease, and its kubeconfigs die."""

    @activity.defn(name="clear_pods")
    @abstractmethod
    def clear_pods(self, standing: Standing) -> None:
        """Suspend what would make pods again, and delete the pods."""

    @activity.defn(name="await_free")
    @abstractmethod
    def await_free(self, standing: Standing) -> list[StuckNode]:
        """Wait until no pod holds a GPU of the lease; the nodes on which one still does when patience ends."""

    @activity.defn(name="quarantine_nodes")
    @abstractmethod
    def quarantine_nodes(self, order: QuarantineOrder) -> None:
        """Keep new pods off stuck nodes."""

    @activity.defn(name="take_tokens")
    @abstractmethod
    def take_tokens(self, standing: Standing) -> None:
        """See that no token of the lease is left, and that no pod came by one while the last were on their way out."""


@dataclass(frozen=True)
class JobStop:
    """Take away all that is a job's on its cluster."""

    standing: Standing
    now: datetime


class Jobs(ABC):
    """A job's pods, on the cluster's own task queue. What to run is read in the ledger: it may hold secrets."""

    @activity.defn(name="create_job")
    @abstractmethod
    async def create_job(self, standing: Standing) -> None:
        """Make its objects, or see that they are there."""

    @activity.defn(name="keep_job")
    @abstractmethod
    async def keep_job(self, stop: JobStop) -> None:
        """Keep the last of its logs and events before they go."""

    @activity.defn(name="delete_job")
    @abstractmethod
    async def delete_job(self, stop: JobStop) -> None:
        """Begin to delete all that is the job's."""

    @activity.defn(name="await_job_gone")
    @abstractmethod
    async def await_job_gone(self, stop: JobStop) -> list[str]:
        """Wait until nothing of it is left; what still is when patience ends."""


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


@dataclass(frozen=True)
class BoxTelling:
    """A box is to be told what the ledger holds, which is this or newer."""

    standing: Standing
    now: datetime


class Boxes(ABC):
    """Who may enter a box and what runs in it, on its cluster's own task queue."""

    @activity.defn(name="tell_box")
    @abstractmethod
    async def tell_box(self, telling: BoxTelling) -> None:
        """Write all that the box is to know into its Secret, and let it look."""

    @activity.defn(name="list_files")
    @abstractmethod
    async def list_files(self, stop: JobStop) -> None:
        """Keep a listing of the disk's files before the box goes."""


class KeyFetching(ABC):
    """Public keys of people, from GitHub."""

    @activity.defn(name="fetch_keys")
    @abstractmethod
    async def fetch_keys(self, at: GprAt) -> Standing:
        """Bring the keys of those who may enter a box up to date; whose keys cannot be had is written down."""


class Devices(ABC):
    """Steps on a node itself, on the node agent's own task queue."""

    @activity.defn(name="verify_devices")
    @abstractmethod
    def verify_devices(self, check: DeviceCheck) -> list[str]:
        """Why GPUs of this node are not free, one sentence each; nothing when they are."""


class SampleKeeping(ABC):
    """Keeps what the GPUs did. Each step does what is still to be done, so that a repeat does nothing."""

    @activity.defn(name="roll_up_samples")
    @abstractmethod
    async def roll_up_samples(self, now: datetime) -> int:
        """Bring coarser steps up to date; how many buckets were made."""

    @activity.defn(name="make_sample_partitions")
    @abstractmethod
    async def make_sample_partitions(self, now: datetime) -> Repairs:
        """Make what the next days need; what was made."""

    @activity.defn(name="drop_sample_partitions")
    @abstractmethod
    async def drop_sample_partitions(self, now: datetime) -> Repairs:
        """Drop what is too old, and forget agents that are away for long; what was done."""


class HardwareWatching(ABC):
    """Looks in the ledger at what the GPUs did and reported."""

    @activity.defn(name="judge_idleness")
    @abstractmethod
    async def judge_idleness(self, now: datetime) -> Repairs:
        """Warn the people of idle leases, and release those whose people were warned; what was done, in words."""

    @activity.defn(name="judge_faults")
    @abstractmethod
    async def judge_faults(self, now: datetime) -> Repairs:
        """Set aside what new faults say; what was done, in words."""


@dataclass(frozen=True)
class RecoveryStanding:
    """GPUs of one node that are set aside until their readings are clean."""

    quarantine_id: str
    cluster: str
    node: str
    ordinals: list[int]
    is_open: bool
    """False: they may be used again."""
    is_held: bool
    """A lease is on them still."""
    has_agent: bool
    look_seconds: float
    """When to look again."""
    waits_for: str = ""


@dataclass(frozen=True)
class RecoveryLook:
    """What the node says at an instant about GPUs that are set aside."""

    quarantine_id: str
    now: datetime
    complaints: list[str] = field(default_factory=list)


class Recovering(ABC):
    """Steps in the ledger about GPUs that are set aside."""

    @activity.defn(name="load_recovery")
    @abstractmethod
    async def load_recovery(self, quarantine_id: str) -> RecoveryStanding:
        """What the ledger holds about a quarantine."""

    @activity.defn(name="judge_recovery")
    @abstractmethod
    async def judge_recovery(self, look: RecoveryLook) -> RecoveryStanding:
        """Lift it if all has been clean for long enough, else write what it waits for."""


class TenancyKeeping(ABC):
    """A workspace's objects in one cluster, on the cluster's own task queue."""

    @activity.defn(name="apply_tenancy")
    @abstractmethod
    def apply_tenancy(self, tenancy: Tenancy) -> None:
        """Make its namespaces, access and ceilings, or see that they are there."""

    @activity.defn(name="delete_tenancy")
    @abstractmethod
    def delete_tenancy(self, tenancy: Tenancy) -> None:
        """Begin to delete its namespaces."""

    @activity.defn(name="namespaces_left")
    @abstractmethod
    def namespaces_left(self, tenancy: Tenancy) -> list[str]:
        """Which of its namespaces are still there, each with what it waits for."""


class ClusterReconciling(ABC):
    """Compares a cluster with the ledger, on the cluster's own task queue."""

    @activity.defn(name="observe_cluster")
    @abstractmethod
    async def observe_cluster(self, at: ClusterAt) -> None:
        """Bring the ledger's nodes up to date."""

    @activity.defn(name="repair_cluster")
    @abstractmethod
    async def repair_cluster(self, at: ClusterAt) -> Repairs:
        """Mend what differs: tokens missing or left over, nodes to take out of quarantine."""


class LedgerReconciling(ABC):
    """Compares Temporal with the ledger."""

    @activity.defn(name="revive_lifecycles")
    @abstractmethod
    async def revive_lifecycles(self) -> Repairs:
        """Start every lifecycle that the ledger knows to be unfinished and that does not run."""

    @activity.defn(name="mark_cluster_away")
    @abstractmethod
    async def mark_cluster_away(self, at: ClusterAt) -> None:
        """Place nothing on a cluster that does not answer."""


@dataclass(frozen=True)
class SeenUse:
    """Whether a lease was seen to be used."""

    gpr_id: str
    fence: int
    in_use: bool


@dataclass(frozen=True)
class ReservationLook:
    """A look at a reservation at an instant, with what was seen of its leases since the last one."""

    reservation_id: str
    now: datetime
    seen: list[SeenUse] = field(default_factory=list)


@dataclass(frozen=True)
class ReservationStanding:
    """When to look at a reservation again, None: never; and the leases to look at until then."""

    name: str
    workspace: str
    wake_at: datetime | None
    looks: list[Standing] = field(default_factory=list)


class ReservationKeeping(ABC):
    """Reservations in the ledger."""

    @activity.defn(name="keep_reservation")
    @abstractmethod
    async def keep_reservation(self, look: ReservationLook) -> ReservationStanding:
        """Do what is due: place its next times, have what begins granted, give back what nobody uses."""


class UseWatching(ABC):
    """What is seen of leases, on the cluster's own task queue."""

    @activity.defn(name="see_use")
    @abstractmethod
    def see_use(self, standing: Standing) -> bool:
        """Whether a pod has come to the lease's GPUs."""
