"""The state of one pass: nodes, exclusive workspaces, and what has been reserved on them so far.

It answers what is there and takes note of what is given away. Choosing is `placement`'s.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from planner.axis import FOREVER, SECOND, Axis
from planner.kinds import suits
from planner.nodes import Closed, Holder, Node, Nodes, NodeSet
from planner.search import Search
from planner.snapshot import Limit
from planner.steps import Steps, end_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from planner.kinds import Kind
    from planner.placement import Window
    from planner.snapshot import Claim, LeaseView, NodeView, Snapshot

Asked = tuple[tuple[str, ...], str, str, int, str]
"""What decides which nodes suit a claim."""


_ONE_AT_A_TIME = Limit(key="", total=1, spoken="")
"""The seat of an exclusive workspace."""


class Budget:
    """What is left of a limit over time: the one seat of an exclusive workspace, or the GPUs of a quota.

    Less than nothing where more is in use than a limit that was lowered allows.
    """

    __slots__ = ("changes", "ends", "left", "limit")

    def __init__(self, limit: Limit, axis: Axis) -> None:
        self.limit = limit
        self.left = totals(limit, axis)
        self.changes = dict(self.left.changes())
        """By instant: how much less its total is from then on."""
        self.ends: dict[int, Holder] = {}

    def take(self, start: int, end: int, amount: int, holder: Holder) -> None:
        """Gives so much to a holder from `start` until `end`."""
        self.left.take(start, end, amount)
        self.ends.setdefault(end, holder)

    def give_back(self, start: int, end: int, amount: int, holder: Holder) -> None:
        """Undoes a `take`."""
        self.left.take(start, end, -amount)
        if self.ends.get(end) == holder:
            del self.ends[end]


def totals(limit: Limit, axis: Axis) -> Steps:
    """A limit over time, with nothing taken of it."""
    steps, total = Steps(limit.total), limit.total
    for instant, then in limit.changes:
        steps.take(max(0, axis.offset(instant)), FOREVER, total - then)
        total = then
    return steps


class Share(NamedTuple):
    """How much a claim takes of a budget."""

    budget: Budget
    amount: int

    def fits(self, start: int, stay: int) -> bool:
        """There is so much left from `start` on, for that long."""
        return self.budget.left.fits(start, self.amount, stay)

    def first_fit(self, start: int, stay: int) -> int:
        """From when on there is; FOREVER: never."""
        return self.budget.left.first_fit(start, self.amount, stay)

    def decides(self, start: int) -> bool:
        """There is too little left right before: it starts no sooner for want of this."""
        return start > 0 and self.budget.left.at(start - 1) < self.amount


class World:
    """Built from a snapshot; what is free becomes less by `reserve`, and more only by undoing it or by `free`."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.axis = Axis.of(snapshot)
        leases = sorted(((self.axis.freed_at(lease), lease) for lease in snapshot.leases), key=_release)
        self.nodes = _nodes(snapshot.nodes, leases, _closures(snapshot, self.axis))
        self._seats = defaultdict[str, Share](lambda: Share(Budget(_ONE_AT_A_TIME, self.axis), 1))
        self._limits = {limit.key: Budget(limit, self.axis) for limit in snapshot.limits}
        self._guarantees = {limit.key: Budget(limit, self.axis) for limit in snapshot.limits if limit.guaranteed}
        for freed, lease in leases:
            for share in self._counted(lease):
                share.budget.take(0, freed, share.amount, _holder(lease))
        self._nodes: dict[tuple[Kind, ...], Nodes] = {}
        self._suitable: dict[Asked, tuple[tuple[int, Nodes], ...]] = {}
        self._searches: dict[tuple[object, ...], tuple[tuple[int, Search], ...]] = {}
        self._free_now = sum(node.steps.free[0] for node in self.nodes if node.view.usable)
        self._hopeless: set[tuple[object, ...]] = set()

    def stay(self, claim: Claim) -> int:
        """How long it keeps its GPUs and its workspace from others, teardown included."""
        if claim.duration_seconds is None:
            return FOREVER
        return claim.duration_seconds * SECOND + self.axis.turnaround

    def earliest_asked(self, claim: Claim) -> int:
        """When it may start at the earliest, if all were free."""
        instants = [instant for instant in (claim.not_before, claim.fixed_start) if instant]
        return max(0, *map(self.axis.offset, instants)) if instants else 0

    def shares(self, user: Claim | LeaseView) -> list[Share]:
        """All that it takes part of, beside nodes."""
        shares = [self._seats[user.workspace]] if user.exclusive else []
        if user.uses:
            shares += [Share(self._limits[key], amount) for key, amount in user.uses if key in self._limits]
        return shares

    def guaranteed(self, user: Claim | LeaseView) -> list[Share]:
        """Its part of what is guaranteed to its workspace and those above, of which here all is taken that is held or reserved.

        Also what can be preempted, and what is to end early.
        """
        if not self._guarantees:
            return []
        return [Share(self._guarantees[key], user.gpus_in_all) for key in user.guarantees if key in self._guarantees]

    def suitable(self, claim: Claim) -> tuple[tuple[int, Nodes], ...]:
        """(preference, nodes) of each cluster that could serve it, the preferred first."""
        asked = _asked(claim)
        if asked not in self._suitable:
            self._suitable[asked] = tuple(self._find_suitable(claim))
        return self._suitable[asked]

    def searches(self, claim: Claim) -> tuple[tuple[int, Search], ...]:
        """(preference, search) for each of these clusters."""
        need = (claim.nodes, claim.gpus_per_node, claim.duration_seconds, claim.spread, claim.excluded_nodes)
        what = (*need, *_asked(claim))
        found = self._searches.get(what)
        if found is None:
            stay, suitable = self.stay(claim), self.suitable(claim)
            found = tuple((preference, Search(nodes, claim, stay)) for preference, nodes in suitable)
            self._searches[what] = found
        return found

    def clusters(self, claim: Claim) -> list[str]:
        """Clusters with usable nodes on which it may run, the preferred first."""
        return [cluster for cluster in dict.fromkeys(claim.clusters or self._kinds) if cluster in self._kinds]

    def reserve(self, claim: Claim, window: Window) -> None:
        """Keeps a window for a claim: nothing considered later gets in its way."""
        end = end_of(window.start, self.stay(claim))
        holder = Holder(claim.gpr_name, running=False)
        for node in window.nodes:
            node.take(window.start, end, claim.gpus_per_node, holder)
        if window.start == 0:
            self._free_now -= claim.gpus_in_all
        for share in self._counted(claim):
            share.budget.take(window.start, end, share.amount, holder)

    def give_back(self, claim: Claim, window: Window) -> None:
        """Undoes a `reserve`."""
        end = end_of(window.start, self.stay(claim))
        holder = Holder(claim.gpr_name, running=False)
        for node in window.nodes:
            node.give_back(window.start, end, claim.gpus_per_node, holder)
        if window.start == 0:
            self._free_now += claim.gpus_in_all
        for share in self._counted(claim):
            share.budget.give_back(window.start, end, share.amount, holder)
        self._forget_what_is_proved()

    def free(self, lease: LeaseView, start: int, *, taken_back: bool) -> None:
        """Ends what a lease holds at that instant, before its time."""
        freed, holder = self.axis.freed_at(lease), _early(lease, taken_back=taken_back)
        for node, count in self.held_by(lease).items():
            node.free_early(start, freed, count, holder)
        for share in self.shares(lease):
            share.budget.left.take(start, freed, -share.amount)
            share.budget.ends.setdefault(start, holder)
        self._forget_what_is_proved()

    def hold(self, lease: LeaseView, start: int, *, taken_back: bool) -> None:
        """Undoes a `free`."""
        freed, holder = self.axis.freed_at(lease), _early(lease, taken_back=taken_back)
        for node, count in self.held_by(lease).items():
            node.hold_on(start, freed, count, holder)
        for share in self.shares(lease):
            share.budget.left.take(start, freed, share.amount)
            if share.budget.ends.get(start) == holder:
                del share.budget.ends[start]
        self._forget_what_is_proved()

    def held_by(self, lease: LeaseView) -> Counter[Node]:
        """How many GPUs it has on each node, of those that count."""
        held = Counter[Node]()
        for gpu in lease.gpus:
            node = self._by_place.get((gpu.cluster, gpu.node))
            if node and node.counts(gpu.ordinal):
                held[node] += 1
        return held

    def might_start_now(self, claim: Claim) -> bool:
        """False is certain, and stays so for the rest of the pass."""
        if claim.gpus_in_all > self._free_now:
            return False
        wanted = (claim.nodes, claim.gpus_per_node, claim.spread, *_asked(claim))
        if wanted in self._hopeless or self.earliest_asked(claim):
            return False
        if not claim.gpus_per_node or any(nodes.room_now(claim) >= claim.nodes for _, nodes in self.suitable(claim)):
            # Not for the whole stay: a promise may still move from later to sooner, though never away from now.
            return all(share.fits(0, 1) for share in self.shares(claim))
        self._hopeless.add(wanted)
        return False

    @cached_property
    def _by_place(self) -> dict[tuple[str, str], Node]:
        return {node.place: node for node in self.nodes}

    @cached_property
    def _kinds(self) -> dict[str, dict[Kind, NodeSet]]:
        """The usable nodes, by cluster and kind."""
        kinds: dict[str, dict[Kind, list[Node]]] = {}
        for node in self.nodes:
            if node.view.usable:
                kinds.setdefault(node.view.cluster, {}).setdefault(node.kind, []).append(node)
        return {cluster: {kind: NodeSet(kinds[cluster][kind]) for kind in kinds[cluster]} for cluster in kinds}

    def _counted(self, user: Claim | LeaseView) -> list[Share]:
        """All that becomes less by what it takes, whether or not that limits it."""
        shares = self.shares(user)
        return shares + self.guaranteed(user) if user.guarantees else shares

    def _forget_what_is_proved(self) -> None:
        """It holds while capacity is only taken."""
        self._searches.clear()
        for nodes in self._nodes.values():
            nodes.forget_what_was_found()

    def _find_suitable(self, claim: Claim) -> Iterable[tuple[int, Nodes]]:
        # Each cluster once, at its best preference; without any wish all are equal.
        asked = list(dict.fromkeys(claim.clusters))
        for cluster in asked or self._kinds:
            kinds = tuple(kind for kind in self._kinds.get(cluster, ()) if suits(claim, kind))
            if kinds:
                yield asked.index(cluster) if asked else 0, self._nodes_of(cluster, kinds)

    def _nodes_of(self, cluster: str, kinds: tuple[Kind, ...]) -> Nodes:
        if kinds not in self._nodes:
            self._nodes[kinds] = Nodes(cluster, [self._kinds[cluster][kind] for kind in kinds])
        return self._nodes[kinds]


