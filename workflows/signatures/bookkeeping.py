"""Steps in the ledger about leases and workspaces, and the passes of the arbiter."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import datetime

from temporalio import activity

from domain.messages import Standing
from domain.workspace import WorkspacePhase
from workflows.signatures.leases import FencedGprAt, GprAt, ProvisioningFailure, ReleaseOrder, TeardownReport
from workflows.signatures.workspaces import WorkspaceAt, WorkspaceEnd, WorkspaceStanding, WorkspaceWait


@dataclass(frozen=True)
class ArbiterReport:
    """What a pass of the arbiter did."""

    queued: int
    granted: int


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
