"""Announced maintenance in the ledger. Whether it may be announced is decided before, under the arbiter's lock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from domain.failures import AlreadyExists, NotFound
from domain.limits import PoolNode
from domain.maintenance import Maintenance, NodeAway
from domain.messages import kick_arbiter
from ledger import events, outbox
from ledger.statements import load

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from domain.maintenance import MaintenanceMade, MaintenanceWish
    from ledger.connection import Connection, Row

_SQL = load("maintenance")

LISTED_MAX: Final = 500


async def announce(connection: Connection, made: MaintenanceMade, wish: MaintenanceWish, now: datetime) -> list[int]:
    """Write it. AlreadyExists where one of this name is not over. The ids of the messages to deliver after the commit."""
    if await connection.fetchval(_SQL["open"], wish.name, now) is not None:
        raise AlreadyExists(f"there is maintenance {wish.name!r} already, and it is not over")
    times = (made.begins_at, wish.ends_at)
    await connection.execute(_SQL["create"], made.id, wish.name, wish.description, *times, made.actor, now)
    clusters, nodes = [one.cluster for one in made.places], [one.node for one in made.places]
    await connection.execute(_SQL["add_nodes"], made.id, clusters, nodes)
    detail = {
        "maintenance": wish.name,
        "begins_at": made.begins_at.isoformat(),
        "ends_at": wish.ends_at.isoformat(),
        "nodes": [f"{one.cluster}/{one.node or '*'}" for one in made.places],
    }
    await events.record(connection, now, "maintenance_announced", actor=made.actor, detail=detail)
    await outbox.kick_at(connection, wish.ends_at)
    return [await outbox.put(connection, kick_arbiter())]


async def end(connection: Connection, maintenance: Maintenance, actor: str, now: datetime) -> list[int]:
    """End it, or call it off; what is over stays as it is. The ids of the messages to deliver after the commit."""
    if await connection.fetchval(_SQL["end"], maintenance.id, now) is None:
        return []
    await events.record(connection, now, "maintenance_ended", actor=actor, detail={"maintenance": maintenance.name})
    return [await outbox.put(connection, kick_arbiter())]


async def ahead(connection: Connection, now: datetime) -> list[NodeAway]:
    """By node, all that is not over."""
    return [
        NodeAway(PoolNode(row["cluster"], row["node"]), row["name"], row["begins_at"], row["ends_at"])
        for row in await connection.fetch(_SQL["ahead"], now)
    ]


async def listing(connection: Connection, now: datetime, *, with_past: bool) -> list[Maintenance]:
    """What is not over, or all; the latest announced first."""
    rows = await connection.fetch(_SQL["page"], None if with_past else now, None, LISTED_MAX)
    return [_maintenance(row) for row in rows]


async def find(connection: Connection, maintenance_id: UUID) -> Maintenance:
    """One of them, or NotFound."""
    row = await connection.fetchrow(_SQL["page"], None, maintenance_id, 1)
    if row is None:
        raise NotFound("there is no such maintenance")
    return _maintenance(row)


async def named(connection: Connection, name: str, now: datetime) -> Maintenance:
    """The one of this name that is not over, else the one that was announced last; or NotFound."""
    found = await connection.fetchval(_SQL["open"], name, now) or await connection.fetchval(_SQL["latest"], name)
    if found is None:
        raise NotFound(f"there is no maintenance {name!r}", maintenance=name)
    return await find(connection, found)


def _maintenance(row: Row) -> Maintenance:
    return Maintenance(
        id=row["id"],
        name=row["name"],
        description=row["description"],
        places=tuple(PoolNode(cluster, node) for cluster, node in row["places"]),
        begins_at=row["begins_at"],
        ends_at=row["ends_at"],
        created_by=row["created_by"],
        created_at=row["created_at"],
        ended_at=row["ended_at"],
    )