def _holder(lease: LeaseView) -> Holder:
    return Holder(lease.gpr_name, running=True, preempted=lease.preempted, taken_back=lease.taken_back)


def _early(lease: LeaseView, *, taken_back: bool) -> Holder:
    """As it ends before its time."""
    return Holder(lease.gpr_name, running=True, preempted=True, taken_back=taken_back)


def _release(lease: tuple[int, LeaseView]) -> tuple[int, int, str]:
    return (lease[0], lease[1].fence, lease[1].gpr_id)


def _nodes(
    views: Iterable[NodeView],
    leases: Iterable[tuple[int, LeaseView]],
    closures: Mapping[tuple[str, str], Sequence[Closed]],
) -> list[Node]:
    taken = defaultdict[tuple[str, str], tuple[dict[int, int], dict[int, Holder]]](lambda: ({}, {}))
    for freed, lease in leases:
        holder = _holder(lease)
        for gpu in lease.gpus:
            held, ends = taken[gpu.cluster, gpu.node]
            # Ascending by time: of two leases on one GPU the later end counts.
            held[gpu.ordinal] = freed
            ends.setdefault(freed, holder)
    return [
        Node(view, *taken[_place(view)], closures.get((view.cluster, view.host), ()) if closures else ())
        for view in sorted(views, key=_place)
    ]


def _closures(snapshot: Snapshot, axis: Axis) -> dict[tuple[str, str], list[Closed]]:
    """By node, those that are not over."""
    closed: defaultdict[tuple[str, str], list[Closed]] = defaultdict(list)
    for one in sorted(snapshot.closures, key=lambda one: (one.begins_at, one.ends_at, one.name)):
        begin, end = axis.offset(one.begins_at), axis.offset(one.ends_at)
        if end > max(begin, 0):
            closed[one.cluster, one.node].append(Closed(begin, end, one.name))
    return closed


def _place(view: NodeView) -> tuple[str, str]:
    return (view.cluster, view.name)


def _asked(claim: Claim) -> Asked:
    return (claim.clusters, claim.shape, claim.instance_type, claim.memory_gib, claim.pool)
