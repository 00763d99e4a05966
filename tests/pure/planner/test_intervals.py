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


def test_both_ends_of_an_interval_are_in_it() -> None:
    assert [Interval(2, 3).holds(seconds) for seconds in (1.9, 2, 3, 3.1)] == [False, True, True, False]


def test_of_few_errors_the_smallest_and_the_greatest_are_still_inside() -> None:
    intervals = _learnt(HOUR, [HOUR + second for second in range(KNOWN_MIN)])
    assert [round(end) for end in intervals.around(HOUR)] == [HOUR, HOUR + KNOWN_MIN - 1]


def test_days_ahead_are_judged_by_days_ahead() -> None:
    intervals = _learnt(48 * HOUR, [24 * HOUR] * KNOWN_MIN)
    for _ in range(KNOWN_MIN):
        intervals.learn(5 * HOUR, 5 * HOUR)
    assert intervals.around(24 * HOUR) == Interval(12 * HOUR, 12 * HOUR)


def test_a_second_ahead_is_ahead() -> None:
    assert _learnt(1, [1] * KNOWN_MIN).around(1) == Interval(1, 1)
