"""Whose leases end early, and for whom: laws that an oracle judges, in worlds where also is taken back what was lent."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from itertools import count
from typing import TYPE_CHECKING

import pytest
from hypothesis import assume, given

from planner.order import in_order
from planner.plan import Grant, Plan, decide, plan
from planner.snapshot import Claim, LeaseView
from tests.pure.planner.oracle import Oracle, Start
from tests.pure.planner.preemption_worlds import WORLDS, Lenders, ends_at, freed_at, rank
from tests.pure.planner.worlds import LAW, law

if TYPE_CHECKING:
    from datetime import datetime

    from planner.preemption import Preemption
    from planner.snapshot import NodeView, Snapshot

pytestmark = pytest.mark.usefixtures("small_pages")


def ended(snapshot: Snapshot, one: Preemption, fences: set[int]) -> Snapshot:
    """These leases end when it says so."""
    told = [replace(lease, until=one.ends_at) if lease.fence in fences else lease for lease in snapshot.leases]
    # the oracle gives an end that is now a turnaround of at least a second, as the planner does
    return replace(snapshot, leases=tuple(told))


def starts(snapshot: Snapshot, found: Plan) -> dict[str, Start | None]:
    every: dict[str, Start | None] = {}
    for grant in found.grants:
        every[grant.gpr_id] = Start(snapshot.now, grant.cluster, _nodes_of(snapshot, grant))
    for forecast in found.forecasts:
        known = forecast.starts_at and forecast.cluster
        every[forecast.gpr_id] = (
            Start(forecast.starts_at, forecast.cluster, forecast.nodes)
            if known and forecast.starts_at and forecast.cluster
            else None
        )
    return every


def _nodes_of(snapshot: Snapshot, grant: Grant) -> tuple[str, ...]:
    """One for each of the claim's nodes."""
    each = next(claim.gpus_per_node for claim in snapshot.queue if claim.gpr_id == grant.gpr_id)
    return tuple(gpu.node for gpu in grant.gpus[::each]) if each else ()


def at_its_turn(snapshot: Snapshot, found: Plan, gpr_id: str, but: int | None = None) -> Oracle:
    """What was left for a claim: kept windows and those of all stronger claims reserved, and leases that end early ended.

    `but`: this one lease does not end early.
    """
    order, told = in_order(snapshot), {one.gpr_id: one for one in found.preemptions}
    before = order[: [claim.gpr_id for claim in order].index(gpr_id)]
    mine = {gpr_id} if gpr_id in told else set()
    world = snapshot
    for one in (told[claim] for claim in [*(claim.gpr_id for claim in before), *mine] if claim in told):
        world = ended(world, one, set(one.fences) - {but})
    oracle, settled = Oracle(world), starts(snapshot, found)
    as_it_was = Oracle(snapshot)
    kept = as_it_was.keep(order)
    for claim in order:
        if claim.gpr_id in kept and claim not in before:
            oracle.reserve(claim, kept[claim.gpr_id])
    for claim in before:
        start = settled[claim.gpr_id]
        if start:
            oracle.reserve(claim, start)
    return oracle


@law(200)
@given(WORLDS)
def test_only_leases_that_may_end_past_their_guarantee_weaker_ones_or_such_as_borrow_what_is_guaranteed_to_the_claim(
    snapshot: Snapshot,
) -> None:
    leases = {lease.fence: lease for lease in snapshot.leases}
    claims = {claim.gpr_id: claim for claim in snapshot.queue}
    found, told = plan(snapshot), set[int]()
    for one in found.preemptions:
        claim, lenders, then = claims[one.gpr_id], Lenders(snapshot, told), at_its_turn(snapshot, found, one.gpr_id)
        assert not any((claim.was_preempted, claim.was_taken_back, claim.has_preempted))
        assert not any((claim.pinned_start, claim.fixed_start))
        assert one.ends_at == ends_at(snapshot)
        assert one.fences
        for lease in (leases[fence] for fence in one.fences):
            assert may_end(snapshot, lease)
            assert lease.until is None or lease.until > one.ends_at
            is_taken_back = lease.fence in one.taken_back
            assert is_taken_back == (rank(lease) == rank(claim))
            assert lenders.may_have_back(claim, lease, then) if is_taken_back else rank(lease) < rank(claim)
        told |= set(one.fences)
    assert len(told) == sum(len(one.fences) for one in found.preemptions)


