"""Clusters and nodes in the ledger: what was registered, what was last observed, what is quarantined."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from domain.hardware import Cluster, GpuHolder, Node, NodeState, ObservedNode
from domain.slices import GPU_RESOURCE, Slicing
from ledger import events
from ledger.statements import load

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from domain.hardware import ClusterCapabilities
    from ledger.connection import Connection, Row

_SQL = load("inventory")

CUT_ANEW: Final = "its GPUs were cut anew while leases held them: nothing is placed here until those have ended"


async def register_cluster(connection: Connection, name: str, capabilities: ClusterCapabilities, now: datetime) -> None:
    """Write what a cluster is and can do; registering it again brings that up to date."""
    await connection.execute(
        _SQL["register_cluster"],
        name,
        capabilities.server,
        capabilities.version,
        capabilities.sufficient,
        list(capabilities.lacks),
        now,
    )


async def observe(connection: Connection, cluster: str, observed: Sequence[ObservedNode], now: datetime) -> bool:
    """Write what a cluster reports; whether anything changed that a plan depends on."""
    came_back = await connection.fetchval(_SQL["cluster_seen"], cluster, now)
    rows = [row for node in observed for row in _rows(node)]
    changed = [row.name for row in rows if await _observe_row(connection, cluster, row, now)]
    gone = await connection.fetch(_SQL["nodes_gone"], cluster, [row.name for row in rows], now)
    if changed or gone or came_back:
        detail = {"cluster": cluster, "changed": changed[:50], "gone": [row["name"] for row in gone][:50]}
        await events.record(connection, now, "nodes_changed", detail=detail)
    return bool(changed or gone or came_back)


async def mark_away(connection: Connection, cluster: str, now: datetime) -> bool:
    """The cluster has not answered since `now`; whether that is news."""
    if await connection.fetchval(_SQL["cluster_away"], cluster, now) is None:
        return False
    await events.record(connection, now, "cluster_away", detail={"cluster": cluster})
    return True


async def quarantine(connection: Connection, cluster: str, node: str, why: str, now: datetime) -> None:
    """Place nothing more on a node until somebody, or the reconciler, has seen it free."""
    if await connection.fetchval(_SQL["quarantine"], cluster, node, now, why) is not None:
        detail = {"cluster": cluster, "node": node, "why": why}
        await events.record(connection, now, "node_quarantined", detail=detail)


async def lift_quarantine(connection: Connection, cluster: str, node: str, now: datetime) -> None:
    """The node may be used again."""
    if await connection.fetchval(_SQL["lift_quarantine"], cluster, node) is not None:
        detail = {"cluster": cluster, "node": node}
        await events.record(connection, now, "node_quarantine_lifted", detail=detail)


async def quarantined(connection: Connection, cluster: str) -> list[str]:
    """Names of a cluster's quarantined nodes."""
    return [row["name"] for row in await connection.fetch(_SQL["quarantined"], cluster)]


async def nodes(connection: Connection, cluster: str | None = None) -> list[Node]:
    """Nodes of one cluster or of all, with who holds their GPUs."""
    holders = await _holders(connection, cluster)
    return [_node(row, holders[row["cluster"], row["name"]]) for row in await connection.fetch(_SQL["nodes"], cluster)]


async def bare_nodes(connection: Connection) -> list[Node]:
    """All nodes as if nobody held their GPUs: for a plan, which has that from the leases and need not join for it."""
    return [_node(row, []) for row in await connection.fetch(_SQL["nodes"], None)]


async def clusters(connection: Connection) -> list[Cluster]:
    """All registered clusters."""
    return [
        Cluster(
            name=row["name"],
            server=row["server"],
            version=row["version"],
            sufficient=row["sufficient"],
            lacks=tuple(row["lacks"]),
            seen_at=row["seen_at"],
            away_since=row["away_since"],
        )
        for row in await connection.fetch(_SQL["clusters"])
    ]


@dataclass(frozen=True, slots=True)
class _Observed:
    """A row: a node, or a part of one that is cut."""

    node: ObservedNode
    name: str
    shape: str
    gpus: int
    memory_mib: int
    foreign_gpus: int
    resource: str = GPU_RESOURCE
    slicing: Slicing = Slicing.NONE
    condition: str = ""

    @property
    def state(self) -> NodeState:
        if not self.node.ready:
            return NodeState.NOT_READY
        return NodeState.READY if self.node.schedulable and not self.condition else NodeState.CORDONED


def _rows(node: ObservedNode) -> list[_Observed]:
    """Of a node that is cut the node itself, without GPUs, and each of its parts."""
    own = _Observed(node, node.name, node.shape, node.gpus, node.memory_mib, node.foreign_gpus)
    return [
        own,
        *(
            _Observed(
                node=node,
                name=part.name_on(node.name),
                shape=part.shape,
                gpus=part.count,
                memory_mib=part.memory_mib,
                foreign_gpus=part.foreign,
                resource=part.resource,
                slicing=part.slicing,
                condition=part.condition,
            )
            for part in node.parts
        ),
    ]


async def _observe_row(connection: Connection, cluster: str, row: _Observed, now: datetime) -> bool:
    name = await connection.fetchval(
        _SQL["observe_node"],
        cluster,
        row.name,
        row.shape,
        row.node.instance_type,
        row.gpus,
        row.memory_mib,
        row.node.region,
        row.node.cloud_provider,
        row.state,
        "; ".join(filter(None, [row.node.condition, row.condition])),
        row.foreign_gpus,
        row.resource,
        row.slicing,
        now,
    )
    return name is not None


async def _holders(connection: Connection, cluster: str | None) -> dict[tuple[str, str], list[GpuHolder]]:
    holders: dict[tuple[str, str], list[GpuHolder]] = defaultdict(list)
    for row in await connection.fetch(_SQL["holders"], cluster):
        holder = GpuHolder(row["gpr_name"], row["workspace"], row["gpus"], row["granted_at"])
        holders[row["cluster"], row["node"]].append(holder)
    return holders


def _node(row: Row, holders: list[GpuHolder]) -> Node:
    state, condition = _effective_state(row)
    held = sum(holder.gpus for holder in holders)
    used = held + row["foreign_gpus"] + row["set_aside_unheld"]
    free = max(0, row["gpus"] - used) if state is NodeState.READY else 0
    return Node(
        cluster=row["cluster"],
        name=row["name"],
        shape=row["shape"],
        instance_type=row["instance_type"],
        gpus=row["gpus"],
        memory_mib=row["memory_mib"],
        region=row["region"],
        cloud_provider=row["cloud_provider"],
        state=state,
        condition=condition,
        free_gpus=free,
        foreign_gpus=row["foreign_gpus"],
        holders=tuple(holders),
        set_aside=frozenset(row["set_aside"]),
        resource=row["resource"],
        slicing=Slicing(row["slicing"]),
    )


def _effective_state(row: Row) -> tuple[NodeState, str]:
    if row["host_quarantined_at"] is not None:
        return NodeState.QUARANTINED, row["host_quarantine_reason"]
    if row["whole_because"] is not None:
        return NodeState.QUARANTINED, row["whole_because"]
    if row["away_since"] is not None:
        return NodeState.NOT_READY, f"cluster {row['cluster']} does not answer"
    if not row["sufficient"]:
        return NodeState.CORDONED, "; ".join(row["lacks"])
    if row["is_cut_anew"]:
        return NodeState.CORDONED, CUT_ANEW
    return NodeState(row["state"]), row["condition"]
