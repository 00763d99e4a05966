from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from planner.plan import Plan, decide, plan
from planner.reasons import ReasonCode
from planner.snapshot import Claim, LeaseView, Limit, NodeView
from tests.builders_planner import HOUR, a_claim, a_lease, a_node, a_snapshot, at, gpus_of

WHOLE = tuple(range(8))


def _plan(*things: NodeView | LeaseView | Claim) -> Plan:
    return plan(a_snapshot(*things, turnaround_seconds=0))


def _starts(found: Plan) -> dict[str, datetime | None]:
    return dict.fromkeys((grant.gpr_id for grant in found.grants), at(0)) | {
        forecast.gpr_id: forecast.starts_at for forecast in found.forecasts
    }


def _kept(claim: Claim, *nodes: str, pinned: int | None = None, fixed: int | None = None) -> Claim:
    return replace(
        claim,
        planned_cluster="west",
        planned_nodes=nodes,
        pinned_start=None if pinned is None else at(pinned),
        fixed_start=None if fixed is None else at(fixed),
    )


def test_no_newcomer_moves_a_promise_however_strong_it_is() -> None:
    busy = a_lease("busy", gpus_of("node-1", *WHOLE), HOUR)
    promised = _kept(a_claim("promised", gpus=8, priority=0), "node-1", pinned=HOUR)
    found = _starts(_plan(a_node(), busy, promised, a_claim("strong", gpus=8, priority=300)))
    assert found == {"promised": at(HOUR), "strong": at(2 * HOUR)}


def test_a_stronger_claim_may_use_the_time_before_a_promise() -> None:
    promised = _kept(a_claim("promised", gpus=8), "node-1", pinned=HOUR)
    strong = a_claim("strong", gpus=8, priority=300)
    assert _starts(_plan(a_node(), promised, strong)) == {"strong": at(0), "promised": at(HOUR)}


def test_a_promised_claim_starts_earlier_when_it_can() -> None:
    promised = _kept(a_claim("promised", gpus=8), "node-1", pinned=HOUR)
    assert _starts(_plan(a_node(), promised, a_claim("next", gpus=8))) == {"promised": at(0), "next": at(HOUR)}


def test_a_promise_for_now_is_granted_though_what_is_kept_leaves_nothing_free() -> None:
    promised = _kept(a_claim("promised", gpus=8), "node-1", pinned=0)
    grants = decide(a_snapshot(a_node(), promised, turnaround_seconds=0)).grants
    assert [grant.gpr_id for grant in grants] == ["promised"]


def test_a_promise_on_a_lost_node_is_served_before_all_that_have_none() -> None:
    nodes = [a_node("node-1", usable=False), a_node("node-2")]
    busy = a_lease("busy", gpus_of("node-2", *WHOLE), 2 * HOUR)
    promised = _kept(a_claim("promised", gpus=8, priority=0), "node-1", pinned=HOUR)
    found = _starts(_plan(*nodes, busy, promised, a_claim("strong", gpus=8, priority=300)))
    assert found == {"promised": at(2 * HOUR), "strong": at(3 * HOUR)}


def test_a_broken_promise_leaves_the_others_alone() -> None:
    nodes = [a_node("node-1", usable=False), a_node("node-2")]
    broken = _kept(a_claim("broken", gpus=8, priority=300, duration_seconds=2 * HOUR), "node-1", pinned=0)
    intact = _kept(a_claim("intact", gpus=8, priority=0, not_before=at(HOUR)), "node-2", pinned=HOUR)
    assert _starts(_plan(*nodes, broken, intact)) == {"broken": at(2 * HOUR), "intact": at(HOUR)}


def test_what_stands_behind_a_lease_that_ends_a_little_late_moves_by_as_little() -> None:
    late = a_lease("late", gpus_of("node-1", *WHOLE), HOUR + 3)
    first = _kept(a_claim("first", gpus=8, priority=0), "node-1", pinned=HOUR)
    second = _kept(a_claim("second", gpus=8, priority=200), "node-1", pinned=2 * HOUR)
    found = _starts(_plan(a_node(), late, first, second))
    assert found == {"first": at(HOUR + 3), "second": at(2 * HOUR + 3)}


def test_a_reservation_starts_at_its_instant_and_says_so() -> None:
    reserved = _kept(a_claim("reserved", gpus=8, priority=0), "node-1", fixed=2 * HOUR)
    found = _plan(a_node(), reserved, a_claim("strong", gpus=8, priority=300, duration_seconds=2 * HOUR + 1))
    assert _starts(found) == {"reserved": at(2 * HOUR), "strong": at(3 * HOUR)}
    reason = next(forecast.reason for forecast in found.forecasts if forecast.gpr_id == "reserved")
    assert (reason.code, reason.text) == (ReasonCode.RESERVED, "its reservation begins at 14:00 UTC")


def test_the_time_before_a_reservation_is_used() -> None:
    reserved = _kept(a_claim("reserved", gpus=8), "node-1", fixed=2 * HOUR)
    filler = a_claim("filler", gpus=8, duration_seconds=2 * HOUR)
    assert _starts(_plan(a_node(), reserved, filler)) == {"reserved": at(2 * HOUR), "filler": at(0)}


