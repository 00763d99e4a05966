"""What would make a queued Gpr start sooner: the same request with one thing changed, at its own place in the queue."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import groupby
from typing import TYPE_CHECKING, Final

from arbitration.honesty import learnt
from arbitration.snapshot import read_snapshot
from arbitration.variations import Change, variations
from arbitration.what_if import opening_estimate
from ledger import arbitration
from planner.plan import openings

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime
    from uuid import UUID

    from arbitration.variations import Variation
    from domain.gpr import Estimate
    from ledger.connection import Ledger
    from planner.intervals import Intervals
    from planner.plan import Opening
    from planner.snapshot import Claim, Snapshot

WORTH: Final = timedelta(seconds=5)
"""What starts sooner by less is no news."""


@dataclass(frozen=True, slots=True)
class Sooner:
    """A change of the request, what it would then ask for, and when it would start."""

    change: Change
    shape: str
    nodes: int
    gpus_per_node: int
    duration_seconds: int | None
    estimate: Estimate


@dataclass(frozen=True, slots=True)
class Outlook:
    """When a queued Gpr starts by a plan made now, and what would start sooner, the soonest of each kind of change first."""

    estimate: Estimate
    sooner: tuple[Sooner, ...]


async def outlook(ledger: Ledger, gpr_id: UUID, now: datetime) -> Outlook | None:
    """None for what is not in the queue."""
    async with ledger.reading() as connection:
        queue = await arbitration.queue(connection, now)
        mine = next((gpr for gpr in queue if gpr.gpr_id == str(gpr_id)), None)
        if mine is None:
            return None
        snapshot = await read_snapshot(connection, queue, now)
        intervals = await learnt(connection)
    found = await asyncio.to_thread(_outlook, snapshot, str(gpr_id), intervals)
    return replace(found, estimate=replace(found.estimate, position=mine.shown.estimate.position))


def _outlook(snapshot: Snapshot, gpr_id: str, intervals: Intervals) -> Outlook:
    claim = next(one for one in snapshot.queue if one.gpr_id == gpr_id)
    # a reservation is where it is because somebody wanted it there
    varied = [] if claim.fixed_start else variations(claim, snapshot.nodes)
    found = openings(_without(snapshot, claim), [_free(claim), *(one.claim for one in varied)])
    asked = found[gpr_id]
    better = [one for one in varied if _is_sooner(found[one.claim.gpr_id], asked)]
    return Outlook(
        opening_estimate(asked, intervals, snapshot.now),
        tuple(_sooner(one, found[one.claim.gpr_id], intervals, snapshot.now) for one in _told(better, found)),
    )


def _without(snapshot: Snapshot, claim: Claim) -> Snapshot:
    return replace(snapshot, queue=tuple(one for one in snapshot.queue if one is not claim))


def _free(claim: Claim) -> Claim:
    """With a promise it starts no later than promised, which is shown beside this; here it is what the plan would have."""
    return replace(claim, pinned_start=None)


def _is_sooner(opening: Opening, asked: Opening) -> bool:
    if opening.starts_at is None:
        return False
    return asked.starts_at is None or opening.starts_at < asked.starts_at - WORTH


def _told(better: Iterable[Variation], found: dict[str, Opening]) -> Iterator[Variation]:
    """Every other kind of GPU; of fewer GPUs and of shorter durations the least change that helps, and the one that helps most."""
    for change, group in groupby(better, key=lambda one: one.change):
        ones = list(group)
        if change is Change.SHAPE:
            yield from sorted(ones, key=lambda one: (found[one.claim.gpr_id].starts_at, one.claim.shape))
            continue
        most = min(ones, key=lambda one: found[one.claim.gpr_id].starts_at)  # type: ignore[arg-type, return-value]
        yield from dict.fromkeys([ones[0], most])


def _sooner(one: Variation, opening: Opening, intervals: Intervals, now: datetime) -> Sooner:
    claim = one.claim
    estimate = opening_estimate(opening, intervals, now)
    return Sooner(one.change, claim.shape, claim.nodes, claim.gpus_per_node, claim.duration_seconds, estimate)
