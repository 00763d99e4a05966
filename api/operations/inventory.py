"""What there is: nodes with their GPUs, and the clusters they are in. Everybody may see hardware, not everybody's tenants."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from api.operations.permission import workspace_for
from domain.hardware import Cluster, Node, NodeState
from domain.limits import PoolNode
from domain.maintenance import NodeAway, spoken_away
from domain.permissions import Action
from ledger import inventory, maintenance, reading

if TYPE_CHECKING:
    from api.operations.call import Call
    from ledger.connection import Connection


@dataclass(frozen=True, slots=True)
class SeenNode:
    """A node with the holders that the caller may know of, and how many of its GPUs are held by anybody."""

    node: Node
    held_gpus: int

    @property
    def used_gpus(self) -> int:
        """In use by anybody, pods outside Berth included."""
        return min(self.node.gpus, self.held_gpus + self.node.foreign_gpus)


async def nodes(call: Call, cluster: str | None = None) -> list[SeenNode]:
    """GPU nodes of one cluster or of all."""
    async with call.backends.ledger.reading() as connection:
        names = await _visible_names(connection, call)
        found = await _nodes(connection, call, cluster)
    return [_seen(node, names) for node in found]


async def nodes_of_workspace(call: Call, name: str) -> list[SeenNode]:
    """Nodes on which a workspace holds GPUs, with nobody else's holdings."""
    async with call.backends.ledger.reading() as connection:
        workspace = await workspace_for(connection, call, name, Action.VIEW)
        found = await _nodes(connection, call)
    own = frozenset({workspace.request.name})
    return [seen for seen in (_seen(node, own) for node in found) if seen.node.holders]


async def clusters(call: Call) -> list[Cluster]:
    """Registered clusters."""
    async with call.backends.ledger.reading() as connection:
        return await inventory.clusters(connection)


async def _nodes(connection: Connection, call: Call, cluster: str | None = None) -> list[Node]:
    """A node in maintenance takes nothing new, like one that is cordoned."""
    away = {one.node: one for one in await maintenance.ahead(connection, call.now) if one.begins_at <= call.now}
    found = await inventory.nodes(connection, cluster)
    return [_in_maintenance(node, away.get(PoolNode(node.cluster, node.host))) for node in found]


def _in_maintenance(node: Node, away: NodeAway | None) -> Node:
    if away is None or node.state is not NodeState.READY:
        return node
    return replace(node, state=NodeState.CORDONED, condition=spoken_away(away), free_gpus=0)


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
