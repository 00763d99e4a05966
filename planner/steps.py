"""How much of one thing is free over time: the GPUs of a node, or the single seat of an exclusive workspace.

Counts only. Which GPUs are meant is settled when a lease starts, because equal GPUs of a node can stand for each other.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING

from planner.axis import FOREVER

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from planner.spans import Span

ENDLESS = 2 * FOREVER
"""Ends a span that does not end: it has room for every stay, whenever that begins."""


def end_of(start: int, length: int) -> int:
    """Nothing ends after FOREVER."""
    return min(start + length, FOREVER)


class Steps:
    """`free[i]` holds from `times[i]` until `times[i + 1]`, the last one for ever. Starts at 0, which is now."""

    __slots__ = ("free", "times")

    def __init__(self, free: int, freed: Iterable[int] = ()) -> None:
        """`freed`: when one more comes free, in order of time."""
        times, levels = [0], [free]
        for instant in freed:
            if instant > times[-1]:
                times.append(instant)
                levels.append(free)
            free += 1
            levels[-1] = free
        self.times = times
        self.free = levels

    @property
    def lasting(self) -> int:
        """What is free once all that has an end has ended."""
        return self.free[-1]

    @property
    def most(self) -> int:
        """What is free when most are."""
        return max(self.free)

    def at(self, instant: int) -> int:
        """What is free at that instant."""
        return self.free[bisect_right(self.times, instant) - 1]

    def enough_until(self, instant: int, wanted: int) -> int:
        """The first instant, from the given one on, at which fewer than `wanted` are free; ENDLESS: there is none."""
        times, free = self.times, self.free
        here = bisect_right(times, instant) - 1
        if free[here] < wanted:
            return instant
        for later in range(here + 1, len(free)):
            if free[later] < wanted:
                return times[later]
        return ENDLESS

    def enough_from(self, instant: int, wanted: int) -> int:
        """The first instant after that one at which so many are free; ENDLESS: there is none."""
        times, free = self.times, self.free
        for here in range(bisect_right(times, instant), len(free)):
            if free[here] >= wanted:
                return times[here]
        return ENDLESS

    def fits(self, start: int, wanted: int, length: int) -> bool:
        """So many are free from `start` on, for that long; FOREVER: for ever."""
        return self.enough_until(start, wanted) - start >= length

    def first_fit(self, instant: int, wanted: int, length: int) -> int:
        """The earliest start, from the given instant on, of a window of that length; FOREVER when there is none."""
        times = self.times
        here = bisect_right(times, instant) - 1
        start = instant
        while start < FOREVER:
            short = self._too_few_again(here, wanted)
            if (times[short] if short < len(times) else ENDLESS) - start >= length:
                return start
            here = self._enough_again(short, wanted)
            start = times[here] if here < len(times) else FOREVER
        return FOREVER

    def take(self, start: int, end: int, count: int) -> None:
        """From `start` until `end` so many fewer are free."""
        first = self._cut(start, 0)
        last = self._cut(end, first) if end < FOREVER else len(self.times)
        free = self.free
        for here in range(first, last):
            free[here] -= count
        # keeps a long row of windows, one right behind the other, as short as it looks
        for here in (last, first):
            if 0 < here < len(free) and free[here] == free[here - 1]:
                del self.times[here], free[here]

    def spans(self, wanted: int, start: int = 0, end: int = FOREVER) -> list[Span]:
        """Where at least so many are free, each as long as it is; those that have a part from `start` to `end`."""
        times, free = self.times, self.free
        here = bisect_right(times, start) - 1
        while here and free[here] >= wanted:
            here -= 1
        spans: list[Span] = []
        while (begin := self._enough_again(here, wanted)) < len(times) and times[begin] < end:
            here = self._too_few_again(begin, wanted)
            spans.append((times[begin], times[here] if here < len(times) else ENDLESS))
        return spans

    def changes(self) -> Iterator[tuple[int, int]]:
        """(instant, how many more are taken from then on); a negative number is given back."""
        for here in range(1, len(self.times)):
            yield self.times[here], self.free[here - 1] - self.free[here]

    def _enough_again(self, here: int, wanted: int) -> int:
        """The first step from that one on with so many free; one past the last: there is none."""
        free = self.free
        while here < len(free) and free[here] < wanted:
            here += 1
        return here

    def _too_few_again(self, here: int, wanted: int) -> int:
        free = self.free
        while here < len(free) and free[here] >= wanted:
            here += 1
        return here

    def _cut(self, instant: int, after: int) -> int:
        """Index of the step that begins at that instant, made if need be; none before `after` does."""
        times = self.times
        here = bisect_left(times, instant, after)
        if here == len(times) or times[here] != instant:
            times.insert(here, instant)
            self.free.insert(here, self.free[here - 1])
        return here
