"""Whose leases end early, and for whom, by examples: for a stronger band. Laws: `test_preemption_laws`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from planner.order import in_order
from planner.plan import decide, openings, outcome_of, plan
from planner.reasons import ReasonCode
from planner.snapshot import Limit
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

NOTICE, TURNAROUND = 60, 5


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
    assert ended_for(snapshot) == [["two-for-three-hours"]]


@pytest.mark.parametrize("gpus", [1, 9], ids=["for want of a limit", "for want of nodes"])
def test_many_that_cannot_be_helped_do_not_keep_another_from_it(gpus: int) -> None:
    limits = [Limit(f"user-{number}", 1 if gpus == 1 else 99, "a ceiling") for number in range(70)]
    full = [a_lease(f"own-{one.key}", (), 9 * HOUR, uses=((one.key, 1),)) for one in limits]
    vain = [a_claim(f"vain-{one.key}", gpus=gpus, priority=300, uses=((one.key, gpus),)) for one in limits]
    weak = a_weak_lease("weak", gpus_of("node-1", *range(8)))
    nodes = (a_node(), a_node("node-2", gpus=16, usable=False))
    queue = (*vain, a_claim("helped", gpus=8, priority=HIGH))
    snapshot = a_snapshot(*nodes, weak, *full, *queue, limits=tuple(limits))
    assert ended_for(snapshot) == [["weak"]]
    assert decide(snapshot).preemptions == plan(snapshot).preemptions


def test_no_more_of_them_than_are_needed() -> None:
    weak = [a_weak_lease(f"weak-{worked}", gpus_of("node-1", worked), worked=worked) for worked in range(1, 8)]
    old = a_weak_lease("old", gpus_of("node-1", 0), worked=9 * HOUR)
    snapshot = a_snapshot(a_node(), *weak, old, a_claim(gpus=3, priority=HIGH))
    assert ended_for(snapshot) == [["weak-1", "weak-2", "weak-3"]]


def test_one_that_the_others_make_needless_is_spared() -> None:
    small = a_weak_lease("small", gpus_of("node-1", 0), worked=1)
    large = a_weak_lease("large", gpus_of("node-1", *range(1, 8)), worked=HOUR)
    snapshot = a_snapshot(a_node(), small, large, a_claim(gpus=7, priority=HIGH))
    assert ended_for(snapshot) == [["large"]]


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
    assert ended_for(snapshot) == [["second"]]


def test_a_gang_ends_what_is_on_nodes_enough_for_all_of_it() -> None:
    nodes = [a_node(f"node-{number}") for number in range(4)]
    weak = [
        a_weak_lease(f"weak-{number}", gpus_of(f"node-{number}", 0), worked=HOUR * (number + 1)) for number in range(4)
    ]
    snapshot = a_snapshot(*nodes, *weak, a_claim(gpus=8, nodes=3, priority=HIGH))
    assert ended_for(snapshot) == [["weak-0", "weak-1", "weak-2"]]


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
    assert ended_for(snapshot) == [["weak"]]


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
