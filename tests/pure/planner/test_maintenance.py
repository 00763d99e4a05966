"""Announced maintenance: nothing is placed into it, what runs stays, and what waits for its end is told so."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from planner.plan import Forecast, outcome_of, plan
from planner.reasons import ReasonCode
from planner.snapshot import Closure
from planner.windows import KeptWindow, fits, kept_during, longest_extension
from tests.builders_planner import HOUR, a_claim, a_lease, a_node, a_snapshot, at, gpus_of

if TYPE_CHECKING:
    from planner.snapshot import Claim, LeaseView, NodeView, Snapshot

UPGRADE = Closure("west", "node-1", at(2 * HOUR), at(3 * HOUR), "upgrade")


def _world(*things: NodeView | LeaseView | Claim, closures: tuple[Closure, ...] = (UPGRADE,)) -> Snapshot:
    return a_snapshot(a_node("node-1", gpus=2), *things, turnaround_seconds=0, closures=closures)


def _forecast(snapshot: Snapshot, gpr_id: str = "train") -> Forecast:
    found = outcome_of(snapshot, gpr_id)
    assert isinstance(found, Forecast)
    return found


def _granted(snapshot: Snapshot) -> set[str]:
    return {grant.gpr_id for grant in plan(snapshot).grants}


def test_what_is_over_when_it_begins_starts_now() -> None:
    assert _granted(_world(a_claim(duration_seconds=2 * HOUR))) == {"train"}


def test_what_would_overlap_it_by_a_second_starts_when_it_is_over_and_is_told_why() -> None:
    found = _forecast(_world(a_claim(duration_seconds=2 * HOUR + 1)))
    assert (found.starts_at, found.reason.code) == (at(3 * HOUR), ReasonCode.MAINTENANCE)
    assert found.reason.text == "waits for 1 x GPU on one node of west: maintenance 'upgrade' until 15:00 UTC"


def test_the_teardown_must_be_over_too() -> None:
    snapshot = replace(_world(a_claim(duration_seconds=2 * HOUR)), turnaround_seconds=1)
    assert _forecast(snapshot).starts_at == at(3 * HOUR)


def test_a_claim_without_an_end_is_not_placed_before_it_but_after_it() -> None:
    assert _forecast(_world(a_claim(duration_seconds=None))).starts_at == at(3 * HOUR)


def test_another_node_is_taken_instead() -> None:
    snapshot = _world(a_node("node-2"), a_claim(duration_seconds=None))
    assert [gpu.node for grant in plan(snapshot).grants for gpu in grant.gpus] == ["node-2"]


def test_what_comes_free_meanwhile_is_used_when_it_is_over() -> None:
    running = a_lease("runs", gpus_of("node-1", 0, 1), 2 * HOUR + 600)
    assert _forecast(_world(running, a_claim())).starts_at == at(3 * HOUR)


def test_a_lease_that_lasts_longer_than_it_is_waited_for() -> None:
    running = a_lease("runs", gpus_of("node-1", 0, 1), 4 * HOUR)
    found = _forecast(_world(running, a_claim()))
    assert (found.starts_at, found.reason.code) == (at(4 * HOUR), ReasonCode.WAITING_FOR_GPUS)


def test_one_right_behind_the_other_are_waited_for_together() -> None:
    second = Closure("west", "node-1", at(3 * HOUR), at(5 * HOUR), "cables")
    found = _forecast(_world(a_claim(duration_seconds=2 * HOUR + 1), closures=(UPGRADE, second)))
    assert (found.starts_at, "'cables'" in found.reason.text) == (at(5 * HOUR), True)


def test_what_is_over_makes_no_difference() -> None:
    over = Closure("west", "node-1", at(-HOUR), at(0), "upgrade")
    assert _granted(_world(a_claim(duration_seconds=None), closures=(over,))) == {"train"}


def test_a_lease_is_extended_up_to_it_and_it_is_named() -> None:
    snapshot = _world(a_lease("runs", gpus_of("node-1", 0), HOUR))
    found = longest_extension(snapshot, "id-runs", 2 * HOUR)
    assert found.blocker
    assert (found.seconds, found.blocker.gpr_id) == (HOUR, "")
    assert found.blocker.text == "maintenance 'upgrade' has node-1 from 14:00 UTC"


def test_a_lease_that_runs_into_it_is_not_extended() -> None:
    snapshot = _world(a_lease("runs", gpus_of("node-1", 0), 2 * HOUR + 60))
    assert longest_extension(snapshot, "id-runs", 60).seconds == 0


def test_nothing_is_reserved_in_it() -> None:
    wish = a_claim("wish", fixed_start=at(HOUR), duration_seconds=HOUR)
    assert fits(_world(), wish)
    assert not fits(_world(), replace(wish, fixed_start=at(HOUR + 1)))
    assert fits(_world(), replace(wish, fixed_start=at(3 * HOUR)))


def test_what_is_kept_there_is_found_and_what_only_touches_it_is_not() -> None:
    kept: dict[str, Any] = {"planned_cluster": "west", "planned_nodes": ("node-1",), "duration_seconds": HOUR}
    within = a_claim("within", pinned_start=at(2 * HOUR + 600), **kept)
    before, after = (a_claim(f"at-{hour}", fixed_start=at(hour * HOUR), **kept) for hour in (1, 3))
    snapshot = _world(within, before, after, a_claim("forecast", gpus=2), closures=())
    (found,) = kept_during(snapshot, [UPGRADE])
    assert found == KeptWindow("within", "within", at(2 * HOUR + 600), is_reserved=False)


def test_a_promise_that_it_is_announced_over_by_force_gets_the_next_window() -> None:
    kept: dict[str, Any] = {"planned_cluster": "west", "planned_nodes": ("node-1",), "duration_seconds": HOUR}
    promised = a_claim("promised", gpus=2, pinned_start=at(2 * HOUR), not_before=at(2 * HOUR), **kept)
    found = _forecast(_world(promised), "promised")
    assert (found.starts_at, found.reason.code) == (at(3 * HOUR), ReasonCode.MAINTENANCE)


def test_where_a_lease_ends_with_it_what_is_kept_behind_both_is_in_its_way() -> None:
    kept: dict[str, Any] = {"planned_cluster": "west", "planned_nodes": ("node-1",), "duration_seconds": HOUR}
    lecture = a_claim("lecture", gpus=2, fixed_start=at(3 * HOUR), **kept)
    found = longest_extension(_world(a_lease("runs", gpus_of("node-1", 0), 3 * HOUR), lecture), "id-runs", HOUR)
    assert found.blocker
    assert (found.seconds, found.blocker.gpr_id) == (0, "lecture")
