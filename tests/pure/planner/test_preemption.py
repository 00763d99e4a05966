"""Whose leases end early, and for whom: by examples, and by laws that an oracle judges."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.priority import Band, band_of
from planner.order import in_order
from planner.plan import Grant, Plan, decide, openings, outcome_of, plan
from planner.reasons import ReasonCode
from planner.snapshot import Limit
from tests.builders_planner import HOUR, NOON, a_claim, a_lease, a_node, a_snapshot, at, gpus_of
from tests.pure.planner.oracle import Oracle, Start
from tests.pure.planner.worlds import LAW, law, planned_claims, snapshots

if TYPE_CHECKING:
    from planner.preemption import Preemption
    from planner.snapshot import Claim, HeldGpu, LeaseView, NodeView, Snapshot

pytestmark = pytest.mark.usefixtures("small_pages")
LOW, MEDIUM, HIGH = 50, 150, 250
NOTICE, TURNAROUND = 60, 5
BANDS = list(Band)


def a_weak_lease(name: str, gpus: tuple[HeldGpu, ...], *, worked: int = 2 * HOUR, **other: Any) -> LeaseView:
    fields: dict[str, Any] = {"priority": LOW, "preemptible": True, "begun_at": at(-worked)} | other
    return a_lease(name, gpus, fields.pop("ends", 10 * HOUR), **fields)


def names(snapshot: Snapshot, found: Plan) -> list[list[str]]:
    """Whose leases end, by preemption."""
    by_fence = {lease.fence: lease.gpr_name for lease in snapshot.leases}
    return [sorted(by_fence[fence] for fence in one.fences) for one in found.preemptions]


# --- examples ---------------------------------------------------------------------------------------------------------


def test_a_weaker_lease_ends_after_the_notice_and_the_claim_starts_after_its_teardown() -> None:
    snapshot = a_snapshot(a_node(), a_weak_lease("weak", gpus_of("node-1", *range(8))), a_claim(gpus=8, priority=HIGH))
    found = plan(snapshot)
    [one], [forecast] = found.preemptions, found.forecasts
    assert (one.ends_at, one.starts_at, one.nodes) == (at(NOTICE), at(NOTICE + TURNAROUND), ("node-1",))
    assert forecast.starts_at == one.starts_at
    assert forecast.reason.code is ReasonCode.WAITING_FOR_GPUS
    assert forecast.reason.text == "waits for 8 x GPU on one node of west, first free 12:01 UTC when weak is preempted"


@pytest.mark.parametrize(
    "spared",
    [
        *({"priority": 201}, {"preemptible": False}, {"guaranteed_until": at(NOTICE + 1)}),
        *({"begun_at": None}, {"preempted": True}, {"ends": NOTICE}),
    ],
    ids=lambda spared: next(iter(spared)),
)
def test_it_does_not_end_early_when(spared: dict[str, Any]) -> None:
    weak = a_weak_lease("weak", gpus_of("node-1", *range(8)), **spared)
    assert not plan(a_snapshot(a_node(), weak, a_claim(gpus=8, priority=HIGH))).preemptions


def test_within_a_band_nobody_is_preempted() -> None:
    weak = a_weak_lease("weak", gpus_of("node-1", *range(8)), priority=201)
    assert not plan(a_snapshot(a_node(), weak, a_claim(gpus=8, priority=300))).preemptions


@pytest.mark.parametrize("kept", ["was_preempted", "has_preempted", "pinned_start", "fixed_start"])
def test_nobody_is_preempted_for_a_claim_that(kept: str) -> None:
    weak = a_weak_lease("weak", gpus_of("node-1", *range(8)))
    word: Any = at(20 * HOUR) if "start" in kept else True
    claim = replace(a_claim(gpus=8, priority=HIGH), **{kept: word})
    assert not plan(a_snapshot(a_node(), weak, claim)).preemptions


def test_a_guarantee_that_is_over_when_the_notice_ends_is_over() -> None:
    weak = a_weak_lease("weak", gpus_of("node-1", *range(8)), guaranteed_until=at(NOTICE))
    assert plan(a_snapshot(a_node(), weak, a_claim(gpus=8, priority=HIGH))).preemptions


@pytest.mark.parametrize(("ends", "is_worth_it"), [(2 * (NOTICE + TURNAROUND) - TURNAROUND, False), (200, True)])
def test_it_must_be_worth_more_than_the_notice_and_the_teardown(ends: int, *, is_worth_it: bool) -> None:
    other = a_lease("other", gpus_of("node-1", *range(8)), ends)
    weak = a_weak_lease("weak", gpus_of("node-2", *range(8)))
    snapshot = a_snapshot(a_node(), a_node("node-2"), other, weak, a_claim(gpus=8, priority=HIGH))
    assert bool(plan(snapshot).preemptions) is is_worth_it


def test_where_least_work_is_lost() -> None:
    snapshot = a_snapshot(
        *(a_node(f"node-{number}") for number in (1, 2, 3)),
        a_weak_lease("eight-for-one-hour", gpus_of("node-1", *range(8)), worked=HOUR),
        a_weak_lease("two-for-three-hours", gpus_of("node-2", 0, 1), worked=3 * HOUR),
        a_lease("other", gpus_of("node-2", *range(2, 8)), 9 * HOUR),
        a_weak_lease("seven-for-one-hour", gpus_of("node-3", *range(7)), worked=HOUR),
        a_lease("another", gpus_of("node-3", 7), 9 * HOUR),
        a_claim(gpus=2, priority=HIGH),
    )
    assert names(snapshot, plan(snapshot)) == [["two-for-three-hours"]]


@pytest.mark.parametrize("gpus", [1, 9], ids=["for want of a limit", "for want of nodes"])
def test_many_that_cannot_be_helped_do_not_keep_another_from_it(gpus: int) -> None:
    limits = [Limit(f"user-{number}", 1 if gpus == 1 else 99, "a ceiling") for number in range(70)]
    full = [a_lease(f"own-{one.key}", (), 9 * HOUR, uses=((one.key, 1),)) for one in limits]
    vain = [a_claim(f"vain-{one.key}", gpus=gpus, priority=300, uses=((one.key, gpus),)) for one in limits]
    weak = a_weak_lease("weak", gpus_of("node-1", *range(8)))
    world = (a_node(), a_node("node-2", gpus=16, usable=False), weak, *full, *vain)
    snapshot = a_snapshot(*world, a_claim("helped", gpus=8, priority=HIGH), limits=tuple(limits))
    assert names(snapshot, plan(snapshot)) == [["weak"]]
    assert decide(snapshot).preemptions == plan(snapshot).preemptions


def test_no_more_of_them_than_are_needed() -> None:
    weak = [a_weak_lease(f"weak-{worked}", gpus_of("node-1", worked), worked=worked) for worked in range(1, 8)]
    old = a_weak_lease("old", gpus_of("node-1", 0), worked=9 * HOUR)
    snapshot = a_snapshot(a_node(), *weak, old, a_claim(gpus=3, priority=HIGH))
    assert names(snapshot, plan(snapshot)) == [["weak-1", "weak-2", "weak-3"]]


def test_one_that_the_others_make_needless_is_spared() -> None:
    small = a_weak_lease("small", gpus_of("node-1", 0), worked=1)
    large = a_weak_lease("large", gpus_of("node-1", *range(1, 8)), worked=HOUR)
    snapshot = a_snapshot(a_node(), small, large, a_claim(gpus=7, priority=HIGH))
    assert names(snapshot, plan(snapshot)) == [["large"]]


def test_where_others_take_later_what_the_first_frees_the_next_is_tried() -> None:
    first = a_weak_lease("first", gpus_of("node-1", *range(4)), worked=1, ends=300)
    second = a_weak_lease("second", gpus_of("node-1", *range(4, 8)), worked=HOUR)
    kept: dict[str, Any] = {
        "pinned_start": at(300 + TURNAROUND),
        "planned_cluster": "west",
        "planned_nodes": ("node-1",),
    }
    promised = replace(a_claim("promised", gpus=4, priority=LOW), **kept)
    snapshot = a_snapshot(a_node(), first, second, promised, a_claim(gpus=4, priority=HIGH))
    assert names(snapshot, plan(snapshot)) == [["second"]]


def test_a_gang_ends_what_is_on_nodes_enough_for_all_of_it() -> None:
    nodes = [a_node(f"node-{number}") for number in range(4)]
    weak = [
        a_weak_lease(f"weak-{number}", gpus_of(f"node-{number}", 0), worked=HOUR * (number + 1)) for number in range(4)
    ]
    snapshot = a_snapshot(*nodes, *weak, a_claim(gpus=8, nodes=3, priority=HIGH))
    assert names(snapshot, plan(snapshot)) == [["weak-0", "weak-1", "weak-2"]]


def test_a_gang_of_which_a_part_has_no_room_ends_nobody() -> None:
    weak = a_weak_lease("weak", gpus_of("node-0", *range(8)))
    firm = a_lease("firm", gpus_of("node-1", *range(8)), 10 * HOUR)
    nodes = [a_node(f"node-{number}") for number in range(2)]
    assert not plan(a_snapshot(*nodes, weak, firm, a_claim(gpus=8, nodes=2, priority=HIGH))).preemptions


def test_a_lease_without_an_end_may_make_room_too() -> None:
    weak = a_weak_lease("weak", gpus_of("node-1", *range(8)), ends=None)
    assert plan(a_snapshot(a_node(), weak, a_claim(gpus=8, priority=MEDIUM))).preemptions


def test_a_lease_of_ones_own_workspace_that_runs_one_at_a_time_makes_room() -> None:
    weak = a_weak_lease("weak", gpus_of("node-1", 0), workspace="mine", exclusive=True)
    claim = a_claim(gpus=1, priority=HIGH, workspace="mine", exclusive=True)
    snapshot = a_snapshot(a_node(), weak, claim)
    assert names(snapshot, plan(snapshot)) == [["weak"]]


def test_each_lease_makes_room_once() -> None:
    weak = [a_weak_lease(f"weak-{number}", gpus_of(f"node-{number}", *range(8))) for number in (1, 2)]
    queue = [a_claim(f"strong-{number}", gpus=8, priority=HIGH) for number in (1, 2, 3)]
    found = plan(a_snapshot(a_node(), a_node("node-2"), *weak, *queue))
    assert [(one.gpr_id, len(one.fences)) for one in found.preemptions] == [("strong-1", 1), ("strong-2", 1)]


def test_what_is_preempted_is_queued_first_in_its_band() -> None:
    queue = [
        a_claim("low", priority=100),
        a_claim("medium", priority=101),
        a_claim("was", priority=1, was_preempted=True),
    ]
    assert [claim.gpr_id for claim in in_order(a_snapshot(*queue))] == ["medium", "was", "low"]


def test_a_wish_preempts_nobody_but_is_told_what_would_be() -> None:
    weak, claim = a_weak_lease("weak", gpus_of("node-1", *range(8))), a_claim(gpus=8, priority=HIGH)
    queued = a_claim("queued", gpus=8, priority=LOW)
    snapshot = a_snapshot(a_node(), weak, queued)
    found = openings(snapshot, [claim, replace(claim, gpr_id="other")])
    assert {one.starts_at for one in found.values()} == {at(NOTICE + TURNAROUND)}
    assert outcome_of(snapshot, "queued") == plan(snapshot).forecasts[0]


# --- laws -------------------------------------------------------------------------------------------------------------


@st.composite
def worlds(draw: st.DrawFn) -> Snapshot:
    """Full of leases that mostly may end early; of claims that are mostly easily pleased, and mostly strong."""
    snapshot = draw(snapshots(st.sampled_from([None, 3, 20, 30, 40])))
    leases = tuple(draw(loose(lease)) for lease in snapshot.leases)
    nodes = tuple(replace(node, pools=frozenset(), usable=True) for node in snapshot.nodes)
    queue = tuple(draw(eager(draw(planned_claims(claim.sequence, nodes)))) for claim in snapshot.queue[:6])
    notice = draw(st.sampled_from([0, 1, 2]))
    return replace(snapshot, nodes=nodes, leases=leases, queue=queue, notice_seconds=notice)


@st.composite
def eager(draw: st.DrawFn, claim: Claim) -> Claim:
    """As it is, or asking for no more than GPUs, and now."""
    found = replace(claim, was_preempted=draw(st.sampled_from([False] * 4 + [True])))
    if draw(st.sampled_from([True, False, False])):
        return found
    found = replace(found, clusters=(), shape="", instance_type="", memory_gib=0, pool="", excluded_nodes=frozenset())
    found = replace(
        found, not_before=None, pinned_start=None, fixed_start=None, uses=draw(st.sampled_from([(), found.uses]))
    )
    gpus, nodes = draw(st.sampled_from([1, 2, 2, 4])), draw(st.sampled_from([1, 1, 2]))
    return replace(found, gpus_per_node=gpus, nodes=nodes, priority=draw(st.sampled_from([MEDIUM, HIGH, HIGH])))


@st.composite
def loose(draw: st.DrawFn, lease: LeaseView) -> LeaseView:
    guaranteed = draw(st.sampled_from([None, None, 0, 1, 3]))
    return replace(
        lease,
        preemptible=draw(st.sampled_from([True, True, True, False])),
        priority=draw(st.sampled_from([LOW, LOW, LOW, MEDIUM, HIGH])),
        begun_at=draw(st.sampled_from([NOON, at(-3), at(-3), at(-9), None])),
        guaranteed_until=None if guaranteed is None else at(guaranteed),
    )


def rank(one: Claim | LeaseView) -> int:
    return BANDS.index(band_of(one.priority))


def freed_at(snapshot: Snapshot) -> datetime:
    """When what is told now to end early is free."""
    return snapshot.now + timedelta(seconds=max(snapshot.notice_seconds + snapshot.turnaround_seconds, 1))


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


@law(120)
@given(worlds())
def test_only_weaker_leases_that_may_end_past_their_guarantee_and_only_for_claims_that_keep_no_word(
    snapshot: Snapshot,
) -> None:
    leases = {lease.fence: lease for lease in snapshot.leases}
    claims = {claim.gpr_id: claim for claim in snapshot.queue}
    found = plan(snapshot).preemptions
    for one in found:
        claim = claims[one.gpr_id]
        assert not any((claim.was_preempted, claim.has_preempted, claim.pinned_start, claim.fixed_start))
        assert one.ends_at == snapshot.now + timedelta(seconds=snapshot.notice_seconds)
        assert one.fences
        for lease in (leases[fence] for fence in one.fences):
            assert lease.preemptible
            assert lease.begun_at
            assert rank(lease) < rank(claim)
            assert lease.guaranteed_until is None or lease.guaranteed_until <= one.ends_at
            assert lease.until is None or lease.until > one.ends_at
    fences = [fence for one in found for fence in one.fences]
    assert len(fences) == len(set(fences))


@law(120)
@given(worlds())
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
@given(worlds())
def test_it_is_worth_it_and_where_it_would_be_it_is_done(snapshot: Snapshot) -> None:
    found = plan(snapshot)
    told = {one.gpr_id: one for one in found.preemptions}
    freed, taken = freed_at(snapshot), set[int]()
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
        elif worth_it and not claim.was_preempted and (claim.not_before or freed) <= freed:
            due = {
                lease.fence for lease in snapshot.leases if lease.fence not in taken and may_end(snapshot, claim, lease)
            }
            assert not _with_ended(without, snapshot, due).start_at(claim, freed)


def _but(found: Plan, gpr_id: str) -> tuple[Preemption, ...]:
    return tuple(one for one in found.preemptions if one.gpr_id != gpr_id)


def may_end(snapshot: Snapshot, claim: Claim, lease: LeaseView) -> bool:
    ends_at = snapshot.now + timedelta(seconds=snapshot.notice_seconds)
    guaranteed = lease.guaranteed_until is not None and lease.guaranteed_until > ends_at
    return lease.preemptible and bool(lease.begun_at) and rank(lease) < rank(claim) and not guaranteed


def _with_ended(oracle: Oracle, snapshot: Snapshot, fences: set[int]) -> Oracle:
    """The same windows, and these leases end as soon as they can."""
    ends_at = snapshot.now + timedelta(seconds=snapshot.notice_seconds)
    leases = tuple(
        replace(lease, until=min(lease.until or ends_at, ends_at)) if lease.fence in fences else lease
        for lease in oracle.snapshot.leases
    )
    other = Oracle(replace(oracle.snapshot, leases=leases))
    other.used += [use for use in oracle.used if use.owner]
    return other


@law(120)
@given(worlds())
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
@given(worlds())
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
@given(worlds())
def test_a_second_pass_ends_nothing_more_for_the_same_claim(snapshot: Snapshot) -> None:
    found = plan(snapshot)
    told = {one.gpr_id: one for one in found.preemptions}
    world = snapshot
    for one in found.preemptions:
        world = ended(world, one, set(one.fences))
    fences = {fence for one in found.preemptions for fence in one.fences}
    world = replace(
        world,
        leases=tuple(replace(lease, preempted=lease.fence in fences) for lease in world.leases),
        queue=tuple(_promised(claim, told.get(claim.gpr_id)) for claim in world.queue),
    )
    again = plan(world)
    assert not {one.gpr_id for one in again.preemptions} & set(told)
    for gpr_id, start in starts(world, again).items():
        assert gpr_id not in told or (start and start.when <= told[gpr_id].starts_at)


def _promised(claim: Claim, one: Preemption | None) -> Claim:
    if one is None:
        return claim
    planned = {"planned_cluster": one.cluster, "planned_nodes": one.nodes, "pinned_start": one.starts_at}
    return replace(claim, has_preempted=True, **planned)  # type: ignore[arg-type]


@LAW
@given(worlds())
def test_what_is_decided_is_what_is_planned(snapshot: Snapshot) -> None:
    found, decided = plan(snapshot), decide(snapshot)
    assert decided.grants == found.grants
    assert decided.preemptions == found.preemptions
