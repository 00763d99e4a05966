"""A pass of the arbiter: under one lock, read a snapshot, plan, write leases and estimates, tell the winners.

Everything is one transaction: a pass that dies half-way has not happened. The plan may be wrong, the ledger's unique
indexes may not: a grant that they refuse fails the pass and is tried again from a fresh snapshot.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from arbitration.snapshot import read_snapshot
from domain.gpr import Estimate
from domain.hardware import Gpu
from domain.identifiers import SCHEDULING_DOMAIN
from domain.messages import GRANTED_SIGNAL, tell_gpr
from ledger import arbitration, leases, lifecycle, outbox
from planner.plan import plan

if TYPE_CHECKING:
    from datetime import datetime

    from ledger.arbitration import QueuedGpr
    from ledger.connection import Connection, Ledger
    from planner.plan import Grant, Plan
    from planner.snapshot import Snapshot

ESTIMATE_SLACK = timedelta(seconds=2)
"""An estimate that moves by less is left as it is shown: writing it would be noise."""


@dataclass(frozen=True, slots=True)
class PassResult:
    """What a pass did."""

    queued: int
    granted: int
    estimates_changed: int
    messages: tuple[int, ...]
    """Outbox rows to deliver now that the pass is committed."""


async def run_pass(ledger: Ledger, now: datetime) -> PassResult:
    """Grant what can start now, and bring the estimate of everything else up to date."""
    async with ledger.transaction() as connection:
        await arbitration.lock(connection, SCHEDULING_DOMAIN)
        queue = await arbitration.queue(connection, now)
        planned = await _planned(await read_snapshot(connection, queue, now))
        messages = await _write_grants(connection, planned, now)
        changed = _changed(queue, planned)
        if changed:
            await arbitration.write_estimates(connection, changed)
    return PassResult(len(queue), len(planned.grants), len(changed), tuple(messages))


async def _planned(snapshot: Snapshot) -> Plan:
    return await asyncio.to_thread(plan, snapshot)


async def _write_grants(connection: Connection, planned: Plan, now: datetime) -> list[int]:
    return [message for grant in planned.grants for message in await _write_grant(connection, grant, now)]


async def _write_grant(connection: Connection, grant: Grant, now: datetime) -> list[int]:
    gpr_id = UUID(grant.gpr_id)
    gpus = [Gpu(gpu.node, gpu.ordinal) for gpu in grant.gpus]
    if await leases.grant(connection, gpr_id, grant.cluster, gpus, now) is None:
        return []
    standing = await lifecycle.standing(connection, gpr_id)
    return [await outbox.put(connection, tell_gpr(GRANTED_SIGNAL, standing))]


def _changed(queue: list[QueuedGpr], planned: Plan) -> list[tuple[str, Estimate]]:
    shown = {gpr.gpr_id: gpr.shown for gpr in queue}
    estimates = [
        (forecast.gpr_id, Estimate(forecast.starts_at, forecast.position, forecast.reason.code, forecast.reason.text))
        for forecast in planned.forecasts
    ]
    return [(gpr_id, estimate) for gpr_id, estimate in estimates if _differs(shown[gpr_id], estimate)]


def _differs(shown: Estimate, new: Estimate) -> bool:
    if (shown.position, shown.reason_code) != (new.position, new.reason_code):
        return True
    if shown.starts_at is None or new.starts_at is None:
        return shown.starts_at is not new.starts_at or shown.reason != new.reason
    return abs(new.starts_at - shown.starts_at) > ESTIMATE_SLACK
