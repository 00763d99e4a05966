"""Times in the words that people use. Programs get ISO instants and seconds instead."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

MINUTE = 60
HOUR = 60 * MINUTE
DAY = 24 * HOUR
TENTHS_BELOW = 10


def elapsed(seconds: float) -> str:
    """How long something took: tenths while they still say something, then as `span`."""
    return f"{max(0.0, seconds):.1f} s" if seconds < TENTHS_BELOW else span(seconds)


def span(seconds: float) -> str:
    """`12 s`, `3m 05s`, `2h 10m`, `3d 4h`: whole seconds, two units at most."""
    whole = max(0, round(seconds))
    if whole < MINUTE:
        return f"{whole} s"
    if whole < HOUR:
        return f"{whole // MINUTE}m {whole % MINUTE:02d}s"
    if whole < DAY:
        return f"{whole // HOUR}h {whole % HOUR // MINUTE:02d}m"
    return f"{whole // DAY}d {whole % DAY // HOUR}h"


def clock_time(instant: datetime, now: datetime) -> str:
    """Local time of day; with the date when it is another day."""
    here, today = instant.astimezone(), now.astimezone()
    return f"{here:%H:%M:%S}" if here.date() == today.date() else f"{here:%Y-%m-%d %H:%M}"


def in_utc(instant: datetime) -> str:
    """`2026-03-23 14:20:05 UTC`, as such options are given."""
    return f"{instant.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def relative(instant: datetime, now: datetime) -> str:
    """`in 12 s`, `3m 05s ago`."""
    seconds = (instant - now) / timedelta(seconds=1)
    return f"in {span(seconds)}" if seconds > 0 else f"{span(-seconds)} ago"


def moment(instant: datetime, now: datetime) -> str:
    """`14:20:05 (in 12 s)`."""
    return f"{clock_time(instant, now)} ({relative(instant, now)})"


def counted(number: int, noun: str) -> str:
    """`1 GPU`, `2 GPUs`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
