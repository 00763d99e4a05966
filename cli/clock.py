"""The command's only clock, so that whatever waits or counts down can be tested without waiting."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import TypeVar

from cli.exits import ExitCode
from cli.failures import CommandFailed

POLL_SECONDS = 0.5
"""Often enough to look live, seldom enough that a hundred watchers are no load."""

T = TypeVar("T")


class Clock:
    """The real one."""

    def now(self) -> datetime:
        """The instant, UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds, for lengths of time only."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)


class TooLate(CommandFailed):
    """What was waited for did not come in time."""

    def __init__(self, what: str, seconds_max: float) -> None:
        super().__init__(f"{what} did not come within {seconds_max:.0f} s", code=ExitCode.OTHERWISE)


def looks(look: Callable[[], T], clock: Clock, *, what: str, seconds_max: float | None) -> Iterator[T]:
    """Look again and again, at most every POLL_SECONDS, until the caller has seen enough or it is too late."""
    began = clock.monotonic()
    while True:
        yield look()
        if seconds_max is not None and clock.monotonic() - began > seconds_max:
            raise TooLate(what, seconds_max)
        clock.sleep(POLL_SECONDS)
