"""Leases: which GPUs a Gpr holds. The database's unique indexes make a double grant impossible, whoever asks."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from domain.devices import MEMORY_FLOOR_MIB
from domain.gpr import Phase
from domain.hardware import Gpu
from domain.identifiers import lease_token_key, token_key
from domain.priority import PRIORITY_MAX
from domain.slices import GPU_RESOURCE
from ledger import disks, events
from ledger.statements import load

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    from ledger.connection import Connection

_SQL = load("leases")
_GPRS = load("gprs")


@dataclass(frozen=True, slots=True)
class OpenLease:
    """A lease that has not been released, and the GPUs it still holds."""

    fence: int
    gpr_id: str
    gpr_name: str
    workspace: str
    workspace_name: str
    tenant: str
    namespaces: tuple[str, ...]
    exclusive: bool
    cluster: str
    phase: Phase
    granted_at: datetime
    active_at: datetime | None
    end_at: datetime | None
    duration_seconds: int | None
    gpus: tuple[Gpu, ...]
    namespace: str = ""
    cpu_millis: int = 0
    memory_mib: int = 0
    disk_id: str | None = None
    fixed_start: datetime | None = None
    """It was reserved from then on, and its duration counts from there."""
    submitter: str = ""
    """Id of who asked for it."""
    priority: int = PRIORITY_MAX
    preemptible: bool = False
    """It may be ended early for another request."""
    preempted: bool = False
    """It is being ended early."""
    taken_back: bool = False
    """Likewise, since it borrows what is guaranteed to others."""
    resource: str = GPU_RESOURCE
    """What Kubernetes counts its GPUs by."""
    pool: str = ""
    """That was asked for."""
    stopped_at: datetime | None = None
    """Its end, since when it is torn down."""

    @property
    def token(self) -> str:
        """The extended resource that counts its GPUs."""
        return token_key(self.tenant, self.resource) if self.exclusive else lease_token_key(self.fence, self.resource)


@dataclass(frozen=True, slots=True)
class LeftBehind:
    """GPUs of a closed lease on a node that was not seen to be free."""

    fence: int
    node: str
    tenant: str
    exclusive: bool
    devices_rest: bool
    """Nothing is left on them by their newest readings, or nobody reads them there."""
    resource: str = GPU_RESOURCE

    @property
    def token(self) -> str:
        """The extended resource that counted its GPUs."""
        return token_key(self.tenant, self.resource) if self.exclusive else lease_token_key(self.fence, self.resource)


async def grant(connection: Connection, gpr_id: UUID, cluster: str, gpus: Sequence[Gpu], now: datetime) -> int | None:
    """Give these GPUs, and its disk, to a queued Gpr; the lease's fence.

    None if it is queued no more, or its disk is not to be had on this cluster now.
    """
    wish = await connection.fetchrow(_SQL["hold_queued"], gpr_id)
    if wish is None:
        return None
    disk_id: UUID | None = wish["disk_id"]
    if disk_id is not None and not await disks.may_be_granted(connection, disk_id, cluster):
        return None
    row = await connection.fetchrow(_SQL["grant"], gpr_id, cluster, now, gpus[0].node if gpus else "")
    assert row is not None
    fence: int = row["fence"]
    nodes, ordinals = [gpu.node for gpu in gpus], [gpu.ordinal for gpu in gpus]
    await connection.execute(_SQL["grant_gpu"], fence, cluster, nodes, ordinals)
    await connection.fetchval(_GPRS["to_provisioning"], gpr_id, fence, now)
    detail: dict[str, object] = {"cluster": cluster, "gpus": [[gpu.node, gpu.ordinal] for gpu in gpus]}
    if disk_id is not None:
        detail["disk"] = str(disk_id)
    await events.record(
        connection, now, "granted", gpr_id=gpr_id, workspace_id=row["workspace_id"], fence=fence, detail=detail
    )
    return fence


async def release(connection: Connection, fence: int, stuck_nodes: Sequence[str], now: datetime) -> None:
    """Close a lease. GPUs on stuck nodes stay held."""
    await connection.execute(_SQL["release_gpus"], fence, now, list(stuck_nodes))
    await connection.execute(_SQL["release"], fence, now)


async def open_leases(connection: Connection, cluster: str | None = None) -> list[OpenLease]:
    """Every lease that is not released, of one cluster or of all."""
    held = await _held(connection, cluster)
    return [
        OpenLease(
            fence=row["fence"],
            gpr_id=row["gpr_id"],
            gpr_name=row["gpr_name"],
            workspace=row["workspace"],
            workspace_name=row["workspace_name"],
            tenant=row["tenant"],
            namespaces=tuple(row["namespaces"]),
            exclusive=row["exclusive"],
            cluster=row["cluster"],
            phase=Phase(row["phase"]),
            active_at=row["active_at"],
            granted_at=row["granted_at"],
            stopped_at=row["stopped_at"],
            end_at=row["end_at"],
            duration_seconds=row["duration_seconds"],
            gpus=tuple(held[row["fence"]]),
            namespace=row["namespace"],
            cpu_millis=row["cpu_millis"],
            memory_mib=row["memory_mib"],
            disk_id=row["disk_id"],
            fixed_start=row["fixed_start"],
            submitter=row["submitter"],
            priority=row["priority"],
            preemptible=row["preemptible"],
            preempted=row["preempted"],
            taken_back=row["taken_back"],
            resource=row["resource"],
            pool=row["pool"],
        )
        for row in await connection.fetch(_SQL["open"], cluster)
    ]


async def hold_active(connection: Connection, gpr_id: UUID, fence: int) -> bool:
    """Whether this lease is active, and if so it stays that until the transaction ends: who releases it waits."""
    return await connection.fetchval(_SQL["hold_active"], gpr_id, fence) is not None


async def left_behind(connection: Connection, cluster: str) -> list[LeftBehind]:
    """What closed leases still hold on quarantined nodes of a cluster."""
    rows = await connection.fetch(_SQL["left_behind"], cluster, MEMORY_FLOOR_MIB)
    return [
        LeftBehind(row["fence"], row["node"], row["tenant"], row["exclusive"], row["devices_rest"], row["resource"])
        for row in rows
    ]


async def release_left_behind(connection: Connection, cluster: str, left: LeftBehind, now: datetime) -> None:
    """The node was seen to be free at last."""
    await connection.execute(_SQL["release_left_behind"], left.fence, cluster, left.node, now)


async def _held(connection: Connection, cluster: str | None) -> dict[int, list[Gpu]]:
    held: dict[int, list[Gpu]] = defaultdict(list)
    for row in await connection.fetch(_SQL["held_gpus"], cluster):
        held[row["fence"]].append(Gpu(row["node"], row["ordinal"]))
    return held