@law(200)
@given(WORLDS)
def test_who_takes_back_has_no_more_than_is_guaranteed_to_it_and_from_whom_it_is_taken_has_more(
    snapshot: Snapshot,
) -> None:
    claims = {claim.gpr_id: claim for claim in snapshot.queue}
    leases = {lease.fence: lease for lease in snapshot.leases}
    found, told = plan(snapshot), set[int]()
    for one in found.preemptions:
        claim, taken = claims[one.gpr_id], [leases[fence] for fence in one.taken_back]
        lenders, then = Lenders(snapshot, told), at_its_turn(snapshot, found, one.gpr_id)
        for lease in taken:
            mine = {key: lenders.guaranteed(key) for key in claim.guarantees if key not in lease.guarantees}
            assert any(total is not None for total in mine.values())
            for key, total in mine.items():
                assert total is None or lenders.taken(key, then) + claim.gpus_in_all <= total
            for key in (key for key in lease.guarantees if key not in claim.guarantees):
                there = [other for other in lenders.staying if key in other.guarantees]
                as_strong = (other for other in there if not other.preemptible or rank(other) >= rank(lease))
                assert sum(other.gpus_in_all for other in as_strong) > (lenders.guaranteed(key) or 0)
        told |= set(one.fences)


@law(120)
@given(WORLDS)
def test_it_fits_and_without_any_one_of_them_it_would_not(snapshot: Snapshot) -> None:
    found = plan(snapshot)
    claims = {claim.gpr_id: claim for claim in snapshot.queue}
    for one in found.preemptions:
        claim = claims[one.gpr_id]
        assert one.starts_at == freed_at(snapshot)
        assert at_its_turn(snapshot, found, one.gpr_id).start_at(claim, one.starts_at)
        for fence in one.fences:
            assert not at_its_turn(snapshot, found, one.gpr_id, but=fence).start_at(claim, one.starts_at)


@law(120)
@given(WORLDS)
def test_it_is_worth_it_and_where_it_would_be_it_is_done(snapshot: Snapshot) -> None:
    found = plan(snapshot)
    told = {one.gpr_id: one for one in found.preemptions}
    freed, taken, has_taken_back = freed_at(snapshot), set[int](), False
    for claim in in_order(snapshot):
        if claim.pinned_start or claim.fixed_start:
            continue
        mine = told.get(claim.gpr_id)
        without = at_its_turn(snapshot, replace(found, preemptions=_but(found, claim.gpr_id)), claim.gpr_id)
        alone = without.earliest(claim)
        worth_it = alone is None or alone.when > snapshot.now + 2 * (freed - snapshot.now)
        if mine:
            assert worth_it
            taken |= set(mine.fences)
            has_taken_back |= bool(mine.taken_back)
        elif has_taken_back or claim.was_preempted or claim.was_taken_back:
            continue  # what is left of what others took back is found by the next pass
        elif worth_it and (claim.not_before or freed) <= freed:
            due = {lease.fence for lease in _yielding(snapshot, claim, taken, without)}
            assert not _with_ended(without, snapshot, due).start_at(claim, freed)


def _but(found: Plan, gpr_id: str) -> tuple[Preemption, ...]:
    return tuple(one for one in found.preemptions if one.gpr_id != gpr_id)


def may_end(snapshot: Snapshot, lease: LeaseView) -> bool:
    """For somebody."""
    guaranteed = lease.guaranteed_until is not None and lease.guaranteed_until > ends_at(snapshot)
    return lease.preemptible and bool(lease.begun_at) and not guaranteed


def _yielding(snapshot: Snapshot, claim: Claim, told: set[int], then: Oracle) -> list[LeaseView]:
    """All that may end for this claim."""
    lenders = Lenders(snapshot, told)
    possible = [lease for lease in lenders.staying if may_end(snapshot, lease)]
    return [one for one in possible if rank(one) < rank(claim) or lenders.may_have_back(claim, one, then)]


