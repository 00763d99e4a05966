"""A pass of the arbiter: first the grants and preemptions, under one lock and delivered at once; then everybody's estimates.

Granting is one transaction: a pass that dies half-way has not happened. The plan may be wrong, the ledger's unique
indexes may not: a grant that they refuse fails the pass, and it is tried again from a fresh snapshot. Estimating takes
longer with a long queue and needs no lock: it writes only what is still queued.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from arbitration import preempting, promising
from arbitration.honesty import learnt, with_interval
from arbitration.keeping import note_starts
from arbitration.snapshot import planned_start, read_snapshot
from domain.hardware import Gpu
from domain.identifiers import SCHEDULING_DOMAIN
from domain.messages import GRANTED_SIGNAL, kick_arbiter, tell_gpr
from ledger import arbitration, leases, lifecycle, outbox
from planner.plan import decide, plan

if TYPE_CHECKING:
    from datetime import datetime

    from domain.gpr import PlannedStart
    from ledger.arbitration import QueuedGpr
    from ledger.connection import Connection, Ledger
    from planner.intervals import Intervals
    from planner.plan import Grant

ESTIMATE_SLACK = timedelta(seconds=arbitration.ESTIMATE_SLACK_SECONDS)


@dataclass(frozen=True, slots=True)
class Granted:
    """What a pass granted, and the outbox rows to deliver now that it is committed."""

    queued: int
    grants: int
    messages: tuple[int, ...]
    preempted: int = 0
    """Leases that it ends early."""


@dataclass(frozen=True, slots=True)
class Estimated:
    """How many estimates changed, and how many promises had to be moved."""

    changed: int
    promises_moved: int


async def grant(ledger: Ledger, now: datetime) -> Granted:
    """Grant all that can start now, and end what makes room for stronger ones."""
    async with ledger.transaction() as connection:
        await arbitration.lock(connection, SCHEDULING_DOMAIN)
        snapshot, settled = await preempting.settle(connection, now)
        decided = await asyncio.to_thread(decide, snapshot)
        granted = [message for one in decided.grants for message in await _write_grant(connection, one, now)]
        ended = [message for one in decided.preemptions for message in await preempting.preempt(connection, one, now)]
        again = [] if decided.is_whole or not ended else [await outbox.put(connection, kick_arbiter())]
    return Granted(len(snapshot.queue), len(decided.grants), (*settled, *granted, *ended, *again), len(ended))


async def estimate(ledger: Ledger, now: datetime) -> Estimated:
    """Bring the estimate, position and reason of everything that waits up to date, and promises whose hardware is lost."""
    async with ledger.reading() as connection:
        queue = await arbitration.queue(connection, now)
        snapshot = await read_snapshot(connection, queue, now)
        intervals = await learnt(connection)
    planned = await asyncio.to_thread(plan, snapshot)
    shown = {gpr.gpr_id: gpr for gpr in queue}
    new = {forecast.gpr_id: planned_start(forecast) for forecast in planned.forecasts}
    changed = {
        gpr_id: _stated(shown[gpr_id], start, intervals, now)
        for gpr_id, start in new.items()
        if _differs(shown[gpr_id].shown, start)
    }
    if changed:
        async with ledger.transaction() as connection:
            await arbitration.write_estimates(connection, changed, now)
    await note_starts(ledger, queue, new, now)
    moved = [await promising.renew(ledger, gpr_id, now) for gpr_id in promising.late(queue, new)]
    return Estimated(len(changed), sum(moved))


async def _write_grant(connection: Connection, granted: Grant, now: datetime) -> list[int]:
    gpr_id = UUID(granted.gpr_id)
    gpus = [Gpu(gpu.node, gpu.ordinal) for gpu in granted.gpus]
    if await leases.grant(connection, gpr_id, granted.cluster, gpus, now) is None:
        return []
    standing = await lifecycle.standing(connection, gpr_id)
    return [await outbox.put(connection, tell_gpr(GRANTED_SIGNAL, standing))]


def _stated(gpr: QueuedGpr, start: PlannedStart, intervals: Intervals, now: datetime) -> PlannedStart:
    promised = gpr.promise.starts_at if gpr.promise else None
    return replace(start, estimate=with_interval(start.estimate, intervals, now, no_later_than=promised))


def _differs(shown: PlannedStart, new: PlannedStart) -> bool:
    before, after = shown.estimate, new.estimate
    if (before.position, before.reason_code, shown.cluster, shown.nodes) != (
        after.position,
        after.reason_code,
        new.cluster,
        new.nodes,
    ):
        return True
    if before.starts_at is None or after.starts_at is None:
        return before.starts_at is not after.starts_at or before.reason != after.reason
    return abs(after.starts_at - before.starts_at) > ESTIMATE_SLACK
