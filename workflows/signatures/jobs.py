"""Steps of jobs and boxes: their pods, and what boxes are told."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import datetime

from temporalio import activity

from domain.messages import Standing
from workflows.signatures.leases import GprAt


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
