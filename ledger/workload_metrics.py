"""What the GPUs of a workload did, and how many it held, at equal distances in a span of time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from ledger.sample_upkeep import HOUR, MINUTE, MINUTES, QUARTER, QUARTERS, RAW
from ledger.statements import load

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    from ledger.connection import Connection

_SQL = load("workload_metrics")

_SAMPLES: Final = 0
_FINE_ENOUGH: Final = (
    (timedelta(hours=6), _SAMPLES),
    (timedelta(days=3), MINUTE),
    (timedelta(days=14), QUARTER),
)
"""What is read of a time that long: few enough rows of each GPU to add up."""
_STILL_THERE: Final = ((RAW.kept, _SAMPLES), (MINUTES.kept, MINUTE), (QUARTERS.kept, QUARTER))
"""What is kept for that long."""


@dataclass(frozen=True, slots=True)
class Span:
    """A time in so many equal parts. `held` is how long of it GPUs may have been held, at most."""

    begin: datetime
    end: datetime
    parts: int
    held: timedelta

    @property
    def instants(self) -> list[datetime]:
        """Where each part begins."""
        return [self.begin + (self.end - self.begin) * part / self.parts for part in range(self.parts)]


@dataclass(frozen=True, slots=True)
class GpuReading:
    """Of one part of a span: utilisation over all GPUs, and the memory in use of all of them. None: nobody could read it."""

    part: int
    utilisation_percent: float | None
    memory_bytes: float | None


@dataclass(frozen=True, slots=True)
class Held:
    """What was held at an instant."""

    is_held: bool
    gpus: int
    memory_mib: int


async def held(connection: Connection, gpr_id: UUID, instants: Sequence[datetime]) -> list[Held]:
    """What it held at each of these instants."""
    rows = await connection.fetch(_SQL["held"], gpr_id, list(instants))
    return [Held(row["is_held"], row["gpus"], row["memory_mib"]) for row in rows]


async def readings(connection: Connection, gpr_id: UUID, span: Span, now: datetime) -> list[GpuReading]:
    """What its GPUs did in each part of the span; parts of which there is nothing are left out."""
    if span.parts == 0:
        return []
    step = step_for(span, now)
    sized = (gpr_id, span.begin, span.end, span.parts)
    if step == _SAMPLES:
        rows = await connection.fetch(_SQL["from_samples"], *sized)
    else:
        rows = await connection.fetch(_SQL["from_rollups"], *sized, step)
    return [GpuReading(row["bucket"], row["utilisation_percent"], row["memory_bytes"]) for row in rows]


def step_for(span: Span, now: datetime) -> int:
    """Seconds of the roll-up to read, 0 for samples: fine enough for the parts, coarse enough to be quick, and still there."""
    there = next((step for age, step in _STILL_THERE if now - span.begin < age), HOUR)
    quick = next((step for length, step in _FINE_ENOUGH if span.held <= length), HOUR)
    part_seconds = (span.end - span.begin).total_seconds() / span.parts
    fine = max((step for step in (_SAMPLES, MINUTE, QUARTER, HOUR) if step <= part_seconds), default=_SAMPLES)
    return max(there, min(quick, fine))
