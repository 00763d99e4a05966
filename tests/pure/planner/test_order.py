from __future__ import annotations

from datetime import timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from planner.order import in_order
from planner.snapshot import Claim, LeaseView, Snapshot, Standing
from planner.usage import decayed
from tests.builders_planner import HOUR, NOON, a_claim, a_lease, a_snapshot, at, gpus_of
from tests.pure.planner.worlds import LAW

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
