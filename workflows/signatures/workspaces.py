"""Steps of a workspace on its clusters."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import datetime

from temporalio import activity

from domain.workspace import Tenancy, WorkspacePhase


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
