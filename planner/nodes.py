"""Nodes as a pass sees them, and those of one kind side by side.

A node keeps its own steps; its set keeps its members' free counts and holes, so taking GPUs tells both.
"""

from __future__ import annotations

from heapq import merge
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from planner.axis import FOREVER
from planner.holes import Holes
from planner.kinds import Kind
from planner.snapshot import HeldGpu
from planner.steps import Steps
from planner.timeline import NODE_GPUS_MAX, Timeline

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from planner.snapshot import Claim, NodeView


class Holder(NamedTuple):
    """Who holds something until a known instant."""

    name: str
    running: bool
    """False: only planned, by a stronger claim."""
    closed: bool = False
    """Nobody holds it: maintenance of that name is over then."""
    preempted: bool = False
    """It frees it before its time."""
    taken_back: bool = False
    """Likewise, since it borrows it."""


class Closed(NamedTuple):
    """Maintenance of one node, by instants of the pass."""

    begin: int
    end: int
    name: str


class Node:
    """One node, with what is free on it over time."""

    __slots__ = ("_closures", "_free_now", "ends", "healthy_gpus", "informed", "kind", "name", "rank", "steps", "view")

    def __init__(
        self, view: NodeView, held: Mapping[int, int], ends: dict[int, Holder], closures: Sequence[Closed] = ()
    ) -> None:
        """`held`: when each GPU that is held now is free again; `ends`: who frees some at which instant."""
        self.view = view
        self.name = view.name
        own = [ordinal for ordinal in range(min(view.gpus, NODE_GPUS_MAX)) if ordinal not in view.blocked_ordinals]
        self.kind = Kind.of(view)
        self.healthy_gpus = len(own)
        self.ends = ends
        self.informed: NodeSet | None = None
        self.rank = 0
        self._free_now: list[int] = []
        freed: list[int] = []
        for ordinal in own:
            instant = held.get(ordinal)
            if instant is None:
                self._free_now.append(ordinal)
            elif instant < FOREVER:
                freed.append(instant)
        self.steps = Steps(len(self._free_now), sorted(freed))
        self._closures = closures
        for closed in closures:
            self._close(closed)

    @property
    def place(self) -> tuple[str, str]:
        """Cluster and name."""
        return (self.view.cluster, self.view.name)

    def counts(self, ordinal: int) -> bool:
        """It is one of the GPUs that are free or held here; false of those that are left alone."""
        return ordinal < min(self.view.gpus, NODE_GPUS_MAX) and ordinal not in self.view.blocked_ordinals

    def closed_at(self, instant: int) -> Closed | None:
        """The maintenance that it is in then."""
        return next((closed for closed in self._closures if closed.begin <= instant < closed.end), None)

    def take(self, start: int, end: int, count: int, holder: Holder) -> None:
        """Gives GPUs to a holder from `start` until `end`."""
        self.steps.take(start, end, count)
        self.ends.setdefault(end, holder)
        if self.informed:
            self.informed.taken(self, start, end, count)

    def give_back(self, start: int, end: int, count: int, holder: Holder) -> None:
        """Undoes a `take`."""
        self.steps.take(start, end, -count)
        if self.ends.get(end) == holder:
            del self.ends[end]
        if self.informed:
            self.informed.given_back(self, start, end, count)

    def free_early(self, start: int, end: int, count: int, holder: Holder) -> None:
        """What a lease would hold until `end` is free from `start` on, but for maintenance meanwhile."""
        for first, last in self._open(start, end):
            self.steps.take(first, last, -count)
            if self.informed:
                self.informed.given_back(self, first, last, count)
        self.ends.setdefault(start, holder)

    def hold_on(self, start: int, end: int, count: int, holder: Holder) -> None:
        """Undoes a `free_early`."""
        for first, last in self._open(start, end):
            self.steps.take(first, last, count)
            if self.informed:
                self.informed.taken(self, first, last, count)
        if self.ends.get(start) == holder:
            del self.ends[start]

    def pick_now(self, count: int) -> tuple[HeldGpu, ...]:
        """The lowest free GPUs, no longer free from here on."""
        picked, self._free_now = self._free_now[:count], self._free_now[count:]
        return tuple(HeldGpu(self.view.cluster, self.view.name, ordinal) for ordinal in picked)

    def _open(self, start: int, end: int) -> list[tuple[int, int]]:
        """The parts of a stretch of time in which there is no maintenance."""
        parts: list[tuple[int, int]] = []
        for closed in sorted(self._closures):
            if start < closed.begin < end:
                parts.append((start, closed.begin))
            if closed.begin < end:
                start = max(start, closed.end)
        return [*parts, (start, end)] if start < end else parts

    def _close(self, closed: Closed) -> None:
        """Nothing is free meanwhile, whatever comes free meanwhile."""
        begin, end = max(closed.begin, 0), closed.end
        marks = [begin, *(instant for instant, _ in self.steps.changes() if begin < instant < end), end]
        for first, last in pairwise(marks):
            self.steps.take(first, last, self.steps.at(first))
        self.ends.setdefault(end, Holder(closed.name, running=False, closed=True))


