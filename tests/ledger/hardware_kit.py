"""GPUs as their agents would write them, and what they did."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from domain.devices import FaultKind, GpuFault, GpuIdentity, GpuSample
from domain.gpr import Phase
from domain.hardware import Gpu
from ledger import gprs, leases, lifecycle, telemetry
from tests.builders import a_gpr, a_workspace

if TYPE_CHECKING:
    from ledger.connection import Ledger

CLUSTER = "worker-1"


def uuid_of(node: str, ordinal: int) -> str:
    return f"GPU-{node}-{ordinal}"


async def some_gpus(ledger: Ledger, *nodes: str, each: int = 1, at: datetime) -> dict[tuple[str, int], int]:
    """Ids of the GPUs of these nodes, by place; their agents are there."""
    ids = {}
    async with ledger.transaction() as connection:
        for node in nodes:
            seen = [GpuIdentity(uuid_of(node, ordinal), ordinal, "T4", 15360) for ordinal in range(each)]
            found = await telemetry.write_gpus(connection, CLUSTER, node, seen, at)
            ids.update({(node, gpu.ordinal): found[gpu.uuid] for gpu in seen})
    return ids


async def did(  # noqa: PLR0917 - what a reading says
    ledger: Ledger,
    gpu_id: int,
    since: datetime,
    until: datetime,
    utilisation: int | None = 0,
    memory_mib: int | None = 500,
    processes: int | None = 1,
    every: float = 10,
) -> None:
    """Samples of one GPU, the last one a moment before `until`."""
    count = int((until - since).total_seconds() // every)
    samples = [
        GpuSample(since + timedelta(seconds=number * every), gpu_id, utilisation, 0, 40, memory_mib, 30.0, processes)
        for number in range(count)
    ]
    async with ledger.transaction() as connection:
        await telemetry.write_samples(connection, samples)


async def reported(
    ledger: Ledger, node: str, ordinal: int, at: datetime, *, kind: FaultKind = FaultKind.XID, code: int | None = None
) -> None:
    """A device of a node reports a fault."""
    async with ledger.transaction() as connection:
        fault = GpuFault(ordinal, at, kind, uuid_of(node, ordinal), code)
        assert await telemetry.write_faults(connection, CLUSTER, node, [fault]) == 1


async def an_active_gpr(
    ledger: Ledger, *gpus: Gpu, since: datetime, workspace: UUID | None = None, **changes: object
) -> UUID:
    """A Gpr that holds these GPUs, active since then."""
    workspace = workspace or await a_workspace(ledger)
    gpr_id = await a_gpr(
        ledger, workspace, gpus_per_node=len(gpus), duration_seconds=30 * 86_400, exclusive=False, **changes
    )
    async with ledger.transaction() as connection:
        fence = await leases.grant(connection, gpr_id, CLUSTER, gpus, since)
        assert fence is not None
        standing = await lifecycle.activate(connection, gpr_id, fence, since)
    assert standing.phase is Phase.ACTIVE
    return gpr_id


async def phase_of(ledger: Ledger, gpr_id: UUID) -> Phase:
    async with ledger.reading() as connection:
        return (await gprs.find(connection, gpr_id)).phase


async def told(ledger: Ledger, gpr_id: UUID) -> list[str]:
    """Kinds of the notices that its people have been told, in their order; those of the lease's end left out."""
    async with ledger.reading() as connection:
        rows = await connection.fetch(
            "select kind from notice where gpr_id = $1 and delivered_at is not null order by id", gpr_id
        )
    return [row["kind"] for row in rows]


async def happened(ledger: Ledger, kind: str) -> list[dict[str, object]]:
    """Details of all events of a kind."""
    async with ledger.reading() as connection:
        return [
            row["detail"]
            for row in await connection.fetch("select detail from event where kind = $1 order by id", kind)
        ]
