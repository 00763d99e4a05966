"""What became of GPUs from one reading to the next: errors that have grown, marks that were set, GPUs that are lost.

Pure. What was wrong before the first reading is told with it, marked `sinceStart`: nobody was there to see it happen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from domain.devices import FaultKind, GpuFault, GpuHealth, filled

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from domain.devices import NodeReading

MARKS = {
    FaultKind.ROW_REMAP_PENDING: "row_remap_pending",
    FaultKind.ROW_REMAP_FAILED: "row_remap_failed",
}


class Changes:
    """Remembers one node's GPUs."""

    def __init__(self) -> None:
        self._ordinals: dict[str, int] = {}
        self._health: dict[str, GpuHealth] = {}
        self._lost: set[int] = set()

    def faults(self, reading: NodeReading, at: datetime) -> list[GpuFault]:
        """What is new since the last reading."""
        found = [*self._lost_now(reading, at), *self._worse(reading, at)]
        self._health |= {health.uuid: filled(health, self._health.get(health.uuid)) for health in reading.health}
        return found

    def _lost_now(self, reading: NodeReading, at: datetime) -> list[GpuFault]:
        """Those that do not answer, and those that are not there any longer. Told once, until they are back."""
        present = {gpu.uuid: gpu.ordinal for gpu in reading.gpus if not gpu.parent_uuid}
        gone = {uuid: ordinal for uuid, ordinal in self._ordinals.items() if uuid not in present}
        by_ordinal = {ordinal: uuid for uuid, ordinal in gone.items()}
        silent = {ordinal: by_ordinal.get(ordinal, "") for ordinal in reading.lost} | by_ordinal
        told = [
            GpuFault(ordinal, at, FaultKind.LOST, uuid, detail={"listed": ordinal in reading.lost})
            for ordinal, uuid in sorted(silent.items())
            if ordinal not in self._lost
        ]
        self._lost = set(silent)
        self._ordinals |= present
        return told

    def _worse(self, reading: NodeReading, at: datetime) -> Iterator[GpuFault]:
        ordinals = {gpu.uuid: gpu.ordinal for gpu in reading.gpus}
        for health in reading.health:
            before = self._health.get(health.uuid, GpuHealth(health.uuid))
            ordinal = ordinals[health.uuid]
            for kind, mark in MARKS.items():
                if getattr(health, mark) and not getattr(before, mark):
                    yield GpuFault(ordinal, at, kind, health.uuid, detail=_start(getattr(before, mark)))
            if grown := _grown_by(before, health):
                detail = _ecc(health, grown) | _start(_errors(before))
                yield GpuFault(ordinal, at, FaultKind.ECC_UNCORRECTED, health.uuid, detail=detail)


def _grown_by(before: GpuHealth, now: GpuHealth) -> int:
    """New uncorrected errors. Volatile ones begin at 0 with the driver, so the first reading counts them from there."""
    then, count = before.ecc_uncorrected_volatile, now.ecc_uncorrected_volatile
    if count is None:
        earlier, aggregate = before.ecc_uncorrected_aggregate, now.ecc_uncorrected_aggregate
        return max(0, aggregate - earlier) if then is None and aggregate is not None and earlier is not None else 0
    return count if then is None or count < then else count - then


def _errors(before: GpuHealth) -> int | None:
    volatile = before.ecc_uncorrected_volatile
    return before.ecc_uncorrected_aggregate if volatile is None else volatile


def _start(before: object) -> dict[str, object]:
    return {"sinceStart": True} if before is None else {}


def _ecc(health: GpuHealth, grown: int) -> dict[str, object]:
    return {
        "grownBy": grown,
        "volatile": health.ecc_uncorrected_volatile,
        "aggregate": health.ecc_uncorrected_aggregate,
        "correctedVolatile": health.ecc_corrected_volatile,
        "correctedAggregate": health.ecc_corrected_aggregate,
    }
