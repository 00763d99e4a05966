"""The earliest start of a claim on the nodes of one cluster, and the best nodes at that start."""

from __future__ import annotations

from collections import Counter
from heapq import merge
from itertools import repeat
from typing import TYPE_CHECKING

from planner.axis import FOREVER
from planner.spans import overlaps, starts_within

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from planner.holes import Opening
    from planner.nodes import Node, Nodes
    from planner.snapshot import Claim
    from planner.spans import Span

Part = tuple["Node", int]
"""A node as one of the claim's nodes, as a second one of them, ...: with so many GPUs for all of them."""


class Search:
    """For claims that ask for the same; it remembers what it has proved, which holds while GPUs are only taken."""

    __slots__ = ("_count", "_excluded", "_floor", "_holes", "_is_hopeless", "_nodes", "_sizes", "_stay", "cluster")

    def __init__(self, nodes: Nodes, claim: Claim, stay: int) -> None:
        gpus = claim.gpus_per_node
        self.cluster = nodes.cluster
        self._nodes = nodes
        self._count = claim.nodes
        self._stay = stay
        self._excluded = {name for cluster, name in claim.excluded_nodes if cluster == nodes.cluster}
        self._sizes = (gpus,) if claim.spread else range(gpus, min(gpus * claim.nodes, nodes.gpus_max) + 1, gpus)
        self._holes = [each.holes(size) for each in nodes.sets for size in self._sizes]
        self._is_hopeless = nodes.room_ever(claim, self._excluded) < claim.nodes
        self._floor = 0

    def earliest(self, claim: Claim, start: int, limit: int) -> tuple[int, list[Node]] | None:
        """The first start from `start` to `limit`, with a node for each of the claim's; None: there is none."""
        if self._is_hopeless:
            return None
        if start > self._floor:
            instant, members = self._from(start, limit, self.planned(claim))
        else:
            instant, members = self._from(self._floor, limit, self.planned(claim))
            self._floor = instant
        return (instant, members) if members else None

    def planned(self, claim: Claim) -> list[Node]:
        """The nodes of its last forecast that would still do."""
        return self._nodes.named(claim.planned_nodes) if claim.planned_cluster == self.cluster else []

    def planned_fit(self, claim: Claim, start: int) -> int:
        """From when on each of these fits, though maybe not all of them together; FOREVER: never, or too few are left."""
        planned = Counter(self.planned(claim))
        if planned.total() != self._count or any(node.name in self._excluded for node in planned):
            return FOREVER
        sizes = {node: count * claim.gpus_per_node for node, count in planned.items()}
        if any(size not in self._sizes for size in sizes.values()):
            return FOREVER
        return max(node.steps.first_fit(start, size, self._stay) for node, size in sizes.items())

    def starts(self) -> list[Span]:
        """Every stretch of time in which it could start, in order; each from its first start to its last."""
        nodes = (node for each in self._nodes.sets for node in each.nodes if node.name not in self._excluded)
        spans = (span for node in nodes for size in self._sizes for span in node.steps.spans(size))
        return overlaps(starts_within(spans, self._stay), self._count)

    def _from(self, instant: int, limit: int, planned: list[Node]) -> tuple[int, list[Node]]:
        """A start with its nodes; or, without nodes, an instant before which there is no start."""
        if instant > limit:
            return instant, []
        if self._may_fit_at(instant):
            members = self._fitting(instant, planned)
            if len(members) == self._count:
                return instant, members
        if self._count == 1 and not self._excluded:
            return self._opening_of_one(instant, limit, planned)
        return self._opening(instant, limit, planned)

    def _opening_of_one(self, start: int, limit: int, planned: list[Node]) -> tuple[int, list[Node]]:
        """`_opening` of a claim for one node: no further than to the first instant at which one fits."""
        found: list[Node] = []
        for holes in self._holes:
            for first, _, node, _ in holes.openings(start, self._stay, limit, soonest=True):
                if first < limit:
                    found, limit = [], first
                found.append(node)
        if not found:
            return limit + 1, []
        if len(found) == 1:
            return limit, found
        if len(planned) == 1 and planned[0] in found:
            return limit, planned
        return limit, [min(found, key=lambda node: (node.steps.at(limit), node.name))]

    def _opening(self, start: int, limit: int, planned: list[Node]) -> tuple[int, list[Node]]:
        """The first instant at which enough nodes fit together, with these."""
        parts: dict[Part, int] = {}
        found = False
        for first, last, node, size in self._openings(start, limit):
            if first > limit:
                break
            parts[node, size] = last
            if not found and len(parts) >= self._count:
                parts = {part: last for part, last in parts.items() if last >= first}
                if len(parts) >= self._count:
                    found, limit = True, first
        return (limit, self._tightest(limit, parts, planned)) if found else (limit + 1, [])

    def _may_fit_at(self, instant: int) -> bool:
        """False is certain: nothing that begins before that instant is long enough."""
        for holes in self._holes:  # noqa: SIM110 - any() takes twice as long, and every search comes here
            if holes.floor(self._stay) < instant:
                return True
        return False

    def _fitting(self, instant: int, planned: list[Node]) -> list[Node]:
        """The best nodes to start on at that instant; fewer than wanted when no more can."""
        if planned and self._are_enough(planned, {node: self._parts(node, instant) for node in planned}):
            return planned
        found: list[Node] = []
        size, stay = self._sizes[0], self._stay
        for node in self._nodes.tightest_first(instant, size):
            if node.steps.enough_until(instant, size) - instant < stay:
                continue  # most: what is tight is tight because others come soon
            found += repeat(node, self._parts(node, instant))
            if len(found) >= self._count:
                break
        return found[: self._count]

    def _tightest(self, instant: int, parts: Collection[Part], planned: list[Node]) -> list[Node]:
        """The best of these parts, which all fit."""
        if self._count == len(parts) == 1:
            return [node for node, _ in parts]
        counts = Counter(node for node, _ in parts)
        if self._are_enough(planned, counts):
            return planned
        nodes = sorted(counts, key=lambda node: (node.steps.at(instant), node.name))
        return [node for node in nodes for _ in range(counts[node])][: self._count]

    def _are_enough(self, planned: Sequence[Node], parts: Mapping[Node, int]) -> bool:
        return len(planned) == self._count and all(parts.get(node, 0) >= planned.count(node) for node in planned)

    def _parts(self, node: Node, instant: int) -> int:
        """How many of the claim's nodes it can be from then on."""
        if node.view.name in self._excluded:
            return 0
        parts = 0
        for size in self._sizes:
            if not node.steps.fits(instant, size, self._stay):
                break
            parts += 1
        return parts

    def _openings(self, start: int, limit: int) -> Iterator[Opening]:
        """(first start, last start, node, size), in order of the first."""
        found = [holes.openings(start, self._stay, limit) for holes in self._holes]
        openings = found[0] if len(found) == 1 else merge(*found, key=_first)
        if not self._excluded:
            return openings
        return (opening for opening in openings if opening[2].name not in self._excluded)


def _first(opening: Opening) -> int:
    return opening[0]
