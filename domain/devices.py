"""What the GPUs of a node say about themselves: what they are, what they do now, what went wrong with them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import NamedTuple, TypeVar

SLOT_SECONDS = 10
"""Coverage counts slots of this length: one in which a GPU was sampled is covered, however often it was."""
MEMORY_FLOOR_MIB = 1024
"""What drivers and persistence use on an idle device; above it somebody's memory is left."""
SMALLINT_MAX = 32_767
"""What the ledger keeps of a small number; a device that says more is wrong or beyond measure."""


class FaultKind(StrEnum):
    """What a device may report. `code` of a fault is the Xid; other kinds have none."""

    XID = "xid"
    """The driver's own report; each comes once."""
    ECC_UNCORRECTED = "ecc_uncorrected"
    """Uncorrected memory errors have grown; `detail`: volatile, aggregate, and grown_by."""
    ROW_REMAP_PENDING = "row_remap_pending"
    """Rows are to be remapped: the GPU wants a reset."""
    ROW_REMAP_FAILED = "row_remap_failed"
    """No spare row was left: the GPU wants to be replaced."""
    LOST = "lost"
    """It does not answer any longer, or is not there any longer."""


@dataclass(frozen=True, slots=True)
class GpuIdentity:
    """One GPU, or one MIG instance: its ordinal is that of the GPU it is cut from."""

    uuid: str
    ordinal: int
    product: str
    memory_mib: int
    parent_uuid: str = ""
    mig_profile: str = ""
    mig_enabled: bool = False


@dataclass(frozen=True, slots=True)
class GpuReading:
    """What one GPU does at an instant; None: it could not be read. Utilisation is the share of time with a kernel running."""

    uuid: str
    utilisation_percent: int | None = None
    memory_percent: int | None = None
    temperature_celsius: int | None = None
    memory_used_mib: int | None = None
    power_watts: float | None = None
    processes: int | None = None


@dataclass(frozen=True, slots=True)
class GpuHealth:
    """Counts and marks of one GPU that only a fault changes; None: not readable.

    Counts are since the driver was loaded (volatile) and since the GPU was made (aggregate).
    """

    uuid: str
    ecc_corrected_volatile: int | None = None
    ecc_uncorrected_volatile: int | None = None
    ecc_corrected_aggregate: int | None = None
    ecc_uncorrected_aggregate: int | None = None
    rows_remapped_corrected: int | None = None
    rows_remapped_uncorrected: int | None = None
    row_remap_pending: bool | None = None
    row_remap_failed: bool | None = None


Figures = TypeVar("Figures", GpuReading, GpuHealth)


def filled(one: Figures, other: Figures | None) -> Figures:
    """The first, with what only the other knows."""
    if other is None:
        return one
    missing = {each.name: getattr(other, each.name) for each in fields(one) if getattr(one, each.name) is None}
    return replace(one, **missing)


@dataclass(frozen=True, slots=True)
class GpuFault:
    """A device reported something, or is lost. Without a uuid it is the GPU that was last seen at this ordinal."""

    ordinal: int
    at: datetime
    kind: FaultKind
    uuid: str = ""
    code: int | None = None
    detail: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NodeReading:
    """What all GPUs of a node said at one moment. `lost`: ordinals that are there and do not answer."""

    gpus: tuple[GpuIdentity, ...] = ()
    readings: tuple[GpuReading, ...] = ()
    health: tuple[GpuHealth, ...] = ()
    lost: tuple[int, ...] = ()


class GpuSample(NamedTuple):
    """A reading as the ledger keeps it; columns of `gpu_sample` in their order."""

    at: datetime
    gpu_id: int
    utilisation_percent: int | None = None
    memory_percent: int | None = None
    temperature_celsius: int | None = None
    memory_used_mib: int | None = None
    power_watts: float | None = None
    processes: int | None = None


def slot(at: datetime, seconds: float) -> datetime:
    """The begin of the span of `seconds` that an instant is in, counted from 1970: the same for all who sample it."""
    return datetime.fromtimestamp(at.timestamp() // seconds * seconds, UTC)
