"""What there is: nodes with their GPUs, and the clusters they are in. Everybody may see hardware, not everybody's tenants."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from api.operations.permission import workspace_for
from domain.hardware import Cluster, Node
from domain.permissions import Action
from ledger import inventory, reading

if TYPE_CHECKING:
    from api.operations.call import Call
    from ledger.connection import Connection


@dataclass(frozen=True, slots=True)
class SeenNode:
    """A node with the holders that the caller may know of, and how many of its GPUs are held by anybody."""

    node: Node
    held_gpus: int


async def nodes(call: Call, cluster: str | None = None) -> list[SeenNode]:
    """GPU nodes of one cluster or of all."""
    async with call.backends.ledger.reading() as connection:
        names = await _visible_names(connection, call)
        found = await inventory.nodes(connection, cluster)
    return [_seen(node, names) for node in found]


async def nodes_of_workspace(call: Call, name: str) -> list[SeenNode]:
    """Nodes on which a workspace holds GPUs, with nobody else's holdings."""
    async with call.backends.ledger.reading() as connection:
        workspace = await workspace_for(connection, call, name, Action.VIEW)
        found = await inventory.nodes(connection)
    own = frozenset({workspace.request.name})
    return [seen for seen in (_seen(node, own) for node in found) if seen.node.holders]


async def clusters(call: Call) -> list[Cluster]:
    """Registered clusters."""
    async with call.backends.ledger.reading() as connection:
        return await inventory.clusters(connection)


async def _visible_names(connection: Connection, call: Call) -> frozenset[str] | None:
    if call.caller.administrator:
        return None
    names = await reading.workspace_names_of(connection, call.principal_id)
    confined = call.caller.workspace_name
    return names if confined is None else names & {confined}


def _seen(node: Node, names: frozenset[str] | None) -> SeenNode:
    held = sum(holder.gpus for holder in node.holders)
    holders = tuple(holder for holder in node.holders if names is None or holder.workspace in names)
    return SeenNode(replace(node, holders=holders), held)
