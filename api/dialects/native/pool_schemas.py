"""The words of `/berth/v1` for pools, and for what workspaces weigh in them."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from api.dialects.native.schemas import Answer, Request
from api.wording import NewName, Text, Words


class PoolNodeView(Answer):
    """A node by the place where it is."""

    cluster: str
    node: str


class PoolSubmission(Request):
    """Nodes to be set aside for those who name the pool."""

    name: NewName
    description: Text = ""
    nodes: Words = Field(default_factory=list, description="By name; `cluster/name` where several clusters have it.")


class PoolChange(Request):
    """What may change about a pool; absent fields stay."""

    description: Text | None = None
    nodes: Words | None = Field(None, description="All that it is to have from now on.")
    add: Words = Field(default_factory=list)
    remove: Words = Field(default_factory=list)


class PoolWeightView(Answer):
    """What a workspace weighs in a pool, and what it had there lately: the older, the less it counts."""

    pool: str
    workspace: str
    weight: int
    gpu_hours_used: float
    set_by: str
    set_at: datetime


class PoolWeightList(Answer):
    """By name of the workspace."""

    items: list[PoolWeightView]


class PoolView(Answer):
    """Nodes that serve only requests that name the pool."""

    name: str
    description: str
    nodes: list[PoolNodeView]
    created_by: str
    created_at: datetime
    weights: list[PoolWeightView] = Field(description="Of the workspaces that the caller may see.")


class PoolList(Answer):
    """Pools by name."""

    items: list[PoolView]
