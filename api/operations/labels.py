"""Labels of nodes in their clusters: everybody may read them, administrators change those that are not somebody else's."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from api.operations import nodes
from api.operations.permission import require_administrator
from domain.failures import BerthFailure, NotFound
from domain.node_labels import checked_key, checked_own_key, checked_value
from ledger import events

if TYPE_CHECKING:
    from collections.abc import Sequence

    from api.operations.call import Call
    from domain.hardware import Node


@dataclass(frozen=True, slots=True)
class NewLabel:
    """A label to be put on nodes. One with the same key stays, unless `overwrite`."""

    key: str
    value: str
    overwrite: bool = False


async def value_of(call: Call, node: str, cluster: str | None, key: str) -> str:
    """The value of one label of a node, or NotFound."""
    found = await nodes.with_facts(call, node, cluster)
    assert found.facts is not None
    if checked_key(key) not in found.facts.labels:
        raise NotFound(f"node {node!r} has no label {key!r}", node=node, key=key)
    return found.facts.labels[key]


async def all_nodes(call: Call) -> list[nodes.PooledNode]:
    """Every node, with its labels as far as its cluster answers."""
    return await nodes.described(call, await nodes.listing(call))


async def nodes_with(call: Call, key: str) -> list[nodes.PooledNode]:
    """The nodes that have a label, as far as their clusters answer."""
    checked_key(key)
    return [one for one in await all_nodes(call) if one.facts is not None and key in one.facts.labels]


async def add(call: Call, node: str, cluster: str | None, label: NewLabel) -> None:
    """Put a label on a node. AlreadyExists where the key is there and may not be overwritten."""
    _check(call, label)
    await _add(call, (await nodes.find(call, node, cluster)).node, label)


async def add_to_all(call: Call, names: Sequence[str], label: NewLabel) -> dict[str, BerthFailure | None]:
    """Put a label on each of these nodes, whatever becomes of the others; what went wrong, by node."""
    _check(call, label)
    known = await nodes.listing(call)

    async def outcome(name: str) -> BerthFailure | None:
        try:
            await _add(call, nodes.named(known, name).node, label)
        except BerthFailure as failure:
            return failure
        return None

    unique = list(dict.fromkeys(names))
    return dict(zip(unique, await asyncio.gather(*map(outcome, unique)), strict=True))


async def change(call: Call, node: str, cluster: str | None, key: str, value: str) -> None:
    """Give a label another value, or NotFound."""
    _check(call, NewLabel(key, value))
    where = (await nodes.find(call, node, cluster)).node.cluster
    await call.backends.nodes.set_label(where, node, key, value)
    await _record(call, where, node, key, value)


async def remove(call: Call, node: str, cluster: str | None, key: str) -> None:
    """Take a label off a node, or NotFound."""
    require_administrator(call)
    checked_own_key(key)
    where = (await nodes.find(call, node, cluster)).node.cluster
    await call.backends.nodes.remove_label(where, node, key)
    await _record(call, where, node, key, None)


def _check(call: Call, label: NewLabel) -> None:
    require_administrator(call)
    checked_own_key(label.key)
    checked_value(label.value)


async def _add(call: Call, node: Node, label: NewLabel) -> None:
    where = (node.cluster, node.name)
    await call.backends.nodes.add_label(*where, label.key, label.value, overwrite=label.overwrite)
    await _record(call, *where, label.key, label.value)


async def _record(call: Call, cluster: str, node: str, key: str, value: str | None) -> None:
    detail = {"cluster": cluster, "node": node, "key": key, "value": value}
    async with call.backends.ledger.transaction() as connection:
        await events.record(connection, call.now, "node_label_changed", actor=call.actor, detail=detail)
