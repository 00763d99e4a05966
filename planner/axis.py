"""Instants of one pass, as whole microseconds from its `now`.

Integers are exact and quick to compare; datetimes appear only where a plan is read or spoken.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from planner.snapshot import LeaseView, Snapshot

SECOND = 1_000_000
FOREVER = 1 << 62
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Axis:
    """Where 0 is on this axis, and how long GPUs rest between two leases."""

    now: datetime
    turnaround: int
    last: int
    """The calendar does not reach further."""
    wall: datetime
    """`now` without its zone: what has none is written out in half the time."""

    @classmethod
    def of(cls, snapshot: Snapshot) -> Axis:
        """The axis of a snapshot."""
        last = (datetime.max.replace(tzinfo=snapshot.now.tzinfo) - snapshot.now) // _MICROSECOND
        return cls(snapshot.now, snapshot.turnaround_seconds * SECOND, last, snapshot.now.replace(tzinfo=None))

    def offset(self, instant: datetime) -> int:
        """Exact; negative before now."""
        return (instant - self.now) // _MICROSECOND

    def instant(self, offset: int) -> datetime | None:
        """None when the calendar does not reach that far."""
        return self.now + offset * _MICROSECOND if offset <= self.last else None

    def spoken(self, offset: int) -> str:
        """For sentences: `14:20 UTC`, with the date unless it is today."""
        if offset > self.last:
            return "a time past the calendar's end"
        instant = self.wall + offset * _MICROSECOND
        day_and_time = instant.isoformat(" ", "minutes")
        return f"{day_and_time[-5:] if instant.date() == self.wall.date() else day_and_time} UTC"

    def freed_at(self, lease: LeaseView) -> int:
        """When its GPUs can be used again: never now, since now it still holds them."""
        if lease.until is None:
            return FOREVER
        expected = self.offset(lease.until) + self.turnaround
        return expected if expected > 0 else max(self.turnaround, SECOND)
