"""The state of one pass: nodes, exclusive workspaces, and what has been reserved on them so far.

It answers what is there and takes note of what is given away. Choosing is `placement`'s.
"""

from __future__ import annotations

from collections import defaultdict
from functools import cached_property
from typing import TYPE_CHECKING

from planner.axis import SECOND, Axis
from planner.kinds import suits
from planner.nodes import Holder, Node, NodeSet
from planner.steps import Steps

if TYPE_CHECKING:
    from collections.abc import Iterable

    from planner.kinds import Kind
    from planner.placement import Window
    from planner.snapshot import Claim, LeaseView, NodeView, Snapshot

Asked = tuple[tuple[str, ...], str, str, int]
"""What decides which nodes suit a claim."""


class Workspace:
    """The one seat that the exclusive leases of a workspace share."""

    __slots__ = ("ends", "seat")

    def __init__(self) -> None:
        self.seat = Steps(1)
        self.ends: dict[int, Holder] = {}

    def take(self, start: int, end: int, holder: Holder) -> None:
        """Gives the seat to a holder from `start` until `end`."""
        self.seat.take(start, end, 1)
        self.ends.setdefault(end, holder)


class World:
    """Built from a snapshot; changed only by `reserve`."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.axis = Axis.of(snapshot)
        leases = sorted(((self.axis.freed_at(lease), lease) for lease in snapshot.leases), key=_release)
        self.nodes = _nodes(snapshot.nodes, leases)
        self._workspaces = _workspaces(leases)
        self._sets: dict[tuple[Kind, ...], NodeSet] = {}
        self._suitable: dict[Asked, tuple[tuple[int, NodeSet], ...]] = {}
        self._hopeless: set[tuple[int, int, Asked]] = set()

    def stay(self, claim: Claim) -> int:
        """How long it keeps its GPUs and its workspace from others, teardown included."""
        return claim.duration_seconds * SECOND + self.axis.turnaround

    def earliest_asked(self, claim: Claim) -> int:
        """When it may start at the earliest, if all were free."""
        return max(0, self.axis.offset(claim.not_before)) if claim.not_before else 0

    def workspace(self, claim: Claim) -> Workspace | None:
        """What it has to share; None: nothing."""
        return self._workspaces[claim.workspace] if claim.exclusive else None

    def suitable(self, claim: Claim) -> tuple[tuple[int, NodeSet], ...]:
        """(preference, nodes) of each cluster that could serve it, the preferred first."""
        asked = _asked(claim)
        if asked not in self._suitable:
            self._suitable[asked] = tuple(self._find_suitable(claim))
        return self._suitable[asked]

    def reserve(self, claim: Claim, window: Window) -> None:
        """Keeps a window for a claim: nothing considered later gets in its way."""
        end = window.start + self.stay(claim)
        holder = Holder(claim.gpr_name, running=False)
        for node in window.nodes:
            node.take(window.start, end, claim.gpus_per_node, holder)
        workspace = self.workspace(claim)
        if workspace:
            workspace.take(window.start, end, holder)

    def might_start_now(self, claim: Claim) -> bool:
        """False is certain, and stays so for the rest of the pass."""
        wanted = (claim.nodes, claim.gpus_per_node, _asked(claim))
        if wanted in self._hopeless or self.earliest_asked(claim):
            return False
        if any(nodes.with_free_now(claim.gpus_per_node) >= claim.nodes for _, nodes in self.suitable(claim)):
            workspace = self.workspace(claim)
            return not workspace or workspace.seat.fits(0, 1, self.stay(claim))
        self._hopeless.add(wanted)
        return False

    @cached_property
    def _kinds(self) -> dict[str, dict[Kind, list[Node]]]:
        """The usable nodes, by cluster and kind."""
        kinds: dict[str, dict[Kind, list[Node]]] = {}
        for node in self.nodes:
            if node.view.usable:
                kinds.setdefault(node.view.cluster, {}).setdefault(node.kind, []).append(node)
        return kinds

    def _find_suitable(self, claim: Claim) -> Iterable[tuple[int, NodeSet]]:
        # Each cluster once, at its best preference; without any wish all are equal.
        asked = list(dict.fromkeys(claim.clusters))
        for cluster in asked or self._kinds:
            kinds = tuple(kind for kind in self._kinds.get(cluster, ()) if suits(claim, kind))
            if kinds:
                yield asked.index(cluster) if asked else 0, self._set_of(cluster, kinds)

    def _set_of(self, cluster: str, kinds: tuple[Kind, ...]) -> NodeSet:
        if kinds not in self._sets:
            nodes = [node for kind in kinds for node in self._kinds[cluster][kind]]
            self._sets[kinds] = NodeSet(cluster, sorted(nodes, key=lambda node: node.view.name))
        return self._sets[kinds]


def _release(lease: tuple[int, LeaseView]) -> tuple[int, int, str]:
    return (lease[0], lease[1].fence, lease[1].gpr_id)


def _nodes(views: Iterable[NodeView], leases: Iterable[tuple[int, LeaseView]]) -> list[Node]:
    held: defaultdict[tuple[str, str], dict[int, int]] = defaultdict(dict)
    ends: defaultdict[tuple[str, str], dict[int, Holder]] = defaultdict(dict)
    for freed, lease in leases:
        holder = Holder(lease.gpr_name, running=True)
        for gpu in lease.gpus:
            # Ascending by time: of two leases on one GPU the later end counts.
            held[gpu.cluster, gpu.node][gpu.ordinal] = freed
            ends[gpu.cluster, gpu.node].setdefault(freed, holder)
    places = ((_place(view), view) for view in sorted(views, key=_place))
    return [Node(view, held[place], ends[place]) for place, view in places]


def _workspaces(leases: Iterable[tuple[int, LeaseView]]) -> defaultdict[str, Workspace]:
    workspaces: defaultdict[str, Workspace] = defaultdict(Workspace)
    for freed, lease in leases:
        if lease.exclusive:
            workspaces[lease.workspace].take(0, freed, Holder(lease.gpr_name, running=True))
    return workspaces


def _place(view: NodeView) -> tuple[str, str]:
    return (view.cluster, view.name)


def _asked(claim: Claim) -> Asked:
    return (claim.clusters, claim.shape, claim.instance_type, claim.memory_gib)
