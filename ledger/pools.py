"""Pools in the ledger."""

from __future__ import annotations

from typing import TYPE_CHECKING

from domain.failures import AlreadyExists, InUse, NotFound
from domain.limits import Pool, PoolNode
from domain.messages import kick_arbiter
from ledger import events, outbox
from ledger.statements import load

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from ledger.connection import Connection, Row

_SQL = load("pools")


async def create(connection: Connection, name: str, description: str, actor: str, now: datetime) -> None:
    """Make a pool without nodes; AlreadyExists when there is one of this name."""
    if await connection.fetchval(_SQL["create"], name, description, actor, now) is None:
        raise AlreadyExists(f"there is a pool {name!r} already")
    await events.record(connection, now, "pool_created", actor=actor, detail={"pool": name})


async def describe(connection: Connection, name: str, description: str) -> None:
    """Change what is said of it, or NotFound."""
    if await connection.fetchval(_SQL["describe"], name, description) is None:
        raise NotFound(f"there is no pool {name!r}", pool=name)


async def pools(connection: Connection) -> list[Pool]:
    """All of them, by name."""
    return [_pool(row) for row in await connection.fetch(_SQL["all"], None)]


async def find(connection: Connection, name: str) -> Pool:
    """One of them, or NotFound."""
    row = await connection.fetchrow(_SQL["all"], name)
    if row is None:
        raise NotFound(f"there is no pool {name!r}", pool=name)
    return _pool(row)


async def change_nodes(
    connection: Connection,
    name: str,
    actor: str,
    now: datetime,
    *,
    add: Sequence[PoolNode] = (),
    remove: Sequence[PoolNode] = (),
) -> list[int]:
    """Add and remove nodes; what runs there goes on. The ids of the messages to deliver after the commit."""
    await connection.execute(_SQL["add_nodes"], name, [one.cluster for one in add], [one.node for one in add])
    await connection.execute(_SQL["remove_nodes"], name, [one.cluster for one in remove], [one.node for one in remove])
    detail = {"pool": name, "added": [str(one.node) for one in add], "removed": [str(one.node) for one in remove]}
    await events.record(connection, now, "pool_changed", actor=actor, detail=detail)
    return [await outbox.put(connection, kick_arbiter())]


async def delete(connection: Connection, name: str, actor: str, now: datetime) -> list[int]:
    """Forget it, with its weights: its nodes serve those who name no pool, and what was had there counts as had there.

    InUse while a Gpr waits for it or holds its nodes.
    """
    users = await connection.fetchval(_SQL["users"], name)
    if users:
        raise InUse(f"the pool {name!r} is used by {users} request(s); let them end first", active=users)
    if await connection.fetchval(_SQL["delete"], name) is None:
        raise NotFound(f"there is no pool {name!r}", pool=name)
    await connection.execute(_SQL["give_use_back"], name)
    await events.record(connection, now, "pool_deleted", actor=actor, detail={"pool": name})
    return [await outbox.put(connection, kick_arbiter())]


async def of_nodes(connection: Connection) -> Mapping[PoolNode, frozenset[str]]:
    """The pools of each node that is in any."""
    rows = await connection.fetch(_SQL["of_nodes"])
    return {PoolNode(row["cluster"], row["node"]): frozenset(row["pools"]) for row in rows}


def _pool(row: Row) -> Pool:
    nodes = tuple(PoolNode(cluster, node) for cluster, node in row["nodes"])
    return Pool(row["name"], row["description"], nodes, row["created_by"], row["created_at"])
