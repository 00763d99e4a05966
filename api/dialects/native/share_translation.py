"""Between the native dialect's words for who may hold how many GPUs, and Berth's own. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from api.dialects.native import share_schemas as schemas
from api.operations.overrides import NewOverride
from api.operations.shares import DepartmentWish
from domain.shares import Allowance

if TYPE_CHECKING:
    from collections.abc import Iterable

    from api.operations.shares import SeenDepartment, SeenQuota
    from domain.shares import Held, Override, UserCeiling


def allowance_of(body: schemas.DepartmentSetting | schemas.WorkspaceQuotaSetting) -> Allowance:
    """What may be held."""
    return Allowance(body.gpus, body.ceiling)


def department_of(name: str, body: schemas.DepartmentSetting) -> DepartmentWish:
    """What a department is to be."""
    return DepartmentWish(name, allowance_of(body), body.description)


def override_of(body: schemas.OverrideSubmission) -> NewOverride:
    """The override that is asked for."""
    allowance = Allowance(body.gpus, body.ceiling)
    return NewOverride(body.scope, body.name, allowance, body.end, body.begin, body.description)


def department_view(seen: SeenDepartment) -> schemas.DepartmentView:
    """A department."""
    department = seen.department
    return schemas.DepartmentView(
        name=department.name,
        description=department.description,
        limit=_allowance(department.allowance),
        now=_allowance(seen.now),
        held=_held(department.held),
        workspaces=list(seen.workspaces),
        overrides=[override_view(one) for one in seen.overrides],
        created_by=department.created_by,
        created_at=department.created_at,
    )


def department_list(found: Iterable[SeenDepartment]) -> schemas.DepartmentList:
    """Departments."""
    return schemas.DepartmentList(items=[department_view(one) for one in found])


def workspace_quota_view(seen: SeenQuota) -> schemas.WorkspaceQuotaView:
    """The quota of a workspace."""
    return schemas.WorkspaceQuotaView(
        workspace=seen.quota.workspace,
        department=seen.quota.department,
        limit=_allowance(seen.quota.allowance),
        now=_allowance(seen.now),
        held=_held(seen.quota.held),
        overrides=[override_view(one) for one in seen.overrides],
    )


def workspace_quota_list(found: Iterable[SeenQuota]) -> schemas.WorkspaceQuotaList:
    """Quotas of workspaces."""
    return schemas.WorkspaceQuotaList(items=[workspace_quota_view(one) for one in found])


def override_view(override: Override) -> schemas.OverrideView:
    """An override."""
    return schemas.OverrideView(
        id=override.id,
        scope=override.scope,
        name=override.name,
        workspace=override.workspace,
        gpus=override.allowance.gpus,
        ceiling=override.allowance.ceiling,
        begin=override.begins_at,
        end=override.ends_at,
        description=override.description,
        set_by=override.set_by,
        set_at=override.set_at,
        withdrawn_by=override.withdrawn_by,
        withdrawn_at=override.withdrawn_at,
    )


def override_list(found: Iterable[Override]) -> schemas.OverrideList:
    """Overrides."""
    return schemas.OverrideList(items=[override_view(one) for one in found])


def user_ceiling_list(found: Iterable[UserCeiling]) -> schemas.UserCeilingList:
    """Ceilings of people."""
    views = [
        schemas.UserCeilingView(user=one.user, gpus=one.gpus, held=one.held, set_by=one.set_by, set_at=one.set_at)
        for one in found
    ]
    return schemas.UserCeilingList(items=views)


def _allowance(allowance: Allowance) -> schemas.AllowanceView:
    return schemas.AllowanceView(gpus=allowance.gpus, ceiling=allowance.ceiling)


def _held(held: Held) -> schemas.HeldView:
    return schemas.HeldView(gpus=held.gpus, preemptible=held.preemptible)
