"""GPUs that are free at one instant, for policies that do not plan ahead."""

from __future__ import annotations

from typing import TYPE_CHECKING

from planner.kinds import Kind, suits
from planner.snapshot import HeldGpu

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from planner.snapshot import Claim, NodeView, Snapshot

NEVER = 1 << 62


class Stock:
    """Free ordinals by node, the nodes in order of name."""

    def __init__(self, free: dict[NodeView, list[int]]) -> None:
        self._free = free
        self._by_place = {(node.cluster, node.name): node for node in free}

    @classmethod
    def now(cls, snapshot: Snapshot) -> Stock:
        """What no lease holds."""
        held = {gpu for lease in snapshot.leases for gpu in lease.gpus}
        return cls({node: _free(node, held) for node in sorted(snapshot.nodes, key=lambda node: node.name)})

    def copy(self) -> Stock:
        """To try something on."""
        return Stock({node: list(ordinals) for node, ordinals in self._free.items()})

    def find(self, claim: Claim) -> tuple[HeldGpu, ...] | None:
        """GPUs for the whole gang on nodes of one cluster, the tightest nodes first; None: there is no room."""
        fitting = sorted(
            (len(ordinals), node.cluster, node.name)
            for node, ordinals in self._free.items()
            if len(ordinals) >= claim.gpus_per_node and suits(claim, Kind.of(node))
        )
        for cluster in dict.fromkeys(cluster for _, cluster, _ in fitting):
            nodes = [self._by_place[cluster, name] for _, where, name in fitting if where == cluster]
            if len(nodes) >= claim.nodes:
                return tuple(self._lowest(nodes[: claim.nodes], claim.gpus_per_node))
        return None

    def take(self, gpus: Iterable[HeldGpu]) -> None:
        """No longer free."""
        for gpu in gpus:
            self._free[self._by_place[gpu.cluster, gpu.node]].remove(gpu.ordinal)

    def give(self, gpus: Iterable[HeldGpu]) -> None:
        """Free again."""
        for gpu in gpus:
            self._free[self._by_place[gpu.cluster, gpu.node]].append(gpu.ordinal)

    def count_at(self, cluster: str, node: str) -> int:
        """How many are free there."""
        return len(self._free[self._by_place[cluster, node]])

    def when_fits(self, claim: Claim, ends: Sequence[tuple[int, tuple[HeldGpu, ...]]]) -> tuple[int, Stock]:
        """The first of these ends, in order of time, at which the claim fits, with what is free then."""
        later = self.copy()
        for here, (end, gpus) in enumerate(ends):
            later.give(gpus)
            together = here + 1 < len(ends) and ends[here + 1][0] == end
            if not together and later.find(claim):
                return end, later
        return NEVER, later

    def _lowest(self, nodes: Iterable[NodeView], count: int) -> Iterable[HeldGpu]:
        for node in nodes:
            for ordinal in sorted(self._free[node])[:count]:
                yield HeldGpu(node.cluster, node.name, ordinal)


def _free(node: NodeView, held: set[HeldGpu]) -> list[int]:
    return [ordinal for ordinal in range(node.gpus) if HeldGpu(node.cluster, node.name, ordinal) not in held]
