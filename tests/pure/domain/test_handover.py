from __future__ import annotations

import pytest

from domain.handover import LESSONS_MIN, SECONDS_MAX, USUAL, Handover, Seen, learnt


def test_few_leases_teach_nothing() -> None:
    assert learnt(USUAL, Seen(LESSONS_MIN - 1, 60, 60)) == USUAL
    assert learnt(USUAL, Seen(LESSONS_MIN, 60, 90)) == Handover(60, 90)


@pytest.mark.parametrize(
    ("seen", "teardown"),
    [(0.2, 5), (19.9, 20), (14.1, 20), (14.0, 14), (25.0, 20), (25.1, 26), (9_999.0, SECONDS_MAX)],
)
def test_what_differs_by_more_than_a_quarter_is_allowed_for_within_bounds(seen: float, teardown: int) -> None:
    assert learnt(Handover(3, 20), Seen(200, 3, seen)).teardown_seconds == teardown


def test_both_sides_of_a_lease_are_learnt_apart() -> None:
    assert learnt(Handover(40, 20), Seen(200, 0.4, 21)) == Handover(3, 20)
