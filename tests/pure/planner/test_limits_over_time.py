"""Limits that change as time goes by, and what is guaranteed to one and lent to others."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from planner.plan import Forecast, Grant, openings, outcome_of, plan
from planner.reasons import ReasonCode
from planner.snapshot import UNLIMITED, Claim, LeaseView, Limit, NodeView
from planner.windows import Extension, fits, longest_extension, nearest
from tests.builders_planner import HOUR, a_claim, a_lease, a_node, a_snapshot, at, gpus_of

QUOTA = "the quota of workspace vision, 4 GPUs"


def a_limit(total: int = 4, *changes: tuple[int, int], **other: Any) -> Limit:
    return Limit("q", total, QUOTA, tuple((at(when), then) for when, then in changes), **other)


def wanting(name: str, gpus: int, seconds: int | None = HOUR, **other: Any) -> Claim:
    return a_claim(name, gpus=gpus, duration_seconds=seconds, uses=(("q", gpus),), **other)


def holding(name: str, gpus: int, ends: int | None, **other: Any) -> LeaseView:
    return a_lease(name, gpus_of("node-1", *range(gpus)), ends, uses=(("q", gpus),), **other)


def outcome(limit: Limit, *things: NodeView | LeaseView | Claim, of: str = "train") -> Grant | Forecast:
    return outcome_of(a_snapshot(a_node(), *things, limits=(limit,), turnaround_seconds=0), of)


def forecast(limit: Limit, *things: NodeView | LeaseView | Claim) -> Forecast:
    found = outcome(limit, *things)
    assert isinstance(found, Forecast)
    return found


def test_a_request_starts_when_its_limit_is_raised() -> None:
    found = forecast(a_limit(4, (2 * HOUR, 8)), wanting("train", 6))
    assert (found.starts_at, found.reason.code) == (at(2 * HOUR), ReasonCode.QUOTA_BUSY)
    assert found.reason.text == f"waits for {QUOTA}: 4 until 14:00 UTC, 8 from then on"


def test_a_request_starts_when_its_limit_is_lifted() -> None:
    found = forecast(a_limit(4, (HOUR, UNLIMITED)), wanting("train", 6))
    assert found.reason.text == f"waits for {QUOTA}: 4 until 13:00 UTC, no limit from then on"


def test_a_request_that_would_last_into_a_smaller_limit_waits_until_it_is_over() -> None:
    limit = a_limit(4, (HOUR, 2), (3 * HOUR, 4))
    assert isinstance(outcome(limit, wanting("train", 4)), Grant)
    found = forecast(limit, wanting("train", 4, 2 * HOUR))
    assert found.starts_at == at(3 * HOUR)
    assert found.reason.text == f"waits for {QUOTA}: 2 until 15:00 UTC, 4 from then on"


def test_what_ends_before_a_limit_is_lowered_starts_at_once_and_what_does_not_is_told_who_holds_it() -> None:
    limit, running = a_limit(4, (2 * HOUR, 3)), holding("run", 3, HOUR)
    found = forecast(limit, running, wanting("train", 3, 5 * HOUR))
    assert found.starts_at == at(HOUR)
    assert found.reason.text == f"waits for {QUOTA}: run holds it until 13:00 UTC"


def test_a_limit_below_what_runs_ends_nothing_and_grants_nothing() -> None:
    limit, running = a_limit(2, (3 * HOUR, 6)), holding("run", 4, 2 * HOUR)
    found = forecast(limit, running, wanting("train", 1))
    assert found.starts_at == at(2 * HOUR)
    assert forecast(limit, holding("run", 4, None), wanting("train", 1)).starts_at == at(3 * HOUR)


def test_more_than_any_stretch_of_a_limit_allows_has_a_reason_and_no_time() -> None:
    found = forecast(a_limit(4, (HOUR, 6), (2 * HOUR, 4)), wanting("train", 8))
    assert (found.starts_at, found.reason.code) == (None, ReasonCode.LARGER_THAN_ITS_QUOTA)
    assert found.reason.text == f"asks for more than {QUOTA} and than it will be at any time that is known"


@pytest.mark.parametrize("seconds", [2 * HOUR, None])
def test_longer_than_the_only_stretch_that_is_large_enough_is_told_the_stretch(seconds: int | None) -> None:
    found = forecast(a_limit(4, (HOUR, 6), (2 * HOUR, 4)), wanting("train", 6, seconds))
    assert (found.starts_at, found.reason.code) == (None, ReasonCode.LARGER_THAN_ITS_QUOTA)
    expected = f"asks for more than {QUOTA}, or for longer: it is 6 from 13:00 UTC until 14:00 UTC"
    assert found.reason.text == expected


def test_a_change_that_lies_behind_counts() -> None:
    assert isinstance(outcome(a_limit(4, (-HOUR, 8)), wanting("train", 6)), Grant)
    assert forecast(a_limit(8, (0, 2), (HOUR, 8)), wanting("train", 6)).starts_at == at(HOUR)


def test_an_extension_ends_where_the_limit_is_lowered() -> None:
    snapshot = a_snapshot(a_node(), holding("run", 4, HOUR), limits=(a_limit(4, (2 * HOUR, 3)),), turnaround_seconds=0)
    seconds, blocker = longest_extension(snapshot, "id-run", 9 * HOUR)
    assert seconds == HOUR
    assert blocker
    assert blocker.text == f"there is no more of {QUOTA} from 14:00 UTC"
    raised = replace(snapshot, limits=(a_limit(4, (2 * HOUR, 5)),))
    assert longest_extension(raised, "id-run", 9 * HOUR) == Extension(9 * HOUR, None)


def test_room_for_a_reservation_is_where_its_limit_is_large_enough() -> None:
    snapshot = a_snapshot(a_node(), limits=(a_limit(4, (2 * HOUR, 8), (4 * HOUR, 4)),), turnaround_seconds=0)
    wish = wanting("lecture", 6, fixed_start=at(HOUR))
    assert fits(snapshot, wish) is None
    assert nearest(snapshot, wish) == [at(2 * HOUR)]
    assert fits(snapshot, replace(wish, fixed_start=at(3 * HOUR)))


# --- guaranteed and lent ----------------------------------------------------------------------------------------------


def test_a_request_above_its_guarantee_is_told_when_it_could_start_if_it_could_be_preempted() -> None:
    limit, running = a_limit(4, guaranteed=True), holding("run", 4, HOUR)
    found = forecast(limit, running, wanting("train", 2))
    assert found.starts_at == at(HOUR)
    expected = f"waits for {QUOTA}: run holds it until 13:00 UTC; if it could be preempted, it could start at once"
    assert found.reason.text == expected


def test_what_it_could_do_on_its_own_later_place_does_not_stand_in_its_way() -> None:
    """The node is as large as the request, so that only one of its two windows can be reserved."""
    limit, other = a_limit(8, guaranteed=True), a_lease("other", gpus_of("node-2", 0), HOUR, uses=(("q", 4),))
    things = (a_node(), a_node("node-2", gpus=1), other, wanting("train", 8, 9 * HOUR))
    found = plan(a_snapshot(*things, limits=(limit,), turnaround_seconds=0)).forecasts[0]
    assert found.reason.text.endswith("; if it could be preempted, it could start at once")


def test_a_request_larger_than_its_guarantee_is_told_the_same() -> None:
    limit, other = a_limit(4, guaranteed=True), a_lease("other", gpus_of("node-1", *range(4)), HOUR)
    found = forecast(limit, other, wanting("train", 6))
    assert (found.starts_at, found.reason.code) == (None, ReasonCode.LARGER_THAN_ITS_QUOTA)
    assert found.reason.text == f"asks for more than {QUOTA}; if it could be preempted, it could start at 13:00 UTC"


def test_nothing_is_told_where_being_preemptible_would_not_help() -> None:
    ceiling = Limit("c", 4, "the ceiling of workspace vision, 4 GPUs")
    claim = replace(wanting("train", 2), uses=(("q", 2), ("c", 2)))
    running = replace(holding("run", 4, HOUR), uses=(("q", 4), ("c", 4)))
    snapshot = a_snapshot(a_node(), running, claim, limits=(a_limit(4, guaranteed=True), ceiling), turnaround_seconds=0)
    assert "preempted" not in plan(snapshot).forecasts[0].reason.text


def test_gpus_that_decide_are_named_and_not_the_guarantee() -> None:
    full = a_lease("full", gpus_of("node-1", *range(8)), 2 * HOUR)
    found = forecast(a_limit(4, guaranteed=True), full, wanting("train", 2))
    assert found.reason.code is ReasonCode.WAITING_FOR_GPUS
    assert "preempted" not in found.reason.text


def test_a_wish_is_told_the_same_as_what_is_queued() -> None:
    limit, running, claim = a_limit(4, guaranteed=True), holding("run", 4, HOUR), wanting("train", 2)
    snapshot = a_snapshot(a_node(), running, limits=(limit,), turnaround_seconds=0)
    opening = openings(snapshot, [claim])["train"]
    assert opening.reason == forecast(limit, running, claim).reason


def test_longer_than_a_limit_stays_large_enough_is_told_until_when_it_is() -> None:
    found = forecast(a_limit(6, (HOUR, 4)), wanting("train", 6, 2 * HOUR))
    assert found.reason.text == f"asks for more than {QUOTA}, or for longer: it is 6 until 13:00 UTC"


def test_what_waits_for_a_guarantee_that_is_held_without_an_end_is_told_when_it_could_start_too() -> None:
    found = forecast(a_limit(4, guaranteed=True), holding("run", 4, None), wanting("train", 2))
    assert (found.starts_at, found.reason.code) == (None, ReasonCode.NO_KNOWN_END)
    expected = f"waits for {QUOTA}: run has no known end; if it could be preempted, it could start at once"
    assert found.reason.text == expected


def test_when_it_could_start_if_it_could_be_preempted_is_told_with_its_time() -> None:
    full = a_lease("full", gpus_of("node-1", *range(8)), HOUR)
    other = a_lease("other", gpus_of("node-2", 0), 5 * HOUR, uses=(("q", 4),))
    found = forecast(a_limit(4, guaranteed=True), a_node("node-2", gpus=1), full, other, wanting("train", 2))
    assert found.starts_at == at(5 * HOUR)
    assert found.reason.text.endswith(
        "other holds it until 17:00 UTC; if it could be preempted, it could start at 13:00 UTC"
    )


def test_two_limits_have_to_be_large_enough_at_one_time() -> None:
    early = Limit("early", 4, QUOTA, ((at(2 * HOUR), 0), (at(4 * HOUR), 4)))
    late = Limit("late", 0, QUOTA, ((at(2 * HOUR), 4),))
    claim = a_claim(uses=(("early", 1), ("late", 1)))
    found = plan(a_snapshot(a_node(), claim, limits=(early, late), turnaround_seconds=0))
    assert found.forecasts[0].starts_at == at(4 * HOUR)


def test_a_limit_has_to_be_large_enough_when_gpus_come_free() -> None:
    full = a_lease("full", gpus_of("node-1", *range(8)), 2 * HOUR)
    assert forecast(a_limit(4, (HOUR, 0), (3 * HOUR, 4)), full, wanting("train", 1)).starts_at == at(3 * HOUR)


@pytest.mark.parametrize("late", ["a lease", "the GPUs", "itself"])
def test_what_comes_free_too_late_for_a_limit_that_shrinks_is_not_said_to_be_held_without_an_end(late: str) -> None:
    limit = Limit("q", 6, QUOTA, ((at(2 * HOUR), 4),))
    until = HOUR + HOUR // 2
    uses = (("q", 3),) if late == "a lease" else ()
    running = a_lease("run", gpus_of("node-1", 0, 1, 2), until if late != "itself" else 1, uses=uses)
    claim = a_claim(gpus=6, uses=(("q", 6),), not_before=at(until) if late == "itself" else None)
    (found,) = plan(a_snapshot(a_node(), running, claim, limits=(limit,))).forecasts
    assert found.starts_at is None
    assert found.reason.code is ReasonCode.LARGER_THAN_ITS_QUOTA
    assert found.reason.text == f"asks for more than {QUOTA}, or for longer: it is 6 until 14:00 UTC"
