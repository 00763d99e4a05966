"""Comparing ledger, Temporal and clusters."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from datetime import datetime

from temporalio import activity


@dataclass(frozen=True)
class ClusterAt:
    """A cluster at an instant."""

    cluster: str
    now: datetime


@dataclass(frozen=True)
class Repairs:
    """Drift between the three truths that was found and mended, in words."""

    mended: list[str] = field(default_factory=list)


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
