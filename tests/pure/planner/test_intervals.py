from __future__ import annotations

from planner.intervals import HOUR, KNOWN_MIN, MINUTE, Interval, Intervals


def _learnt(ahead: float, waits: list[float]) -> Intervals:
    intervals = Intervals()
    for waited in waits:
        intervals.learn(ahead, waited)
    return intervals


def test_without_experience_it_may_come_at_once_or_take_twice_as_long() -> None:
    assert Intervals().around(HOUR) == Interval(0, 2 * HOUR)
    assert _learnt(HOUR, [HOUR] * (KNOWN_MIN - 1)).around(HOUR) == Interval(0, 2 * HOUR)


def test_what_always_came_true_is_said_to_the_second() -> None:
    assert _learnt(HOUR, [HOUR] * KNOWN_MIN).around(HOUR) == Interval(HOUR, HOUR)


def test_nineteen_of_twenty_earlier_errors_lie_inside() -> None:
    intervals = _learnt(2 * HOUR, [part * HOUR / 50 for part in range(101)])
    around = intervals.around(2 * HOUR)
    assert 95 <= sum(around.holds(part * HOUR / 50) for part in range(101)) <= 97


def test_errors_are_parts_of_the_distance() -> None:
    intervals = _learnt(2 * HOUR, [HOUR] * KNOWN_MIN)
    assert intervals.around(3 * HOUR) == Interval(1.5 * HOUR, 1.5 * HOUR)


def test_each_distance_is_judged_by_its_own_errors_once_there_are_enough() -> None:
    intervals = _learnt(2 * HOUR, [HOUR] * KNOWN_MIN)
    assert intervals.around(MINUTE) == Interval(MINUTE / 2, MINUTE / 2)
    for _ in range(KNOWN_MIN):
        intervals.learn(MINUTE, MINUTE)
    assert intervals.around(MINUTE) == Interval(MINUTE, MINUTE)
    assert intervals.around(2 * HOUR) == Interval(HOUR, HOUR)


def test_an_estimate_for_now_teaches_nothing() -> None:
    assert _learnt(0, [5] * KNOWN_MIN).around(HOUR) == Interval(0, 2 * HOUR)