class NodeSet:
    """The usable nodes of one kind, in order of name."""

    __slots__ = ("_holes", "_timeline", "free_now", "gpus_max", "nodes")

    def __init__(self, nodes: Sequence[Node]) -> None:
        self.nodes = nodes
        self.gpus_max = max(node.healthy_gpus for node in nodes)
        self.free_now = bytearray(node.steps.free[0] for node in nodes)
        self._timeline: Timeline | None = None
        self._holes: dict[int, Holes] = {}
        for rank, node in enumerate(nodes):
            node.informed, node.rank = self, rank

    def holes(self, gpus: int) -> Holes:
        """Where so many are free."""
        if gpus not in self._holes:
            self._holes[gpus] = Holes(gpus, self.nodes)
        return self._holes[gpus]

    def free_at(self, instant: int) -> bytearray:
        """How many GPUs are free on each node."""
        if self._timeline is None:
            self._timeline = Timeline([node.steps for node in self.nodes])
        return self._timeline.free_at(instant)

    def taken(self, node: Node, start: int, end: int, count: int) -> None:
        """GPUs of a member are free no more from `start` until `end`; a negative count is given back."""
        if start == 0:
            self.free_now[node.rank] -= count
        if self._timeline is not None:
            self._timeline.take(node.rank, start, end, count)

    def given_back(self, node: Node, start: int, end: int, count: int) -> None:
        """They are free again."""
        self.taken(node, start, end, -count)
        for holes in self._holes.values():
            holes.widen(node.rank, start, end)


class Nodes:
    """The usable nodes of one cluster that suit one kind of claim: the sets of each kind."""

    __slots__ = ("_by_name", "_most", "cluster", "gpus_max", "sets")

    def __init__(self, cluster: str, sets: Sequence[NodeSet]) -> None:
        self.cluster = cluster
        self.sets = sets
        self.gpus_max = max(nodes.gpus_max for nodes in sets)
        self._by_name = {node.name: node for nodes in sets for node in nodes.nodes}
        self._most: bytes | None = None

    def named(self, names: Iterable[str]) -> list[Node]:
        """The members of these names, as often as they are named."""
        return [self._by_name[name] for name in names if name in self._by_name]

    def tightest_first(self, instant: int, gpus: int) -> Iterator[Node]:
        """Nodes with at least so many GPUs free at that instant: the fewest free first, then by name."""
        free = [(nodes.nodes, nodes.free_at(instant)) for nodes in self.sets]
        for level in range(gpus, self.gpus_max + 1):
            if len(free) == 1:
                yield from _with_exactly(level, *free[0])
            else:
                found = [_with_exactly(level, nodes, counts) for nodes, counts in free if level in counts]
                yield from merge(*found, key=lambda node: node.name)

    def room_now(self, claim: Claim) -> int:
        """How many of the claim's nodes, or parts of one where they may share, have GPUs free now."""
        return sum(self._room(nodes.free_now, claim) for nodes in self.sets)

    def room_ever(self, claim: Claim, excluded: Collection[str]) -> int:
        """The same at the instants when most are free, but for the excluded nodes."""
        if self._most is None:
            self._most = bytes(node.steps.most for node in self._by_name.values())
        less = bytes(node.steps.most for node in self.named(excluded))
        return self._room(self._most, claim) - self._room(less, claim)

    def forget_what_was_found(self) -> None:
        """Something was given back."""
        self._most = None

    def _room(self, free: bytes | bytearray, claim: Claim) -> int:
        gpus = claim.gpus_per_node
        if claim.spread:
            return sum(map(free.count, range(gpus, self.gpus_max + 1)))
        return sum(count // gpus for count in free)


def _with_exactly(level: int, nodes: Sequence[Node], free: bytearray) -> Iterator[Node]:
    rank = free.find(level)
    while rank >= 0:
        yield nodes[rank]
        rank = free.find(level, rank + 1)
