"""Steps about what the GPUs do and report."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from datetime import datetime

from temporalio import activity

from workflows.signatures.reconciling import Repairs


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
