"""What departments, workspaces and people may hold: their people see it, administrators decide it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from api.operations.permission import require_administrator, visible_workspace_ids, workspace_for
from domain.identifiers import checked_name
from domain.permissions import Action
from domain.shares import Allowance, Department, Override, Scope, UserCeiling, WorkspaceQuota, allowed_now
from ledger import overrides, reading, shares

if TYPE_CHECKING:
    from api.operations.call import Call
    from ledger.connection import Connection


@dataclass(frozen=True, slots=True)
class DepartmentWish:
    """What a department is to be."""

    name: str
    allowance: Allowance
    description: str = ""


@dataclass(frozen=True, slots=True)
class SeenDepartment:
    """A department with what counts now, and the overrides that do or will. Of its workspaces those that the caller may see."""

    department: Department
    now: Allowance
    overrides: tuple[Override, ...]
    workspaces: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SeenQuota:
    """The quota of a workspace, likewise."""

    quota: WorkspaceQuota
    now: Allowance
    overrides: tuple[Override, ...]


# --- departments ------------------------------------------------------------------------------------------------------


async def departments(call: Call) -> list[SeenDepartment]:
    """Those that the caller's workspaces are in, or all for an administrator."""
    async with call.backends.ledger.reading() as connection:
        return await _departments(connection, call)


async def department(call: Call, name: str) -> SeenDepartment:
    """One of these, or NotFound."""
    async with call.backends.ledger.reading() as connection:
        found = [one for one in await _departments(connection, call) if one.department.name == name]
    if not found:
        raise shares.no_department(name)
    return found[0]


async def create_department(call: Call, wish: DepartmentWish) -> SeenDepartment:
    """Make one; workspaces are assigned to it afterwards."""
    require_administrator(call)
    wish.allowance.check()
    checked_name(wish.name, "the name of a department")
    async with call.backends.ledger.transaction() as connection:
        where = (connection, wish.name, wish.description, wish.allowance)
        await shares.create_department(*where, call.actor, call.now)
    return await department(call, wish.name)


async def change_department(call: Call, wish: DepartmentWish) -> SeenDepartment:
    """Let it be so from now on. What runs goes on."""
    require_administrator(call)
    wish.allowance.check()
    async with call.backends.ledger.transaction() as connection:
        where = (connection, wish.name, wish.description, wish.allowance)
        messages = await shares.change_department(*where, call.actor, call.now)
    call.deliver(messages)
    return await department(call, wish.name)


async def delete_department(call: Call, name: str) -> SeenDepartment:
    """Forget it; as it was. InUse while a workspace is in it."""
    require_administrator(call)
    gone = await department(call, name)
    async with call.backends.ledger.transaction() as connection:
        await shares.delete_department(connection, name, call.actor, call.now)
        await overrides.withdraw_all_of_department(connection, name, call.actor, call.now)
    return gone


async def assign(call: Call, workspace_name: str, department_name: str) -> SeenQuota:
    """Put a workspace, with all that it has, into a department."""
    require_administrator(call)
    async with call.backends.ledger.transaction() as connection:
        workspace = await workspace_for(connection, call, workspace_name, Action.VIEW)
        messages = await shares.assign(connection, workspace.id, department_name, call.actor, call.now)
    call.deliver(messages)
    return await workspace_quota(call, workspace_name)


# --- workspaces -------------------------------------------------------------------------------------------------------


async def workspace_quotas(call: Call) -> list[SeenQuota]:
    """Of the workspaces that the caller may see and that have one, or will have for a while."""
    async with call.backends.ledger.reading() as connection:
        visible = await visible_workspace_ids(connection, call)
        found = await shares.workspace_quotas(connection, visible)
        ahead = [one for one in await overrides.ahead(connection, call.now) if one.scope is Scope.WORKSPACE]
        more = {one.workspace_id for one in ahead} - {quota.workspace_id for quota in found}
        for workspace_id in more if visible is None else more & set(visible):
            assert workspace_id is not None
            found.append(await shares.workspace_quota(connection, workspace_id))
    return sorted((_seen_quota(quota, ahead, call) for quota in found), key=lambda one: one.quota.workspace)


async def workspace_quota(call: Call, name: str) -> SeenQuota:
    """Of one workspace; it need not have any."""
    async with call.backends.ledger.reading() as connection:
        workspace = await workspace_for(connection, call, name, Action.VIEW)
        quota = await shares.workspace_quota(connection, workspace.id)
        return _seen_quota(quota, await overrides.ahead(connection, call.now), call)


async def set_workspace_quota(call: Call, name: str, allowance: Allowance) -> SeenQuota:
    """Let it count from now on. What is in use goes on, even if it is more."""
    require_administrator(call)
    allowance.check()
    async with call.backends.ledger.transaction() as connection:
        workspace = await workspace_for(connection, call, name, Action.VIEW)
        messages = await shares.set_workspace_quota(connection, workspace.id, allowance, call.actor, call.now)
    call.deliver(messages)
    return await workspace_quota(call, name)


# --- people -----------------------------------------------------------------------------------------------------------


async def user_ceilings(call: Call) -> list[UserCeiling]:
    """Everybody's and one's own; all for an administrator."""
    mine = None if call.caller.administrator else call.principal_id
    async with call.backends.ledger.reading() as connection:
        return await shares.user_ceilings(connection, mine)


async def set_user_ceiling(call: Call, user: str, gpus: int | None) -> list[UserCeiling]:
    """Of a person, or for an empty name of everybody for whom nothing else is set. All of them as they are then."""
    require_administrator(call)
    async with call.backends.ledger.transaction() as connection:
        messages = await shares.set_user_ceiling(connection, user, gpus, call.actor, call.now)
    call.deliver(messages)
    return await user_ceilings(call)


async def delete_user_ceiling(call: Call, user: str) -> list[UserCeiling]:
    """Let what counts for everybody else count for a person too."""
    require_administrator(call)
    async with call.backends.ledger.transaction() as connection:
        messages = await shares.delete_user_ceiling(connection, user, call.actor, call.now)
    call.deliver(messages)
    return await user_ceilings(call)


async def _departments(connection: Connection, call: Call) -> list[SeenDepartment]:
    visible = await visible_workspace_ids(connection, call)
    found, ahead = await shares.departments(connection), await overrides.ahead(connection, call.now)
    if visible is None:
        return [_seen_department(one, ahead, one.workspaces, call) for one in found]
    mine = await shares.departments_of(connection, visible)
    names = set((await reading.names_of_workspaces(connection, set(visible))).values())
    return [
        _seen_department(one, ahead, tuple(name for name in one.workspaces if name in names), call)
        for one in found
        if one.name in mine
    ]


def _seen_department(
    department: Department, ahead: list[Override], workspaces: tuple[str, ...], call: Call
) -> SeenDepartment:
    mine = tuple(one for one in ahead if one.scope is Scope.DEPARTMENT and one.name == department.name)
    return SeenDepartment(department, allowed_now(department.allowance, mine, call.now), mine, workspaces)


def _seen_quota(quota: WorkspaceQuota, ahead: list[Override], call: Call) -> SeenQuota:
    mine = tuple(one for one in ahead if one.scope is Scope.WORKSPACE and one.workspace_id == quota.workspace_id)
    return SeenQuota(quota, allowed_now(quota.allowance, mine, call.now), mine)
