"""Whose leases end early, and for whom, by examples: for a stronger band. Laws: `test_preemption_laws`."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from planner import preemption
from planner.order import in_order
from planner.plan import decide, openings, outcome_of, plan
from planner.reasons import ReasonCode
from planner.snapshot import Claim, Closure, LeaseView, Limit, Uses
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
    assert (one.ends_at, one.starts_at) == (at(NOTICE), at(NOTICE + TURNAROUND))
    assert (one.cluster, one.nodes) == ("west", ("node-1",))
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


@pytest.mark.parametrize(
    ("ends", "is_worth_it"), [(2 * NOTICE + TURNAROUND, False), (2 * NOTICE + TURNAROUND + 1, True)]
)
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


# --- which of those that would do ---------------------------------------------------------------------------------------


def _weak(node: str, *parts: tuple[int, int]) -> list[LeaseView]:
    """Leases of so many GPUs, one beside the other, each with the hours that it has worked."""
    found, first = list[LeaseView](), 0
    for gpus, hours in parts:
        held = gpus_of(node, *range(first, first + gpus))
        found.append(a_weak_lease(f"{node}:{len(found)}", held, worked=hours * HOUR))
        first += gpus
    return found


@pytest.mark.parametrize(
    ("asked", "nodes", "expected"),
    [
        ({"gpus": 8}, {"a": [(8, 2)], "b": [(1, 3)] * 8}, ["a:0"]),
        ({"gpus": 8}, {"a": [(4, 2)], "b": [(1, 3)] * 8}, ["a:0"]),
        ({"gpus": 4}, {"a": [(4, 2), (4, 9)], "b": [*[(1, 3)] * 4, (4, 9)]}, ["a:0"]),
        ({"gpus": 8}, {"a": [(4, 2)] * 2, "b": [(1, 3)] * 8}, ["a:0", "a:1"]),
        (
            {"gpus": 8, "excluded_nodes": frozenset({("west", "a")})},
            {"a": [(8, 1)], "b": [(8, 2)], "c": [(1, 3)] * 8},
            ["b:0"],
        ),
        ({"gpus": 4, "nodes": 2, "spread": False}, {"a": [(8, 2)], "b": [(1, 3)] * 8}, ["a:0"]),
        ({"gpus": 4, "nodes": 2, "spread": False}, {"a": [(4, 5)] * 2, "b": [(4, 6)] * 2}, ["a:0", "a:1"]),
        ({"gpus": 8, "nodes": 2}, {"a": [(8, 2)], "b": [(1, 3)] * 8, "c": []}, ["a:0"]),
        (
            {"gpus": 4, "nodes": 2},
            {"a": [(4, 1), (4, 99)], "b": [(4, 2), (4, 3)], "c": [(4, 3), (4, 4)]},
            ["a:0", "b:0"],
        ),
    ],
    ids=[
        *("one node", "one that is free in part", "one of which a part is enough", "several leases of one"),
        *(
            "not one where it failed",
            "parts on one node",
            "parts where several leases are",
            "a gang beside a free node",
        ),
        "a gang where parts are enough",
    ],
)
def test_where_least_is_lost_in_all_though_others_would_lose_less_each(
    asked: dict[str, Any], nodes: dict[str, list[tuple[int, int]]], expected: list[str]
) -> None:
    weak = [lease for name, parts in nodes.items() for lease in _weak(name, *parts)]
    snapshot = a_snapshot(*(a_node(name) for name in nodes), *weak, a_claim(priority=HIGH, **asked))
    assert ended_for(snapshot) == [expected]


def test_of_those_that_would_be_more_than_enough_the_one_that_loses_most_is_spared() -> None:
    weak = _weak("node-1", (1, 1), (1, 2), (2, 3))
    snapshot = a_snapshot(a_node(gpus=4), *weak, a_claim(gpus=3, priority=HIGH))
    assert ended_for(snapshot) == [["node-1:0", "node-1:2"]]


# --- what is said, and to whom -------------------------------------------------------------------------------------------


def test_so_many_are_tried_in_one_pass_and_that_there_may_be_more_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    weak = [lease for number in (1, 2, 3) for lease in _weak(f"node-{number}", (8, 1))]
    queue = [a_claim(f"strong-{number}", gpus=8, priority=HIGH) for number in (1, 2, 3)]
    snapshot = a_snapshot(*(a_node(f"node-{number}") for number in (1, 2, 3)), *weak, *queue)
    assert (len(decide(snapshot).preemptions), decide(snapshot).is_whole) == (3, True)
    monkeypatch.setattr(preemption, "CLAIMS_TRIED_MAX", 2)
    assert (len(decide(snapshot).preemptions), decide(snapshot).is_whole) == (2, False)


def test_what_would_end_for_a_wish_stays_for_all_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preemption, "CLAIMS_TRIED_MAX", 1)
    wishes = [a_claim(name, gpus=8, priority=HIGH) for name in ("first", "second")]
    weaker = a_claim("weaker", gpus=8, priority=LOW)
    found = openings(a_snapshot(a_node(), *_weak("node-1", *[(1, 1)] * 8)), [*wishes, weaker])
    starts = {name: opening.starts_at for name, opening in found.items()}
    soon = at(NOTICE + TURNAROUND)
    assert starts == {"first": soon, "second": soon, "weaker": at(10 * HOUR + TURNAROUND)}


def test_who_waits_for_a_seat_is_told_whose_lease_is_ended_for_it() -> None:
    weak = a_weak_lease("weak", gpus_of("node-2", 0), workspace="mine", exclusive=True)
    claim = a_claim(gpus=8, priority=HIGH, workspace="mine", exclusive=True)
    [forecast] = plan(a_snapshot(a_node(), a_node("node-2"), weak, claim)).forecasts
    expected = "waits for its workspace mine, which runs one at a time: weak holds it until 12:01 UTC"
    assert (forecast.starts_at, forecast.reason.text) == (at(NOTICE + TURNAROUND), expected)


@pytest.mark.parametrize("limited", [False, True])
def test_what_was_tried_in_vain_leaves_no_trace_in_what_others_are_told(*, limited: bool) -> None:
    """Who has the GPUs, or the limit, until the instant at which what is not ended after all would have been free."""

    def uses(amount: int) -> Uses:
        return (("q", amount),) if limited else ()

    def told(*things: LeaseView | Claim) -> str:
        firm, weak = a_lease("firm", gpus_of("node-1", 4), 9 * HOUR), a_weak_lease("weak", gpus_of("node-1", *range(4)))
        vain = a_claim("vain", gpus=8, priority=HIGH, uses=uses(8))
        last = a_claim("last", gpus=3, priority=LOW, uses=uses(3))
        world = (a_node(), firm, replace(weak, uses=uses(4)), vain, last, *things)
        found = plan(a_snapshot(*world, limits=(Limit("q", 8, "the quota"),)))
        assert not found.preemptions
        return found.forecasts[-1].reason.text

    soon = a_lease("soon", gpus_of("node-1", 5, 6, 7), NOTICE, uses=uses(3))
    quick = a_claim("quick", gpus=3, priority=MEDIUM, duration_seconds=NOTICE, uses=uses(3))
    if limited:
        assert told(soon) == "waits for the quota: soon holds it until 12:01 UTC"
        assert told(quick) == "waits for the quota: quick goes first, and holds it until 12:01 UTC"
    else:
        assert told(soon).endswith("first free 12:01 UTC when soon ends")
        assert told(quick).endswith("first free 12:01 UTC when quick, which goes first, ends")


def test_what_ends_early_is_free_until_the_maintenance_that_begins_when_it_would_have_been_free() -> None:
    weak, over = a_weak_lease("weak", gpus_of("node-1", *range(8))), at(10 * HOUR + TURNAROUND)
    queue = [a_claim(f"strong-{number}", gpus=8, priority=HIGH) for number in (1, 2)]
    closures = (Closure("west", "node-1", over, over + timedelta(hours=1), "upgrade"),)
    found = plan(a_snapshot(a_node(), weak, *queue, closures=closures)).forecasts
    assert [one.starts_at for one in found] == [at(NOTICE + TURNAROUND), at(NOTICE + TURNAROUND + HOUR + TURNAROUND)]


def test_what_ends_early_is_not_free_in_the_maintenance_into_which_it_would_have_lasted() -> None:
    upgrade = Closure("west", "node-1", at(9 * HOUR), at(11 * HOUR), "upgrade")
    weak, strong = a_weak_lease("weak", gpus_of("node-1", *range(7))), a_claim("strong", gpus=7, priority=HIGH)
    soon, later = a_claim("soon", priority=300, not_before=at(1)), a_claim("later", not_before=at(10.5 * HOUR))
    found = plan(a_snapshot(a_node(), weak, soon, strong, later, closures=(upgrade,))).forecasts
    assert [one.starts_at for one in found] == [at(1), at(NOTICE + TURNAROUND), at(11 * HOUR)]


@pytest.mark.parametrize("asked", [{"workspace": "busy", "exclusive": True}, {"shape": "T4"}], ids=["seat", "shape"])
def test_that_one_cannot_be_helped_says_nothing_of_another(asked: dict[str, Any]) -> None:
    """Though both ask for as many GPUs."""
    firm = a_lease("firm", gpus_of("node-2", *range(8)), 9 * HOUR, workspace="busy", exclusive=True)
    weak = a_weak_lease("weak", gpus_of("node-1", *range(8)))
    usual: dict[str, Any] = {"shape": "H100", "workspace": "mine", "exclusive": True}
    vain, helped = (a_claim(name, 8, priority=HIGH, **usual | more) for name, more in (("vain", asked), ("helped", {})))
    nodes = (a_node(), a_node("node-2", shape="T4"))
    assert not ended_for(a_snapshot(*nodes, firm, weak, vain))
    assert ended_for(a_snapshot(*nodes, firm, weak, vain, helped)) == [["weak"]]


def test_only_gpus_that_are_healthy_come_free_and_a_node_that_is_gone_frees_none() -> None:
    """GPU 8 is one that the node had."""
    weak, gone = a_weak_lease("weak", gpus_of("node-1", 6, 7, 8)), a_weak_lease("gone", gpus_of("node-9", 0), worked=1)
    claim = a_claim(gpus=7, priority=HIGH)
    snapshot = a_snapshot(a_node(blocked_ordinals=frozenset({7})), weak, gone, claim)
    assert ended_for(snapshot) == [["weak"]]
    assert ended_for(replace(snapshot, queue=(replace(claim, gpus_per_node=8),))) == []


@pytest.mark.parametrize(("wait", "expected"), [(0, [["weak"]]), (1, [])], ids=["when it is free", "a second later"])
def test_nothing_ends_now_for_what_may_only_begin_later(wait: int, expected: list[list[str]]) -> None:
    weak = a_weak_lease("weak", gpus_of("node-1", *range(8)))
    claim = a_claim(gpus=8, priority=HIGH, not_before=at(NOTICE + TURNAROUND + wait))
    assert ended_for(a_snapshot(a_node(), weak, claim)) == expected
