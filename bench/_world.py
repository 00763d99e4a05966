"""The planner bench's crowded world, written into a real ledger: nodes, leases and a queue."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from uuid import NAMESPACE_OID, UUID, uuid4, uuid5

from bench.planner import a_world

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ledger.connection import Connection, Ledger
    from planner.snapshot import Claim, LeaseView, NodeView, Snapshot

Row = tuple[object, ...]

FREE_NODES_PER_THOUSAND = 20
"""Nodes that nobody holds, so that the first pass has something to grant."""
FINISHED_IN_PAGE = 100

PRINCIPAL = "insert into principal (id, name, created_at) values ($1, 'crowd', $2)"
CLUSTER = (
    "insert into cluster (name, server, version, sufficient, registered_at, seen_at) values ($1, '', '', true, $2, $2)"
)
WORKSPACE = """
insert into workspace (id, name, tenant, owner_id, clusters, phase, created_at)
values ($1, $2::text, $2::text, $3, $4, 'ready', $5)
"""
RESET_FENCES = (
    "select setval(pg_get_serial_sequence('lease', 'fence'), (select coalesce(max(fence), 0) + 1 from lease))"
)
FINISHED = """
insert into gpr (id, external_id, workspace_id, submitted_by, name, nodes, gpus_per_node, duration_seconds, priority,
                 exclusive, requeue_on_failure, phase, submitted_at, finished_at)
select gen_random_uuid(), $1::uuid::text || '-' || number, $1, $2, 'done-' || number, 1, 1, 60, 101, true, true, 'expired', $3, $3
from generate_series(1, $4) as number
"""
WHO = ["id", "external_id", "workspace_id", "submitted_by", "name"]
WISH = [
    "nodes",
    "gpus_per_node",
    "shape",
    "clusters",
    "duration_seconds",
    "priority",
    "exclusive",
    "requeue_on_failure",
]
STATE = ["phase", "fence", "submitted_at", "active_at", "end_at"]
GPR_COLUMNS = [*WHO, *WISH, *STATE]
NODE_COLUMNS = ["cluster", "name", "shape", "instance_type", "gpus", "memory_mib", "state", "observed_at"]


class Crowd:
    """Who and what was written, for those who go on from there."""

    def __init__(self, now: datetime) -> None:
        self.now = now
        self.principal = uuid4()
        self.clusters: list[str] = []


async def fill(ledger: Ledger, *, nodes: int, queue: int, now: datetime) -> Crowd:
    """Write a world of this size."""
    world, crowd = a_world(max(queue, 1), nodes), Crowd(now)
    crowd.clusters = sorted({node.cluster for node in world.nodes})
    names = {claim.workspace for claim in world.queue} | {lease.workspace for lease in world.leases}
    async with ledger.transaction() as connection:
        await connection.execute(PRINCIPAL, crowd.principal, now)
        for cluster in crowd.clusters:
            await connection.execute(CLUSTER, cluster, now)
        await connection.copy_records_to_table(
            "node", records=[_node(node, now) for node in world.nodes], columns=NODE_COLUMNS
        )
        await _write_workspaces(connection, crowd, names)
        await _write_leases(connection, crowd, _lawful(_kept(world)), now - world.now)
        records = [_queued(claim, crowd) for claim in world.queue[:queue]]
        await connection.copy_records_to_table("gpr", records=records, columns=GPR_COLUMNS)
    async with ledger.reading() as connection:
        await connection.execute("vacuum analyze")
    return crowd


async def a_workspace_with_a_page(ledger: Ledger, crowd: Crowd, name: str) -> None:
    """A workspace whose list is one page of what is over, however long the queue is."""
    async with ledger.transaction() as connection:
        await _write_workspaces(connection, crowd, {name})
        await connection.execute(FINISHED, _id(name), crowd.principal, crowd.now, FINISHED_IN_PAGE)


def _kept(world: Snapshot) -> list[LeaseView]:
    free = {node.name for node in world.nodes[: len(world.nodes) * FREE_NODES_PER_THOUSAND // 1000]}
    return [lease for lease in world.leases if lease.gpus[0].node not in free]


def _lawful(leases: Iterable[LeaseView]) -> list[tuple[LeaseView, bool]]:
    """With whether each is exclusive: the ledger lets only one lease of a workspace be that."""
    seen: set[str] = set()
    marked = []
    for lease in leases:
        marked.append((lease, lease.exclusive and lease.workspace not in seen))
        seen |= {lease.workspace} if lease.exclusive else set()
    return marked


async def _write_workspaces(connection: Connection, crowd: Crowd, names: Iterable[str]) -> None:
    rows = [(_id(name), name, crowd.principal, crowd.clusters, crowd.now) for name in sorted(names)]
    await connection.executemany(WORKSPACE, rows)


async def _write_leases(
    connection: Connection, crowd: Crowd, leases: Sequence[tuple[LeaseView, bool]], shift: timedelta
) -> None:
    gprs = [_active(lease, crowd, shift, exclusive=exclusive) for lease, exclusive in leases]
    await connection.copy_records_to_table("gpr", records=gprs, columns=GPR_COLUMNS)
    rows = [_lease(lease, crowd, exclusive=exclusive) for lease, exclusive in leases]
    columns = ["fence", "gpr_id", "workspace_id", "cluster", "exclusive", "granted_at"]
    await connection.copy_records_to_table("lease", records=rows, columns=columns)
    gpus = [(lease.fence + 1, gpu.cluster, gpu.node, gpu.ordinal) for lease, _ in leases for gpu in lease.gpus]
    await connection.copy_records_to_table("lease_gpu", records=gpus, columns=["fence", "cluster", "node", "ordinal"])
    await connection.execute(RESET_FENCES)


def _node(node: NodeView, now: datetime) -> Row:
    memory_mib = node.memory_gib * 1024
    return node.cluster, node.name, node.shape, node.instance_type, node.gpus, memory_mib, "ready", now


def _active(lease: LeaseView, crowd: Crowd, shift: timedelta, *, exclusive: bool) -> Row:
    gpr_id, workspace = _id(lease.gpr_id), _id(lease.workspace)
    assert lease.until is not None
    who: Row = (gpr_id, str(gpr_id), workspace, crowd.principal, lease.gpr_name)
    wish: Row = (1, len(lease.gpus), "", [], 3600, 101, exclusive, True)
    return *who, *wish, "active", lease.fence + 1, crowd.now, crowd.now, lease.until + shift


def _lease(lease: LeaseView, crowd: Crowd, *, exclusive: bool) -> Row:
    where = lease.gpus[0].cluster
    return lease.fence + 1, _id(lease.gpr_id), _id(lease.workspace), where, exclusive, crowd.now


def _queued(claim: Claim, crowd: Crowd) -> Row:
    gpr_id, workspace = _id(claim.gpr_id), _id(claim.workspace)
    who: Row = (gpr_id, str(gpr_id), workspace, crowd.principal, claim.gpr_name)
    wish: Row = (claim.nodes, claim.gpus_per_node, claim.shape, list(claim.clusters), claim.duration_seconds)
    return *who, *wish, claim.priority, claim.exclusive, True, "queued", None, crowd.now, None, None


def _id(name: str) -> UUID:
    return uuid5(NAMESPACE_OID, name)
