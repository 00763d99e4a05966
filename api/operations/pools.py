"""Pools: everybody sees them, administrators make and change them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from api.operations.permission import require_administrator, visible_workspace_ids
from domain.failures import InvalidRequest, NotFound
from domain.identifiers import checked_name
from domain.limits import Pool, PoolNode
from ledger import inventory, pool_weights, pools

if TYPE_CHECKING:
    from api.operations.call import Call
    from domain.hardware import Node
    from ledger.connection import Connection

NO_POOL: Final = "default"
"""Dialects use this word for the nodes of no pool, so no pool may be called so."""


@dataclass(frozen=True, slots=True)
class PoolChange:
    """What is to become of a pool; None leaves as it is. Nodes by name, or by `cluster/name` where a name is not enough."""

    description: str | None = None
    nodes: Sequence[str] | None = None
    add: Sequence[str] = ()
    remove: Sequence[str] = ()


async def listing(call: Call) -> list[Pool]:
    """All pools."""
    async with call.backends.ledger.reading() as connection:
        return await _seen(connection, call, await pools.pools(connection))


async def find(call: Call, name: str) -> Pool:
    """One pool."""
    async with call.backends.ledger.reading() as connection:
        return await _found(connection, call, name)


async def create(call: Call, name: str, description: str, nodes: Sequence[str]) -> Pool:
    """Make a pool of these nodes."""
    require_administrator(call)
    if checked_name(name, "the name of a pool") == NO_POOL:
        raise InvalidRequest(f"{NO_POOL!r} means the nodes of no pool; choose another name")
    async with call.backends.ledger.transaction() as connection:
        await pools.create(connection, name, description, call.actor, call.now)
        members = await meant(connection, nodes)
        messages = await pools.change_nodes(connection, name, call.actor, call.now, add=members)
        made = await pools.find(connection, name)
    call.deliver(messages)
    return made


async def change(call: Call, name: str, wish: PoolChange) -> Pool:
    """Change what is said of it, or its nodes. What runs on a node goes on."""
    require_may_change(call, name)
    async with call.backends.ledger.transaction() as connection:
        before = await pools.find(connection, name)
        if wish.description is not None:
            await pools.describe(connection, name, wish.description)
        add, remove = await meant(connection, wish.add), await meant(connection, wish.remove)
        if wish.nodes is not None:
            wanted = await meant(connection, wish.nodes)
            add, remove = wanted, [one for one in before.nodes if one not in wanted]
        messages = await pools.change_nodes(connection, name, call.actor, call.now, add=add, remove=remove)
        changed = await _found(connection, call, name)
    call.deliver(messages)
    return changed


async def delete(call: Call, name: str) -> Pool:
    """Forget it; as it was. InUse while anything waits for it or holds its nodes."""
    require_may_change(call, name)
    async with call.backends.ledger.transaction() as connection:
        gone = await _found(connection, call, name)
        messages = await pools.delete(connection, name, call.actor, call.now)
    call.deliver(messages)
    return gone


async def _found(connection: Connection, call: Call, name: str) -> Pool:
    (seen,) = await _seen(connection, call, [await pools.find(connection, name)])
    return seen


async def _seen(connection: Connection, call: Call, found: Sequence[Pool]) -> list[Pool]:
    """With what those workspaces weigh in them that the caller may see."""
    visible = await visible_workspace_ids(connection, call)
    only = found[0].name if len(found) == 1 else None
    weights = await pool_weights.weights(connection, call.now, only, visible)
    return [replace(pool, weights=tuple(one for one in weights if one.pool == pool.name)) for pool in found]


def require_may_change(call: Call, name: str = "") -> None:
    """Only an administrator. InvalidRequest for the word that means the nodes of no pool."""
    require_administrator(call)
    if name == NO_POOL:
        raise InvalidRequest(f"{NO_POOL!r} means the nodes of no pool: it changes as they join and leave other pools")


async def meant(connection: Connection, words: Sequence[str]) -> list[PoolNode]:
    """The nodes of these words, or NotFound; InvalidRequest where several clusters have one of that name."""
    known = await inventory.bare_nodes(connection) if words else []
    return [_node(word, known) for word in dict.fromkeys(words)]


def _node(word: str, known: Sequence[Node]) -> PoolNode:
    cluster, slash, name = word.rpartition("/")
    found = [
        PoolNode(node.cluster, node.name)
        for node in known
        if node.name == name and (not slash or node.cluster == cluster)
    ]
    if not found:
        raise NotFound(f"there is no node {word!r}", node=word)
    if len(found) > 1:
        where = ", ".join(sorted(node.cluster for node in found))
        raise InvalidRequest(f"there is a node {name!r} in several clusters ({where}): write cluster/{name}")
    return found[0]
