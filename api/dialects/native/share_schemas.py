"""The words of `/berth/v1` for who may hold how many GPUs: departments, workspaces, people, and for a while."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field

from api.dialects.native.schemas import Answer, Request
from api.wording import WHOLE, Instant, NewName, Text, Word
from domain.shares import Scope

Gpus = Annotated[int, Field(strict=True, ge=0, le=100_000), WHOLE]

_GUARANTEED = "At most so many at once that cannot be preempted; null: as many as there are."
_CEILING = "At most so many at once in all, with what is borrowed; null: as many as there are."


class AllowanceView(Answer):
    """GPUs at once; null: as many as there are."""

    gpus: int | None = Field(description=_GUARANTEED)
    ceiling: int | None = Field(description=_CEILING)


class HeldView(Answer):
    """GPUs that are held now, those that can be preempted among them."""

    gpus: int
    preemptible: int


class OverrideSubmission(Request):
    """What counts from an instant until another instead of what is set else."""

    scope: Scope
    name: Word = Field(description="Of the namespace, workspace or department.")
    gpus: Gpus | None = Field(None, description="Instead of the quota; absent: that stays.")
    ceiling: Gpus | None = Field(None, description="Instead of the ceiling; absent: that stays. Not of a namespace.")
    begin: Instant | None = Field(None, description="Absent: now.")
    end: Instant
    description: Text = ""


class OverrideView(Answer):
    """An override. Of two at one instant the one that was set later counts."""

    id: UUID
    scope: Scope
    name: str
    workspace: str = Field(description="Whose namespace it is, or which it is; empty for a department.")
    gpus: int | None
    ceiling: int | None
    begin: datetime
    end: datetime
    description: str
    set_by: str
    set_at: datetime
    withdrawn_by: str
    withdrawn_at: datetime | None = Field(description="It was taken back then.")


class OverrideList(Answer):
    """Overrides by begin."""

    items: list[OverrideView]


class DepartmentSetting(Request):
    """What a department may hold, over all its workspaces."""

    gpus: Gpus | None = Field(None, description=_GUARANTEED)
    ceiling: Gpus | None = Field(None, description=_CEILING)
    description: Text = ""


class DepartmentSubmission(DepartmentSetting):
    """A department that is to be."""

    name: NewName


class DepartmentView(Answer):
    """Workspaces that share what is theirs."""

    name: str
    description: str
    limit: AllowanceView = Field(description="As it is set.")
    now: AllowanceView = Field(description="As it is now, by overrides.")
    held: HeldView
    workspaces: list[str] = Field(description="Those that you may see.")
    overrides: list[OverrideView] = Field(description="That count now, or will.")
    created_by: str
    created_at: datetime


class DepartmentList(Answer):
    """Departments by name."""

    items: list[DepartmentView]


class Assignment(Request):
    """The department that a workspace is to be in."""

    department: Word


class WorkspaceQuotaSetting(Request):
    """What a workspace may hold."""

    gpus: Gpus | None = Field(None, description=_GUARANTEED)
    ceiling: Gpus | None = Field(None, description=_CEILING)


class WorkspaceQuotaView(Answer):
    """What a workspace may hold, and what it holds."""

    workspace: str
    department: str
    limit: AllowanceView = Field(description="As it is set.")
    now: AllowanceView = Field(description="As it is now, by overrides.")
    held: HeldView
    overrides: list[OverrideView] = Field(description="That count now, or will.")


class WorkspaceQuotaList(Answer):
    """Quotas of workspaces, by name."""

    items: list[WorkspaceQuotaView]


class CeilingSetting(Request):
    """How many GPUs a person may hold at once."""

    gpus: Gpus | None = Field(description="Null: as many as there are.")


class UserCeilingView(Answer):
    """How many GPUs a person may hold at once."""

    user: str = Field(description="Empty: everybody for whom nothing else is set.")
    gpus: int | None
    held: int = Field(description="0 where it is everybody's.")
    set_by: str
    set_at: datetime


class UserCeilingList(Answer):
    """Everybody's first, then by name."""

    items: list[UserCeilingView]
