"""When something recurs: a rule of RFC 5545, in UTC, so that no clock is ever put forward or back.

Only what people write into calendars is taken. Every rule that is taken can be walked through quickly, also one that
somebody meant badly.
"""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise, takewhile
from typing import Final

from dateutil.rrule import rrule, rrulestr

from domain.failures import InvalidRequest

RULE_LENGTH_MAX: Final = 200
TIMES_MAX: Final = 1000
"""Of a rule finer than days."""
_GAPS_SEEN: Final = 60
"""Weekdays and months repeat themselves long before."""
_FREQUENCIES: Final = ("MINUTELY", "HOURLY", "DAILY", "WEEKLY", "MONTHLY", "YEARLY")
_FINE: Final = {"MINUTELY", "HOURLY"}
_PARTS: Final = ("FREQ", "INTERVAL", "COUNT", "UNTIL", "BYDAY", "BYMONTHDAY", "WKST")
_ORDINAL_MAX: Final = {"MONTHLY": 5, "YEARLY": 53}
_WEEKDAYS: Final = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
_NUMBER: Final = re.compile(r"[1-9][0-9]{0,3}", re.ASCII)
_DAY: Final = re.compile(r"([+-]?[1-9][0-9]?)?(MO|TU|WE|TH|FR|SA|SU)", re.ASCII)
_MONTH_DAY: Final = re.compile(r"-?([1-9]|[12][0-9]|3[01])", re.ASCII)
_UNTIL: Final = re.compile(r"[0-9]{8}T[0-9]{6}Z", re.ASCII)


class Recurrence:
    """The times of a rule, the first of which is `start`. Without a rule there is only that one."""

    def __init__(self, rule: str, start: datetime) -> None:
        """Raises InvalidRequest for a rule that is not taken, or of which `start` is no time."""
        self.start = start.astimezone(UTC)
        if self.start.microsecond:
            raise InvalidRequest("a start is given in whole seconds")
        self._rule = _parsed(rule, self.start) if rule else None

    def times(self, after: datetime, until: datetime) -> list[datetime]:
        """Those later than `after`, up to `until` itself."""
        return [one for one in takewhile(lambda one: one <= until, self._all()) if one > after]

    def next(self, after: datetime) -> datetime | None:
        """The first one later than that; None: there is none."""
        return next((one for one in self._all() if one > after), None)

    def shortest_gap(self) -> timedelta | None:
        """The least time between two of its first times; None: it has one only."""
        times = list(islice(self._all(), _GAPS_SEEN))
        return min((later - sooner for sooner, later in pairwise(times)), default=None)

    def _all(self) -> Iterator[datetime]:
        return iter([self.start]) if self._rule is None else iter(self._rule)


def _parsed(rule: str, start: datetime) -> rrule:
    parts = _parts(rule)
    _check(parts, start)
    try:
        found = rrulestr(rule, dtstart=start)
    except ValueError as error:
        raise InvalidRequest(f"the rule {rule!r} is not one of RFC 5545: {error}") from error
    assert isinstance(found, rrule)
    if next(iter(found), None) != start:
        raise InvalidRequest(f"the start {start:%Y-%m-%d %H:%M:%S} UTC is no time of the rule {rule!r}")
    if parts["FREQ"] in _FINE and len(list(islice(found, TIMES_MAX + 1))) > TIMES_MAX:
        raise InvalidRequest(f"a rule finer than days may have {TIMES_MAX} times: give it a COUNT or an UNTIL")
    return found


def _parts(rule: str) -> Mapping[str, str]:
    pairs = [part.partition("=") for part in rule.split(";")]
    parts = {name: value for name, _, value in pairs}
    unknown = [name for name in parts if name not in _PARTS]
    if len(rule) > RULE_LENGTH_MAX or unknown or len(parts) < len(pairs) or parts.get("FREQ") not in _FREQUENCIES:
        raise InvalidRequest(
            f"a rule is written as in FREQ=WEEKLY;BYDAY=MO,WE;COUNT=10, of {', '.join(_PARTS)}, each once, "
            f"and FREQ is one of {', '.join(_FREQUENCIES)}"
        )
    return parts


def _check(parts: Mapping[str, str], start: datetime) -> None:
    """So that the rule is one that the start begins: only such a one is sure to go on, or to end, soon."""
    for name in ("INTERVAL", "COUNT"):
        if name in parts and not _NUMBER.fullmatch(parts[name]):
            raise InvalidRequest(f"{name} of a rule is a number from 1 to 9999")
    if {"COUNT", "UNTIL"} <= parts.keys():
        raise InvalidRequest("a rule ends by COUNT or by UNTIL, not by both")
    if "UNTIL" in parts and not _UNTIL.fullmatch(parts["UNTIL"]):
        raise InvalidRequest("UNTIL of a rule is an instant in UTC, as in 20260131T120000Z")
    if "WKST" in parts and parts["WKST"] not in _WEEKDAYS:
        raise InvalidRequest(f"WKST of a rule is one of {', '.join(_WEEKDAYS)}")
    if "BYDAY" in parts:
        _check_days(parts["BYDAY"].split(","), parts["FREQ"], start)
    if "BYMONTHDAY" in parts:
        _check_month_days(parts["BYMONTHDAY"].split(","), start)


def _check_days(days: list[str], frequency: str, start: datetime) -> None:
    found = [_DAY.fullmatch(day) for day in days]
    ordinal_max = _ORDINAL_MAX.get(frequency, 0)
    if not all(found) or any(abs(int(day[1] or 0)) > ordinal_max for day in found if day):
        raise InvalidRequest("BYDAY of a rule lists days as in MO,WE; by month or year also 1MO or -1FR")
    if _WEEKDAYS[start.weekday()] not in {day[2] for day in found if day}:
        raise InvalidRequest(f"the start is on a day that is not in BYDAY={','.join(days)}")


def _check_month_days(days: list[str], start: datetime) -> None:
    if not all(_MONTH_DAY.fullmatch(day) for day in days):
        raise InvalidRequest("BYMONTHDAY of a rule lists days from 1 to 31, or from -31 to -1, counted from the end")
    last = monthrange(start.year, start.month)[1]
    if not {start.day, start.day - last - 1} & {int(day) for day in days}:
        raise InvalidRequest(f"the start is on a day that is not in BYMONTHDAY={','.join(days)}")
