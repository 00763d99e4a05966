"""What the GPUs really do, in the ledger: who is there, samples, faults, and what a lease made of its GPUs.

Partitions and rolled-up samples are kept by `ledger/sample_upkeep.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import asyncpg

from domain.devices import GpuSample, slot
from ledger.sample_upkeep import MINUTE, RAW, ROLLUP_SECONDS, make_partitions, no_long_wait
from ledger.statements import load

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from domain.devices import GpuFault, GpuIdentity
    from ledger.connection import Connection

_SQL = load("telemetry")


@dataclass(frozen=True, slots=True)
class Usage:
    """What the GPUs of some leases did in one bucket, over all of them. None: nothing was read.

    Averages are per GPU. `coverage`: the share, 0 to 1, of the time in which they were held that there are samples of;
    None: none was held then.
    """

    at: datetime
    coverage: float | None
    utilisation_average: float | None
    utilisation_max: int | None
    memory_used_average_mib: float | None
    memory_used_max_mib: int | None
    power_average_watts: float | None
    temperature_max_celsius: int | None


async def write_gpus(
    connection: Connection, cluster: str, node: str, gpus: Sequence[GpuIdentity], now: datetime
) -> dict[str, int]:
    """Write what a node's agent sees, and that it was there; ids of all GPUs that the node ever had, by uuid."""
    columns = zip(*map(_identity, gpus), strict=True) if gpus else [()] * 7
    await connection.execute(_SQL["gpus_seen"], cluster, node, *map(list, columns), now)
    await connection.execute(_SQL["agent_seen"], cluster, node, now)
    return {row["uuid"]: row["id"] for row in await connection.fetch(_SQL["ids_on_node"], cluster, node)}


async def write_samples(connection: Connection, samples: Sequence[GpuSample]) -> int:
    """Write samples by COPY; how many were taken. One that is there already is there once.

    Older ones than the ledger keeps are left out. Partitions that are missing are made.
    """
    with no_long_wait():
        return await _written(connection, samples)


async def write_faults(connection: Connection, cluster: str, node: str, faults: Sequence[GpuFault]) -> int:
    """Write what devices reported; how many were news. A fault that comes twice is there once.

    One of a GPU that was never seen is left out: there is no row to write it to.
    """
    if not faults:
        return 0
    columns = zip(*((f.ordinal, f.uuid, f.at, str(f.kind), f.code, dict(f.detail)) for f in faults), strict=True)
    return len(await connection.fetch(_SQL["add_faults"], cluster, node, *map(list, columns)))


async def fences_of(connection: Connection, gpr_id: UUID) -> list[int]:
    """All leases that a Gpr has had, in their order."""
    return [row["fence"] for row in await connection.fetch(_SQL["fences_of"], gpr_id)]


async def usage(
    connection: Connection, fences: Sequence[int], begin: datetime, end: datetime, step_seconds: int
) -> list[Usage]:
    """What the GPUs of these leases did while they were held, in buckets of `step_seconds` from `begin` to before `end`.

    Steps that are a multiple of 60, 900 or 3600 s are answered from samples rolled up so far, which is up to two minutes,
    15 or 60 minutes behind, and miss what a lease has of the bucket in which it began or ended; others from raw samples,
    which are kept for a day. `begin` is best a multiple of the step.
    """
    source = next((each for each in ROLLUP_SECONDS if step_seconds % each == 0), None)
    if source is None:
        rows = await connection.fetch(_SQL["usage_of_samples"], list(fences), begin, end, step_seconds)
    else:
        rows = await connection.fetch(_SQL["usage_of_rollups"], list(fences), begin, end, step_seconds, source)
    return [
        Usage(
            at=row["at"],
            coverage=min(1.0, row["seen"] / row["wanted"]) if row["wanted"] else None,
            utilisation_average=row["utilisation_average"],
            utilisation_max=row["utilisation_max"],
            memory_used_average_mib=row["memory_used_average_mib"],
            memory_used_max_mib=row["memory_used_max_mib"],
            power_average_watts=row["power_average_watts"],
            temperature_max_celsius=row["temperature_max_celsius"],
        )
        for row in rows
    ]


def _identity(gpu: GpuIdentity) -> tuple[object, ...]:
    return (
        gpu.ordinal,
        gpu.uuid,
        gpu.product,
        gpu.memory_mib,
        gpu.parent_uuid,
        gpu.mig_profile,
        gpu.mig_enabled,
    )


async def _written(connection: Connection, samples: Sequence[GpuSample]) -> int:
    async with connection.transaction():
        await connection.execute(_SQL["begin_writing"])
        closed_to: datetime | None = await connection.fetchval(_SQL["closed_to"])
        taken = samples if closed_to is None else [one for one in samples if one.at >= closed_to - RAW.kept]
        if taken:
            await _copied(connection, taken)
            await _mark_late(connection, taken, closed_to)
    return len(taken)


async def _copied(connection: Connection, samples: Sequence[GpuSample]) -> None:
    """Almost always one COPY. Only where it meets something is it looked at what."""
    try:
        async with connection.transaction():
            await connection.copy_records_to_table("gpu_sample", records=samples, columns=GpuSample._fields)
    except asyncpg.CheckViolationError:  # no partition for one of them
        await _make_partitions_of(connection, samples)
        await _copied(connection, samples)
    except asyncpg.UniqueViolationError:
        await _make_partitions_of(connection, samples)
        await connection.execute(_SQL["add_new"], *map(list, zip(*samples, strict=True)))


async def _make_partitions_of(connection: Connection, samples: Sequence[GpuSample]) -> None:
    times = [one.at for one in samples]
    await make_partitions(connection, RAW, min(times), max(times))


async def _mark_late(connection: Connection, samples: Sequence[GpuSample], closed_to: datetime | None) -> None:
    """Buckets that were closed without these samples."""
    if closed_to is None:
        return
    late = {(one.gpu_id, slot(one.at, MINUTE)) for one in samples if one.at < closed_to}
    if late:
        ids, times = zip(*sorted(late), strict=True)
        await connection.execute(_SQL["mark_late"], MINUTE, list(ids), list(times))
