"""The words of `/berth/v1` about time: what if, when, why, promises, extensions, the plan, and how far off it was."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final
from uuid import UUID

from pydantic import Field

from api.dialects.native.schemas import Answer, EstimateView, GprView, PromiseView, Request
from api.wording import WHOLE, Duration, Flag, GpusPerNode, MemoryGib, Nodes, Priority, Text, Word, Words
from domain.durations import DURATION_SECONDS_MAX
from domain.gpr import Phase

WHAT_IFS_MAX: Final = 32

Seconds = Annotated[int, Field(strict=True, ge=1, le=DURATION_SECONDS_MAX), WHOLE]


class WhatIf(Request):
    """A request for GPUs that is not made."""

    workspace: Word
    duration: Duration = Field(description="As in 1d2h30m.", examples=["1h30m"])
    nodes: Nodes = 1
    gpus_per_node: GpusPerNode = 1
    priority: Priority | None = Field(
        None, description="Low 0-100, medium 101-200, high 201-300; absent: its type's, else 101."
    )
    shape: Text = Field("", description="GPU product as the inventory names it; empty: any.")
    instance_type: Text = Field("", description="Node type; empty: any.")
    memory_gib: MemoryGib = Field(0, description="At least, per GPU.")
    clusters: Words = Field(default_factory=list, description="In order of preference; empty: all of the workspace.")
    pool: Text = Field("", description="Only nodes of this pool; empty: the workspace's, or nodes of none.")
    preemptible: Flag = Field(False, description="If it may be ended early, for another request.")


class WhatIfs(Request):
    """What if all of these were submitted now, each after the former?"""

    requests: list[WhatIf] = Field(min_length=1, max_length=WHAT_IFS_MAX)


class AlternativeView(Answer):
    """The same number of GPUs of another kind, and when these would be had."""

    shape: str
    nodes: int
    gpus_per_node: int
    estimate: EstimateView


class ForeseenView(Answer):
    """What would become of one request. Position 0: it would start at once."""

    estimate: EstimateView
    cluster: str = Field(description="Empty where it never starts.")
    nodes: list[str]
    alternatives: list[AlternativeView] = Field(description="Each asked alone, where the request would have been.")


class ForeseenList(Answer):
    """An answer to each request, in their order."""

    items: list[ForeseenView]


class OpeningView(Answer):
    """So many GPUs of one kind on nodes of one cluster, and when they are free for as long as was asked."""

    shape: str
    gpus: int = Field(description="In all.")
    nodes: int
    gpus_per_node: int
    estimate: EstimateView


class OpeningList(Answer):
    """By kind and number, behind all that is queued already."""

    items: list[OpeningView]


class SoonerView(Answer):
    """The same request with one thing changed, and when that would start, at the same place in the queue."""

    change: str = Field(description="What is different: shape, gpus, duration.")
    shape: str
    nodes: int
    gpus_per_node: int
    duration_seconds: int | None
    estimate: EstimateView


class WhyView(Answer):
    """Why a Gpr does not start yet, and what would start sooner. By a plan made for this answer."""

    gpr: UUID
    phase: Phase
    estimate: EstimateView | None = Field(description="Null for what is not in the queue.")
    promise: PromiseView | None
    sooner: list[SoonerView]


class ExtensionWish(Request):
    """Let a lease last longer."""

    seconds: Seconds
    or_longest: Flag = Field(
        False, description="Where that is too long, as much of it as there is room for; else it is refused."
    )


class ExtensionView(Answer):
    """A lease lasts longer: its new end is the Gpr's."""

    seconds: int = Field(description="As granted.")
    in_the_way: str = Field(description="Of more; empty: it was granted as asked.")
    gpr: GprView


class SpanView(Answer):
    """Some GPUs of one node for some time. What the caller may not know of is `in use` and has no Gpr."""

    kind: str = Field(description="lease, promise, reservation or forecast, from the most to the least certain.")
    gpr: UUID | None
    name: str
    workspace: str
    gpus: int
    begins_at: datetime
    ends_at: datetime | None = Field(description="Of a lease with its teardown; null: nobody knows.")


class AwayView(Answer):
    """Announced maintenance of a node: nothing new is placed into it."""

    name: str
    begins_at: datetime
    ends_at: datetime


class NodePlanView(Answer):
    """One node, and its spans in order of time."""

    cluster: str
    node: str
    shape: str
    gpus: int
    usable: bool
    unusable_reason: str
    spans: list[SpanView]
    maintenance: list[AwayView]


class PlanView(Answer):
    """Who has which GPUs when: all that begins before `until`."""

    at: datetime
    until: datetime
    nodes: list[NodePlanView]


class AccuracyView(Answer):
    """Of the starts that were shown so far ahead, whose Gprs have started: seconds of actual minus shown."""

    horizon: str
    shown: int
    median_seconds: float = Field(description="Above zero: later than was said.")
    p90_seconds: float = Field(description="Nine of ten were off by no more than this, in whichever direction.")
    inside_share: float = Field(description="From 0 to 1: started within the interval that was stated.")


class HandoverView(Answer):
    """What plans allow for between two leases, learnt from the newest that are over."""

    provisioning_seconds: int = Field(description="From a grant until its lease begins.")
    teardown_seconds: int = Field(description="From the end of a lease until its GPUs are free.")


class HonestyView(Answer):
    """How far off the starts were that people were shown, by how far ahead they looked."""

    days: int
    items: list[AccuracyView]
    handover: HandoverView
