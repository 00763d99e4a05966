from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from planner.steps import Steps
from planner.timeline import PAGE_CHANGES_MAX, Timeline
from tests.pure.planner.worlds import LAW

NODES = 3
RESERVATIONS = st.lists(st.tuples(st.integers(0, NODES - 1), st.integers(0, 300), st.integers(1, 60)), max_size=150)


def _reserve_what_fits(reservations: list[tuple[int, int, int]]) -> tuple[list[Steps], Timeline]:
    nodes = [Steps(4) for _ in range(NODES)]
    timeline = Timeline(nodes)
    for rank, start, length in reservations:
        if nodes[rank].fits(start, 1, length):
            nodes[rank].take(start, start + length, 1)
            timeline.take(rank, start, start + length, 1)
    return nodes, timeline


@LAW
@given(RESERVATIONS, st.integers(0, 400))
def test_the_pages_tell_the_same_as_the_nodes(reservations: list[tuple[int, int, int]], instant: int) -> None:
    nodes, timeline = _reserve_what_fits(reservations)
    assert list(timeline.free_at(instant)) == [steps.at(instant) for steps in nodes]


@LAW
@given(RESERVATIONS, st.integers(0, 400))
def test_a_timeline_made_afterwards_is_the_same(reservations: list[tuple[int, int, int]], instant: int) -> None:
    nodes, timeline = _reserve_what_fits(reservations)
    assert Timeline(nodes).free_at(instant) == timeline.free_at(instant)


def test_a_page_that_one_instant_fills_is_not_divided() -> None:
    nodes = [Steps(1) for _ in range(PAGE_CHANGES_MAX + 5)]
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
