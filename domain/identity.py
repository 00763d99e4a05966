"""Who asks: principals, what they may be to a workspace, and what a credential narrows that to."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID


class Role(StrEnum):
    """What a principal is to a workspace; each may all that the next one may."""

    OWNER = "owner"
    EDITOR = "editor"
    VIEWER = "viewer"


@dataclass(frozen=True, slots=True)
class Principal:
    """Somebody or something that asks."""

    id: UUID
    name: str
    administrator: bool = False


@dataclass(frozen=True, slots=True)
class Caller:
    """A principal behind a credential: a key never may more than its principal, and often less.

    `role_limit` caps every role; `workspace_id` confines the credential to one workspace, whose name stands beside it.
    """

    principal: Principal
    key_id: UUID
    role_limit: Role = Role.OWNER
    workspace_id: UUID | None = None
    workspace_name: str | None = None
    expires_at: datetime | None = None

    @property
    def administrator(self) -> bool:
        """Only an unconfined owner key of an administrator acts as one."""
        return self.principal.administrator and self.role_limit is Role.OWNER and self.workspace_id is None
