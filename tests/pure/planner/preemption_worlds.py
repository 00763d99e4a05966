"""Small random worlds in which leases may end early, and who borrows in them: the slow and obvious way."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, TypeVar

from domain.priority import Band, band_of
from planner.snapshot import UNLIMITED, Claim, LeaseView, Limit
from tests.builders_planner import HIGH, LOW, MEDIUM, NOON, a_claim, a_lease, a_node, a_snapshot, at, gpus_of
from tests.pure.planner.chance import Chance, drawn
from tests.pure.planner.oracle import Oracle
from tests.pure.planner.worlds import EITHER, changes, planned_claim, snapshot

if TYPE_CHECKING:
    from collections.abc import Collection

    from planner.snapshot import NodeView, Snapshot, Uses

BANDS = list(Band)
OWNERS = {"red": ("red", "warm"), "green": ("green", "cold"), "blue": ("blue", "cold")}
"""What is guaranteed to each workspace, and to its department."""
AMOUNTS = (0, None, 8, 12, 4, 2, 6, 8, 16, None, UNLIMITED)
MOSTLY_MEDIUM = (*[MEDIUM] * 12, LOW, HIGH)


def loose_world(chance: Chance) -> Snapshot:
    """Full of leases that mostly may end early; of claims that are mostly easily pleased, and mostly strong."""
    plain = snapshot(chance, [None, 3, 20, 30, 40])
    leases = tuple(loose(chance, lease) for lease in plain.leases)
    nodes = tuple(replace(node, pools=frozenset(), usable=True) for node in plain.nodes)
    queue = tuple(eager(chance, planned_claim(chance, claim.sequence, nodes)) for claim in plain.queue[:6])
    made = replace(plain, nodes=nodes, leases=leases, queue=queue, notice_seconds=chance.pick([0, 1, 2]))
    return shared(chance, made) if chance.pick(EITHER) else made


def lent_world(chance: Chance) -> Snapshot:
    """In which everything is held, mostly within one band, and most claims could have something back."""
    nodes = tuple(a_node(f"n{number}", gpus=4) for number in range(chance.number(1, 3)))
    leases = [lease for node in nodes for lease in full(chance, node)]
    claims = [owed(chance, sequence, nodes) for sequence in range(chance.number(1, 5))]
    times = {"turnaround_seconds": chance.pick([0, 1]), "notice_seconds": chance.pick([0, 1, 2])}
    return shared(chance, a_snapshot(*nodes, *leases, *claims, **times))


def full(chance: Chance, node: NodeView) -> list[LeaseView]:
    """Leases that hold all of a node."""
    found, first = list[LeaseView](), 0
    while first < node.gpus:
        count = chance.pick([1, 1, 2, 3])
        gpus = gpus_of(node.name, *range(first, min(first + count, node.gpus)))
        workspace = chance.pick(list(OWNERS))
        lease = a_lease(f"{node.name}-{first}", gpus, chance.pick([None, 40, 90]), workspace=workspace)
        lease = replace(lease, fence=100 * int(node.name[1:]) + first)
        begun, preemptible = at(-chance.number(1, 9)), not chance.pick(RARELY)
        plain = replace(lease, begun_at=begun, preemptible=preemptible)
        found.append(loose(chance, lease) if chance.pick(RARELY) else plain)
        first += count
    return found


def owed(chance: Chance, sequence: int, nodes: tuple[NodeView, ...]) -> Claim:
    """Mostly asking for no more than GPUs, and now."""
    workspace = chance.pick(["red", "red", "green", "blue"])
    if chance.pick(RARELY):
        return replace(eager(chance, planned_claim(chance, sequence, nodes)), clusters=(), workspace=workspace)
    gpus, count, seconds = (
        chance.pick([1, 2, 2, 4]),
        chance.pick([1, 1, 2]),
        chance.pick([5, 9]),
    )
    return a_claim(f"gpr-{sequence}", gpus, count, workspace=workspace, sequence=sequence, duration_seconds=seconds)


def shared(chance: Chance, snapshot: Snapshot) -> Snapshot:
    """With guarantees of workspaces and departments, and so that bands decide less often."""
    limits = list(snapshot.limits)
    for key in sorted({key for keys in OWNERS.values() for key in keys}):
        total, found = chance.pick(AMOUNTS), sorted(changes(chance) if chance.pick([True, False, False]) else [])
        if total is not None:
            limits.append(Limit(key, total, key, tuple((at(when), then) for when, then in found), guaranteed=True))
    leases = (replace(one, priority=chance.pick(MOSTLY_MEDIUM)) for one in snapshot.leases)
    claims = (
        replace(one, priority=chance.pick(MOSTLY_MEDIUM), preemptible=chance.pick(RARELY)) for one in snapshot.queue
    )
    return replace(
        snapshot,
        limits=tuple(limits),
        leases=tuple(_of_its_owners(one, limits) for one in leases),
        queue=tuple(_of_its_owners(one, limits) for one in claims),
    )


User = TypeVar("User", Claim, LeaseView)
RARELY = (*[False] * 6, True)


def _of_its_owners(user: User, limits: Collection[Limit]) -> User:
    keys, known = OWNERS[user.workspace], {limit.key for limit in limits}
    wanted = () if user.preemptible or not user.gpus_in_all else keys
    uses: Uses = tuple(use for use in user.uses if use[0] in known)
    uses += tuple((key, user.gpus_in_all) for key in wanted if key in known)
    return replace(user, guarantees=keys, uses=uses)


def eager(chance: Chance, claim: Claim) -> Claim:
    """As it is, or asking for no more than GPUs, and now."""
    again = chance.pick([*[(False, False)] * 4, (True, False), (False, True)])
    found = replace(claim, was_preempted=again[0], was_taken_back=again[1])
    if chance.pick([True, False, False]):
        return found
    found = replace(found, clusters=(), shape="", instance_type="", memory_gib=0, pool="", excluded_nodes=frozenset())
    found = replace(found, not_before=None, pinned_start=None, fixed_start=None, uses=chance.pick([(), found.uses]))
    gpus, nodes = chance.pick([1, 2, 2, 4]), chance.pick([1, 1, 2])
    return replace(found, gpus_per_node=gpus, nodes=nodes, priority=chance.pick([MEDIUM, HIGH, HIGH]))


def loose(chance: Chance, lease: LeaseView) -> LeaseView:
    guaranteed = chance.pick([None, None, 0, 1, 3])
    return replace(
        lease,
        preemptible=chance.pick([True, True, True, False]),
        priority=chance.pick([LOW, LOW, LOW, MEDIUM, HIGH]),
        begun_at=chance.pick([NOON, at(-3), at(-3), at(-9), None]),
        guaranteed_until=None if guaranteed is None else at(guaranteed),
    )


def world_of_leases(chance: Chance) -> Snapshot:
    return lent_world(chance) if chance.pick([True, True, False]) else loose_world(chance)


WORLDS = drawn(world_of_leases)


def rank(one: Claim | LeaseView) -> int:
    return BANDS.index(band_of(one.priority))


def ends_at(snapshot: Snapshot) -> datetime:
    """When what is told now to end early does."""
    return snapshot.now + timedelta(seconds=snapshot.notice_seconds)


def freed_at(snapshot: Snapshot) -> datetime:
    """When it is free."""
    return snapshot.now + timedelta(seconds=max(snapshot.notice_seconds + snapshot.turnaround_seconds, 1))


class Lenders:
    """What is guaranteed and held when that is free; some leases have been told before that they end early."""

    def __init__(self, snapshot: Snapshot, told: Collection[int] = ()) -> None:
        self.snapshot = snapshot
        self.instant = freed_at(snapshot)
        ends = {lease.fence: Oracle(snapshot)._freed(lease) for lease in snapshot.leases}
        self.held = [one for one in snapshot.leases if (end := ends[one.fence]) is None or end > self.instant]
        self.staying = [lease for lease in self.held if lease.fence not in told]

    def guaranteed(self, key: str) -> int | None:
        """None: nothing is."""
        limit = next((limit for limit in self.snapshot.limits if limit.key == key), None)
        if not limit:
            return None
        total = [limit.total, *(total for since, total in limit.changes if since <= self.instant)][-1]
        return None if total == UNLIMITED else total

    def borrows(self, lease: LeaseView, level: int) -> bool:
        """It does not fit in what is left of a guarantee by all that is more important, and not borrowed itself."""
        key, mine = lease.guarantees[level], self._importance(lease, level)
        others = (one for one in self.staying if one.guarantees[level : level + 1] == (key,))
        before = [one for one in others if self._importance(one, level) > mine]
        filled = sum(len(one.gpus) for one in before if not (one.preemptible and self.borrows(one, level)))
        return len(lease.gpus) > (self.guaranteed(key) or 0) - filled

    def may_have_back(self, claim: Claim, lease: LeaseView, windows: Oracle) -> bool:
        """`windows`: what is reserved when it is the claim's turn."""
        mine = [key for key in claim.guarantees if key not in lease.guarantees]
        theirs = [level for level, key in enumerate(lease.guarantees) if key not in claim.guarantees]
        totals = {key: total for key in mine if (total := self.guaranteed(key)) is not None}
        wanted = claim.nodes * claim.gpus_per_node
        return (
            bool(totals and theirs and wanted)
            and not claim.preemptible
            and rank(claim) == rank(lease)
            and all(wanted + self.taken(key, windows) <= totals[key] for key in totals)
            and all(self.borrows(lease, level) for level in theirs)
        )

    def taken(self, key: str, windows: Oracle) -> int:
        """GPUs that are held, those included that end early, or reserved."""
        claims = {claim.gpr_id for claim in self.snapshot.queue if key in claim.guarantees}
        reserved = (use for use in windows.used if use.owner in claims and use.what[0] not in {"limit", "seat"})
        held = (len(lease.gpus) for lease in self.held if key in lease.guarantees)
        return sum(held) + sum(use.amount for use in reserved if use.span.covers(self.instant))

    def _importance(self, lease: LeaseView, level: int) -> tuple[bool, int, bool, float, int]:
        is_own = level == 0 or not (lease.preemptible and self.borrows(lease, level - 1))
        worked = ends_at(self.snapshot) - (lease.begun_at or self.snapshot.now)
        return (not lease.preemptible, rank(lease), is_own, len(lease.gpus) * worked.total_seconds(), lease.fence)
