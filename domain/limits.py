"""Pools and quotas: which nodes are set aside, and how much of a namespace may be in use at once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True, order=True)
class PoolNode:
    """A node by the place where it is."""

    cluster: str
    node: str


@dataclass(frozen=True, slots=True)
class PoolWeight:
    """What a workspace weighs among those who ask for a pool, and what it had there lately: GPU-seconds, the older the less."""

    pool: str
    workspace: str
    """Its name."""
    weight: int
    used: int
    set_by: str
    set_at: datetime


@dataclass(frozen=True, slots=True)
class Pool:
    """Nodes that serve only requests that name the pool. A node may be in several."""

    name: str
    description: str
    nodes: tuple[PoolNode, ...]
    created_by: str
    created_at: datetime
    weights: tuple[PoolWeight, ...] = ()
    """As far as who asks may see the workspaces."""


@dataclass(frozen=True, slots=True)
class Amounts:
    """GPUs, thousandths of a CPU, MiB of memory; None: as much as there is."""

    gpus: int | None = None
    cpu_millis: int | None = None
    memory_mib: int | None = None


@dataclass(frozen=True, slots=True)
class Quota:
    """What may be in use at once of a namespace, over all clusters of its workspace, and what is."""

    workspace_id: UUID
    workspace: str
    namespace: str
    limit: Amounts
    used: Amounts
    description: str
    set_by: str
    set_at: datetime
    gpus_now: int | None = None
    """As many GPUs as it allows at the instant of the question, by what overrides it."""
