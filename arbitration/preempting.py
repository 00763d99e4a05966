"""Preemption: leases that end early, and what becomes of that when nobody waits for them any more.

Both are done in the arbiter's pass, in its transaction. A claimant for which leases end has a promise of its start, on what
they free: whoever comes later gets around it, and a later pass, or one that is repeated, finds it promised and ends no more.
"""

from __future__ import annotations

import asyncio
import math
from dataclasses import replace
from typing import TYPE_CHECKING, Final
from uuid import UUID

from arbitration.promising import MARGIN
from arbitration.snapshot import read_snapshot
from domain.promises import Promise
from ledger import arbitration, events, preemption, promises
from planner.axis import FOREVER, SECOND
from planner.windows import longest_extension

if TYPE_CHECKING:
    from datetime import datetime

    from ledger.connection import Connection
    from ledger.preemption import OpenPreemption
    from planner.preemption import Preemption
    from planner.snapshot import Snapshot

ACTOR: Final = "preemption"
"""Who promises, in the history."""


async def preempt(connection: Connection, planned: Preemption, now: datetime) -> list[int]:
    """Let these leases end, and keep what they free for their claimant; the ids of the messages to deliver.

    None where the claimant waits no more, or none of the leases is there any more. The arbiter's lock is held.
    """
    claimant = await preemption.claimant(connection, UUID(planned.gpr_id))
    if claimant is None:
        return []
    taken_back, ends_at = planned.taken_back, planned.ends_at
    begun = [
        await preemption.begin(connection, fence, claimant, ends_at, now, taken_back=fence in taken_back)
        for fence in planned.fences
    ]
    ended = [fence for fence, messages in zip(planned.fences, begun, strict=True) if messages is not None]
    if ended:
        detail = {"leases": ended, "end_at": ends_at.isoformat()}
        await events.record(connection, now, "preempts", gpr_id=claimant.id, detail=detail)
        promise = Promise(now, planned.starts_at + MARGIN, planned.cluster, planned.nodes)
        await promises.make(connection, claimant.id, promise, now, ACTOR)
    return [message for messages in begun for message in messages or ()]


async def settle(connection: Connection, now: datetime) -> tuple[Snapshot, list[int]]:
    """Look at what was preempted; a lease that nobody waits for any more has its old end again, if nothing was promised since.

    The world as it is then, and the ids of the messages to deliver. The arbiter's lock is held.
    """
    found = await preemption.open_ones(connection)
    await preemption.settle(connection, [one for one in found if one.is_over], now)
    snapshot = await _read(connection, now)
    messages: list[int] = []
    for one in found:
        may_stay = one.works and not one.is_wanted and one.ends_at > now
        if may_stay and await asyncio.to_thread(_is_free_until_its_end, snapshot, one):
            messages += await preemption.restore(connection, one, now)
            snapshot = await _read(connection, now)
    return snapshot, messages


async def _read(connection: Connection, now: datetime) -> Snapshot:
    return await read_snapshot(connection, await arbitration.queue(connection, now), now)


def _is_free_until_its_end(snapshot: Snapshot, one: OpenPreemption) -> bool:
    wished = FOREVER // SECOND
    if one.was_end_at is not None:
        wished = math.ceil((one.was_end_at - one.ends_at).total_seconds())
    # it was allowed to run on past maintenance and a lowered limit: only what is kept for others stands in its way
    kept = replace(snapshot, closures=(), limits=())
    return longest_extension(kept, str(one.gpr_id), wished).seconds >= wished
