"""A workspace: a tenant with namespaces on one or more clusters, its members and the phases of its life."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

from domain.identity import Role


class WorkspacePhase(StrEnum):
    """Where a workspace stands in its life."""

    CREATING = "creating"
    READY = "ready"
    DELETING = "deleting"
    DELETED = "deleted"
    FAILED = "failed"
    """Could not be made on every cluster; nothing of it is left, and its name is free again."""


NAME_IN_USE: Final = frozenset({WorkspacePhase.CREATING, WorkspacePhase.READY, WorkspacePhase.DELETING})


@dataclass(frozen=True, slots=True)
class WorkspaceRequest:
    """What is asked for: each namespace is made on each cluster."""

    name: str
    clusters: tuple[str, ...]
    namespaces: tuple[str, ...]
    username: str = ""
    email: str = ""
    description: str = ""
    pool: str = ""
    """Of its requests that name none."""


@dataclass(frozen=True, slots=True)
class Tenancy:
    """What of a workspace exists on one cluster. `tenant` is its DNS label there."""

    workspace_id: str
    workspace_name: str
    tenant: str
    namespaces: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Workspace:
    """A workspace as the ledger holds it."""

    id: UUID
    request: WorkspaceRequest
    tenant: str
    phase: WorkspacePhase
    failure: str
    created_at: datetime
    sequence: int
    role: Role | None = None
    """What the principal that asked is to it; None when it is only administrator of the installation."""
