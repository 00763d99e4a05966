"""When would requests start if they were submitted now? The plan on a copy of the queue; nothing is written."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, NamedTuple

from arbitration.honesty import learnt, with_interval
from arbitration.snapshot import as_queued, planned_start, read_snapshot
from arbitration.variations import other_shapes
from domain.gpr import Estimate, PlannedStart
from ledger import arbitration
from ledger.arbitration import QueuedGpr
from planner.plan import Grant, openings, outcome_of, plan

if TYPE_CHECKING:
    from datetime import datetime

    from arbitration.variations import Variation
    from domain.gpr import GprRequest
    from domain.workspace import Workspace
    from ledger.connection import Connection, Ledger
    from planner.intervals import Intervals
    from planner.plan import Opening, Plan
    from planner.snapshot import Snapshot

THE_WISH: Final = "the wish"
"""Stands where a queued Gpr has its id."""


class Wish(NamedTuple):
    """What would be submitted."""

    workspace: Workspace
    request: GprRequest
    submitter: str = ""
    """Id of who would submit it."""


@dataclass(frozen=True, slots=True)
class Alternative:
    """The same number of GPUs of another kind, and when these would be had."""

    shape: str
    nodes: int
    gpus_per_node: int
    estimate: Estimate


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What would become of one wish. Position 0: it would start at once."""

    start: PlannedStart
    alternatives: tuple[Alternative, ...] = ()


async def start_of(ledger: Ledger, wish: Wish, now: datetime) -> PlannedStart:
    """Where and when it would start behind all that is queued already; position 0: at once."""
    async with ledger.reading() as connection:
        snapshot, (gpr_id,) = await _with_wishes(connection, [wish], now)
    outcome = await asyncio.to_thread(outcome_of, snapshot, gpr_id)
    return _at_once(outcome, now) if isinstance(outcome, Grant) else planned_start(outcome)


async def starts_of(ledger: Ledger, wishes: Sequence[Wish], now: datetime) -> list[Foreseen]:
    """The same for a list, each submitted after the former, with intervals and alternatives."""
    async with ledger.reading() as connection:
        snapshot, ids = await _with_wishes(connection, wishes, now)
        intervals = await learnt(connection)
    return await asyncio.to_thread(_foreseen, snapshot, ids, intervals)


async def _with_wishes(
    connection: Connection, wishes: Sequence[Wish], now: datetime
) -> tuple[Snapshot, tuple[str, ...]]:
    queue = await arbitration.queue(connection, now)
    behind_all = max((gpr.sequence for gpr in queue), default=0) + 1
    # every second place: what could be asked for instead of a wish stands right before it
    wished = [_wish(wish, number, behind_all + 2 * number + 1) for number, wish in enumerate(wishes)]
    return await read_snapshot(connection, [*queue, *wished], now), tuple(gpr.gpr_id for gpr in wished)


def _foreseen(snapshot: Snapshot, ids: Sequence[str], intervals: Intervals) -> list[Foreseen]:
    starts = _starts(plan(snapshot), snapshot.now)
    claims = {claim.gpr_id: claim for claim in snapshot.queue}
    others = {gpr_id: [_instead(one) for one in other_shapes(claims[gpr_id], snapshot.nodes)] for gpr_id in ids}
    found = openings(snapshot, [other.claim for each in others.values() for other in each])
    return [
        Foreseen(
            _stated(starts[gpr_id], intervals, snapshot.now),
            tuple(_alternative(other, found[other.claim.gpr_id], intervals, snapshot.now) for other in others[gpr_id]),
        )
        for gpr_id in ids
    ]


def _instead(other: Variation) -> Variation:
    return other._replace(claim=replace(other.claim, sequence=other.claim.sequence - 1))


def _starts(planned: Plan, now: datetime) -> dict[str, PlannedStart]:
    at_once = {grant.gpr_id: _at_once(grant, now) for grant in planned.grants}
    return at_once | {forecast.gpr_id: planned_start(forecast) for forecast in planned.forecasts}


def _stated(start: PlannedStart, intervals: Intervals, now: datetime) -> PlannedStart:
    return replace(start, estimate=with_interval(start.estimate, intervals, now))


def _alternative(other: Variation, opening: Opening, intervals: Intervals, now: datetime) -> Alternative:
    claim = other.claim
    return Alternative(claim.shape, claim.nodes, claim.gpus_per_node, opening_estimate(opening, intervals, now))


def opening_estimate(opening: Opening, intervals: Intervals, now: datetime) -> Estimate:
    """An opening as what is shown of it."""
    reason = opening.reason
    plain = Estimate(opening.starts_at, 0, reason.code if reason else "", reason.text if reason else "")
    return with_interval(plain, intervals, now)


def _wish(wish: Wish, number: int, sequence: int) -> QueuedGpr:
    name = f"{THE_WISH} {number}" if number else THE_WISH
    return as_queued(name, wish.workspace, wish.request, sequence, wish.submitter)


def _at_once(grant: Grant, now: datetime) -> PlannedStart:
    nodes = tuple(dict.fromkeys(gpu.node for gpu in grant.gpus))
    return PlannedStart(Estimate(now, 0, "", ""), grant.cluster, nodes)
