"""Steps of a lease: provisioning and teardown on its cluster, questions to the devices of its nodes."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from datetime import datetime

from temporalio import activity

from domain.gpr import EndCause
from domain.messages import Standing


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


class Devices(ABC):
    """Steps on a node itself, on the node agent's own task queue."""

    @activity.defn(name="verify_devices")
    @abstractmethod
    def verify_devices(self, check: DeviceCheck) -> list[str]:
        """Why GPUs of this node are not free, one sentence each; nothing when they are."""

    @activity.defn(name="precheck_devices")
    @abstractmethod
    def precheck_devices(self, check: DeviceCheck) -> list[str]:
        """Why fewer GPUs of this node are at rest than a lease is to have, one sentence each; nothing when enough are."""
