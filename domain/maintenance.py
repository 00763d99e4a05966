"""Maintenance: nodes that are announced to be away from an instant until another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from domain.failures import InUse
from domain.instants import spoken
from domain.limits import PoolNode


class PromisesInTheWay(InUse):
    """Promises or reservations would lose their room."""

    code = "promises_in_the_way"


class MaintenanceState(StrEnum):
    """Where one announcement stands."""

    ANNOUNCED = "announced"
    """It is still to come."""
    UNDER_WAY = "under_way"
    """Its nodes take nothing new."""
    OVER = "over"
    """By the calendar, or ended before that."""
    CALLED_OFF = "called_off"
    """Ended before it began."""


@dataclass(frozen=True, slots=True)
class MaintenanceWish:
    """What is announced. Nodes by the words that pools take; at least one of the three names something."""

    name: str
    begins_at: datetime | None
    """None: now."""
    ends_at: datetime
    description: str = ""
    nodes: Sequence[str] = ()
    clusters: Sequence[str] = ()
    """All of their nodes, also those that join meanwhile."""
    pools: Sequence[str] = ()
    """The nodes that are in them now."""


@dataclass(frozen=True, slots=True)
class MaintenanceMade:
    """What the announcer knows beside the wish: its id, from when on, which nodes are meant, and who announces it."""

    id: UUID
    begins_at: datetime
    """Now at the earliest."""
    places: Sequence[PoolNode]
    actor: str


@dataclass(frozen=True, slots=True)
class Maintenance:
    """One announcement as the ledger holds it."""

    id: UUID
    name: str
    description: str
    places: tuple[PoolNode, ...]
    """A node without a name stands for all of its cluster."""
    begins_at: datetime
    ends_at: datetime
    created_by: str
    created_at: datetime
    ended_at: datetime | None
    """When somebody ended it before its time."""

    def state(self, now: datetime) -> MaintenanceState:
        """Where it stands."""
        if self.ended_at is not None:
            return MaintenanceState.CALLED_OFF if self.ended_at <= self.begins_at else MaintenanceState.OVER
        if now >= self.ends_at:
            return MaintenanceState.OVER
        return MaintenanceState.UNDER_WAY if now >= self.begins_at else MaintenanceState.ANNOUNCED


@dataclass(frozen=True, slots=True)
class NodeAway:
    """One node of one announcement."""

    node: PoolNode
    name: str
    begins_at: datetime
    ends_at: datetime


def spoken_away(away: NodeAway) -> str:
    """Why its node takes nothing new."""
    return f"maintenance '{away.name}' until {spoken(away.ends_at)}"
