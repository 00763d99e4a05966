"""What is guaranteed to one, and lent to others of the same band, is taken back, by examples. Laws: `test_preemption_laws`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from planner.order import in_order
from planner.plan import Forecast, decide, openings, outcome_of, plan
from planner.snapshot import UNLIMITED, Limit
from tests.builders_planner import (
    HIGH,
    HOUR,
    LOW,
    MEDIUM,
    a_claim,
    a_lease,
    a_node,
    a_snapshot,
    a_weak_lease,
    at,
    ended_for,
    gpus_of,
)

if TYPE_CHECKING:
    from planner.snapshot import Claim, HeldGpu, LeaseView, NodeView, Snapshot

OURS, THEIRS = ("ours", "our-department"), ("theirs", "their-department")
"""Workspaces in departments of their own."""
SIBLINGS = ("siblings", "our-department")
NOTICE = 60


def guaranteed(key: str, gpus: int, *changes: tuple[int, int]) -> Limit:
    over_time = tuple((at(when), then) for when, then in changes)
    return Limit(key, gpus, f"the quota of {key}, {gpus} GPUs", over_time, guaranteed=True)


def borrowing(name: str, gpus: tuple[HeldGpu, ...], **other: Any) -> LeaseView:
    return a_weak_lease(name, gpus, **{"priority": MEDIUM, "guarantees": THEIRS, "workspace": "theirs", **other})


def firm(name: str, gpus: tuple[HeldGpu, ...]) -> LeaseView:
    """It cannot be preempted."""
    uses = tuple((key, len(gpus)) for key in THEIRS)
    return a_lease(name, gpus, 10 * HOUR, guarantees=THEIRS, uses=uses, workspace=THEIRS[0], priority=LOW)


def owed(name: str = "train", gpus: int = 8, **other: Any) -> Claim:
    """Within what is guaranteed to it, if anything is."""
    fields: dict[str, Any] = {"priority": MEDIUM, "guarantees": OURS, **other}
    fields |= {"workspace": fields["guarantees"][0]}
    uses = () if fields.get("preemptible") else tuple((key, gpus) for key in fields["guarantees"])
    return a_claim(name, gpus=gpus, uses=uses, **fields)


def a_world(*things: NodeView | LeaseView | Claim, **limits: int) -> Snapshot:
    """One node of eight GPUs, and more where they are given; `our_department=8` is guaranteed to `our-department`."""
    made = (guaranteed(key.replace("_", "-"), gpus) for key, gpus in limits.items())
    return a_snapshot(a_node(), *things, limits=tuple(made))


def on_node_1(count: int, first: int = 0) -> tuple[HeldGpu, ...]:
    return gpus_of("node-1", *range(first, first + count))


ALL = on_node_1(8)


def test_who_is_within_its_guarantee_has_it_back_from_who_borrows_it() -> None:
    snapshot = a_world(borrowing("weak", ALL), owed(), ours=8)
    [one], [forecast] = plan(snapshot).preemptions, plan(snapshot).forecasts
    assert ended_for(snapshot) == [["weak"]]
    assert one.taken_back == one.fences
    assert forecast.starts_at == one.starts_at == at(NOTICE + 5)
    assert forecast.reason.text.endswith("first free 12:01 UTC when weak, which borrows, is preempted")
    assert decide(snapshot).preemptions == (one,)


def test_once_it_is_told_the_reason_goes_on_saying_so() -> None:
    told = borrowing("weak", ALL, ends=NOTICE, preempted=True, taken_back=True)
    found = outcome_of(a_world(told, owed(), ours=8), "train")
    assert isinstance(found, Forecast)
    assert found.reason.text.endswith("when weak, which borrows, is preempted")


def test_from_a_weaker_band_it_is_said_and_noted_as_before() -> None:
    snapshot = a_world(borrowing("weak", ALL, priority=LOW), owed(), ours=8)
    [one], [forecast] = plan(snapshot).preemptions, plan(snapshot).forecasts
    assert one.taken_back == ()
    assert forecast.reason.text.endswith("when weak is preempted")


@pytest.mark.parametrize(
    "spared",
    [
        *({"priority": HIGH}, {"preemptible": False}, {"guaranteed_until": at(NOTICE + 1)}, {"begun_at": None}),
        *({"guarantees": OURS}, {"guarantees": SIBLINGS}, {"guarantees": ()}),
    ],
    ids=lambda spared: "-".join(map(str, spared.items())),
)
def test_nothing_is_taken_from_a_lease_with(spared: dict[str, Any]) -> None:
    assert ended_for(a_world(borrowing("weak", ALL, **spared), owed(), our_department=16)) == []


@pytest.mark.parametrize("kept", ["preemptible", "was_taken_back", "was_preempted", "has_preempted"])
def test_nothing_is_taken_for_a_claim_that(kept: str) -> None:
    asked: dict[str, Any] = {kept: True}
    claim = owed(**asked)
    assert ended_for(a_world(borrowing("weak", ALL), claim, ours=8)) == []


def test_who_has_nothing_guaranteed_takes_nothing_back() -> None:
    assert ended_for(a_world(borrowing("weak", ALL), owed())) == []
    unlimited = Limit("ours", UNLIMITED, "the quota of ours", guaranteed=True)
    snapshot = a_world(borrowing("weak", ALL), owed())
    assert ended_for(replace(snapshot, limits=(unlimited,))) == []


@pytest.mark.parametrize("preemptible", [True, False])
def test_who_holds_what_is_guaranteed_to_it_takes_no_more_however_it_holds_it(*, preemptible: bool) -> None:
    uses = () if preemptible else (("ours", 1),)
    held = a_lease("own", gpus_of("node-2", 0), 9 * HOUR, guarantees=OURS, preemptible=preemptible, uses=uses)
    world = (a_node("node-2", gpus=1), held, borrowing("weak", ALL))
    assert ended_for(a_world(*world, owed(), ours=8)) == []
    assert ended_for(a_world(*world, owed(), ours=9)) == [["weak"]]


def test_several_claims_together_take_no_more_than_is_guaranteed() -> None:
    half = [borrowing(f"weak-{first}", on_node_1(4, first)) for first in (0, 4)]
    queue = [owed("first", 4), owed("second", 4)]
    assert ended_for(a_world(*half, *queue, ours=4)) == [["weak-0"]]
    assert ended_for(a_world(*half, *queue, ours=8)) == [["weak-0"], ["weak-4"]]


def test_what_is_promised_to_a_claim_counts_as_held() -> None:
    pinned = {"pinned_start": at(30), "planned_cluster": "west", "planned_nodes": ("node-2",)}
    promised = replace(owed("promised", 4, preemptible=True), **pinned)  # type: ignore[arg-type]
    world = (a_node("node-2", gpus=4), a_lease("other", gpus_of("node-2", 0), 20), borrowing("weak", ALL), promised)
    assert ended_for(a_world(*world, owed(), ours=8)) == []
    assert ended_for(a_world(*world, owed(), ours=12)) == [["weak"]]


def test_who_is_within_its_own_guarantee_keeps_it_and_only_what_is_beyond_goes() -> None:
    older = borrowing("older", on_node_1(4), worked=9 * HOUR)
    younger = borrowing("younger", on_node_1(4, 4), worked=HOUR)
    assert ended_for(a_world(older, younger, owed(), ours=8, theirs=8)) == []
    assert ended_for(a_world(older, younger, owed(), ours=8, theirs=4)) == []
    assert ended_for(a_world(older, younger, owed(gpus=4), ours=8, theirs=4)) == [["younger"]]
    assert ended_for(a_world(older, younger, owed(), ours=8, theirs=3)) == [["older", "younger"]]


def test_what_cannot_be_preempted_fills_the_guarantee_first_then_stronger_bands() -> None:
    fixed = firm("fixed", on_node_1(4))
    lent = borrowing("lent", on_node_1(4, 4))
    assert ended_for(a_world(fixed, lent, owed(gpus=4), ours=4, theirs=7)) == [["lent"]]
    assert ended_for(a_world(fixed, lent, owed(gpus=4), ours=4, theirs=8)) == []
    assert ended_for(a_world(fixed, replace(lent, gpus=on_node_1(2, 4)), owed(gpus=4), ours=4, theirs=2)) == [["lent"]]
    high = borrowing("high", on_node_1(4), priority=HIGH, worked=1)
    assert ended_for(a_world(high, lent, owed(gpus=4), ours=4, theirs=4)) == [["lent"]]
    assert ended_for(a_world(high, lent, owed(gpus=4), ours=4, theirs=8)) == []


def test_beside_what_may_be_taken_back_a_stronger_band_stays() -> None:
    high, other = borrowing("high", ALL, priority=HIGH), borrowing("other", gpus_of("node-2", 0))
    assert ended_for(a_world(a_node("node-2", gpus=1), high, other, owed(), ours=8)) == []


def test_who_has_been_told_to_end_does_not_fill_a_guarantee() -> None:
    older = borrowing("older", on_node_1(4), worked=9 * HOUR)
    younger = borrowing("younger", gpus_of("node-2", *range(4)))
    nodes = (a_node("node-1", gpus=4), a_node("node-2", gpus=4, shape="T4"))
    strong, train = a_claim("strong", gpus=4, shape="H100", priority=HIGH), owed(gpus=4, shape="T4")
    limits = (guaranteed("ours", 4), guaranteed("theirs", 4))
    assert ended_for(a_snapshot(*nodes, older, younger, train, limits=limits)) == [["younger"]]
    assert ended_for(a_snapshot(*nodes, older, younger, strong, train, limits=limits)) == [["older"]]


def test_that_another_asks_for_the_same_in_vain_changes_nothing() -> None:
    low = borrowing("low", gpus_of("node-2", 0), priority=LOW)
    vain = owed("vain", guarantees=("nobodys", "our-department"), priority=200)
    assert ended_for(a_world(a_node("node-2", gpus=1), low, borrowing("weak", ALL), vain, owed(), ours=8)) == [["weak"]]


def test_nor_that_one_of_the_same_department_does_who_has_filled_what_is_its_own() -> None:
    low = borrowing("low", gpus_of("node-2", 0), priority=LOW)
    own = borrowing("own", gpus_of("node-3", 0), guarantees=SIBLINGS, workspace="siblings")
    vain = owed("vain", guarantees=SIBLINGS, priority=200)
    things = (a_node("node-2", gpus=1), a_node("node-3", gpus=1), low, own, borrowing("weak", ALL))
    assert ended_for(a_world(*things, vain, siblings=8, our_department=16)) == []
    assert ended_for(a_world(*things, vain, owed(), siblings=8, our_department=16)) == [["weak"]]


def test_wishes_are_told_what_would_be_taken_back_each_as_if_it_came_alone() -> None:
    snapshot, wish = a_world(borrowing("weak", ALL), ours=8), owed()
    found = openings(snapshot, [wish, replace(wish, gpr_id="other")])
    assert {one.starts_at for one in found.values()} == {at(NOTICE + 5)}


def test_what_ends_before_the_notice_is_over_is_held_by_nobody() -> None:
    soon = firm("soon", gpus_of("node-2", 0))
    lent = borrowing("lent", ALL)
    world = (a_node("node-2", gpus=1), lent, owed())
    assert ended_for(a_world(soon, *world, ours=8, theirs=8)) == [["lent"]]
    assert ended_for(a_world(replace(soon, until=at(NOTICE)), *world, ours=8, theirs=8)) == []


def test_where_least_work_is_lost() -> None:
    short = borrowing("short", on_node_1(4), worked=HOUR)
    weaker = borrowing("weaker", on_node_1(4, 4), worked=2 * HOUR, priority=LOW)
    assert ended_for(a_world(short, weaker, owed(gpus=4), ours=4)) == [["short"]]
    assert ended_for(a_world(short, weaker, owed(gpus=8), ours=8)) == [["short", "weaker"]]


def test_nothing_is_taken_where_the_claim_starts_anyway() -> None:
    soon = a_lease("soon", gpus_of("node-2", *range(8)), 100)
    assert ended_for(a_world(a_node("node-2"), soon, borrowing("weak", ALL), owed(), ours=8)) == []


# --- departments ------------------------------------------------------------------------------------------------------


def test_a_department_takes_back_for_a_workspace_of_it_that_has_nothing_of_its_own() -> None:
    weak = borrowing("weak", ALL)
    assert ended_for(a_world(weak, owed(), our_department=8)) == [["weak"]]
    assert ended_for(a_world(weak, owed(), our_department=7)) == []
    assert ended_for(a_world(weak, owed(), our_department=8, ours=7)) == []


def test_what_its_workspaces_hold_counts_against_a_department() -> None:
    sibling = a_lease("sibling", gpus_of("node-2", 0), 9 * HOUR, guarantees=SIBLINGS, preemptible=True)
    world = (a_node("node-2", gpus=1), sibling, borrowing("weak", ALL), owed())
    assert ended_for(a_world(*world, our_department=8)) == []
    assert ended_for(a_world(*world, our_department=8, ours=8)) == []
    assert ended_for(a_world(*world, our_department=9)) == [["weak"]]


def test_within_a_department_a_workspace_has_back_what_is_its_own() -> None:
    sibling = borrowing("sibling", ALL, guarantees=SIBLINGS)
    assert ended_for(a_world(sibling, owed(), our_department=8)) == []
    assert ended_for(a_world(sibling, owed(), our_department=8, ours=8)) == [["sibling"]]
    assert ended_for(a_world(sibling, owed(), our_department=8, ours=8, siblings=8)) == []


def test_what_a_department_may_hold_nobody_else_takes_from_its_workspaces() -> None:
    weak = borrowing("weak", ALL)
    assert ended_for(a_world(weak, owed(), ours=8, their_department=8)) == []
    assert ended_for(a_world(weak, owed(), ours=8, their_department=7)) == [["weak"]]
    assert ended_for(a_world(weak, owed(), ours=8, their_department=7, theirs=8)) == []


def test_of_a_department_that_borrows_gives_back_who_is_beyond_its_own() -> None:
    own = borrowing("own", on_node_1(4), worked=HOUR)
    beyond = borrowing("beyond", on_node_1(4, 4), worked=9 * HOUR, guarantees=("others", "their-department"))
    snapshot = a_world(own, beyond, owed(gpus=4), ours=4, theirs=4, their_department=4)
    assert ended_for(snapshot) == [["beyond"]]


# --- over time --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("when", "is_taken"), [(NOTICE + 5, True), (NOTICE + 6, False)])
def test_what_counts_is_what_is_guaranteed_when_the_claim_would_start(when: int, *, is_taken: bool) -> None:
    snapshot = a_world(borrowing("weak", ALL), owed(), ours=8)
    lender = guaranteed("theirs", 8, (when, 0))
    found = ended_for(replace(snapshot, limits=(*snapshot.limits, lender)))
    assert found == ([["weak"]] if is_taken else [])


def test_what_gave_back_what_it_borrowed_is_not_lifted_in_its_band() -> None:
    queue = [owed("older", priority=120), replace(owed("was", priority=110), was_taken_back=True)]
    assert [claim.gpr_id for claim in in_order(a_snapshot(*queue))] == ["older", "was"]


def test_one_gpu_of_who_has_nothing_guaranteed_is_borrowed_too() -> None:
    snapshot = a_world(borrowing("weak", on_node_1(1)), owed(gpus=1), ours=1)
    assert ended_for(replace(snapshot, nodes=(a_node(gpus=1),))) == [["weak"]]


def test_what_ends_for_a_stronger_band_leaves_its_part_of_the_guarantee_to_others() -> None:
    older = borrowing("older", on_node_1(4), worked=9 * HOUR)
    high = borrowing("high", gpus_of("node-3", 0), priority=HIGH)
    younger = borrowing("younger", gpus_of("node-2", *range(4)))
    nodes = (a_node(gpus=4), a_node("node-2", gpus=4, shape="T4"), a_node("node-3", gpus=1, shape="L4"))
    strong, train = owed("strong", 4, shape="H100", priority=HIGH), owed(gpus=4, shape="T4")
    limits = (guaranteed("ours", 8), guaranteed("theirs", 5))
    assert ended_for(a_snapshot(*nodes, older, younger, high, train, limits=limits)) == [["younger"]]
    assert ended_for(a_snapshot(*nodes, older, younger, high, strong, train, limits=limits)) == [["older"]]


def test_that_nothing_is_lent_to_one_who_can_be_preempted_says_nothing_of_one_who_cannot() -> None:
    low = borrowing("low", gpus_of("node-2", 0), priority=LOW)
    vain, train = owed("vain", preemptible=True), replace(owed(), uses=())
    things = (a_node("node-2", gpus=1), low, borrowing("weak", ALL))
    assert ended_for(a_world(*things, vain, ours=8)) == []
    assert ended_for(a_world(*things, vain, train, ours=8)) == [["weak"]]


def test_what_would_be_taken_back_in_vain_leaves_no_trace_in_what_others_are_told() -> None:
    firm, vain = a_lease("firm", gpus_of("node-1", 4), 9 * HOUR), owed("vain", priority=200)
    quick, last = a_claim("quick", gpus=3, duration_seconds=NOTICE), a_claim("last", gpus=3)
    found = plan(a_world(firm, borrowing("weak", on_node_1(4)), vain, quick, last, ours=8))
    assert not found.preemptions
    assert found.forecasts[-1].reason.text.endswith("first free 12:01 UTC when quick, which goes first, ends")
