from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.steps import ENDLESS, Steps
from planner.timeline import Timeline
from tests.pure.planner.worlds import LAW

pytestmark = pytest.mark.usefixtures("small_pages")
NODES = 3
RESERVATIONS = st.lists(
    st.tuples(st.integers(0, NODES - 1), st.integers(0, 60), st.integers(1, 20), st.booleans()),
    min_size=15,
    max_size=60,
)
Reservations = list[tuple[int, int, int, bool]]


def _reserve_what_fits(reservations: Reservations) -> tuple[list[Steps], Timeline]:
    """Some of it is given back at once."""
    nodes = [Steps(4) for _ in range(NODES)]
    timeline = Timeline(nodes)
    for rank, start, length, stays in reservations:
        if nodes[rank].fits(start, 1, length):
            for count in (1,) if stays else (1, -1):
                nodes[rank].take(start, start + length, count)
                timeline.take(rank, start, start + length, count)
    return nodes, timeline


@LAW
@given(RESERVATIONS, st.integers(0, 90))
def test_the_pages_tell_the_same_as_the_nodes(reservations: Reservations, instant: int) -> None:
    nodes, timeline = _reserve_what_fits(reservations)
    assert list(timeline.free_at(instant)) == [steps.at(instant) for steps in nodes]


@LAW
@given(RESERVATIONS, st.integers(0, 90))
def test_a_timeline_made_afterwards_is_the_same(reservations: Reservations, instant: int) -> None:
    nodes, timeline = _reserve_what_fits(reservations)
    assert Timeline(nodes).free_at(instant) == timeline.free_at(instant)


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


def test_a_span_is_told_from_its_begin_on_though_fewer_are_free_meanwhile() -> None:
    steps = Steps(2)
    steps.take(10, 20, 1)
    assert steps.spans(1, 15) == [(0, ENDLESS)]
