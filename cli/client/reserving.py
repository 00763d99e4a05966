"""Reservations as the native API takes and answers them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from pydantic import Field

from cli.client.answers import Answer
from cli.client.requests import Body


class NewReservation(Body):
    """GPUs from an instant on, for `duration` (as in 1d2h30m), once or as often as a rule of RFC 5545 says."""

    workspace: str
    name: str
    start: datetime
    duration: str
    rule: str = ""
    nodes: int = 1
    gpus_per_node: int = 1
    shape: str = ""
    instance_type: str = ""
    memory_gib: int = 0
    clusters: Sequence[str] = ()
    pool: str = ""


class Occurrence(Answer):
    """One time of a reservation; `gpr_id` from when room is kept for it."""

    start: datetime
    end: datetime
    state: str
    gpr_id: UUID | None = None
    cluster: str = ""
    nodes: list[str] = Field(default_factory=list)
    used_at: datetime | None = None
    failure: str = ""


class Reservation(Answer):
    """A reservation, with those of its times that are near enough to be placed."""

    id: UUID
    name: str
    workspace: str
    start: datetime
    duration: str
    duration_seconds: int
    rule: str = ""
    nodes: int
    gpus_per_node: int
    gpus: int = 0
    shape: str = ""
    instance_type: str = ""
    memory_gib: int = 0
    clusters: list[str] = Field(default_factory=list)
    pool: str = ""
    created_by: str = ""
    created_at: datetime
    cancelled_at: datetime | None = None
    ended_at: datetime | None = None
    occurrences: list[Occurrence] = Field(default_factory=list)


class Scheduling(Answer):
    """What is decided about the order of the queue and about reservations."""

    fair_share: bool
    half_life_seconds: int
    ageing_seconds: int
    horizon_seconds: int
    reservations_max: int
    gpu_hours_max: int
    grace_seconds: int
    guaranteed_seconds: int = 0
    notice_seconds: int = 0
    set_by: str = ""
    set_at: datetime | None = None


class SchedulingChange(Body):
    """What may be decided otherwise; what is not set stays."""

    fair_share: bool | None = None
    half_life_seconds: int | None = None
    ageing_seconds: int | None = None
    horizon_seconds: int | None = None
    reservations_max: int | None = None
    gpu_hours_max: int | None = None
    grace_seconds: int | None = None
    guaranteed_seconds: int | None = None
    notice_seconds: int | None = None


class PoolShare(Answer):
    """The same in a pool that has weights."""

    pool: str
    weight: int
    gpu_hours_used: float


class Share(Answer):
    """What is due to a workspace beside others, and what it had lately; in some pools apart."""

    workspace: str
    weight: int
    gpu_hours_used: float
    pools: list[PoolShare] = Field(default_factory=list)


class Weight(Body):
    """What a workspace weighs beside others."""

    weight: int
