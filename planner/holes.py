"""Where so many GPUs come free on nodes of one kind, in order of time: what a search walks along.

A hole is a span of time on one node in which at least so many are free. Taking GPUs is not told here: a hole may have
become smaller, or several, since it was written down, and is looked at anew only where it seems to be large enough.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from typing import TYPE_CHECKING

from planner.axis import FOREVER
from planner.steps import ENDLESS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from planner.nodes import Node

Hole = tuple[int, int, int]
"""(begin, end, rank of the node)."""
Opening = tuple[int, int, "Node", int]
"""(first start, last start, node, size of the hole)."""

_LAST: Hole = (ENDLESS, ENDLESS, 0)
"""Behind all others, so that no walk runs past the end."""


class Holes:
    """Those of one size. The rank of a node is its position in the sequence this was made from."""

    __slots__ = ("_floors", "_holes", "_nodes", "_size")

    def __init__(self, size: int, nodes: Sequence[Node]) -> None:
        self._size = size
        self._nodes = nodes
        spans = ((rank, span) for rank, node in enumerate(nodes) for span in node.steps.spans(size))
        self._holes: list[Hole] = [*sorted((begin, end, rank) for rank, (begin, end) in spans), _LAST]
        self._floors: dict[int, int] = {}
        """By stay: no hole that begins earlier is long enough for it. Holds while GPUs are only taken."""

    def floor(self, stay: int) -> int:
        """Before this instant nothing fits for so long; 0: nobody knows."""
        return self._floors.get(stay, 0)

    def openings(self, start: int, stay: int, limit: int = FOREVER, *, soonest: bool = False) -> Iterator[Opening]:
        """Where something fits that begins from `start` to `limit` and stays so long, in order of its first start.

        `soonest`: no later than where the first one is.
        """
        floor = self._floors.get(stay, 0)
        proves = start <= floor
        holes, size, nodes = self._holes, self._size, self._nodes
        place = bisect_left(holes, (floor,))
        while True:
            begin, end, rank = holes[place]
            first = begin if begin > start else start  # noqa: FURB136 - max() takes twice as long, and this is the hot loop
            if first > limit:
                break
            place += 1
            if end - first < stay:
                continue
            node = nodes[rank]
            until = node.steps.enough_until(first, size)
            if until < end:
                place -= self._divide(place - 1, until)
            if until - first >= stay:
                if proves:
                    self._floors[stay] = begin
                    proves = False
                if soonest:
                    limit = first
                yield first, until - stay, node, size
        if proves:
            self._floors[stay] = max(floor, limit + 1)

    def widen(self, rank: int, start: int, end: int) -> None:
        """GPUs of a node were given back."""
        self._floors.clear()
        for span in self._nodes[rank].steps.spans(self._size, start, end):
            insort(self._holes, (*span, rank))

    def _divide(self, place: int, until: int) -> bool:
        """Writes down as two a hole that is interrupted at that instant; True: nothing is left before it."""
        begin, end, rank = self._holes[place]
        if until > begin:
            self._holes[place] = (begin, until, rank)
        else:
            del self._holes[place]
        again = self._nodes[rank].steps.enough_from(until, self._size)
        if again < end:
            insort(self._holes, (again, end, rank))
        return until == begin
