"""Keeping reservations."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from datetime import datetime

from temporalio import activity

from domain.messages import Standing


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
