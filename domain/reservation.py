"""A reservation: GPUs at a fixed time, once or as often as a rule says. Each of its times is a Gpr with a fixed start."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

from domain.gpr import EndCause, GprRequest, Phase
from domain.recurrence import Recurrence

HANDOVER_SECONDS: Final = 5
"""The last part of each time, in which everything is torn down, so that the next one can begin when this one ends."""
WINDOW_SECONDS_MIN: Final = 2 * HANDOVER_SECONDS
LOOK_SECONDS_MIN: Final = 2.0
LOOK_SECONDS_MAX: Final = 60.0
TRY_AGAIN: Final = timedelta(minutes=10)
"""How long after there was no room for a time of a series it is looked for again."""
SECONDS_PER_HOUR: Final = 3600


class OccurrenceState(StrEnum):
    """Where one time of a reservation stands."""

    BOOKED = "booked"
    """Room is kept for it."""
    LOST = "lost"
    """The room that was kept is lost, and there is none as yet; it starts as soon as there is, if it still can."""
    NO_ROOM = "no_room"
    """There is none; it is looked for again until it would begin."""
    RUNNING = "running"
    """It holds its GPUs."""
    ENDED = "ended"
    """On time, or released by its people."""
    UNUSED = "unused"
    """Given back: nobody used it within the grace."""
    MISSED = "missed"
    """It could not start while it lasted."""
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class ReservationWish:
    """What is to be reserved. `request` is what each time asks for, its duration that of the whole window."""

    request: GprRequest
    start: datetime
    rule: str = ""

    @property
    def window_seconds(self) -> int:
        """From one start until what begins next may start."""
        return self.request.duration_seconds or 0

    @property
    def lease_seconds(self) -> int:
        """Of that, until it is torn down."""
        return self.window_seconds - HANDOVER_SECONDS

    @property
    def recurrence(self) -> Recurrence:
        """Its times. Raises InvalidRequest for a rule that is not taken."""
        return Recurrence(self.rule, self.start)

    @property
    def gpu_hours(self) -> float:
        """Of each time."""
        return self.request.gpus * self.window_seconds / SECONDS_PER_HOUR


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One time of a reservation, as far as it is placed. Of its Gpr: None and empty where there is none."""

    starts_at: datetime
    gpr_id: UUID | None
    failure: str
    tried_at: datetime
    used_at: datetime | None
    lost_at: datetime | None
    cancelled_at: datetime | None
    phase: Phase | None = None
    end_cause: str = ""
    active_at: datetime | None = None
    end_at: datetime | None = None
    fence: int | None = None
    cluster: str = ""
    nodes: tuple[str, ...] = ()

    @property
    def state(self) -> OccurrenceState:
        """Where it stands."""
        if self.phase is None:
            return OccurrenceState.CANCELLED if self.cancelled_at else OccurrenceState.NO_ROOM
        if self.phase is Phase.QUEUED:
            return OccurrenceState.LOST if self.lost_at else OccurrenceState.BOOKED
        if self.end_cause == EndCause.UNUSED:
            return OccurrenceState.UNUSED
        if self.end_cause == EndCause.MISSED:
            return OccurrenceState.MISSED
        if self.phase is Phase.CANCELLED:
            return OccurrenceState.CANCELLED
        return OccurrenceState.RUNNING if self.phase in _HOLDS else OccurrenceState.ENDED


_HOLDS: Final = frozenset({Phase.PROVISIONING, Phase.ACTIVE})


@dataclass(frozen=True, slots=True)
class Reservation:
    """A reservation as the ledger holds it, with those of its times that are placed, or were looked at."""

    id: UUID
    sequence: int
    workspace_id: UUID
    workspace: str
    created_by: UUID
    created_by_name: str
    wish: ReservationWish
    created_at: datetime
    cancelled_at: datetime | None
    ended_at: datetime | None
    occurrences: tuple[Occurrence, ...] = ()

    def ends_at(self, occurrence: Occurrence) -> datetime:
        """When one of its times is over, by the calendar."""
        return occurrence.starts_at + timedelta(seconds=self.wish.window_seconds)

    def lease_ends_at(self, occurrence: Occurrence) -> datetime:
        """When its lease ends: so long before that the next one can begin on time."""
        return occurrence.starts_at + timedelta(seconds=self.wish.lease_seconds)


def look_interval(grace: timedelta) -> timedelta:
    """How long after a look at whether something is used the next one follows."""
    return timedelta(seconds=min(max(grace.total_seconds() / 5, LOOK_SECONDS_MIN), LOOK_SECONDS_MAX))