def _with_ended(oracle: Oracle, snapshot: Snapshot, fences: set[int]) -> Oracle:
    """The same windows, and these leases end as soon as they can."""
    end = ends_at(snapshot)
    leases = tuple(
        replace(lease, until=min(lease.until or end, end)) if lease.fence in fences else lease
        for lease in oracle.snapshot.leases
    )
    other = Oracle(replace(oracle.snapshot, leases=leases))
    other.used += [use for use in oracle.used if use.owner]
    return other


@law(120)
@given(WORLDS)
def test_no_stronger_claim_is_delayed_and_no_kept_window_slips(snapshot: Snapshot) -> None:
    found = plan(snapshot)
    order = in_order(snapshot)
    first = next(
        (place for place, claim in enumerate(order) if claim.gpr_id in {one.gpr_id for one in found.preemptions}), 0
    )
    firm = plan(replace(snapshot, leases=tuple(replace(lease, preemptible=False) for lease in snapshot.leases)))
    before, after = starts(snapshot, firm), starts(snapshot, found)
    for claim in order[:first] if found.preemptions else order:
        assert after[claim.gpr_id] == before[claim.gpr_id]
    for gpr_id, kept in Oracle(snapshot).keep(order).items():
        start = after[gpr_id]
        assert start
        assert start.when <= kept.when


@law(120)
@given(WORLDS)
def test_no_gpu_is_given_to_two_at_any_time(snapshot: Snapshot) -> None:
    found = plan(snapshot)
    world = snapshot
    for one in found.preemptions:
        world = ended(world, one, set(one.fences))
    oracle, settled = Oracle(world), starts(snapshot, found)
    for claim in in_order(snapshot):
        start = settled[claim.gpr_id]
        if start:
            oracle.reserve(claim, start)
    for instant in {use.span.start for use in oracle.used}:
        for node in snapshot.nodes:
            assert _all_of(node, oracle, instant) <= node.gpus - len(node.blocked_ordinals & set(range(node.gpus)))


def _all_of(node: NodeView, oracle: Oracle, instant: datetime) -> int:
    place = (node.cluster, node.name)
    return sum(use.amount for use in oracle.used if use.what == place and use.span.covers(instant))


@LAW
@given(WORLDS)
def test_a_second_pass_ends_nothing_more_for_the_same_claim(snapshot: Snapshot) -> None:
    found = plan(snapshot)
    assume(not _is_serving_anew(snapshot, found))
    told = {one.gpr_id: one for one in found.preemptions}
    queue = tuple(_promised(claim, told.get(claim.gpr_id)) for claim in snapshot.queue)
    world = replace(snapshot, leases=as_told(snapshot, found), queue=queue)
    again = plan(world)
    assert not {one.gpr_id for one in again.preemptions} & set(told)
    for gpr_id, start in starts(world, again).items():
        assert gpr_id not in told or (start and start.when <= told[gpr_id].starts_at)


def _is_serving_anew(snapshot: Snapshot, found: Plan) -> bool:
    """A promise that lost its place or is late takes whatever is free sooner, also what was freed for others (decision 19)."""
    kept, oracle = starts(snapshot, found), Oracle(snapshot)
    for claim in snapshot.queue:
        start = kept[claim.gpr_id]
        if (claim.pinned_start or claim.fixed_start) and (
            not start or start.when > oracle._pin(claim) or start.nodes != tuple(dict.fromkeys(claim.planned_nodes))
        ):
            return True
    return False


def as_told(snapshot: Snapshot, found: Plan) -> tuple[LeaseView, ...]:
    """The leases, once those that end early know it."""
    ends = {fence: one for one in found.preemptions for fence in one.fences}
    return tuple(
        replace(
            lease,
            until=ends[lease.fence].ends_at,
            preempted=True,
            taken_back=lease.fence in ends[lease.fence].taken_back,
        )
        if lease.fence in ends
        else lease
        for lease in snapshot.leases
    )


