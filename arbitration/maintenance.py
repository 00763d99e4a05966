"""Maintenance is announced under the arbiter's lock, so that nothing is promised meanwhile that it would take the room from.

What is promised or reserved there is in the way, unless it is forced: then the next plan finds another place, and a promise that
cannot be kept is moved, loudly, like one whose hardware was lost (`arbitration/promising.py`).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from arbitration.snapshot import read_snapshot
from domain.failures import InvalidRequest
from domain.identifiers import SCHEDULING_DOMAIN
from domain.instants import spoken
from domain.limits import PoolNode
from domain.maintenance import PromisesInTheWay
from ledger import arbitration, maintenance
from planner.snapshot import Closure
from planner.windows import kept_during

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from domain.maintenance import Maintenance, MaintenanceMade, MaintenanceWish
    from ledger.connection import Connection
    from planner.snapshot import Snapshot
    from planner.windows import KeptWindow


async def announce(
    connection: Connection, made: MaintenanceMade, wish: MaintenanceWish, now: datetime, *, by_force: bool
) -> list[int]:
    """Announce it; the ids of the messages to deliver after the commit.

    Raises InvalidRequest, AlreadyExists, and PromisesInTheWay with their names.
    """
    await arbitration.lock(connection, SCHEDULING_DOMAIN)
    if wish.ends_at <= made.begins_at:
        raise InvalidRequest("maintenance ends after it begins, and in the future")
    snapshot = await read_snapshot(connection, await arbitration.queue(connection, now), now)
    closures = _closures(snapshot, wish.name, made.places, (made.begins_at, wish.ends_at))
    kept = await asyncio.to_thread(kept_during, snapshot, closures)
    if kept and not by_force:
        raise _refusal(kept)
    return await maintenance.announce(connection, made, wish, now)


async def staying(connection: Connection, found: Maintenance, now: datetime) -> tuple[str, ...]:
    """Names of what runs there now and ends later than it begins, or without a known end."""
    snapshot = await read_snapshot(connection, await arbitration.queue(connection, now), now)
    closures = _closures(snapshot, found.name, found.places, (found.begins_at, found.ends_at))
    return tuple(_staying(snapshot, closures))


def _closures(
    snapshot: Snapshot, name: str, places: Sequence[PoolNode], span: tuple[datetime, datetime]
) -> list[Closure]:
    """One for each node that is known now, and one for each part of such."""
    meant = set(places)
    return [
        Closure(node.cluster, node.name, *span, name)
        for node in snapshot.nodes
        if {PoolNode(node.cluster, node.host), PoolNode(node.cluster, "")} & meant
    ]


def _staying(snapshot: Snapshot, closures: Sequence[Closure]) -> list[str]:
    away = {(one.cluster, one.node): one for one in closures}
    return [
        lease.gpr_name
        for lease in snapshot.leases
        if any(
            (closure := away.get((gpu.cluster, gpu.node))) and (lease.until is None or lease.until > closure.begins_at)
            for gpu in lease.gpus
        )
    ]


def _refusal(kept: Sequence[KeptWindow]) -> PromisesInTheWay:
    words = ", ".join(
        f"{one.gpr_name} is {'reserved' if one.is_reserved else 'promised to start by'} {spoken(one.starts_at)}"
        for one in kept
    )
    in_the_way = [
        {
            "gpr": one.gpr_id,
            "name": one.gpr_name,
            "kind": "reservation" if one.is_reserved else "promise",
            "starts_at": one.starts_at.isoformat(),
        }
        for one in kept
    ]
    return PromisesInTheWay(f"room is kept on these nodes: {words}; by force they are moved", in_the_way=in_the_way)
