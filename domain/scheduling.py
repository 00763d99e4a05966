"""What administrators decide about the order of the queue and about reservations, for the whole installation."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class SchedulingPolicy:
    """One for all. Seconds, GPUs times hours."""

    fair_share: bool = True
    """Among equals in band and priority the workspace goes first that had least for its weight; else the older request."""
    half_life_seconds: int = 7 * 24 * 3600
    """After so long, what a workspace had counts half."""
    ageing_seconds: int = 0
    """So long a wait counts as one point of priority, within the band; 0: no wait does."""
    horizon_seconds: int = 14 * 24 * 3600
    """How far ahead room is kept."""
    reservations_max: int = 200
    """Times that one workspace may have ahead of it."""
    gpu_hours_max: int = 20_000
    """Likewise, in all."""
    grace_seconds: int = 900
    """For so long nobody need use what was reserved; then it is given back. 0: for as long as it lasts."""
    guaranteed_seconds: int = 30 * 60
    """For so long after it became active no lease is ended early for another request; 0: it may be at once."""
    notice_seconds: int = 60
    """So long before such an end its people are told; 0: they are not told before."""
    set_by: str = ""
    set_at: datetime | None = None

    @property
    def horizon(self) -> timedelta:
        """How far ahead room is kept."""
        return timedelta(seconds=self.horizon_seconds)

    @property
    def guaranteed(self) -> timedelta:
        """For how long no lease is ended early."""
        return timedelta(seconds=self.guaranteed_seconds)

    @property
    def grace(self) -> timedelta:
        """How long nobody need use it."""
        return timedelta(seconds=self.grace_seconds)


@dataclass(frozen=True, slots=True)
class WorkspaceShare:
    """What is due to a workspace, and what it had lately: GPU-seconds, the older the less."""

    workspace: str
    weight: int
    used: int
    pool: str = ""
    """Both in this pool, which is reckoned apart; empty: everywhere else."""


def gpu_hours(used: int) -> float:
    """Of GPU-seconds, for people."""
    return round(used / 3600, 2)
