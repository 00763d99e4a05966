"""Ending leases early, so that a claim need not wait for those that are weaker, or that borrow what is guaranteed to it.

Only leases that allow it, of a weaker band or of its own and lent (`lending.Lent`), past their guaranteed time; where least
work is lost, and no more of them than are needed. They are told before, so what they hold is free after the notice and the
teardown. Whoever was preempted does not preempt: no chain. Kept windows, and those of stronger claims, are reserved before
and stay as they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Final

from domain.priority import PRIORITY_MAX, Band, band_of
from planner.axis import SECOND
from planner.lending import Lent
from planner.placement import window_at

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence
    from datetime import datetime

    from planner.lending import Room
    from planner.nodes import Node, Nodes
    from planner.placement import Window
    from planner.snapshot import Claim, LeaseView, Snapshot
    from planner.world import World

SPARE_NODES_TRIED_MAX: Final = 16
"""Of a cluster, beyond as many as the claim asks for: those where least is lost may not be free for long enough."""
_BANDS: Final = list(Band)
_RANKS: Final = [_BANDS.index(band_of(priority)) for priority in range(PRIORITY_MAX + 1)]

CLAIMS_TRIED_MAX: Final = 64
"""In one pass, of those that would want it: others in the next. A pass holds up all others while it looks."""
LEASES_TRIED_MAX: Final = 64
"""Likewise, when more than those of the best nodes are tried."""

Loss = tuple[int, int]
"""GPU-microseconds of work, and the fence to tell equals apart."""


@dataclass(frozen=True, slots=True)
class Preemption:
    """Leases to end early so that a claim can start; its window, from then on, is to be kept for it like a promise."""

    gpr_id: str
    """Whose claim it is."""
    fences: tuple[int, ...]
    ends_at: datetime
    """When these leases end."""
    starts_at: datetime
    """When the claim starts then, and where: one node for each of its nodes."""
    cluster: str
    nodes: tuple[str, ...]
    taken_back: tuple[int, ...] = ()
    """Of these leases those of the claim's own band: they borrow what is guaranteed to it."""


