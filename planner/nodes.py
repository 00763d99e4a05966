"""Nodes as a pass sees them, and the sets of nodes that suit one kind of claim.

A node keeps its own steps; a set keeps its members' steps side by side, so taking GPUs tells both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from planner.axis import FOREVER
from planner.floors import Floors
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


class Node:
    """One node, with what is free on it over time."""

    __slots__ = ("_free_now", "_informed", "ends", "healthy_gpus", "kind", "steps", "view")

    def __init__(self, view: NodeView, held: Mapping[int, int], ends: dict[int, Holder]) -> None:
        """`held`: when each GPU that is held now is free again; `ends`: who frees some at which instant."""
        own = [ordinal for ordinal in range(min(view.gpus, NODE_GPUS_MAX)) if ordinal not in view.blocked_ordinals]
        self.view = view
        self.kind = Kind.of(view)
        self.healthy_gpus = len(own)
        self.ends = ends
        self._free_now = [ordinal for ordinal in own if ordinal not in held]
        self._informed: list[tuple[Timeline, int]] = []
        freed = sorted(held[ordinal] for ordinal in own if ordinal in held)
        self.steps = Steps(len(self._free_now), (instant for instant in freed if instant < FOREVER))

    @property
    def place(self) -> tuple[str, str]:
        """Cluster and name."""
        return (self.view.cluster, self.view.name)

    def inform(self, timeline: Timeline, rank: int) -> None:
        """From here on that timeline is told, too, when GPUs are taken."""
        self._informed.append((timeline, rank))

    def take(self, start: int, end: int, count: int, holder: Holder) -> None:
        """Gives GPUs to a holder from `start` until `end`."""
        self.steps.take(start, end, count)
        self.ends.setdefault(end, holder)
        for timeline, rank in self._informed:
            timeline.take(rank, start, end, count)

    def pick_now(self, count: int) -> tuple[HeldGpu, ...]:
        """The lowest free GPUs, no longer free from here on."""
        picked, self._free_now = self._free_now[:count], self._free_now[count:]
        return tuple(HeldGpu(self.view.cluster, self.view.name, ordinal) for ordinal in picked)


class NodeSet:
    """The usable nodes of one cluster that suit one kind of claim, in order of name."""

    __slots__ = ("_lasting", "_rank_of", "cluster", "floors", "gpus_max", "nodes", "steps", "timeline")

    def __init__(self, cluster: str, nodes: Sequence[Node]) -> None:
        self.cluster = cluster
        self.nodes = nodes
        self.steps = [node.steps for node in nodes]
        self._rank_of = {node.view.name: rank for rank, node in enumerate(nodes)}
        self.timeline = Timeline(self.steps)
        self.gpus_max = max(node.healthy_gpus for node in nodes)
        self.floors = Floors()
        self._lasting = bytes(steps.lasting for steps in self.steps)
        for rank, node in enumerate(nodes):
            node.inform(self.timeline, rank)

    def ranks_at(self, places: Iterable[tuple[str, str]]) -> frozenset[int]:
        """The members among these (cluster, node)."""
        return frozenset(self.ranks_of(name for cluster, name in places if cluster == self.cluster))

    def ranks_of(self, names: Iterable[str]) -> list[int]:
        """The members of these names."""
        return [self._rank_of[name] for name in dict.fromkeys(names) if name in self._rank_of]

    def tightest_first(self, instant: int, gpus: int) -> Iterator[int]:
        """Nodes with at least so many GPUs free at that instant: the fewest free first, then by name."""
        free = self.timeline.free_at(instant)
        for level in range(gpus, self.gpus_max + 1):
            rank = free.find(level)
            while rank >= 0:
                yield rank
                rank = free.find(level, rank + 1)

    def room_now(self, claim: Claim) -> int:
        """How many of the claim's nodes, or parts of one where they may share, have GPUs free now."""
        return self._room(self.timeline.free_at(0), claim)

    def room_ever(self, claim: Claim, excluded: Collection[int]) -> int:
        """The same, but for the excluded nodes, once all that has an end has ended."""
        return self._room(self._lasting, claim) - self._room(bytes(self._lasting[rank] for rank in excluded), claim)

    def _room(self, free: bytes | bytearray, claim: Claim) -> int:
        gpus = claim.gpus_per_node
        if claim.spread:
            return sum(map(free.count, range(gpus, self.gpus_max + 1)))
        return sum(count // gpus for count in free)
