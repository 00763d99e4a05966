"""What searches of this pass have proved about the earliest start, so that none proves it again.

Reservations only ever take capacity away within a pass, so what was proved once stays proved.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from planner.timeline import Need


class Floors:
    """Before its floor no gang of that many nodes, or more, with that need, or a greater one, can start."""

    __slots__ = ("_flights",)

    def __init__(self) -> None:
        self._flights: defaultdict[tuple[int, int], _Flight] = defaultdict(_Flight)

    def under(self, nodes: int, need: Need) -> int:
        """The highest floor that is proved; 0 when there is none."""
        return max(
            (
                flight.under(need.stay)
                for (fewer, less), flight in self._flights.items()
                if fewer <= nodes and less <= need.gpus
            ),
            default=0,
        )

    def lift(self, nodes: int, need: Need, floor: int) -> None:
        """Notes a proof."""
        flight = self._flights[nodes, need.gpus]
        if floor > flight.under(need.stay):
            flight.lift(need.stay, floor)


class _Flight:
    """Stairs: the longer the stay, the higher the floor. A step that does not rise is left out."""

    __slots__ = ("_floors", "_stays")

    def __init__(self) -> None:
        self._stays: list[int] = []
        self._floors: list[int] = []

    def under(self, stay: int) -> int:
        here = bisect_right(self._stays, stay)
        return self._floors[here - 1] if here else 0

    def lift(self, stay: int, floor: int) -> None:
        first = bisect_left(self._stays, stay)
        last = bisect_right(self._floors, floor, lo=first)
        self._stays[first:last] = [stay]
        self._floors[first:last] = [floor]
