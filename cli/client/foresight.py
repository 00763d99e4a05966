"""What the native API is asked about time, and what it answers, typed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from pydantic import Field

from cli.client.answers import Answer, Estimate, Gpr, Promise
from cli.client.requests import Body
from domain.gpr import Phase


class WhatIf(Body):
    """A request for GPUs that is not made."""

    workspace: str
    duration: str
    nodes: int = 1
    gpus_per_node: int = 1
    priority: int | None = None
    shape: str = ""
    instance_type: str = ""
    memory_gib: int = 0
    clusters: Sequence[str] = ()
    pool: str = ""
    preemptible: bool = False


class ExtensionWish(Body):
    """Let a lease last so much longer; `or_longest`: or as much of that as there is room for."""

    seconds: int
    or_longest: bool = False


class Alternative(Answer):
    """The same number of GPUs of another kind."""

    shape: str
    nodes: int
    gpus_per_node: int
    estimate: Estimate


class Foreseen(Answer):
    """What would become of one request. Position 0: it would start at once."""

    estimate: Estimate
    cluster: str = ""
    nodes: list[str]
    alternatives: list[Alternative]


class Opening(Answer):
    """So many GPUs of one kind, and when they are free."""

    shape: str
    gpus: int
    nodes: int
    gpus_per_node: int
    estimate: Estimate


class Sooner(Answer):
    """The same request with one thing changed."""

    change: str
    shape: str
    nodes: int
    gpus_per_node: int
    duration_seconds: int | None = None
    estimate: Estimate


class Why(Answer):
    """Why a Gpr does not start yet, and what would start sooner."""

    gpr: UUID
    phase: Phase
    estimate: Estimate | None = None
    promise: Promise | None = None
    sooner: list[Sooner]


class Granted(Answer):
    """A lease lasts longer."""

    seconds: int
    in_the_way: str = ""
    gpr: Gpr


class Span(Answer):
    """Some GPUs of one node for some time."""

    kind: str
    gpr: UUID | None = None
    name: str
    workspace: str = ""
    gpus: int
    begins_at: datetime
    ends_at: datetime | None = None


class Away(Answer):
    """Announced maintenance of a node."""

    name: str
    begins_at: datetime
    ends_at: datetime


class NodePlan(Answer):
    """One node, and its spans in order of time."""

    cluster: str
    node: str
    shape: str
    gpus: int
    usable: bool = True
    unusable_reason: str = ""
    spans: list[Span]
    maintenance: list[Away] = Field(default_factory=list)


class Plan(Answer):
    """Who has which GPUs when."""

    at: datetime
    until: datetime
    nodes: list[NodePlan]


class Accuracy(Answer):
    """Of the starts that were shown so far ahead: seconds of actual minus shown."""

    horizon: str
    shown: int
    median_seconds: float
    p90_seconds: float
    inside_share: float


class Handover(Answer):
    """What plans allow for: seconds from a grant until its lease begins, and from its end until its GPUs are free."""

    provisioning_seconds: int
    teardown_seconds: int


class Honesty(Answer):
    """How far off the starts were that people were shown."""

    days: int
    items: list[Accuracy]
    handover: Handover
