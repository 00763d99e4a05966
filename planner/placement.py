"""Where and when a claim fits: the earliest window, and of the equally early ones the tightest.

Tightest means the fewest GPUs left free on the node when the claim starts, so that whole nodes stay whole.
A search reads the world and changes nothing but the floors it proved.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from planner.axis import FOREVER
from planner.timeline import Need

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from planner.nodes import Node, NodeSet
    from planner.snapshot import Claim
    from planner.world import Share, World


@dataclass(frozen=True, slots=True)
class Window:
    """A start, and the nodes to start on."""

    start: int
    cluster: str
    nodes: tuple[Node, ...]
    held_back: bool
    """It starts the moment it may: its workspace or its own `not_before` decided, not a lack of GPUs."""


def earliest_window(world: World, claim: Claim) -> Window | None:
    """The window to reserve; None when the claim never fits."""
    shares, stay = world.shares(claim), world.stay(claim)
    start = world.earliest_asked(claim)
    while True:
        start = _earliest_of_shares(shares, start, stay)
        window = _earliest_on_nodes(world, claim, start) if claim.gpus_per_node else _without_gpus(world, claim, start)
        if not window or all(share.fits(window.start, stay) for share in shares):
            return window
        start = window.start


def _earliest_of_shares(shares: Sequence[Share], start: int, stay: int) -> int:
    """From when on there is enough left of all of them at once; FOREVER: never."""
    while start < FOREVER and not all(share.fits(start, stay) for share in shares):
        start = max(share.first_fit(start, stay) for share in shares)
    return start


def _without_gpus(world: World, claim: Claim, start: int) -> Window | None:
    cluster = next(iter(world.clusters(claim)), None)
    return Window(start, cluster, (), held_back=True) if cluster and start < FOREVER else None


def _earliest_on_nodes(world: World, claim: Claim, start: int) -> Window | None:
    windows: list[tuple[int, Window]] = []
    limit = FOREVER - 1
    for preference, nodes in world.suitable(claim):
        search = _Search if claim.spread else _SharingSearch
        found = search(nodes, claim, world.stay(claim)).earliest(start, limit)
        if found:
            limit, ranks = found
            members = tuple(nodes.nodes[rank] for rank in ranks)
            windows.append((preference, Window(limit, nodes.cluster, members, held_back=limit == start)))
    return min(windows, key=lambda found: _merit(claim, *found))[1] if windows else None


def _merit(claim: Claim, preference: int, window: Window) -> tuple[int, int, bool, int, str]:
    """Smaller is better."""
    free = sum(node.steps.at(window.start) for node in dict.fromkeys(window.nodes))
    return (window.start, preference, window.cluster != claim.planned_cluster, free, window.cluster)


class _Search:
    """One claim against the nodes of one cluster, each of which it takes once."""

    __slots__ = ("_claim", "_count", "_excluded", "_need", "_nodes", "_planned")

    def __init__(self, nodes: NodeSet, claim: Claim, stay: int) -> None:
        self._nodes = nodes
        self._claim = claim
        self._count = claim.nodes
        self._need = Need(claim.gpus_per_node, stay)
        self._excluded = nodes.ranks_at(claim.excluded_nodes)
        self._planned = nodes.ranks_of(claim.planned_nodes) if claim.planned_cluster == nodes.cluster else []

    def earliest(self, start: int, limit: int) -> tuple[int, list[int]] | None:
        """The first start from `start` to `limit`, with the ranks of the nodes; None: there is none."""
        if self._nodes.room_ever(self._claim, self._excluded) < self._count:
            return None
        floor = self._nodes.floors.under(self._count, self._need)
        instant, ranks = self._search(max(start, floor), limit)
        if start <= floor and not self._excluded:
            self._nodes.floors.lift(self._count, self._need, instant)
        return (instant, ranks) if ranks else None

    def _search(self, instant: int, limit: int) -> tuple[int, list[int]]:
        """A start with its nodes; or, without nodes, an instant before which there is no start."""
        if instant > limit:
            return instant, []
        ranks = self._fitting(instant)
        if len(ranks) == self._count:
            return instant, ranks
        instant = self._next_instant(instant, ranks, limit)
        return instant, self._fitting(instant) if instant <= limit else []

    def _fitting(self, instant: int) -> list[int]:
        """The best nodes to start on at that instant; fewer than wanted when no more can."""
        if len(self._planned) == self._count and all(self._fits(rank, instant) for rank in self._planned):
            return self._planned
        found: list[int] = []
        for rank in self._nodes.tightest_first(instant, self._need.gpus):
            if self._fits(rank, instant):
                found.append(rank)
                if len(found) == self._count:
                    break
        return found

    def _next_instant(self, instant: int, fitting: Iterable[int], limit: int) -> int:
        """The first later instant at which enough nodes fit together; when there is none, one past the limit."""
        last_starts = {rank: self._last_start(rank, instant) for rank in fitting}
        for when, rank in self._nodes.timeline.openings(instant, limit, self._need):
            if rank not in self._excluded:
                last_starts[rank] = self._last_start(rank, when)
            if len(last_starts) >= self._count:
                last_starts = {rank: last for rank, last in last_starts.items() if last >= when}
                if len(last_starts) >= self._count:
                    return when
        return limit + 1

    def _fits(self, rank: int, instant: int) -> bool:
        return self._last_start(rank, instant) >= instant and rank not in self._excluded

    def _last_start(self, rank: int, instant: int) -> int:
        """Up to when the node fits without a break, if it fits at that instant."""
        until = self._nodes.steps[rank].enough_until(instant, self._need.gpus)
        return FOREVER if until == FOREVER else until - self._need.stay


class _SharingSearch:
    """One claim whose parts may share nodes: as many on each as it has room for during the whole stay."""

    __slots__ = ("_claim", "_excluded", "_need", "_nodes", "_planned")

    def __init__(self, nodes: NodeSet, claim: Claim, stay: int) -> None:
        self._nodes = nodes
        self._claim = claim
        self._need = Need(claim.gpus_per_node, stay)
        self._excluded = nodes.ranks_at(claim.excluded_nodes)
        planned = claim.planned_nodes if claim.planned_cluster == nodes.cluster else ()
        self._planned = [rank for name in planned for rank in nodes.ranks_of([name])]

    def earliest(self, start: int, limit: int) -> tuple[int, list[int]] | None:
        """The first start from `start` to `limit`, with the rank of a node for each part; None: there is none."""
        if start > limit or self._nodes.room_ever(self._claim, self._excluded) < self._claim.nodes:
            return None
        for instant in self._instants(start, limit):
            ranks = self._fitting(instant)
            if len(ranks) == self._claim.nodes:
                return instant, ranks
        return None

    def _instants(self, start: int, limit: int) -> Iterator[int]:
        """Room grows only where something ends."""
        yield start
        for instant, _ in groupby(when for when, _ in self._nodes.timeline.openings(start, limit, self._need)):
            yield instant

    def _fitting(self, instant: int) -> list[int]:
        if len(self._planned) == self._claim.nodes and self._fits_as_planned(instant):
            return self._planned
        ranks: list[int] = []
        for rank in self._nodes.tightest_first(instant, self._need.gpus):
            if rank not in self._excluded:
                ranks += [rank] * self._parts(rank, instant)
            if len(ranks) >= self._claim.nodes:
                return ranks[: self._claim.nodes]
        return ranks

    def _fits_as_planned(self, instant: int) -> bool:
        parts = Counter(self._planned)
        return all(rank not in self._excluded and self._parts(rank, instant) >= parts[rank] for rank in parts)

    def _parts(self, rank: int, instant: int) -> int:
        steps, (gpus, stay) = self._nodes.steps[rank], self._need
        parts = steps.at(instant) // gpus
        while parts and not steps.fits(instant, parts * gpus, stay):
            parts -= 1
        return parts
