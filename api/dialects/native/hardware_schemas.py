"""The words of `/berth/v1` about single GPUs, idle rules and costs."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated
from uuid import UUID

from pydantic import Field

from api.dialects.native.schemas import Answer, Request
from api.wording import WHOLE, Duration, Flag, Text, Word
from domain.costs import CostsBy
from domain.faults import Remedy
from domain.idleness import THRESHOLD_PERCENT


class ReadingView(Answer):
    """The newest that was read of a GPU; null: it could not be read."""

    at: datetime
    utilisation_percent: int | None
    memory_used_mib: int | None
    temperature_celsius: int | None
    power_watts: float | None
    processes: int | None


class SetAsideView(Answer):
    """Why nothing new is placed on a GPU."""

    reason: str
    remedy: Remedy = Field(description="What mends it; Berth does none of it.")
    by: str
    since: datetime
    waits_for: str = Field(description="What keeps it from being used again by itself.")


class GpuHolderView(Answer):
    """The lease that a GPU is in."""

    gpr: str
    workspace: str


class GpuView(Answer):
    """One GPU, or one MIG instance, as its node's agent saw it last."""

    id: int
    cluster: str
    node: str
    ordinal: int = Field(description="Its place on the node; of a MIG instance that of its GPU.")
    uuid: str
    product: str
    memory_mib: int
    mig_profile: str
    parent_uuid: str
    seen_at: datetime
    reading: ReadingView | None = Field(description="Null: nothing was read within the last minute.")
    set_aside: SetAsideView | None
    holder: GpuHolderView | None = Field(description="Null also where it is not the caller's to know.")


class GpuList(Answer):
    """GPUs by cluster, node and place."""

    items: list[GpuView]


class FaultView(Answer):
    """What a device reported."""

    id: int
    at: datetime
    kind: str
    code: int | None = Field(description="Of an Xid.")
    detail: dict[str, object]
    remedy: Remedy
    verdict: str = Field(description="noted, quarantined, withheld (too much was set aside); empty: not looked at yet.")


class QuarantineView(Answer):
    """A time in which nothing new was placed on a GPU, or on its node."""

    id: UUID
    whole_node: bool
    reason: str
    remedy: Remedy
    begun_by: str
    begun_at: datetime
    lifted_by: str
    lifted_at: datetime | None
    waits_for: str


class GpuHistory(Answer):
    """What a GPU reported and when it was set aside; newest first."""

    items: list[FaultView]
    quarantines: list[QuarantineView] = Field(description="The last 50.")
    next: str | None


class QuarantineOrder(Request):
    """A GPU is to be set aside."""

    reason: Text = ""
    whole_node: Flag = Field(False, description="All GPUs of its node.")


class IdleRuleSetting(Request):
    """When idle GPUs are told of, and taken back."""

    workspace: Word | None = Field(None, description="Absent: every workspace without a rule of its own.")
    window: Duration = Field(description="Idle for so long.", examples=["30m"])
    threshold_percent: Annotated[int, Field(strict=True, ge=0, le=100), WHOLE] = Field(
        THRESHOLD_PERCENT, description="Utilisation that still counts as idle."
    )
    warning: Duration = Field("5m", description="From the warning to the release.")
    enforced: Flag = Field(True, description="False: people are warned, and nothing is released.")


class IdleRuleView(Answer):
    """A rule that counts. `workspace` null: for every workspace without a rule of its own."""

    workspace: str | None
    window: str
    window_seconds: int
    threshold_percent: int
    warning: str
    warning_seconds: int
    enforced: bool
    set_by: str
    set_at: datetime


class IdleRuleList(Answer):
    """The installation's rule first, then those of workspaces by name."""

    items: list[IdleRuleView]


class CostView(Answer):
    """What one of them cost. Amounts are in the installation's currency; null where nothing has a price."""

    key: str = Field(description="Id of a Gpr; name of a workspace or department; empty in the total.")
    name: str = Field(description="Of a Gpr.")
    workspace: str
    gpu_hours: float
    idle_gpu_hours: float = Field(description="Seen to be idle: not above 2 % utilisation.")
    seen_gpu_hours: float = Field(description="For which there are readings.")
    cost: Decimal | None
    idle_cost: Decimal | None


class CostReport(Answer):
    """What GPUs cost from one instant until before another; the most expensive first, and the sum of all."""

    begin: datetime
    end: datetime
    by: CostsBy
    items: list[CostView]
    total: CostView