def test_a_reservation_whose_instant_has_come_is_granted_on_its_nodes() -> None:
    reserved = _kept(a_claim("reserved", gpus=8), "node-2", fixed=0)
    grants = _plan(a_node("node-1"), a_node("node-2"), reserved).grants
    assert [grant.gpus for grant in grants] == [gpus_of("node-2", *WHOLE)]


def test_a_reservation_whose_node_is_lost_gets_another_at_the_same_instant() -> None:
    nodes = [a_node("node-1", usable=False), a_node("node-2")]
    reserved = _kept(a_claim("reserved", gpus=8, priority=0), "node-1", fixed=HOUR)
    strong = a_claim("strong", gpus=8, priority=300, duration_seconds=2 * HOUR)
    assert _starts(_plan(*nodes, reserved, strong)) == {"reserved": at(HOUR), "strong": at(2 * HOUR)}


def test_of_all_that_lost_their_nodes_reservations_are_served_first() -> None:
    nodes = [a_node("node-1", usable=False), a_node("node-2")]
    promised = _kept(a_claim("promised", gpus=8, priority=300), "node-1", pinned=HOUR)
    reserved = _kept(a_claim("reserved", gpus=8, priority=0), "node-1", fixed=0)
    assert _starts(_plan(*nodes, promised, reserved)) == {"reserved": at(0), "promised": at(HOUR)}


def test_a_promise_to_a_request_without_gpus_keeps_its_seat() -> None:
    seat: dict[str, Any] = {"workspace": "red", "exclusive": True, "gpus": 0}
    promised = _kept(a_claim("promised", priority=0, **seat), pinned=HOUR)
    strong = a_claim("strong", priority=300, duration_seconds=HOUR + 1, **seat)
    assert _starts(_plan(a_node(), promised, strong)) == {"promised": at(0), "strong": at(2 * HOUR)}


def test_a_promise_stays_where_it_is_though_a_preferred_cluster_comes_free_at_the_same_instant() -> None:
    nodes = [a_node(cluster=cluster) for cluster in ("east", "west")]
    busy = [a_lease(f"busy-{one.cluster}", gpus_of("node-1", *WHOLE, cluster=one.cluster), HOUR) for one in nodes]
    promised = _kept(a_claim("promised", gpus=8, clusters=("east", "west")), "node-1", pinned=HOUR)
    (forecast,) = _plan(*nodes, *busy, promised).forecasts
    assert (forecast.starts_at, forecast.cluster) == (at(HOUR), "west")


@pytest.mark.parametrize(
    ("late", "starts"),
    [
        (60, {"first": at(HOUR + 60), "second": at(2 * HOUR + 60)}),
        (61, {"first": at(3 * HOUR), "second": at(2 * HOUR)}),
    ],
)
def test_what_is_late_by_a_minute_stays_on_its_nodes_and_by_a_second_more_is_served_anew(
    late: int, starts: dict[str, datetime | None]
) -> None:
    first = _kept(a_claim("first", gpus=8), "node-1", pinned=HOUR)
    second = _kept(a_claim("second", gpus=8), "node-1", fixed=2 * HOUR)
    assert _starts(_plan(a_node(), a_lease("late", gpus_of("node-1", *WHOLE), HOUR + late), first, second)) == starts


def _told_last(*things: LeaseView | Claim, limited: bool) -> str:
    """What the weakest is told, which waits until two hours after noon: behind all these and a promise that was moved to now."""
    promised, last = _kept(a_claim("promised", gpus=4), "node-1", pinned=HOUR), a_claim("last", gpus=8, priority=0)
    world = a_snapshot(a_node(), promised, last, *things, turnaround_seconds=0, limits=(Limit("q", 8, "the quota"),))
    if limited:
        leases = tuple(replace(lease, uses=(("q", lease.gpus_in_all),)) for lease in world.leases)
        queue = tuple(replace(claim, uses=(("q", claim.gpus_in_all),)) for claim in world.queue)
        world = replace(world, leases=leases, queue=queue)
    found = plan(world)
    assert (_starts(found)["promised"], _starts(found)["last"]) == (at(0), at(2 * HOUR))
    return next(forecast.reason.text for forecast in found.forecasts if forecast.gpr_id == "last")


def test_a_promise_that_is_started_earlier_leaves_no_trace_where_it_would_have_ended() -> None:
    following = a_claim("next", gpus=8, priority=50)
    assert _told_last(following, limited=False).endswith("when next, which goes first, ends")
    assert _told_last(following, limited=True).endswith("next goes first, and holds it until 14:00 UTC")


@pytest.mark.parametrize("limited", [False, True])
def test_nor_is_forgotten_who_has_the_gpus_or_the_limit_until_that_instant(*, limited: bool) -> None:
    text = _told_last(a_lease("busy", gpus_of("node-1", 0, 1, 2, 3), 2 * HOUR), limited=limited)
    assert text.endswith("busy holds it until 14:00 UTC" if limited else "when busy ends")


def test_who_waits_for_a_stronger_claim_that_would_have_ended_with_the_promise_is_told_until_when() -> None:
    text = _told_last(a_claim("strong", gpus=4, priority=300, not_before=at(HOUR)), limited=True)
    assert text.startswith("waits for the quota: ")
    assert text.endswith(" goes first, and holds it until 14:00 UTC")
