"""Who may hold how many GPUs: departments, workspaces, people, and for a while; as the native API takes and answers it."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from pydantic import Field

from cli.client.answers import Answer
from cli.client.asking import PREFIX, Asking, Page, segment
from cli.client.requests import Body
from cli.client.transport import Call
from domain.shares import Scope


class Allowance(Answer):
    """GPUs at once; None: as many as there are. `gpus` are guaranteed, `ceiling` is in all, with what is borrowed."""

    gpus: int | None = None
    ceiling: int | None = None


class Held(Answer):
    """GPUs that are held now, those that can be preempted among them."""

    gpus: int = 0
    preemptible: int = 0


class NewOverride(Body):
    """What counts of a namespace, workspace or department from `begin` (now) until `end`; what is not set stays."""

    scope: Scope
    name: str
    gpus: int | None = None
    ceiling: int | None = None
    begin: datetime | None = None
    end: datetime
    description: str = ""


class QuotaOverride(Answer):
    """An override. Of two at one instant the one that was set later counts."""

    id: UUID
    scope: Scope
    name: str
    workspace: str = ""
    gpus: int | None = None
    ceiling: int | None = None
    begin: datetime
    end: datetime
    description: str = ""
    set_by: str = ""
    set_at: datetime
    withdrawn_by: str = ""
    withdrawn_at: datetime | None = None


class DepartmentSetting(Body):
    """What a department may hold; what is not set: as much as there is."""

    gpus: int | None = None
    ceiling: int | None = None
    description: str = ""


class NewDepartment(DepartmentSetting):
    """A department that is to be."""

    name: str


class Department(Answer):
    """Workspaces that share what is theirs."""

    name: str
    description: str = ""
    limit: Allowance
    now: Allowance
    held: Held
    workspaces: list[str] = Field(default_factory=list)
    overrides: list[QuotaOverride] = Field(default_factory=list)
    created_by: str = ""
    created_at: datetime


class Assignment(Body):
    """The department that a workspace is to be in."""

    department: str


class WorkspaceQuotaSetting(Body):
    """What a workspace may hold; what is not set: as much as there is."""

    gpus: int | None = None
    ceiling: int | None = None


class WorkspaceQuota(Answer):
    """What a workspace may hold, and what it holds."""

    workspace: str
    department: str
    limit: Allowance
    now: Allowance
    held: Held
    overrides: list[QuotaOverride] = Field(default_factory=list)


class UserCeiling(Answer):
    """How many GPUs a person may hold at once; an empty name: everybody for whom nothing else is set."""

    user: str = ""
    gpus: int | None = None
    held: int = 0
    set_by: str = ""
    set_at: datetime


class ShareCalls(Asking):
    """The part of the client that is about who may hold how much."""

    def departments(self) -> list[Department]:
        """Departments of the workspaces that the caller may see."""
        return self._items(Department, "departments")

    def department(self, name: str) -> Department:
        """One of them."""
        return self._get(Department, f"departments/{segment(name)}")

    def create_department(self, wanted: NewDepartment) -> Department:
        """Make a department; administrators."""
        return self._read(Department, Call("POST", f"{PREFIX}/departments", body=wanted.given()))

    def set_department(self, name: str, setting: DepartmentSetting) -> Department:
        """Limit what a department may hold; administrators."""
        return self._read(Department, Call("PUT", f"{PREFIX}/departments/{segment(name)}", body=setting.given()))

    def delete_department(self, name: str) -> Department:
        """Forget a department without workspaces; administrators."""
        return self._read(Department, Call("DELETE", f"{PREFIX}/departments/{segment(name)}"))

    def assign(self, workspace: str, department: str) -> WorkspaceQuota:
        """Put a workspace into a department; administrators."""
        path = f"{PREFIX}/workspaces/{segment(workspace)}/department"
        return self._read(WorkspaceQuota, Call("PUT", path, body=Assignment(department=department).given()))

    def workspace_quotas(self) -> list[WorkspaceQuota]:
        """Quotas of the workspaces that the caller may see and that have one."""
        return self._items(WorkspaceQuota, "workspace-quotas")

    def workspace_quota(self, workspace: str) -> WorkspaceQuota:
        """What one workspace may hold."""
        return self._get(WorkspaceQuota, f"workspaces/{segment(workspace)}/quota")

    def set_workspace_quota(self, workspace: str, setting: WorkspaceQuotaSetting) -> WorkspaceQuota:
        """Limit what a workspace may hold; administrators."""
        path = f"{PREFIX}/workspaces/{segment(workspace)}/quota"
        return self._read(WorkspaceQuota, Call("PUT", path, body=setting.given()))

    def quota_overrides(self, *, past: bool = False) -> list[QuotaOverride]:
        """Those that count now or will; with `past` all that there were."""
        page = self._get(Page, "quota-overrides", **({"past": "true"} if past else {}))
        return [self._parsed(QuotaOverride, item) for item in page.items]

    def set_quota_override(self, wanted: NewOverride, *, idempotency_key: str = "") -> QuotaOverride:
        """Let something else count for a while; administrators."""
        return self._create(QuotaOverride, "quota-overrides", wanted.given(), idempotency_key)

    def withdraw_quota_override(self, override_id: UUID | str) -> QuotaOverride:
        """End it now, or let it never begin; administrators."""
        return self._read(QuotaOverride, Call("DELETE", f"{PREFIX}/quota-overrides/{segment(override_id)}"))

    def user_ceilings(self) -> list[UserCeiling]:
        """Everybody's ceiling and one's own; all for administrators."""
        return self._items(UserCeiling, "user-ceilings")

    def set_user_ceiling(self, gpus: int | None, *, user: str = "") -> list[UserCeiling]:
        """Limit what a person, or each person, may hold at once; administrators."""
        path = f"{PREFIX}/user-ceilings{f'/{segment(user)}' if user else ''}"
        return self._ceilings(Call("PUT", path, body={"gpus": gpus}))

    def delete_user_ceiling(self, user: str) -> list[UserCeiling]:
        """Let what counts for everybody count for a person too; administrators."""
        return self._ceilings(Call("DELETE", f"{PREFIX}/user-ceilings/{segment(user)}"))

    def _ceilings(self, call: Call) -> list[UserCeiling]:
        return [self._parsed(UserCeiling, item) for item in self._read(Page, call).items]
