"""The words of `/berth/v1` for maintenance."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from pydantic import Field

from api.dialects.native.schemas import Answer, Request
from api.wording import Flag, Instant, NewName, Text, Words
from domain.maintenance import MaintenanceState


class MaintenanceAnnouncement(Request):
    """Nodes are away from an instant until another. Nodes, clusters or pools: at least one of them."""

    name: NewName
    begin: Instant | None = Field(None, description="Now at the earliest, and when it is absent.")
    end: Instant
    nodes: Words = Field(default_factory=list, description="By name; cluster/name where several clusters have it.")
    clusters: Words = Field(default_factory=list, description="All of their nodes, also those that join meanwhile.")
    pools: Words = Field(default_factory=list, description="The nodes that are in them now.")
    description: Text = Field("", description="For people.")
    force: Flag = Field(
        False, description="Also where something is promised or reserved there: a promise that cannot be kept is moved."
    )


class MaintenancePlace(Answer):
    """A node; without a name every node of the cluster."""

    cluster: str
    node: str


class MaintenanceView(Answer):
    """One announcement."""

    id: UUID
    name: str
    state: MaintenanceState
    begin: datetime
    end: datetime
    places: list[MaintenancePlace]
    description: str
    created_by: str
    created_at: datetime
    ended_at: datetime | None = Field(description="When somebody ended it before its time.")
    staying: list[str] = Field(
        default_factory=list, description="In the answer to the announcement: what runs there past its begin."
    )


class MaintenanceList(Answer):
    """Announcements, the latest first."""

    items: list[MaintenanceView]
