"""Between when and when: what is said beside an estimate, learnt from what became of earlier ones.

Leases end early and stronger requests come, so a start is an instant and an interval. How far off an estimate is grows
with how far ahead it looks: errors are kept as parts of that distance, by distance.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from typing import NamedTuple

MINUTE, HOUR = 60, 3600
DISTANCES = (10 * MINUTE, HOUR, 4 * HOUR, 12 * HOUR)
"""Estimates between two of these are judged by one another."""
COVERED = 0.95
"""The share of earlier errors inside. Of starts it is less, and four of five are promised: who is late is learnt from late."""
KNOWN_MIN = 20
"""With fewer at a distance, estimates of all distances are looked at; with fewer still, nobody knows."""


class Interval(NamedTuple):
    """Seconds from when the estimate was shown."""

    earliest: float
    latest: float

    def holds(self, seconds: float) -> bool:
        """It came true."""
        return self.earliest <= seconds <= self.latest


class Intervals:
    """Grows with every start."""

    def __init__(self) -> None:
        self._all: list[float] = []
        self._by_distance: list[list[float]] = [[] for _ in range(len(DISTANCES) + 1)]

    def learn(self, ahead_seconds: float, waited_seconds: float) -> None:
        """A start was said to be so far ahead, and came after so long."""
        if ahead_seconds > 0:
            for known in (self._all, self._near(ahead_seconds)):
                insort(known, waited_seconds / ahead_seconds)

    def around(self, ahead_seconds: float) -> Interval:
        """What to say beside an estimate that far ahead. Without experience: at any time up to twice as far."""
        near = self._near(ahead_seconds)
        known = near if len(near) >= KNOWN_MIN else self._all
        if len(known) < KNOWN_MIN:
            return Interval(0, 2 * ahead_seconds)
        outside = (1 - COVERED) / 2
        first, last = int(len(known) * outside), -1 - int(len(known) * outside)
        return Interval(known[first] * ahead_seconds, known[last] * ahead_seconds)

    def _near(self, ahead_seconds: float) -> list[float]:
        return self._by_distance[bisect_right(DISTANCES, ahead_seconds)]
