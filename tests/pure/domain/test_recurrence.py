"""Rules of RFC 5545 in UTC: their times, and what is refused because it is no rule, or one without an end to its walk."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from domain.failures import InvalidRequest
from domain.recurrence import TIMES_MAX, Recurrence

MONDAY = datetime(2026, 3, 23, 9, 0, tzinfo=UTC)
"""A week before most of Europe puts its clocks forward."""
DAY = timedelta(days=1)


def times(rule: str, days: int = 30, start: datetime = MONDAY) -> list[datetime]:
    return Recurrence(rule, start).times(start - DAY, start + days * DAY)


def test_without_a_rule_there_is_one_time() -> None:
    assert times("") == [MONDAY]
    assert Recurrence("", MONDAY).next(MONDAY) is None
    assert Recurrence("", MONDAY).shortest_gap() is None


def test_the_times_of_a_week() -> None:
    found = times("FREQ=WEEKLY;BYDAY=MO,WE", days=9)
    assert found == [MONDAY, MONDAY + 2 * DAY, MONDAY + 7 * DAY, MONDAY + 9 * DAY]


def test_no_clock_is_put_forward() -> None:
    found = times("FREQ=DAILY;COUNT=14")
    assert found == [MONDAY + number * DAY for number in range(14)]
    assert {one.hour for one in found} == {9}


def test_a_rule_ends_by_count_or_by_until() -> None:
    assert len(times("FREQ=DAILY;COUNT=3")) == 3
    assert times("FREQ=DAILY;UNTIL=20260325T090000Z")[-1] == MONDAY + 2 * DAY
    assert Recurrence("FREQ=DAILY;COUNT=3", MONDAY).next(MONDAY + 2 * DAY) is None


def test_the_next_time_is_found_however_late_it_is() -> None:
    assert Recurrence("FREQ=YEARLY;INTERVAL=4", MONDAY).next(MONDAY) == MONDAY.replace(year=2030)


def test_times_are_those_after_one_instant_up_to_another() -> None:
    found = Recurrence("FREQ=DAILY", MONDAY).times(MONDAY, MONDAY + 2 * DAY)
    assert found == [MONDAY + DAY, MONDAY + 2 * DAY]


def test_a_start_of_another_zone_is_told_in_utc() -> None:
    start = MONDAY.astimezone(tz=None)
    assert Recurrence("FREQ=DAILY", start).next(start) == MONDAY + DAY


def test_the_shortest_gap_of_a_rule() -> None:
    assert Recurrence("FREQ=WEEKLY;BYDAY=MO,TU,FR", MONDAY).shortest_gap() == DAY
    assert Recurrence("FREQ=HOURLY;COUNT=5", MONDAY).shortest_gap() == timedelta(hours=1)


@pytest.mark.parametrize(
    "rule",
    [
        "every monday",
        "FREQ=SECONDLY;COUNT=3",
        "FREQ=DAILY;FREQ=WEEKLY",
        "FREQ=DAILY;BYHOUR=3",
        "FREQ=DAILY;COUNT=0",
        "FREQ=DAILY;COUNT=12345",
        "FREQ=DAILY;COUNT=-1",
        "FREQ=DAILY;INTERVAL=0",
        "FREQ=DAILY;COUNT=2;UNTIL=20260325T090000Z",
        "FREQ=DAILY;UNTIL=20260325",
        "FREQ=DAILY;UNTIL=20269925T090000Z",
        "FREQ=DAILY;UNTIL=20200101T000000Z",
        "FREQ=WEEKLY;WKST=XX",
        "FREQ=WEEKLY;BYDAY=MONDAY",
        "FREQ=WEEKLY;BYDAY=1MO",
        "FREQ=MONTHLY;BYDAY=6MO",
        "FREQ=MONTHLY;BYDAY=1MO",
        "FREQ=WEEKLY;BYDAY=TU",
        "FREQ=MONTHLY;BYMONTHDAY=32",
        "FREQ=MONTHLY;BYMONTHDAY=24",
        "FREQ=HOURLY",
        "FREQ=MINUTELY;UNTIL=99991231T000000Z",
        f"FREQ=DAILY;{'WKST=MO;' * 40}",
        "FREQ=DAILY\nCOUNT=3",
        "DTSTART:20260323T090000Z\nRRULE:FREQ=DAILY",
    ],
)
def test_what_is_no_rule_of_this_start_is_refused(rule: str) -> None:
    with pytest.raises(InvalidRequest):
        Recurrence(rule, MONDAY)


def test_a_start_has_whole_seconds() -> None:
    with pytest.raises(InvalidRequest):
        Recurrence("", MONDAY.replace(microsecond=1))


@pytest.mark.parametrize(
    "rule",
    [
        "FREQ=MONTHLY;BYDAY=4MO",
        "FREQ=MONTHLY;BYDAY=-2MO",
        "FREQ=MONTHLY;BYMONTHDAY=23,-1",
        "FREQ=MONTHLY;BYMONTHDAY=-9",
        "FREQ=YEARLY;BYDAY=12MO",
        f"FREQ=HOURLY;COUNT={TIMES_MAX}",
        "FREQ=MINUTELY;INTERVAL=15;UNTIL=20260324T090000Z",
        "FREQ=DAILY;INTERVAL=1000",
        "FREQ=DAILY;BYMONTHDAY=23;BYDAY=MO",
    ],
)
def test_what_people_write_into_calendars_is_taken(rule: str) -> None:
    assert times(rule, days=400)[0] == MONDAY
