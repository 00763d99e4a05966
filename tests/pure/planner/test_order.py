from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.order import in_order
from planner.snapshot import Claim, LeaseView, Snapshot, Standing
from planner.usage import decayed
from tests.builders_planner import HOUR, NOON, a_claim, a_lease, a_snapshot, at, gpus_of
from tests.pure.planner.chance import drawn
from tests.pure.planner.worlds import LAW, kept_snapshot

DAY = timedelta(days=1)
RED, BLUE = Standing("red"), Standing("blue")


def _names(*things: Claim | LeaseView, **other: Any) -> list[str]:
    return [claim.gpr_id for claim in in_order(_snapshot(*things, **other))]


def _snapshot(*things: Claim | LeaseView, **other: Any) -> Snapshot:
    return a_snapshot(*things, **other)


def _of(workspace: str, *names: str, **other: Any) -> list[Claim]:
    return [a_claim(name, workspace=workspace, **other) for name in names]


def test_without_standings_age_alone_decides_among_equals() -> None:
    assert _names(*_of("red", "r1", "r2"), *_of("blue", "b1")) == ["r1", "r2", "b1"]


def test_workspaces_take_turns() -> None:
    queue = [*_of("red", "r1", "r2", "r3"), *_of("blue", "b1", "b2")]
    assert _names(*queue, standings=(RED, BLUE)) == ["r1", "b1", "r2", "b2", "r3"]


def test_who_had_less_lately_goes_first() -> None:
    queue = [*_of("red", "r1"), *_of("blue", "b1")]
    assert _names(*queue, standings=(Standing("red", used=2), Standing("blue", used=1))) == ["b1", "r1"]


def test_a_workspace_of_twice_the_weight_gets_two_turns_for_one() -> None:
    queue = [*_of("red", "r1", "r2", "r3"), *_of("blue", "b1", "b2", "b3", "b4")]
    names = _names(*queue, standings=(RED, Standing("blue", weight=2)))
    assert names == ["r1", "b1", "b2", "r2", "b3", "b4", "r3"]


def test_large_requests_take_larger_turns() -> None:
    queue = [*_of("red", "big", gpus=3), *_of("red", "r2"), *_of("blue", "b1", "b2", "b3")]
    assert _names(*queue, standings=(RED, BLUE)) == ["big", "b1", "b2", "b3", "r2"]


def test_what_running_leases_will_still_take_counts_as_had() -> None:
    lease = a_lease("run", gpus_of("node-1", 0), HOUR, workspace="red")
    queue = [*_of("red", "r1"), *_of("blue", "b1", "b2")]
    assert _names(lease, *queue, standings=(RED, BLUE)) == ["b1", "r1", "b2"]


def test_a_workspace_without_a_standing_has_had_nothing() -> None:
    queue = [*_of("red", "r1"), *_of("new", "n1")]
    assert _names(*queue, standings=(Standing("red", used=1),)) == ["n1", "r1"]


# --- pools that are reckoned apart ------------------------------------------------------------------------------------

RED_IN_GOLD, BLUE_IN_GOLD = Standing("red", pool="gold"), Standing("blue", pool="gold")


def test_in_a_pool_counts_what_is_weighed_there_and_elsewhere_what_is_weighed_else() -> None:
    standings = (Standing("red", weight=2), BLUE, RED_IN_GOLD, Standing("blue", weight=2, pool="gold"))
    turns = ["b1", "r1", "r2", "b2", "r3", "r4", "b3"]
    outside = [*_of("blue", "b1", "b2", "b3"), *_of("red", "r1", "r2", "r3", "r4")]
    assert _names(*outside, standings=standings) == turns
    inside = [replace(claim, pool="gold", workspace="blue" if claim.workspace == "red" else "red") for claim in outside]
    assert _names(*inside, standings=standings) == turns


def test_what_was_had_elsewhere_does_not_count_in_a_pool_apart_nor_the_other_way_round() -> None:
    standings = (Standing("red", used=9 * HOUR), BLUE, RED_IN_GOLD, Standing("blue", used=HOUR, pool="gold"))
    inside = [*_of("blue", "b1", pool="gold"), *_of("red", "r1", pool="gold")]
    assert _names(*inside, standings=standings) == ["r1", "b1"]
    outside = [*_of("red", "r1"), *_of("blue", "b1")]
    assert _names(*outside, standings=standings) == ["b1", "r1"]


def test_leases_count_where_they_were_asked_for() -> None:
    lease = a_lease("run", gpus_of("node-1", 0), HOUR, workspace="red", pool="gold")
    standings = (RED, BLUE, RED_IN_GOLD, BLUE_IN_GOLD)
    inside = [*_of("red", "r1", pool="gold"), *_of("blue", "b1", pool="gold")]
    assert _names(lease, *inside, standings=standings) == ["b1", "r1"]
    outside = [*_of("red", "r1"), *_of("blue", "b1")]
    assert _names(lease, *outside, standings=standings) == ["r1", "b1"]
    assert _names(lease, *outside, standings=(RED, BLUE)) == ["b1", "r1"]


def test_a_pool_in_which_nobody_stands_counts_with_all_else() -> None:
    standings = (Standing("red", used=HOUR), BLUE, RED_IN_GOLD)
    queue = [*_of("red", "r1", pool="silver"), *_of("blue", "b1", "b2"), *_of("blue", "b3", pool="silver")]
    assert _names(*queue, standings=standings) == ["b1", "r1", "b2", "b3"]


def test_what_a_workspace_asks_for_in_one_account_does_not_take_its_turn_in_another() -> None:
    queue = [*_of("red", "r1", "r2", pool="gold"), *_of("red", "r3"), *_of("blue", "b1")]
    assert _names(*queue, standings=(RED, BLUE, RED_IN_GOLD)) == ["r1", "r3", "b1", "r2"]


