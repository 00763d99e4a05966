"""What the API stands on, handed in once: the ledger, the courier, the clusters' token issuers, and the clock."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Protocol

from api.auth.login_doors import LoginDoors, LoginRules
from api.operations.cluster_nodes import ClusterNodes
from api.operations.job_logs import ClusterLogs
from api.operations.log_streams import PodAddress
from clusters.access import IssuedKubeconfig
from domain.hardware import NodeFacts, NodeUse
from domain.job import JobEvent, LogLine, LogPlace
from domain.promises import TimeRules
from domain.workspace import Tenancy
from ledger.connection import Ledger

BOX_IMAGE: Final = "pytorch/pytorch:2.1.0-cuda12.1-cudnn8-runtime"


class Courier(Protocol):
    """Takes what was written into the outbox to Temporal."""

    def deliver_soon(self, ids: Sequence[int]) -> None:
        """Deliver these messages without making the caller wait."""

    async def ping(self) -> None:
        """Return if Temporal serves, else raise Unavailable."""


class KubeconfigIssuer(Protocol):
    """Asks a cluster for a workspace's credentials."""

    async def issue(
        self, cluster: str, tenancy: Tenancy, anchor: str | None, expires_in_seconds: int
    ) -> IssuedKubeconfig:
        """A kubeconfig; raises ClusterUnavailable when the cluster does not answer in time."""


class NodeDoor(Protocol):
    """Asks clusters about nodes, and changes labels there. Every method may raise ClusterUnavailable."""

    async def facts(self, cluster: str, names: Collection[str]) -> Mapping[str, NodeFacts]:
        """Each of these nodes as it is; one that is gone is left out."""

    async def use(self, cluster: str, name: str) -> NodeUse:
        """What the pods on a node have asked for."""

    async def add_label(self, cluster: str, node: str, key: str, value: str, *, overwrite: bool) -> None:
        """Put a label on a node, or AlreadyExists."""

    async def set_label(self, cluster: str, node: str, key: str, value: str) -> None:
        """Change a label, or NotFound."""

    async def remove_label(self, cluster: str, node: str, key: str) -> None:
        """Take a label off, or NotFound."""

    async def has_namespace(self, cluster: str, name: str) -> bool:
        """Whether the cluster has a namespace of this name, whoever made it."""


class LogDoor(Protocol):
    """Reads what pods say, and what is said of them."""

    async def tail(self, cluster: str, namespace: str, pod: str, lines: int) -> list[str]:
        """The last lines, each with its time; raises NotFound, ClusterUnavailable."""

    def follow(self, address: PodAddress, after: LogPlace | None) -> AsyncGenerator[list[LogLine], None]:
        """Lines after a place, None being the beginning, as they come; raises Unavailable."""

    async def events(self, cluster: str, namespace: str, job_id: str) -> Sequence[JobEvent]:
        """What the cluster says about a job and its pods; raises ClusterUnavailable."""


def utc_now() -> datetime:
    """The time now."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Backends:
    """Everything behind the API."""

    ledger: Ledger
    courier: Courier
    kubeconfigs: KubeconfigIssuer
    clock: Callable[[], datetime] = utc_now
    ready_seconds: float = 15.0
    """How long a request waits for a workspace that is durable already to be made."""
    planning: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while this process makes a plan: it is work for the processor, and must not become all that it does."""
    logs: LogDoor = field(default_factory=lambda: ClusterLogs({}))
    host_path_prefixes: tuple[str, ...] = ()
    """Under these, jobs may mount folders of their node."""
    nodes: NodeDoor = field(default_factory=lambda: ClusterNodes({}))
    """A process without kubeconfigs answers what the ledger knows, and that it cannot say more."""
    box_image: str = BOX_IMAGE
    """What runs in a box that names none."""
    time_rules: TimeRules = field(default_factory=TimeRules)
    """How much may be promised, and how far leases may be extended."""
    logins: LoginDoors = field(default_factory=lambda: LoginDoors(LoginRules(), utc_now))
    """As long as nothing is set up, nobody is let in without a key."""
