"""Fair share for a plan: what is due to the workspaces in the queue, and what they had lately."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ledger import scheduling
from planner.snapshot import Standing

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from domain.scheduling import SchedulingPolicy
    from ledger.arbitration import QueuedGpr
    from ledger.connection import Connection

TOLD_APART_SECONDS: Final = 3600
"""Less than an hour of one GPU makes no difference: else two workspaces with the same use would change places at each pass."""


async def standings(
    connection: Connection, queue: Iterable[QueuedGpr], policy: SchedulingPolicy, now: datetime
) -> tuple[Standing, ...]:
    """Of each workspace in the queue: in general, and in each pool apart that it has or wants anything in.

    None at all where age alone decides among equals.
    """
    if not policy.fair_share:
        return ()
    asked = {(gpr.workspace, gpr.pool) for gpr in queue}
    shares = await scheduling.shares(connection, {workspace for workspace, _ in asked}, now, asked)
    return tuple(
        Standing(one.workspace, one.weight, one.used // TOLD_APART_SECONDS * TOLD_APART_SECONDS, one.pool)
        for one in shares
    )
