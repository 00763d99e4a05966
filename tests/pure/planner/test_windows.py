"""What can be reserved, and how far a lease can be extended: against a look at every half second."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from planner.order import in_order
from planner.placement import Window
from planner.plan import plan
from planner.promises import Promises
from planner.snapshot import Claim, LeaseView, Limit, NodeView, Snapshot
from planner.windows import Blocker, Extension, fits, longest_extension, nearest
from planner.world import World
from tests.builders_planner import HOUR, a_claim, a_lease, a_node, a_snapshot, at, gpus_of
from tests.pure.planner.chance import Chance, drawn
from tests.pure.planner.oracle import kept_only
from tests.pure.planner.worlds import LAW, any_claim, kept_snapshot

pytestmark = pytest.mark.usefixtures("small_pages")
HALF_SECONDS = range(80)


def world_with_a_wish(chance: Chance) -> tuple[Snapshot, Claim]:
    snapshot = kept_snapshot(chance)
    return snapshot, replace(any_claim(chance, 99, snapshot.nodes), fixed_start=at(chance.number(-1, 20)))


@LAW
@given(drawn(world_with_a_wish))
def test_a_wish_fits_where_trying_it_beside_all_kept_windows_finds_room(world: tuple[Snapshot, Claim]) -> None:
    snapshot, wish = world
    assert wish.fixed_start
    assert fits(snapshot, wish) == _tried(snapshot, wish, wish.fixed_start)


@LAW
@given(drawn(world_with_a_wish))
def test_what_fits_starts_at_its_instant_and_moves_no_kept_window(world: tuple[Snapshot, Claim]) -> None:
    snapshot, wish = world
    window = fits(snapshot, wish)
    assume(window)
    assert window
    reserved = replace(wish, planned_cluster=window.cluster, planned_nodes=window.nodes)
    after = replace(snapshot, queue=(*snapshot.queue, reserved))
    kept = _kept(after)
    assert kept.pop(wish.gpr_id) == (window.starts_at, list(window.nodes))
    assert {gpr_id: start for gpr_id, (start, _) in kept.items()} == _starts(snapshot)
    found = plan(after)
    starts = {forecast.gpr_id: forecast.starts_at for forecast in found.forecasts}
    assert starts.get(wish.gpr_id, snapshot.now) == wish.fixed_start


@LAW
@given(drawn(world_with_a_wish))
def test_the_nearest_starts_are_the_nearest_of_all_half_seconds(world: tuple[Snapshot, Claim]) -> None:
    snapshot, wish = world
    possible = [at(half / 2) for half in HALF_SECONDS if _tried(snapshot, wish, at(half / 2))]
    stretches: list[list[datetime]] = []
    for instant in possible:
        if not stretches or instant - stretches[-1][-1] > timedelta(seconds=0.5):
            stretches.append([])
        stretches[-1].append(instant)

    def distance(instant: datetime) -> timedelta:
        assert wish.fixed_start
        return abs(instant - wish.fixed_start)

    assert nearest(snapshot, wish, 9) == sorted((min(one, key=distance) for one in stretches), key=distance)
    assert nearest(snapshot, wish, 1) == nearest(snapshot, wish, 9)[:1]


@LAW
@given(drawn(kept_snapshot), st.integers(0, 12), st.integers(0, 9))
def test_a_lease_is_extended_to_the_first_kept_window_in_its_way_and_no_further(
    snapshot: Snapshot, wished: int, pick: int
) -> None:
    known = [lease for lease in snapshot.leases if lease.until]
    assume(known)
    world, lease = _settled(snapshot), known[pick % len(known)]
    extension = longest_extension(world, lease.gpr_id, wished)
    before = _kept(world)
    assert _kept(_extended(world, lease, extension.seconds)) == before
    assert (extension.blocker is None) == (extension.seconds == wished)
    if extension.blocker and extension.blocker.gpr_id:
        # of two that begin there at one instant, either may be named
        assert _kept(_extended(world, lease, extension.seconds + 1)) != before


def _settled(snapshot: Snapshot) -> Snapshot:
    """All that is kept is promised as it was served: what lost its place is served anew in each pass until then."""
    world = World(snapshot)
    served = {claim.gpr_id: window for claim, window in Promises(world, in_order(snapshot))}
    return replace(snapshot, queue=tuple(_promised(claim, served.get(claim.gpr_id), world) for claim in snapshot.queue))


def _promised(claim: Claim, window: Window | None, world: World) -> Claim:
    if window is None:
        return replace(claim, pinned_start=None, fixed_start=None)
    start, nodes = world.axis.instant(window.start), tuple(node.name for node in window.nodes)
    fixed, pinned = (start, None) if claim.fixed_start else (None, start)
    return replace(claim, planned_cluster=window.cluster, planned_nodes=nodes, fixed_start=fixed, pinned_start=pinned)


def _tried(snapshot: Snapshot, wish: Claim, instant: datetime) -> tuple[datetime, str, tuple[str, ...]] | None:
    if instant < max(snapshot.now, wish.not_before or snapshot.now):
        return None
    start = kept_only(snapshot).start_at(wish, instant)
    return start and (start.when, start.cluster, start.nodes)


def _kept(snapshot: Snapshot) -> dict[str, tuple[datetime | None, list[str]]]:
    world = World(snapshot)
    promises = Promises(world, in_order(snapshot))
    return {
        claim.gpr_id: (world.axis.instant(window.start), [node.name for node in window.nodes])
        for claim, window in promises
    }


def _starts(snapshot: Snapshot) -> dict[str, datetime | None]:
    return {gpr_id: start for gpr_id, (start, _) in _kept(snapshot).items()}


def _extended(snapshot: Snapshot, lease: LeaseView, seconds: int) -> Snapshot:
    assert lease.until
    longer = replace(lease, until=lease.until + timedelta(seconds=seconds))
    return replace(snapshot, leases=tuple(longer if one is lease else one for one in snapshot.leases))


def _world(*things: NodeView | LeaseView | Claim) -> Snapshot:
    return a_snapshot(*things, turnaround_seconds=0)


def _reserved(name: str, start: int, node: str = "node-1", **other: Any) -> Claim:
    return a_claim(name, fixed_start=at(start), planned_cluster="west", planned_nodes=(node,), **other)


def test_a_wish_that_collides_is_told_the_starts_before_and_after() -> None:
    world = _world(a_node(), _reserved("other", 5 * HOUR, gpus=8))
    wish = a_claim("wish", gpus=8, fixed_start=at(5 * HOUR + 600))
    assert fits(world, wish) is None
    assert nearest(world, wish) == [at(6 * HOUR), at(4 * HOUR)]


def test_a_promise_is_in_the_way_and_a_mere_forecast_is_not() -> None:
    queued = a_claim("queued", gpus=8, priority=300)
    promised = replace(queued, pinned_start=at(HOUR), planned_cluster="west", planned_nodes=("node-1",))
    wish = a_claim("wish", gpus=8, fixed_start=at(HOUR))
    assert fits(_world(a_node(), queued), wish)
    assert fits(_world(a_node(), promised), wish) is None


def test_a_queued_reservation_is_not_in_its_own_way() -> None:
    reserved = _reserved("mine", HOUR, gpus=8)
    assert fits(_world(a_node(), reserved), replace(reserved, fixed_start=at(HOUR + 60)))


def test_a_queued_reservation_is_not_in_its_own_way_when_it_asks_for_the_nearest() -> None:
    reserved = _reserved("mine", HOUR, gpus=8)
    assert nearest(_world(a_node(), reserved), replace(reserved, fixed_start=at(HOUR + 60))) == [at(HOUR + 60)]


def test_three_starts_are_enough_unless_more_are_asked_for() -> None:
    world = _world(a_node(), *(_reserved(f"{hour} o'clock", hour * HOUR, gpus=8) for hour in (2, 4, 6, 8)))
    wish = a_claim("wish", gpus=8, fixed_start=at(4 * HOUR))
    assert nearest(world, wish) == [at(3 * HOUR), at(5 * HOUR), at(HOUR)]
    assert len(nearest(world, wish, 9)) == 5


def test_a_start_that_is_possible_at_this_instant_alone_is_found() -> None:
    world = _world(a_node(), _reserved("other", HOUR, gpus=8, duration_seconds=None))
    assert nearest(world, a_claim("wish", gpus=8, fixed_start=at(9 * HOUR))) == [at(0)]


def test_what_never_fits_has_no_nearest_start() -> None:
    assert nearest(_world(a_node()), a_claim(gpus=16, fixed_start=at(HOUR))) == []


def test_a_wish_for_no_gpus_fits_from_now_on_in_a_cluster_that_is_known_and_never_in_another() -> None:
    too_early = a_claim(gpus=0, fixed_start=at(-60))
    assert nearest(_world(a_node()), too_early) == [at(0)]
    assert nearest(_world(a_node()), replace(too_early, clusters=("moon",))) == []


def test_a_wish_without_an_instant_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="wishes for no instant"):
        fits(_world(a_node()), a_claim())


def test_a_lease_may_stay_as_long_as_nothing_is_kept_behind_it() -> None:
    lease = a_lease("run", gpus_of("node-1", *range(8)), HOUR)
    world = _world(a_node(), lease, a_claim("queued", gpus=8, priority=300))
    assert longest_extension(world, "id-run", 9 * HOUR) == Extension(9 * HOUR, None)


def test_a_lease_is_extended_up_to_the_reservation_behind_it_which_is_named() -> None:
    lease = a_lease("run", gpus_of("node-1", *range(8)), HOUR)
    world = _world(a_node(), lease, _reserved("lecture", 3 * HOUR))
    seconds, blocker = longest_extension(world, "id-run", 9 * HOUR)
    assert (seconds, blocker and blocker.gpr_id) == (2 * HOUR, "lecture")
    assert blocker
    assert blocker.text == "lecture has node-1 from 15:00 UTC"


def test_an_extension_that_ends_where_a_reservation_begins_is_in_nobodys_way() -> None:
    lease = a_lease("run", gpus_of("node-1", *range(8)), HOUR)
    world = _world(a_node(), lease, _reserved("lecture", 3 * HOUR))
    assert longest_extension(world, "id-run", 2 * HOUR) == Extension(2 * HOUR, None)


def test_only_what_is_kept_on_the_nodes_of_a_lease_is_in_its_way() -> None:
    lease = a_lease("run", gpus_of("node-1", 0), HOUR)
    world = _world(a_node("node-1"), a_node("node-2"), lease, _reserved("elsewhere", 3 * HOUR, "node-2", gpus=8))
    assert longest_extension(world, "id-run", 9 * HOUR) == Extension(9 * HOUR, None)


def test_of_two_reservations_at_one_instant_the_one_behind_the_lease_is_named() -> None:
    lease = a_lease("run", gpus_of("node-2", *range(8)), HOUR)
    kept = [_reserved("first", 3 * HOUR, "node-1"), _reserved("second", 3 * HOUR, "node-2")]
    _, blocker = longest_extension(_world(a_node("node-1"), a_node("node-2"), lease, *kept), "id-run", 9 * HOUR)
    assert blocker
    assert blocker.gpr_id == "second"


def test_gpus_beside_the_kept_ones_let_a_lease_stay() -> None:
    lease = a_lease("run", gpus_of("node-1", 0, 1), HOUR)
    world = _world(a_node(), lease, _reserved("lecture", 3 * HOUR, gpus=6))
    assert longest_extension(world, "id-run", 9 * HOUR) == Extension(9 * HOUR, None)


def test_a_seat_that_is_kept_stands_in_the_way_of_an_extension() -> None:
    lease = a_lease("run", gpus_of("node-1", 0), HOUR, workspace="red", exclusive=True)
    lecture = _reserved("lecture", 2 * HOUR, workspace="red", exclusive=True)
    _, blocker = longest_extension(_world(a_node(), lease, lecture), "id-run", 9 * HOUR)
    assert blocker
    assert blocker.text == "lecture has its workspace red, which runs one at a time from 14:00 UTC"


def test_a_limit_that_is_lowered_ends_an_extension_and_is_nobodys_window() -> None:
    lease = a_lease("run", gpus_of("node-1", *range(8)), HOUR, uses=(("vision", 8),))
    limit = Limit("vision", 8, "8 GPUs of namespace vision", changes=((at(3 * HOUR), 4),))
    world = a_snapshot(a_node(), lease, limits=(limit,), turnaround_seconds=0)
    text = "there is no more of 8 GPUs of namespace vision from 15:00 UTC"
    assert longest_extension(world, "id-run", 9 * HOUR) == Extension(2 * HOUR, Blocker("", text))


def test_a_lease_without_an_end_needs_no_extension() -> None:
    world = _world(a_node(), a_lease("run", gpus_of("node-1", 0), None), _reserved("lecture", HOUR))
    assert longest_extension(world, "id-run", 60) == Extension(60, None)


def test_an_unknown_lease_is_an_error() -> None:
    with pytest.raises(KeyError, match="id-run"):
        longest_extension(_world(a_node()), "id-run", 60)


def test_an_extension_is_of_whole_seconds() -> None:
    lecture = replace(_reserved("lecture", 0), fixed_start=at(2 * HOUR + 0.75))
    world = _world(a_node(), a_lease("run", gpus_of("node-1", *range(8)), HOUR), lecture)
    assert longest_extension(world, "id-run", 2 * HOUR).seconds == HOUR


def test_a_gpu_that_another_lease_holds_for_longer_ends_an_extension_and_is_nobodys_window() -> None:
    leases = [a_lease(name, gpus_of("node-1", 0), ends) for name, ends in (("run", HOUR), ("late", 2 * HOUR))]
    expected = Extension(0, Blocker("", "there is no more of node-1 from 13:00 UTC"))
    assert longest_extension(_world(a_node(gpus=1), *leases), "id-run", 60) == expected
