"""May a lease last longer? Under the arbiter's lock, so that nothing is promised meanwhile that it would stand in the way of."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from arbitration.snapshot import read_snapshot
from domain.failures import WrongPhase
from domain.identifiers import SCHEDULING_DOMAIN
from domain.instants import spoken
from domain.promises import Extension
from ledger import arbitration, preemption
from planner.windows import longest_extension

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from ledger.connection import Connection


async def longest(connection: Connection, gpr_id: UUID, wished_seconds: int, now: datetime) -> Extension:
    """How many of the wished seconds it can last longer with no promise or reservation slipping, and what is in the way.

    Holds the arbiter's lock until the transaction ends. WrongPhase where there is no lease.
    """
    await arbitration.lock(connection, SCHEDULING_DOMAIN)
    ending = await preemption.of_gpr(connection, gpr_id)
    if ending is not None:
        return Extension(0, f"it makes room for {ending.claimant}, and ends at {spoken(ending.ends_at)}")
    queue = await arbitration.queue(connection, now)
    snapshot = await read_snapshot(connection, queue, now)
    try:
        found = await asyncio.to_thread(longest_extension, snapshot, str(gpr_id), wished_seconds)
    except KeyError as error:
        raise WrongPhase("there is no lease to extend") from error
    return Extension(found.seconds, found.blocker.text if found.blocker else "")
