"""Holes against a look at every instant of every node, while windows come and go."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from planner.nodes import Holder, Node, NodeSet
from planner.spans import overlaps, starts_within
from tests.builders_planner import a_node
from tests.pure.planner.worlds import LAW

NODES, GPUS, END = 3, 4, 90
SIZES, STAYS = (1, 2, 4), (2, 15)
HOLDER = Holder("someone", running=False)
Windows = list[tuple[int, int, int, int]]
WINDOWS = st.lists(
    st.tuples(st.integers(0, NODES - 1), st.integers(0, 60), st.integers(1, 20), st.integers(1, GPUS)), max_size=25
)


@LAW
@given(WINDOWS, st.integers(0, 60))
def test_all_that_fits_is_found_and_nothing_else(windows: Windows, start: int) -> None:
    nodes = NodeSet([Node(a_node(f"n{number}", gpus=GPUS), {}, {}) for number in range(NODES)])
    taken: Windows = []
    for window in windows:
        _take_or_give_back(nodes, window, taken)
        for size in SIZES:
            for stay in STAYS:
                for instant in (0, start):
                    assert _found(nodes, size, instant, stay) == _fitting(nodes, size, instant, stay)


@LAW
@given(WINDOWS)
def test_openings_come_in_order_of_their_first_start(windows: Windows) -> None:
    nodes = NodeSet([Node(a_node(f"n{number}", gpus=GPUS), {}, {}) for number in range(NODES)])
    taken: Windows = []
    for window in windows:
        _take_or_give_back(nodes, window, taken)
        firsts = [first for first, _, _, _ in nodes.holes(2).openings(5, 3)]
        assert firsts == sorted(firsts)


def _take_or_give_back(nodes: NodeSet, window: tuple[int, int, int, int], taken: Windows) -> None:
    """What does not fit gives the oldest window back instead."""
    rank, start, length, count = window
    if nodes.nodes[rank].steps.fits(start, count, length):
        nodes.nodes[rank].take(start, start + length, count, HOLDER)
        taken.append(window)
    elif taken:
        rank, start, length, count = taken.pop(0)
        nodes.nodes[rank].give_back(start, start + length, count, HOLDER)


def _found(nodes: NodeSet, size: int, start: int, stay: int) -> set[tuple[int, int]]:
    return {
        (instant, node.rank)
        for first, last, node, found_size in nodes.holes(size).openings(start, stay)
        for instant in range(first, min(last, END) + 1)
        if found_size == size
    }


def _fitting(nodes: NodeSet, size: int, start: int, stay: int) -> set[tuple[int, int]]:
    return {
        (instant, node.rank)
        for node in nodes.nodes
        for instant in range(start, END + 1)
        if node.steps.fits(instant, size, stay)
    }


@LAW
@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 9)), max_size=8), st.integers(1, 3), st.integers(0, 6))
def test_spans_overlap_where_enough_of_them_cover_an_instant(
    begins: list[tuple[int, int]], wanted: int, stay: int
) -> None:
    spans = [(begin, begin + length) for begin, length in begins]
    starts = list(starts_within(spans, stay))
    assert {start for first, last in starts for start in range(first, last + 1)} == {
        start for begin, end in spans for start in range(begin, end - stay + 1)
    }
    covered = {instant for instant in range(40) if sum(first <= instant <= last for first, last in starts) >= wanted}
    found = overlaps(starts, wanted)
    assert {instant for first, last in found for instant in range(first, last + 1)} == covered
    assert all(last + 1 < first for (_, last), (first, _) in pairwise(found))


def test_a_span_that_is_too_short_has_no_start() -> None:
    assert list(starts_within([(3, 6), (3, 7)], 4)) == [(3, 3)]
