"""Time series of one workload: what can be true here, and which of what is asked for can not."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from api.operations.workloads import visible
from domain.failures import InvalidRequest
from ledger import jobs, workload_metrics
from ledger.workload_metrics import Span

if TYPE_CHECKING:
    from api.operations.call import Call
    from domain.job import ObservedPod
    from domain.workload import Workload
    from ledger.connection import Connection

MIB: Final = 1024 * 1024
MILLIS: Final = 1000
PARTS_MAX: Final = 1000


class Metric(StrEnum):
    """What is measured here."""

    GPU_UTILISATION = "gpu_utilisation"
    """Per cent, over all GPUs that it holds."""
    GPU_MEMORY_USED = "gpu_memory_used"
    """Bytes, of all its GPUs together."""
    GPU_MEMORY_HELD = "gpu_memory_held"
    """Bytes that its GPUs have: it has the whole of each."""
    GPUS = "gpus"
    CPU_ASKED = "cpu_asked"
    """Cores, while it holds what it asked for. Its pods may not use more."""
    MEMORY_ASKED = "memory_asked"
    """Bytes of the nodes' own memory, likewise."""
    PODS = "pods"
    """Those of its pods that are known now, when they were there."""
    PODS_RUNNING = "pods_running"


OF_PODS: Final = frozenset({Metric.CPU_ASKED, Metric.MEMORY_ASKED, Metric.PODS, Metric.PODS_RUNNING})
"""Only where the pods are of Berth's making: what others run on a lease is theirs."""
OF_DEVICES: Final = frozenset({Metric.GPU_UTILISATION, Metric.GPU_MEMORY_USED})
OF_LEASES: Final = frozenset({Metric.GPU_MEMORY_HELD, Metric.GPUS, Metric.CPU_ASKED, Metric.MEMORY_ASKED})


@dataclass(frozen=True, slots=True)
class Point:
    """A value, and the instant from which on it is so."""

    at: datetime
    value: float


Series = dict[Metric, list[Point] | None]
"""By metric; None for what cannot be known of this workload."""


async def series(
    call: Call, reference: str, metrics: Sequence[Metric], begin: datetime, end: datetime, parts: int
) -> Series:
    """Each metric in so many equal parts of the time, as far as that has come. InvalidRequest where it ends before it begins."""
    if begin >= end:
        raise InvalidRequest("the time must end after it begins")
    async with call.backends.ledger.reading() as connection:
        workload = await visible(connection, call, reference)
        span = Span(begin, end, parts, _held_at_most(workload, begin, end, call.now))
        found: Series = {}
        wanted = [one for one in metrics if workload.is_job or one not in OF_PODS]
        if OF_DEVICES & set(wanted):
            found |= await _of_devices(connection, workload, span, call.now)
        instants = [at for at in span.instants if at <= call.now]
        if OF_LEASES & set(wanted):
            found |= await _of_leases(connection, workload, instants)
        if workload.is_job and OF_PODS & set(wanted):
            job = await jobs.find(connection, workload.id)
            found |= _of_pods(workload, job.observed.pods if job.observed else (), instants)
    return {one: found.get(one) if one in wanted else None for one in metrics}


async def _of_devices(connection: Connection, workload: Workload, span: Span, now: datetime) -> Series:
    readings = await workload_metrics.readings(connection, workload.id, span, now)
    instants = span.instants
    return {
        Metric.GPU_UTILISATION: [
            Point(instants[one.part], one.utilisation_percent)
            for one in readings
            if one.utilisation_percent is not None
        ],
        Metric.GPU_MEMORY_USED: [
            Point(instants[one.part], one.memory_bytes) for one in readings if one.memory_bytes is not None
        ],
    }


async def _of_leases(connection: Connection, workload: Workload, instants: Sequence[datetime]) -> Series:
    held = await workload_metrics.held(connection, workload.id, instants)
    cores, memory = workload.cpu_millis / MILLIS, workload.memory_mib * MIB
    pairs = list(zip(instants, held, strict=True))
    return {
        Metric.GPUS: [Point(at, one.gpus) for at, one in pairs],
        Metric.GPU_MEMORY_HELD: [Point(at, one.memory_mib * MIB) for at, one in pairs],
        Metric.CPU_ASKED: [Point(at, cores if one.is_held else 0) for at, one in pairs],
        Metric.MEMORY_ASKED: [Point(at, memory if one.is_held else 0) for at, one in pairs],
    }


def _of_pods(workload: Workload, pods: Sequence[ObservedPod], instants: Sequence[datetime]) -> Series:
    over = workload.completed_at
    made = [pod for pod in pods if pod.created_at is not None]
    present = _counter([(pod.created_at, pod.finished_at or over) for pod in made])
    running = _counter([(pod.started_at, pod.finished_at or over) for pod in made])
    return {
        Metric.PODS: [Point(at, present(at)) for at in instants],
        Metric.PODS_RUNNING: [Point(at, running(at)) for at in instants],
    }


def _counter(lives: Sequence[tuple[datetime | None, datetime | None]]) -> Callable[[datetime], int]:
    """How many of these lives an instant lies in."""
    begun = sorted(begin for begin, _ in lives if begin is not None)
    ended = sorted(end for begin, end in lives if begin is not None and end is not None)
    return lambda at: bisect_right(begun, at) - bisect_right(ended, at)


def _held_at_most(workload: Workload, begin: datetime, end: datetime, now: datetime) -> timedelta:
    since = max(begin, workload.granted_at or workload.created_at)
    until = min(end, workload.completed_at or now)
    return max(until - since, timedelta(0))
