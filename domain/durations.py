"""Lengths of time as people write them: `1d2h3m`, `0d0h5m`, `26h3m0s`. Whole seconds inside, one normal form outside."""

from __future__ import annotations

import re

from domain.failures import InvalidRequest

DURATION_SECONDS_MAX = 366 * 24 * 3600
"""One year: longer leases are a mistake in the request rather than a wish."""

_UNIT_SECONDS = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
_PATTERN = re.compile(r"(?=\d)(?:(\d{1,9})d)?(?:(\d{1,9})h)?(?:(\d{1,9})m)?(?:(\d{1,9})s)?", re.ASCII | re.IGNORECASE)


def parse_duration(text: str) -> int:
    """Seconds of a duration such as `1d2h3m` (units in this order, each at most once, at least one of them)."""
    match = _PATTERN.fullmatch(text.strip())
    if match is None:
        raise InvalidRequest(
            f"{text!r} is not a duration: write days, hours, minutes, seconds in this order, as in 1d2h30m"
        )
    seconds = sum(int(number or 0) * size for number, size in zip(match.groups(), _UNIT_SECONDS.values(), strict=True))
    if seconds == 0:
        raise InvalidRequest("a duration must be longer than zero")
    if seconds > DURATION_SECONDS_MAX:
        raise InvalidRequest(f"{text!r} is longer than the longest duration, 366 days")
    return seconds


def format_duration(seconds: float) -> str:
    """The normal form `26h3m0s`; below zero counts as zero."""
    whole = max(0, int(seconds))
    hours, rest = divmod(whole, 3600)
    return f"{hours}h{rest // 60}m{rest % 60}s"
