"""Maintenance: everybody sees what is announced, administrators announce and end it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC
from typing import TYPE_CHECKING
from uuid import uuid4

from api.operations.permission import require_administrator
from api.operations.pools import meant
from arbitration import maintenance as announcing
from domain.failures import InvalidRequest, NotFound
from domain.identifiers import checked_name
from domain.limits import PoolNode
from domain.maintenance import Maintenance, MaintenanceMade, MaintenanceWish
from ledger import inventory, maintenance, pools

if TYPE_CHECKING:
    from api.operations.call import Call
    from ledger.connection import Connection


@dataclass(frozen=True, slots=True)
class Announced:
    """What was announced, and who stays past its begin."""

    maintenance: Maintenance
    staying: Sequence[str] = ()


async def announce(call: Call, wish: MaintenanceWish, *, by_force: bool) -> Announced:
    """Announce it. What runs there stays until its end. PromisesInTheWay names those whose room it would take."""
    require_administrator(call)
    checked_name(wish.name, "the name of maintenance")
    begins_at = wish.begins_at.astimezone(UTC) if wish.begins_at else None
    wish = replace(wish, begins_at=begins_at, ends_at=wish.ends_at.astimezone(UTC))
    messages: Sequence[int] = ()
    async with call.backends.planning, call.backends.ledger.transaction() as connection:
        maintenance_id, new = await call.subject(connection, "announce_maintenance", (wish, by_force), uuid4())
        if new:
            begins_at = max(begins_at or call.now, call.now)
            made = MaintenanceMade(maintenance_id, begins_at, await _places(connection, wish), call.actor)
            messages = await announcing.announce(connection, made, wish, call.now, by_force=by_force)
        found = await maintenance.find(connection, maintenance_id)
        staying = await announcing.staying(connection, found, call.now)
    call.deliver(messages)
    return Announced(found, staying)


async def listing(call: Call, *, with_past: bool) -> list[Maintenance]:
    """What is not over, or all; the latest announced first."""
    async with call.backends.ledger.reading() as connection:
        return await maintenance.listing(connection, call.now, with_past=with_past)


async def end(call: Call, name: str) -> Maintenance:
    """End it now, or call it off. Repeating it changes nothing."""
    require_administrator(call)
    async with call.backends.ledger.transaction() as connection:
        found = await maintenance.named(connection, name, call.now)
        messages = await maintenance.end(connection, found, call.actor, call.now)
        ended = await maintenance.find(connection, found.id)
    call.deliver(messages)
    return ended


async def _places(connection: Connection, wish: MaintenanceWish) -> list[PoolNode]:
    known = {cluster.name for cluster in await inventory.clusters(connection)} if wish.clusters else set()
    for cluster in wish.clusters:
        if cluster not in known:
            raise NotFound(f"there is no cluster {cluster!r}", cluster=cluster)
    places = [PoolNode(cluster, "") for cluster in wish.clusters]
    for pool in wish.pools:
        places += (await pools.find(connection, pool)).nodes
    places += await meant(connection, wish.nodes)
    if not places:
        raise InvalidRequest("maintenance is of nodes, clusters or pools that have nodes: name one at least")
    return list(dict.fromkeys(places))
