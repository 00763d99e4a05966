"""What the native API says, and is told, about single GPUs, idle rules and costs."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from cli.client.answers import Answer
from cli.client.requests import Body
from domain.costs import CostsBy
from domain.faults import Remedy


class Reading(Answer):
    """The newest that was read of a GPU; None: it could not be read."""

    at: datetime
    utilisation_percent: int | None = None
    memory_used_mib: int | None = None
    temperature_celsius: int | None = None
    power_watts: float | None = None
    processes: int | None = None


class SetAside(Answer):
    """Why nothing new is placed on a GPU."""

    reason: str
    remedy: Remedy
    by: str
    since: datetime
    waits_for: str = ""


class GpuHolder(Answer):
    """The lease that a GPU is in."""

    gpr: str
    workspace: str


class GpuNow(Answer):
    """One GPU, or one MIG instance, as its node's agent saw it last."""

    id: int
    cluster: str
    node: str
    ordinal: int
    uuid: str
    product: str
    memory_mib: int
    mig_profile: str = ""
    parent_uuid: str = ""
    seen_at: datetime
    reading: Reading | None = None
    set_aside: SetAside | None = None
    holder: GpuHolder | None = None


class Fault(Answer):
    """What a device reported."""

    id: int
    at: datetime
    kind: str
    code: int | None = None
    detail: dict[str, Any]
    remedy: Remedy
    verdict: str = ""


class Quarantine(Answer):
    """A time in which nothing new was placed on a GPU, or on its node."""

    id: UUID
    whole_node: bool
    reason: str
    remedy: Remedy
    begun_by: str
    begun_at: datetime
    lifted_by: str = ""
    lifted_at: datetime | None = None
    waits_for: str = ""


class GpuHistory(Answer):
    """What a GPU reported and when it was set aside, newest first."""

    items: list[Fault]
    quarantines: list[Quarantine]
    next: str | None = None


class IdleRule(Answer):
    """A rule that counts. `workspace` None: for every workspace without a rule of its own."""

    workspace: str | None = None
    window: str
    window_seconds: int
    threshold_percent: int
    warning: str
    warning_seconds: int
    enforced: bool
    set_by: str
    set_at: datetime


class Cost(Answer):
    """What a Gpr, a workspace or a department cost; amounts are None where nothing has a price."""

    key: str
    name: str = ""
    workspace: str = ""
    gpu_hours: float
    idle_gpu_hours: float
    seen_gpu_hours: float
    cost: Decimal | None = None
    idle_cost: Decimal | None = None


class CostReport(Answer):
    """What GPUs cost from one instant until before another, and the sum of all."""

    begin: datetime
    end: datetime
    by: CostsBy
    items: list[Cost]
    total: Cost


class QuarantineOrder(Body):
    """A GPU is to be set aside."""

    reason: str = ""
    whole_node: bool = False


class IdleRuleSetting(Body):
    """When idle GPUs are told of, and taken back; without a workspace for all that have no rule of their own."""

    workspace: str | None = None
    window: str
    threshold_percent: int = 2
    warning: str = "5m"
    enforced: bool = True
