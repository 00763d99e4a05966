from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.steps import Steps
from planner.timeline import Need, Timeline
from tests.pure.planner.worlds import LAW

pytestmark = pytest.mark.usefixtures("small_pages")
NODES = 3
RESERVATIONS = st.lists(
    st.tuples(st.integers(0, NODES - 1), st.integers(0, 60), st.integers(1, 20)), min_size=15, max_size=60
)
NEEDS = [Need(gpus, stay) for gpus in (2, 4) for stay in (2, 15)]


def _reserve_what_fits(reservations: list[tuple[int, int, int]]) -> tuple[list[Steps], Timeline]:
    nodes = [Steps(4) for _ in range(NODES)]
    timeline = Timeline(nodes)
    for reservation in reservations:
        _reserve(nodes, timeline, reservation)
    return nodes, timeline


def _reserve(nodes: list[Steps], timeline: Timeline, reservation: tuple[int, int, int]) -> None:
    rank, start, length = reservation
    if nodes[rank].fits(start, 1, length):
        nodes[rank].take(start, start + length, 1)
        timeline.take(rank, start, start + length, 1)


@LAW
@given(RESERVATIONS, st.integers(0, 90))
def test_the_pages_tell_the_same_as_the_nodes(reservations: list[tuple[int, int, int]], instant: int) -> None:
    nodes, timeline = _reserve_what_fits(reservations)
    assert list(timeline.free_at(instant)) == [steps.at(instant) for steps in nodes]


@LAW
@given(RESERVATIONS, st.integers(0, 90))
def test_a_timeline_made_afterwards_is_the_same(reservations: list[tuple[int, int, int]], instant: int) -> None:
    nodes, timeline = _reserve_what_fits(reservations)
    assert Timeline(nodes).free_at(instant) == timeline.free_at(instant)


@LAW
@given(RESERVATIONS)
def test_no_beginning_of_a_fit_is_missed_while_gpus_are_taken(reservations: list[tuple[int, int, int]]) -> None:
    nodes, timeline = _reserve_what_fits([])
    for reservation in reservations:
        for need in NEEDS:
            found = set(timeline.openings(0, 90, need))
            assert all(nodes[rank].fits(when, need.gpus, need.stay) for when, rank in found)
            assert _beginnings(nodes, need) <= found
        _reserve(nodes, timeline, reservation)


@LAW
@given(RESERVATIONS, st.integers(0, 60))
def test_openings_lie_between_their_bounds(reservations: list[tuple[int, int, int]], instant: int) -> None:
    _, timeline = _reserve_what_fits(reservations)
    everything = set(timeline.openings(0, 90, NEEDS[0]))
    later = {opening for opening in everything if instant < opening[0] <= instant + 10}
    assert set(timeline.openings(instant, instant + 10, NEEDS[0])) == later


def _beginnings(nodes: list[Steps], need: Need) -> set[tuple[int, int]]:
    """The instants at which a node fits that did not fit just before."""
    ends = ((when, rank) for rank, steps in enumerate(nodes) for when in steps.times[1:])
    return {(when, rank) for when, rank in ends if _begins(nodes[rank], when, need)}


def _begins(steps: Steps, when: int, need: Need) -> bool:
    return steps.fits(when, need.gpus, need.stay) and not steps.fits(when - 1, need.gpus, need.stay)


def test_a_page_that_one_instant_fills_is_not_divided() -> None:
    nodes = [Steps(1) for _ in range(10)]
    timeline = Timeline(nodes)
    for rank in range(len(nodes)):
        timeline.take(rank, 0, 10, 1)
    assert sum(timeline.free_at(9)) == 0
    assert sum(timeline.free_at(10)) == len(nodes)


def test_windows_end_to_end_are_one_step() -> None:
    seat = Steps(1)
    for start in range(0, 100, 10):
        seat.take(start, start + 10, 1)
    assert (seat.times, seat.free) == ([0, 100], [0, 1])
