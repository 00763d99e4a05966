"""What no policy with the same rule can beat: units without places, decisions without effort, one queue by priority.

An arithmetic of its own, so that the simulator is held against something that is not the simulator.
"""

from __future__ import annotations

from bisect import insort
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bench.simulator.work import Request

InLine = tuple[int, int, str, "Request"]
"""(the stronger the less, since when, name, request)."""


@dataclass
class Bound:
    """A strict order by priority on so many units; a weaker request may start where a stronger one does not fit."""

    units: int
    preempts: bool = False
    """A stronger request takes the units of weaker ones, the last begun first; those begin again."""
    starts: dict[str, int] = field(default_factory=dict)
    """The last start of each request, which is the one that counts."""
    end: int = 0
    _running: dict[str, Request] = field(default_factory=dict)
    _queue: list[InLine] = field(default_factory=list)
    _free: int = field(init=False)

    def __post_init__(self) -> None:
        self._free = self.units

    def run(self, requests: Iterable[Request]) -> Bound:
        """To the end of the last one."""
        waiting = sorted(requests, key=lambda request: request.submitted, reverse=True)
        looks = [request.submitted for request in waiting]
        heapify(looks)
        while looks:
            now = heappop(looks)
            while looks and looks[0] == now:
                heappop(looks)
            self._finish(now)
            while waiting and waiting[-1].submitted <= now:
                insort(self._queue, _in_line(waiting.pop()))
            for request in self._started(now):
                heappush(looks, now + request.runs_seconds)
        return self

    def mean_wait(self, requests: Iterable[Request], size: str) -> float:
        """From submission to the last start."""
        waits = [self.starts[request.name] - request.submitted for request in requests if request.size == size]
        return sum(waits) / len(waits)

    def _finish(self, now: int) -> None:
        for name, request in list(self._running.items()):
            if self.starts[name] + request.runs_seconds <= now:
                del self._running[name]
                self._free += request.gpus
                self.end = max(self.end, now)

    def _started(self, now: int) -> list[Request]:
        started: list[Request] = []
        left: list[InLine] = []
        preempted: list[Request] = []
        # Who starts at this instant is stronger than all that are looked at later, and preempted by none of them.
        weakest = min((request.priority for request in self._running.values()), default=0)
        for place, (*_, request) in enumerate(self._queue):
            may_preempt = self.preempts and request.priority > weakest
            if not self._free and not may_preempt:
                left += self._queue[place:]
                break
            if self._free < request.gpus and may_preempt:
                preempted += self._make_room(request)
            if self._free >= request.gpus:
                self.starts[request.name] = now
                self._running[request.name] = request
                self._free -= request.gpus
                started.append(request)
            else:
                left.append(self._queue[place])
        self._queue = left
        for request in preempted:
            insort(self._queue, _in_line(request))
        return started

    def _make_room(self, request: Request) -> list[Request]:
        weaker = [other for other in self._running.values() if other.priority < request.priority]
        weaker.sort(key=lambda other: (other.priority, -self.starts[other.name]))
        if self._free + sum(other.gpus for other in weaker) < request.gpus:
            return []
        preempted = []
        while self._free < request.gpus:
            preempted.append(weaker.pop(0))
            del self._running[preempted[-1].name]
            self._free += preempted[-1].gpus
        return preempted


def _in_line(request: Request) -> InLine:
    return (-request.priority, request.submitted, request.name, request)
