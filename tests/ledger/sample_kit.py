"""GPUs, samples and leases at times that a test chooses."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from domain.devices import GpuIdentity, GpuSample
from ledger import telemetry

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from ledger.connection import Ledger

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
CLUSTER, NODE = "worker-1", "gpu-node"


def a_gpu(place: int = 0, **changes: Any) -> GpuIdentity:
    return GpuIdentity(**{"uuid": f"GPU-{place}", "ordinal": place, "product": "H100", "memory_mib": 81_559, **changes})


async def gpu_ids(ledger: Ledger, many: int = 1, node: str = NODE) -> list[int]:
    """Ids of the GPUs of a node that was just seen."""
    async with ledger.transaction() as connection:
        ids = await telemetry.write_gpus(connection, CLUSTER, node, [a_gpu(place) for place in range(many)], NOON)
    return [ids[f"GPU-{place}"] for place in range(many)]


def samples(gpu_id: int, begin: datetime, count: int, **readings: Any) -> list[GpuSample]:
    """One every ten seconds."""
    return [GpuSample(begin + timedelta(seconds=10 * place), gpu_id, **readings) for place in range(count)]


async def written(ledger: Ledger, rows: Sequence[GpuSample]) -> int:
    async with ledger.transaction() as connection:
        return await telemetry.write_samples(connection, rows)


async def fetched(ledger: Ledger, query: str, *arguments: object) -> list[Any]:
    async with ledger.reading() as connection:
        return [tuple(row) for row in await connection.fetch(query, *arguments)]


async def buckets(ledger: Ledger, step_seconds: int) -> dict[datetime, tuple[int, float | None]]:
    """Samples and average use of each bucket."""
    query = "select at, samples, utilisation_average from gpu_rollup where step_seconds = $1 order by at"
    return {at: (count, average) for at, count, average in await fetched(ledger, query, step_seconds)}