def test_who_stands_nowhere_in_a_pool_apart_weighs_one_there() -> None:
    queue = [*_of("red", "r1", "r2", pool="gold"), *_of("new", "n1", "n2", "n3", pool="gold")]
    standings = (Standing("new", weight=9), Standing("red", weight=2, pool="gold"))
    assert _names(*queue, standings=standings) == ["r1", "n1", "r2", "n2", "n3"]


@LAW
@given(drawn(kept_snapshot))
def test_each_account_is_in_the_order_that_it_would_have_alone(snapshot: Snapshot) -> None:
    apart = {standing.pool for standing in snapshot.standings} - {""}

    def mine(pool: str, one: Claim | LeaseView) -> bool:
        return (one.pool if one.pool in apart else "") == pool

    for pool in {"", *apart}:
        queue = tuple(claim for claim in snapshot.queue if mine(pool, claim))
        leases = tuple(lease for lease in snapshot.leases if mine(pool, lease))
        alone = in_order(replace(snapshot, queue=queue, leases=leases))
        assert [claim for claim in in_order(snapshot) if mine(pool, claim)] == alone


def test_priority_goes_before_fair_share() -> None:
    queue = [*_of("red", "r1", priority=150), *_of("blue", "b1")]
    assert _names(*queue, standings=(Standing("red", used=9 * HOUR), BLUE)) == ["r1", "b1"]


def test_a_wait_lifts_a_claim_by_a_point_for_each_full_period() -> None:
    old = a_claim("old", priority=101, submitted_at=at(-2 * HOUR))
    new = a_claim("new", priority=102, sequence=0, submitted_at=NOON)
    assert _names(new, old, ageing_seconds=HOUR) == ["old", "new"]
    assert _names(new, old, ageing_seconds=HOUR + 1) == ["new", "old"]
    assert _names(new, old) == ["new", "old"]


def test_no_wait_lifts_a_claim_out_of_its_band() -> None:
    old = a_claim("old", priority=100, submitted_at=at(-999 * HOUR))
    assert _names(old, a_claim("new", priority=101), ageing_seconds=1) == ["new", "old"]
    assert _names(old, a_claim("new", priority=100), ageing_seconds=1) == ["old", "new"]


def test_a_claim_from_the_future_is_not_made_weaker() -> None:
    early = a_claim("early", submitted_at=at(HOUR))
    assert _names(early, a_claim("late"), ageing_seconds=1) == ["early", "late"]


def test_use_counts_half_after_a_half_life() -> None:
    recent = decayed(8, NOON - DAY / 100, NOON, NOON, DAY)
    before = decayed(8, NOON - DAY - DAY / 100, NOON - DAY, NOON, DAY)
    assert abs(recent - 2 * before) <= 1
    assert 0.99 * 8 * 864 < recent < 8 * 864


def test_what_still_runs_counts_until_now_and_what_has_not_begun_not_at_all() -> None:
    assert decayed(1, NOON - DAY, NOON + DAY, NOON, DAY) == decayed(1, NOON - DAY, NOON, NOON, DAY)
    assert decayed(1, NOON + DAY, NOON + 2 * DAY, NOON, DAY) == 0


@LAW
@given(st.integers(1, 10**6), st.integers(1, 10**6), st.integers(0, 10**6))
def test_two_leases_in_a_row_count_as_one(first: int, second: int, ago: int) -> None:
    begin = NOON - timedelta(seconds=first + second + ago)
    middle, end = begin + timedelta(seconds=first), begin + timedelta(seconds=first + second)
    parts = decayed(4, begin, middle, NOON, DAY) + decayed(4, middle, end, NOON, DAY)
    assert abs(decayed(4, begin, end, NOON, DAY) - parts) <= 1


@pytest.mark.parametrize(
    "more", [{}, {"standings": (RED, BLUE)}, {"ageing_seconds": HOUR}], ids=["plain", "fair", "ageing"]
)
def test_what_was_preempted_goes_first_in_its_band_however_else_is_ordered(more: dict[str, Any]) -> None:
    was = a_claim("was", priority=110, was_preempted=True, workspace="red")
    assert _names(a_claim("older", priority=200, workspace="blue"), was, **more) == ["was", "older"]


def test_long_requests_take_larger_turns_and_one_without_an_end_counts_as_a_day() -> None:
    queue = [*_of("blue", "b1", "b2"), *_of("red", "r2"), *_of("blue", "b3")]
    for seconds, expected in ((2 * HOUR, ["r1", "b1", "b2", "r2", "b3"]), (None, ["r1", "b1", "b2", "b3", "r2"])):
        first = a_claim("r1", workspace="red", duration_seconds=seconds, sequence=0)
        assert _names(first, *queue, standings=(RED, BLUE)) == expected


def test_all_leases_of_a_workspace_count_and_those_that_are_overdue_for_nothing() -> None:
    leases = [a_lease(f"run-{gpu}", gpus_of("node-1", gpu), HOUR, workspace="red") for gpu in (0, 1)]
    queue = [*_of("red", "r1"), *_of("blue", "b1")]
    assert _names(*leases, *queue, standings=(RED, Standing("blue", used=HOUR + 1))) == ["b1", "r1"]
    overdue = a_lease("overdue", gpus_of("node-1", 2), -HOUR, workspace="red")
    assert _names(overdue, *queue, standings=(RED, BLUE)) == ["r1", "b1"]


def test_who_has_no_weight_weighs_one() -> None:
    queue = [*_of("new", "n1", "n2", "n3"), *_of("red", "r1", "r2")]
    assert _names(*queue, standings=(Standing("red", weight=2),)) == ["n1", "r1", "r2", "n2", "n3"]
