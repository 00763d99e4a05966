"""The free GPUs of many nodes over time, side by side, so that a look at one instant need not ask each node.

Laid out like a ledger: pages of changes in order of time, each page headed by what is free on every node when
it begins. A look at any instant copies one heading and applies at most one page of changes.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from typing import TYPE_CHECKING

from planner.axis import FOREVER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from planner.steps import Steps

Change = tuple[int, int, int]
"""(instant, GPUs taken from then on, rank of the node). Giving back is negative, so it sorts before taking."""

PAGE_CHANGES_MAX = 48
NODE_GPUS_MAX = 255
"""Free counts are kept in one byte each."""


class Timeline:
    """Nodes are known by rank: their position in the sequence this was made from."""

    __slots__ = ("_pages", "_starts")

    def __init__(self, nodes: Sequence[Steps]) -> None:
        changes = [(when, taken, rank) for rank, steps in enumerate(nodes) for when, taken in steps.changes()]
        self._pages = [_Page(0, bytearray(steps.free[0] for steps in nodes), sorted(changes))]
        self._starts = [0]
        self._split(0)

    def free_at(self, instant: int) -> bytearray:
        """What is free on each node at that instant."""
        return self._pages[bisect_right(self._starts, instant) - 1].free_at(instant)

    def take(self, rank: int, start: int, end: int, count: int) -> None:
        """Counts GPUs of a node as taken from `start` until `end`; a negative count as given back."""
        pages = self._pages
        first, last = bisect_right(self._starts, start) - 1, bisect_right(self._starts, end) - 1
        for page in pages[first + 1 : last + 1]:
            page.free[rank] -= count
        insort(pages[first].changes, (start, count, rank))
        if end < FOREVER:
            insort(pages[last].changes, (end, -count, rank))
        if first != last and len(pages[last].changes) > PAGE_CHANGES_MAX:
            self._split(last)
        if len(pages[first].changes) > PAGE_CHANGES_MAX:
            self._split(first)

    def _split(self, here: int) -> None:
        """Divides a page that is too long until none is; changes of one instant stay on one page."""
        page = self._pages[here]
        middle = page.middle() if len(page.changes) > PAGE_CHANGES_MAX else None
        if middle is None:
            return
        self._pages.insert(here + 1, page.cut_off(middle))
        self._starts.insert(here + 1, middle)
        self._split(here + 1)
        self._split(here)


class _Page:
    """`free` is what is free right before `start`, when the changes of that instant are not made yet."""

    __slots__ = ("changes", "free", "start")

    def __init__(self, start: int, free: bytearray, changes: list[Change]) -> None:
        self.start = start
        self.free = free
        self.changes = changes

    def free_at(self, instant: int) -> bytearray:
        free, changes = self.free[:], self.changes
        for _, taken, rank in changes[: bisect_left(changes, (instant + 1,))]:
            free[rank] -= taken
        return free

    def middle(self) -> int | None:
        """An instant to divide the page at, about the middle of its changes; None: it has only one instant."""
        later = bisect_left(self.changes, (self.start + 1,))
        return self.changes[max(later, len(self.changes) // 2)][0] if later < len(self.changes) else None

    def cut_off(self, instant: int) -> _Page:
        """Takes away all from that instant on, as a page of its own."""
        first = bisect_left(self.changes, (instant,))
        rest = _Page(instant, self.free_at(instant - 1), self.changes[first:])
        del self.changes[first:]
        return rest
