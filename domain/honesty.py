"""How far off the starts were that people were shown, by how far ahead they looked."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from datetime import datetime
from typing import Final

_MINUTE: Final = 60
_HOUR: Final = 60 * _MINUTE
HORIZONS: Final = (10 * _MINUTE, _HOUR, 4 * _HOUR, 12 * _HOUR)
"""Seconds ahead. Estimates between two of these are judged by one another."""
HORIZON_NAMES: Final = ("under 10 minutes", "10 minutes to 1 hour", "1 to 4 hours", "4 to 12 hours", "over 12 hours")


def horizon_of(ahead_seconds: float) -> str:
    """The name of the horizon to which an estimate belongs that looks so far ahead."""
    return HORIZON_NAMES[bisect_right(HORIZONS, ahead_seconds)]


@dataclass(frozen=True, slots=True)
class ShownEstimate:
    """A start as it was shown, with its interval, and what became of it."""

    shown_at: datetime
    starts_at: datetime
    earliest: datetime
    latest: datetime
    started_at: datetime

    @property
    def ahead_seconds(self) -> float:
        """How far ahead it looked."""
        return (self.starts_at - self.shown_at).total_seconds()

    @property
    def error_seconds(self) -> float:
        """Actual minus shown: above zero it started later than was said."""
        return (self.started_at - self.starts_at).total_seconds()

    @property
    def inside(self) -> bool:
        """It started within the interval that was stated."""
        return self.earliest <= self.started_at <= self.latest


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Of the estimates of one horizon whose Gprs have started: seconds of actual minus shown."""

    horizon: str
    shown: int
    median_seconds: float
    """Above zero: later than was said."""
    p90_seconds: float
    """Nine of ten were off by no more than this, in whichever direction."""
    inside_share: float
    """From 0 to 1: started within the interval that was stated."""
