"""The words of `/berth/v1` for reservations, for the order of the queue, and for what workspaces weigh in it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field

from api.dialects.native.schemas import Answer, Request
from api.wording import WHOLE, Duration, Flag, GprName, GpusPerNode, Instant, MemoryGib, Nodes, Text, Word, Words
from domain.recurrence import RULE_LENGTH_MAX
from domain.reservation import OccurrenceState

YEAR_SECONDS = 366 * 24 * 3600

_Seconds = Annotated[int, Field(strict=True, ge=0, le=YEAR_SECONDS), WHOLE]
_SomeSeconds = Annotated[int, Field(strict=True, ge=60, le=YEAR_SECONDS), WHOLE]
_NoticeSeconds = Annotated[int, Field(strict=True, ge=0, le=24 * 3600), WHOLE]
_Count = Annotated[int, Field(strict=True, ge=0, le=1_000_000), WHOLE]
Rule = Annotated[Text, Field(max_length=RULE_LENGTH_MAX, examples=["FREQ=WEEKLY;BYDAY=MO,WE;COUNT=10"])]


class ReservationSubmission(Request):
    """GPUs from a fixed instant on, for a fixed time: `gpus_per_node` on each of `nodes`."""

    workspace: Word
    name: GprName = Field(description="For people: up to 40 letters, digits, '.', '_' or '-'.")
    start: Instant = Field(description="In whole seconds.")
    duration: Duration = Field(description="As in 1d2h30m; the last 5 s of it are for the teardown.", examples=["2h"])
    rule: Rule = Field(
        "", description="When it recurs, by RFC 5545 and in UTC; empty: once. The start is its first time."
    )
    nodes: Nodes = 1
    gpus_per_node: GpusPerNode = 1
    shape: Text = Field("", description="GPU product as the inventory names it; empty: any.")
    instance_type: Text = Field("", description="Node type; empty: any.")
    memory_gib: MemoryGib = Field(0, description="At least, per GPU.")
    clusters: Words = Field(default_factory=list, description="In order of preference; empty: all of the workspace.")
    pool: Text = Field("", description="Only nodes of this pool; empty: the workspace's, or nodes of none.")


class OccurrenceView(Answer):
    """One time of a reservation. A Gpr carries it from when room is kept for it."""

    start: datetime
    end: datetime
    state: OccurrenceState
    gpr_id: UUID | None
    cluster: str = Field(description="Where room is kept; empty: nowhere.")
    nodes: list[str]
    used_at: datetime | None = Field(description="When a pod of the workspace was first seen on its GPUs.")
    failure: str = Field(description="Why there is no room.")


class ReservationView(Answer):
    """A reservation, with those of its times that are near enough to be placed, and the latest that are over."""

    id: UUID
    name: str
    workspace: str
    start: datetime = Field(description="Of its first time.")
    duration: str
    duration_seconds: int
    rule: str
    nodes: int
    gpus_per_node: int
    gpus: int = Field(description="In all.")
    shape: str
    instance_type: str
    memory_gib: int
    clusters: list[str]
    pool: str
    created_by: str
    created_at: datetime
    cancelled_at: datetime | None
    ended_at: datetime | None = Field(description="Since when nothing of it is still to come.")
    occurrences: list[OccurrenceView]


class ReservationPage(Answer):
    """Reservations, newest first."""

    items: list[ReservationView]
    next: str | None = Field(description="Send it as `after` for the next page; null on the last one.")


class SchedulingSetting(Request):
    """What is decided for the whole installation; absent fields stay."""

    fair_share: Flag | None = Field(None, description="Among equals, who had least for their weight go first.")
    half_life_seconds: _SomeSeconds | None = Field(None, description="After so long, what a workspace had counts half.")
    ageing_seconds: _Seconds | None = Field(
        None, description="A wait that counts as a point of priority; 0: none does."
    )
    horizon_seconds: _SomeSeconds | None = Field(None, description="How far ahead room is kept.")
    reservations_max: _Count | None = Field(None, description="Times that one workspace may have ahead of it.")
    gpu_hours_max: _Count | None = Field(None, description="Likewise, in all.")
    grace_seconds: _Seconds | None = Field(None, description="For so long it need not be used; 0: as long as it lasts.")
    guaranteed_seconds: _Seconds | None = Field(
        None, description="For so long after it became active no lease is ended early for another request."
    )
    notice_seconds: _NoticeSeconds | None = Field(None, description="So long before such an end it is told.")


class SchedulingView(Answer):
    """What is decided for the whole installation."""

    fair_share: bool
    half_life_seconds: int
    ageing_seconds: int
    horizon_seconds: int
    reservations_max: int
    gpu_hours_max: int
    grace_seconds: int
    guaranteed_seconds: int
    notice_seconds: int
    set_by: str
    set_at: datetime | None


class WeightSetting(Request):
    """What a workspace weighs beside others: with 2 it is due twice as much as one with 1."""

    weight: Annotated[int, Field(strict=True, ge=1, le=1000), WHOLE]


class PoolShareView(Answer):
    """The same in a pool that has weights: what is had there counts there alone."""

    pool: str
    weight: int
    gpu_hours_used: float


class ShareView(Answer):
    """What is due to a workspace beside others, and what it had lately: the older, the less it counts."""

    workspace: str
    weight: int
    gpu_hours_used: float
    pools: list[PoolShareView] = Field(description="In which it weighs or had anything; by name.")
