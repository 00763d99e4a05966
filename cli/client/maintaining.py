"""Maintenance as the native API takes and answers it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from pydantic import Field

from cli.client.answers import Answer
from cli.client.requests import Body


class NewMaintenance(Body):
    """Nodes, whole clusters or the nodes of pools are away from `begin` until `end`; `force`: whatever is promised there."""

    name: str
    end: datetime
    begin: datetime | None = None
    nodes: Sequence[str] = ()
    clusters: Sequence[str] = ()
    pools: Sequence[str] = ()
    description: str = ""
    force: bool = False


class MaintenancePlace(Answer):
    """A node; without a name every node of the cluster."""

    cluster: str
    node: str = ""


class Maintenance(Answer):
    """One announcement. `staying`, in the answer to it: what runs there past its begin."""

    id: UUID
    name: str
    state: str
    begin: datetime
    end: datetime
    places: list[MaintenancePlace]
    description: str = ""
    created_by: str = ""
    created_at: datetime
    ended_at: datetime | None = None
    staying: list[str] = Field(default_factory=list)