def _promised(claim: Claim, one: Preemption | None) -> Claim:
    if one is None:
        return claim
    planned = {"planned_cluster": one.cluster, "planned_nodes": one.nodes, "pinned_start": one.starts_at}
    return replace(claim, has_preempted=True, **planned)  # type: ignore[arg-type]


@LAW
@given(WORLDS)
def test_what_is_decided_is_what_is_planned(snapshot: Snapshot) -> None:
    found, decided = plan(snapshot), decide(snapshot)
    assert decided.grants == found.grants
    assert decided.preemptions == found.preemptions


@law(60)
@given(WORLDS)
def test_whatever_comes_of_it_each_claim_preempts_once_and_what_was_preempted_or_can_be_takes_nothing_back(
    snapshot: Snapshot,
) -> None:
    life, preempted = Life(snapshot), Counter[str]()
    for _ in range(25):
        found = life.step()
        claims = {claim.gpr_id: claim for claim in life.before.queue}
        holders = {lease.fence: lease.gpr_id for lease in life.before.leases}
        preempted.update(one.gpr_id for one in found.preemptions)
        for one in (one for one in found.preemptions if one.taken_back):
            claim = claims[one.gpr_id]
            assert not any((claim.preemptible, claim.was_taken_back, claim.was_preempted))
            assert life.takers.isdisjoint(holders[fence] for fence in one.fences)
            life.takers.add(one.gpr_id)
    assert set(preempted.values()) <= {1}


class Life:
    """What comes of a world in which all that is planned is done, and to which nobody else comes."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = self.before = snapshot
        self.takers: set[str] = set()
        self._claims = {claim.gpr_id: claim for claim in (*map(_as_asked, snapshot.leases), *snapshot.queue)}
        self._fences = count(1 + max((lease.fence for lease in snapshot.leases), default=0))

    def step(self) -> Plan:
        """What is decided now; then it is when anything ends or is to start."""
        self.before, found = self.snapshot, plan(self.snapshot)
        leases = (*as_told(self.before, found), *map(self._begun, found.grants))
        granted, told = {grant.gpr_id for grant in found.grants}, {one.gpr_id: one for one in found.preemptions}
        waiting = [
            _promised(claim, told.get(claim.gpr_id)) for claim in self.before.queue if claim.gpr_id not in granted
        ]
        ends = {lease.fence: Oracle(self.before)._freed(lease) for lease in leases}
        ahead = (*ends.values(), *(one.starts_at for one in found.forecasts))
        now = min((end for end in ahead if end and end > self.before.now), default=self.before.now)
        gone = [lease for lease in leases if (end := ends[lease.fence]) and end <= now]
        again = [self._again(lease) for lease in gone if lease.preempted]
        staying = tuple(lease for lease in leases if lease not in gone)
        self.snapshot = replace(self.before, now=now, leases=staying, queue=(*waiting, *again))
        return found

    def _begun(self, grant: Grant) -> LeaseView:
        claim, now = self._claims[grant.gpr_id], self.before.now
        until = None if claim.duration_seconds is None else now + timedelta(seconds=claim.duration_seconds)
        whose = (claim.gpr_id, claim.gpr_name, claim.workspace, claim.exclusive)
        lease = LeaseView(
            next(self._fences), *whose, until, grant.gpus, claim.uses, claim.preemptible, claim.priority, now
        )
        return replace(lease, guarantees=claim.guarantees)

    def _again(self, lease: LeaseView) -> Claim:
        claim = self._claims[lease.gpr_id]
        return replace(claim, was_preempted=not lease.taken_back, was_taken_back=lease.taken_back)


def _as_asked(lease: LeaseView) -> Claim:
    """What a lease that is there from the beginning may have come from."""
    whose = (lease.gpr_id, lease.gpr_name, lease.workspace, lease.exclusive)
    claim = Claim(*whose, -lease.fence, lease.priority, len(lease.gpus), 1, 5, (), spread=False, uses=lease.uses)
    return replace(claim, preemptible=lease.preemptible, guarantees=lease.guarantees)
