"""The row of lines that readers share: each has a place of his own in it."""

from __future__ import annotations

import pytest

from api.operations.pod_stream import CHARACTERS_KEPT, FellBehind, PodStream, place_after, told_of
from domain.failures import ClusterUnavailable
from domain.job import LogLine, LogPlace


def lines(*seconds: int) -> list[LogLine]:
    return [LogLine(f"2026-06-01T12:00:{second:02}.5Z", f"line {second}") for second in seconds]


async def texts(stream: PodStream, number: int) -> list[str]:
    return [line.text for line in await stream.read(number)]


async def test_a_reader_reads_from_its_number_on() -> None:
    stream = PodStream(lines_kept=3)
    stream.begin(lines(1, 2), is_whole=True)
    stream.add(lines(3, 4))
    assert await texts(stream, 1) == ["line 2", "line 3", "line 4"]
    assert await texts(stream, stream.number_of_tail(1)) == ["line 4"]
    assert stream.number_of_tail(99) == 1


async def test_whoever_fell_behind_is_told_rather_than_given_a_gap() -> None:
    stream = PodStream(lines_kept=3)
    stream.add(lines(1, 2, 3, 4))
    with pytest.raises(FellBehind):
        await stream.read(0)


async def test_lines_that_are_long_are_kept_less() -> None:
    stream = PodStream()
    stream.add([LogLine("", "x" * (CHARACTERS_KEPT // 2)) for _ in range(5)])
    assert stream.next - stream.number_of_tail(5) == 2


async def test_the_end_comes_after_the_last_line_and_says_why() -> None:
    stream = PodStream()
    stream.add(lines(1))
    stream.end(ClusterUnavailable("away"))
    assert await texts(stream, 0) == ["line 1"]
    with pytest.raises(ClusterUnavailable):
        await stream.read(1)


@pytest.mark.parametrize(("begin_is_whole", "expected"), [(True, 0), (False, None)])
def test_the_beginning_is_there_only_when_nothing_was_cut(begin_is_whole: bool, expected: int | None) -> None:
    stream = PodStream()
    stream.begin(lines(1, 2), is_whole=begin_is_whole)
    assert stream.number_after(None) == expected


def test_a_place_is_found_unless_it_is_older_than_what_is_kept() -> None:
    stream = PodStream(lines_kept=3)
    stream.add(lines(1, 2, 3, 4))
    assert stream.number_after(LogPlace(lines(3)[0].at)) == 3
    assert stream.number_after(LogPlace("2026-06-01T12:00:02Z")) == 1
    assert stream.number_after(LogPlace(lines(1)[0].at)) is None
    assert stream.number_after(LogPlace("2026-06-01T14:00:04.500+02:00")) == 4


@pytest.mark.parametrize(("told", "expected"), [(0, 1), (1, 2), (2, 3), (9, 3)])
def test_of_lines_of_one_instant_as_many_are_told_as_the_place_says(told: int, expected: int) -> None:
    assert told_of(lines(1, 2, 2, 3), LogPlace(lines(2)[0].at, told)) == expected


def test_a_place_moves_on_with_what_is_told() -> None:
    at = lines(2)[0].at
    assert place_after(None, lines(1, 2, 2)) == LogPlace(at, 2)
    assert place_after(LogPlace(at, 2), lines(2)) == LogPlace(at, 3)
    assert place_after(LogPlace(at, 2), []) == LogPlace(at, 2)
