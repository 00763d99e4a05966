"""GPUs as people see them: what each does now, what it has reported, what keeps it out of use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from domain.faults import Remedy


@dataclass(frozen=True, slots=True)
class Reading:
    """The newest that is known of a GPU; None: it could not be read."""

    at: datetime
    utilisation_percent: int | None
    memory_used_mib: int | None
    temperature_celsius: int | None
    power_watts: float | None
    processes: int | None


@dataclass(frozen=True, slots=True)
class GpuNow:
    """A GPU, or a MIG instance, as its node's agent saw it last. Without a reading it was not seen lately."""

    id: int
    cluster: str
    node: str
    ordinal: int
    uuid: str
    product: str
    memory_mib: int
    mig_profile: str
    parent_uuid: str
    seen_at: datetime
    reading: Reading | None
    set_aside_because: str
    """Empty: it may be used."""
    remedy: Remedy
    set_aside_at: datetime | None
    set_aside_by: str
    waits_for: str
    """What keeps its quarantine from being lifted."""
    holder_gpr: str
    holder_workspace: str


@dataclass(frozen=True, slots=True)
class GpuFault:
    """What a device reported. `verdict`: noted, quarantined, or withheld; empty: nobody has looked at it yet."""

    id: int
    at: datetime
    kind: str
    code: int | None
    detail: Mapping[str, object]
    remedy: Remedy
    verdict: str


@dataclass(frozen=True, slots=True)
class Quarantine:
    """A GPU, or without an ordinal all of a node's, that nothing new is placed on."""

    id: UUID
    cluster: str
    node: str
    ordinal: int | None
    remedy: Remedy
    reason: str
    begun_by: str
    begun_at: datetime
    fault_id: int | None = None
    clean_seconds: int | None = None
    """Clean readings that lift it; None: only an administrator does."""
    waits_for: str = ""
    lifted_by: str = ""
    lifted_at: datetime | None = None
