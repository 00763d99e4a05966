"""Between when and when: what is stated beside every start, learnt from what became of those that were shown before."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from ledger import honesty
from planner.intervals import Intervals

if TYPE_CHECKING:
    from datetime import datetime

    from domain.gpr import Estimate
    from ledger.connection import Connection


async def learnt(connection: Connection) -> Intervals:
    """All that the ledger can teach."""
    intervals = Intervals()
    for ahead_seconds, waited_seconds in await honesty.lessons(connection):
        intervals.learn(ahead_seconds, waited_seconds)
    return intervals


def with_interval(
    estimate: Estimate, intervals: Intervals, now: datetime, *, no_later_than: datetime | None = None
) -> Estimate:
    """The estimate with its interval; a promise is the end of it."""
    if estimate.starts_at is None:
        return estimate
    ahead = max(0.0, (estimate.starts_at - now).total_seconds())
    interval = intervals.around(ahead)
    earliest = min(estimate.starts_at, now + timedelta(seconds=max(0.0, interval.earliest)))
    latest = max(estimate.starts_at, now + timedelta(seconds=interval.latest))
    if no_later_than and estimate.starts_at <= no_later_than < latest:
        latest = no_later_than
    return replace(estimate, earliest=earliest, latest=latest)