class Preemptions:
    """Those of one pass."""

    def __init__(self, world: World, snapshot: Snapshot) -> None:
        self._world = world
        self._ends = snapshot.notice_seconds * SECOND
        self._freed = max(self._ends + world.axis.turnaround, SECOND)
        """When the GPUs of preempted leases are free."""
        self._found: dict[str, tuple[list[LeaseView], Window, set[int]]] = {}
        """By the id of the claim that they end for; with the fences of those that are taken back."""
        self._vain: set[tuple[object, ...]] = set()
        """For what even all would not be enough."""
        self._nothing_due: set[tuple[object, ...]] = set()
        """To whom nothing is lent that may end."""
        self._left = sorted((lease for lease in snapshot.leases if self._may_end(lease)), key=self._loss)
        self._ranks = {lease.fence: _rank(lease) for lease in self._left}
        self._held = {lease.fence: world.held_by(lease) for lease in self._left}
        self._weakest = self._weakest_left()
        self._limited = {share.budget for lease in self._left for share in world.shares(lease)}
        """Of what these hold a part: no other limit is ever helped."""
        self._lent = Lent(world, snapshot, self._freed, lambda lease: (_rank(lease), self._loss(lease)))
        self._due: set[int] = set()
        """Of what borrows, what the claim that is being looked at may take back."""
        self._tried = 0

    def __iter__(self) -> Iterator[Preemption]:
        """All that were found."""
        axis = self._world.axis
        for gpr_id, (victims, window, due) in self._found.items():
            ends_at, starts_at = axis.instant(self._ends), axis.instant(window.start)
            assert ends_at
            assert starts_at
            fences, nodes = tuple(lease.fence for lease in victims), tuple(node.name for node in window.nodes)
            taken_back = tuple(fence for fence in fences if fence in due)
            yield Preemption(gpr_id, fences, ends_at, starts_at, window.cluster, nodes, taken_back)

    def may_help(self, claim: Claim) -> bool:
        """False is certain."""
        if _rank(claim) < self._weakest or self._tried >= CLAIMS_TRIED_MAX or claim.pinned_start or claim.fixed_start:
            return False
        if claim.was_preempted or claim.was_taken_back or claim.has_preempted:
            return False
        if self._world.earliest_asked(claim) > self._freed:
            return False
        room = self._lent.room(claim)
        may_take_back = bool(room) and _owner(claim, room) not in self._nothing_due
        return (_rank(claim) > self._weakest or may_take_back) and self._vain.isdisjoint(
            (_wanted(claim, room), _wanted_of_nodes(claim, room))
        )

    def window(self, claim: Claim, without: Window | None) -> Window | None:
        """The window that it gets: without preemption, unless that begins much later than another that can be made free.

        Much later: by more than the notice and the teardown, which nobody has anything of.
        """
        if (without and without.start <= 2 * self._freed) or not self.may_help(claim):
            return without
        room = self._lent.room(claim)
        victims = self._enough_for(claim, room) if self._shares_may_fit(claim) else []
        window = window_at(self._world, claim, self._freed) if victims else None
        if not window:
            self._vain.add(_wanted(claim, room))
            return without
        is_freed = any(node in self._held[lease.fence] for lease in victims for node in window.nodes)
        window = window._replace(held_back=not is_freed)
        self._found[claim.gpr_id] = (victims, window, self._due)
        self._lent.ended(victims)
        ended = {lease.fence for lease in victims}
        self._left = [lease for lease in self._left if lease.fence not in ended]
        self._weakest = self._weakest_left()
        return window

    def give_back(self, claim: Claim) -> None:
        """The claim does not take its window after all."""
        victims = self._found.pop(claim.gpr_id)[0] if claim.gpr_id in self._found else []
        self._tried -= bool(victims)
        self._hold(victims)
        self._lent.stay(victims)
        self._left = sorted([*self._left, *victims], key=self._loss)
        self._weakest = self._weakest_left()

    @property
    def is_exhausted(self) -> bool:
        """Not all that would want it were tried."""
        return self._tried >= CLAIMS_TRIED_MAX

    # --- whose leases end ---------------------------------------------------------------------------------------------

    def _shares_may_fit(self, claim: Claim) -> bool:
        """False is certain, and soon found: many wait for limits that nobody helps by ending early."""
        stay = self._world.stay(claim)
        return all(
            share.budget in self._limited or share.fits(self._freed, stay) for share in self._world.shares(claim)
        )

    def _enough_for(self, claim: Claim, room: Room) -> list[LeaseView]:
        """Leases that are all needed, and free from now on; none when even all are not enough, and nothing is changed."""
        rank = _rank(claim)
        self._due = self._lent.due(claim, room, (lease for lease in self._left if self._ranks[lease.fence] == rank))
        if not self._due:
            self._nothing_due.add(_owner(claim, room))
        yielding = [lease for lease in self._left if self._ranks[lease.fence] < rank or lease.fence in self._due]
        if not yielding:
            return []
        self._tried += 1
        for_shares = self._enough_shares(claim, yielding)
        if for_shares is None:
            return []
        if self._fits(claim):
            return self._needed(claim, for_shares)
        others = [lease for lease in yielding if lease not in for_shares]
        for _, nodes in self._world.suitable(claim) if claim.gpus_per_node else ():
            for_nodes = self._enough_nodes(claim, nodes, others) or self._all(claim, nodes, others)
            if for_nodes:
                return self._needed(claim, [*for_shares, *for_nodes])
        self._hold(for_shares)
        self._vain.add(_wanted_of_nodes(claim, room))
        return []

    def _enough_shares(self, claim: Claim, yielding: Iterable[LeaseView]) -> list[LeaseView] | None:
        """So that its limits and its workspace's seat leave room for it; None: they do not."""
        stay, shares = self._world.stay(claim), self._world.shares(claim)
        ended: list[LeaseView] = []
        for lease in yielding:
            short = [share.budget for share in shares if not share.fits(self._freed, stay)]
            if not short:
                break
            if any(share.budget in short for share in self._world.shares(lease)):
                self._free(lease)
                ended.append(lease)
        if all(share.fits(self._freed, stay) for share in shares):
            return ended
        self._hold(ended)
        return None

    def _enough_nodes(self, claim: Claim, nodes: Nodes, yielding: Sequence[LeaseView]) -> list[LeaseView]:
        """So that enough nodes of a cluster are free: those first where least is lost."""
        ended: dict[int, LeaseView] = {}
        tried_max = claim.nodes + SPARE_NODES_TRIED_MAX
        for tried, (_, on_node) in enumerate(islice(self._by_node(claim, nodes, yielding), tried_max), start=1):
            for lease in on_node:
                if lease.fence not in ended:
                    self._free(lease)
                    ended[lease.fence] = lease
            if (tried >= claim.nodes or not claim.spread) and self._fits(claim):
                return list(ended.values())
        self._hold(ended.values())
        return []

    def _all(self, claim: Claim, nodes: Nodes, yielding: Sequence[LeaseView]) -> list[LeaseView]:
        """All on the nodes of a cluster, up to a bound: for when what looked like enough is taken by others later."""
        members = {node for kind in nodes.sets for node in kind.nodes}
        ended = [lease for lease in yielding if not members.isdisjoint(self._held[lease.fence])][:LEASES_TRIED_MAX]
        for lease in ended:
            self._free(lease)
        if ended and self._fits(claim):
            return ended
        self._hold(ended)
        return []

    def _by_node(
        self, claim: Claim, nodes: Nodes, yielding: Sequence[LeaseView]
    ) -> list[tuple[tuple[int, str], list[LeaseView]]]:
        """What to end on each node, with what is lost there; nodes that have room first, and without those that cannot."""
        there: dict[Node, list[LeaseView]] = {}
        for lease in yielding:
            for node in self._held[lease.fence]:
                there.setdefault(node, []).append(lease)
        found: list[tuple[tuple[int, str], list[LeaseView]]] = []
        members = (node for kind in nodes.sets for node in kind.nodes)
        # one that has no room without is of no use alone
        for node in (node for node in members if claim.nodes > 1 or node in there):
            if node.place in claim.excluded_nodes:
                continue
            on_node = self._on_node(claim, node, there.get(node, ()))
            if on_node is not None:
                found.append(((sum(self._loss(lease)[0] for lease in on_node), node.name), on_node))
        return sorted(found, key=lambda one: one[0])

    def _on_node(self, claim: Claim, node: Node, yielding: Iterable[LeaseView]) -> list[LeaseView] | None:
        stay, needed = self._world.stay(claim), claim.gpus_per_node
        wanted = needed if claim.spread else needed * claim.nodes
        room = next(free for free in range(wanted, -1, -1) if not free or node.steps.fits(self._freed, free, stay))
        ended: list[LeaseView] = []
        for lease in yielding:
            if room >= wanted:
                break
            room += self._held[lease.fence][node]
            ended.append(lease)
        return ended if room >= needed else None

    def _needed(self, claim: Claim, ended: Collection[LeaseView]) -> list[LeaseView]:
        """Without those that the others make needless: what would lose most stays first."""
        needed: list[LeaseView] = []
        for lease in sorted(ended, key=self._loss, reverse=True):
            self._hold([lease])
            if not self._fits(claim):
                self._free(lease)
                needed.append(lease)
        return needed

    def _fits(self, claim: Claim) -> bool:
        return window_at(self._world, claim, self._freed) is not None

    def _free(self, lease: LeaseView) -> None:
        self._world.free(lease, self._freed, taken_back=lease.fence in self._due)

    def _hold(self, ended: Iterable[LeaseView]) -> None:
        for lease in ended:
            self._world.hold(lease, self._freed, taken_back=lease.fence in self._due)

    # --- leases -------------------------------------------------------------------------------------------------------

    def _may_end(self, lease: LeaseView) -> bool:
        """Its guaranteed time will be over when the notice ends, and it would stay longer."""
        if not lease.preemptible or lease.preempted or not lease.begun_at:
            return False
        guaranteed = self._world.axis.offset(lease.guaranteed_until) if lease.guaranteed_until else 0
        return guaranteed <= self._ends and self._world.axis.freed_at(lease) > self._freed

    def _weakest_left(self) -> int:
        return min((self._ranks[lease.fence] for lease in self._left), default=len(_BANDS))

    def _loss(self, lease: LeaseView) -> Loss:
        begun = self._world.axis.offset(lease.begun_at) if lease.begun_at else 0
        return len(lease.gpus) * (self._ends - begun), lease.fence


def _rank(one: Claim | LeaseView) -> int:
    return _RANKS[one.priority]


def _wanted(claim: Claim, room: Room) -> tuple[object, ...]:
    """All that decides whether room can be made for it at a given instant."""
    return (*_wanted_of_nodes(claim, room), claim.uses, claim.workspace if claim.exclusive else "")


def _wanted_of_nodes(claim: Claim, room: Room) -> tuple[object, ...]:
    """All of it but its limits."""
    need = (claim.nodes, claim.gpus_per_node, claim.duration_seconds, claim.spread, claim.excluded_nodes)
    asked = (claim.clusters, claim.shape, claim.instance_type, claim.memory_gib, claim.pool)
    return (need, asked, *_owner(claim, room))


def _owner(claim: Claim, room: Room) -> tuple[object, ...]:
    """All that decides which leases may end for it."""
    return (_rank(claim), claim.guarantees if room else (), room)
