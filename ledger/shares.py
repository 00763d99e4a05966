"""What departments, workspaces and people may hold, in the ledger."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID

from domain.failures import AlreadyExists, InUse, NotFound
from domain.messages import kick_arbiter
from domain.shares import DEPARTMENT_DEFAULT, Allowance, Department, Held, UserCeiling, WorkspaceQuota
from ledger import events, outbox
from ledger.statements import load

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from datetime import datetime

    from ledger.connection import Connection, Row

_SQL = load("shares")


class ShareInForce(NamedTuple):
    """What a workspace, and the department that it is of, may hold."""

    workspace: str
    """Its id."""
    name: str
    allowance: Allowance
    department: str
    of_department: Allowance


class UserInForce(NamedTuple):
    """What somebody may hold."""

    user_id: str
    name: str
    gpus: int


# --- departments ------------------------------------------------------------------------------------------------------


async def create_department(
    connection: Connection, name: str, description: str, allowance: Allowance, actor: str, now: datetime
) -> None:
    """Make one without workspaces; AlreadyExists when there is one of this name."""
    amounts = (allowance.gpus, allowance.ceiling)
    if await connection.fetchval(_SQL["create_department"], name, description, *amounts, actor, now) is None:
        raise AlreadyExists(f"there is a department {name!r} already")
    await _record(connection, "department_created", name, actor, now, allowance)


async def change_department(
    connection: Connection, name: str, description: str, allowance: Allowance, actor: str, now: datetime
) -> list[int]:
    """Let it be so from now on, or NotFound; what runs goes on. The ids of the messages to deliver after the commit."""
    amounts = (allowance.gpus, allowance.ceiling)
    if await connection.fetchval(_SQL["change_department"], name, description, *amounts) is None:
        raise no_department(name)
    await _record(connection, "department_changed", name, actor, now, allowance)
    return [await outbox.put(connection, kick_arbiter())]


async def delete_department(connection: Connection, name: str, actor: str, now: datetime) -> None:
    """Forget it. InUse while a workspace is in it, and always for the one that everybody begins in."""
    if name == DEPARTMENT_DEFAULT:
        raise InUse(f"workspaces that nobody assigned are in the department {name!r}: it stays")
    if await connection.fetchval(_SQL["lock_department"], name) is None:
        raise no_department(name)
    members = await connection.fetchval(_SQL["members"], name)
    if members:
        raise InUse(f"the department {name!r} has {members} workspace(s); assign them to another first", active=members)
    await connection.execute(_SQL["delete_department"], name)
    await _record(connection, "department_deleted", name, actor, now)


async def departments(connection: Connection) -> list[Department]:
    """All of them, by name."""
    return [_department(row) for row in await connection.fetch(_SQL["departments"], None)]


async def department(connection: Connection, name: str) -> Department:
    """One of them, or NotFound."""
    row = await connection.fetchrow(_SQL["departments"], name)
    if row is None:
        raise no_department(name)
    return _department(row)


async def assign(connection: Connection, workspace_id: UUID, name: str, actor: str, now: datetime) -> list[int]:
    """Put a workspace, with all that it has, into a department. The ids of the messages to deliver after the commit."""
    await hold_department(connection, name)
    await connection.execute(_SQL["assign"], workspace_id, name)
    detail = {"department": name}
    await events.record(connection, now, "workspace_assigned", workspace_id=workspace_id, actor=actor, detail=detail)
    return [await outbox.put(connection, kick_arbiter())]


async def hold_department(connection: Connection, name: str) -> None:
    """It stays until the transaction ends; or NotFound."""
    if await connection.fetchval(_SQL["hold_department"], name) is None:
        raise no_department(name)


async def departments_of(connection: Connection, workspace_ids: Collection[UUID]) -> set[str]:
    """Those that these workspaces are in."""
    return {row["department"] for row in await connection.fetch(_SQL["departments_of"], list(workspace_ids))}


# --- workspaces -------------------------------------------------------------------------------------------------------


async def set_workspace_quota(
    connection: Connection, workspace_id: UUID, allowance: Allowance, actor: str, now: datetime
) -> list[int]:
    """Let it count from now on; what runs goes on. The ids of the messages to deliver after the commit."""
    await connection.execute(_SQL["set_workspace_quota"], workspace_id, allowance.gpus, allowance.ceiling)
    detail = {"gpus": allowance.gpus, "ceiling": allowance.ceiling}
    await events.record(connection, now, "workspace_quota_set", workspace_id=workspace_id, actor=actor, detail=detail)
    return [await outbox.put(connection, kick_arbiter())]


async def workspace_quotas(
    connection: Connection, workspace_ids: Collection[UUID] | None = None
) -> list[WorkspaceQuota]:
    """Of those of these workspaces that have one, or of all for None."""
    ids = None if workspace_ids is None else list(workspace_ids)
    return [_workspace_quota(row) for row in await connection.fetch(_SQL["workspace_quotas"], ids)]


async def workspace_quota(connection: Connection, workspace_id: UUID) -> WorkspaceQuota:
    """Of one workspace; it need not have any."""
    row = await connection.fetchrow(_SQL["workspace_quota"], workspace_id)
    if row is None:
        raise NotFound(f"there is no workspace {workspace_id}")
    return _workspace_quota(row)


# --- people -----------------------------------------------------------------------------------------------------------


async def set_user_ceiling(connection: Connection, user: str, gpus: int | None, actor: str, now: datetime) -> list[int]:
    """Of a person, or of everybody else for an empty name. The ids of the messages to deliver after the commit."""
    await connection.execute(_SQL["set_user_ceiling"], await _principal(connection, user), gpus, actor, now)
    detail = {"user": user, "gpus": gpus}
    await events.record(connection, now, "user_ceiling_set", actor=actor, detail=detail)
    return [await outbox.put(connection, kick_arbiter())]


async def delete_user_ceiling(connection: Connection, user: str, actor: str, now: datetime) -> list[int]:
    """Let what counts for everybody else count for a person too; or NotFound."""
    if await connection.fetchval(_SQL["delete_user_ceiling"], await _principal(connection, user)) is None:
        raise NotFound(f"user {user!r} has no ceiling of their own", user=user)
    await events.record(connection, now, "user_ceiling_deleted", actor=actor, detail={"user": user})
    return [await outbox.put(connection, kick_arbiter())]


async def user_ceilings(connection: Connection, principal_id: UUID | None = None) -> list[UserCeiling]:
    """Everybody's first; of one person, or of all for None."""
    rows = await connection.fetch(_SQL["user_ceilings"], principal_id)
    return [UserCeiling(row["name"], row["gpus"], row["held"], row["set_by"], row["set_at"]) for row in rows]


# --- for a plan -------------------------------------------------------------------------------------------------------


async def in_force(connection: Connection, workspaces: Iterable[str]) -> list[ShareInForce]:
    """Of these workspaces, by id."""
    ids = sorted({UUID(one) for one in workspaces if one})
    return [
        ShareInForce(
            row["workspace"],
            row["name"],
            Allowance(row["quota_gpus"], row["quota_ceiling"]),
            row["department"],
            Allowance(row["department_gpus"], row["department_ceiling"]),
        )
        for row in await connection.fetch(_SQL["shares_in_force"], ids)
    ]


async def users_in_force(connection: Connection, users: Iterable[str]) -> list[UserInForce]:
    """Of those of these people, by id, whom anything limits."""
    ids = sorted({UUID(one) for one in users if one})
    rows = await connection.fetch(_SQL["user_ceilings_in_force"], ids)
    return [UserInForce(row["user_id"], row["name"], row["gpus"]) for row in rows]


async def _principal(connection: Connection, user: str) -> UUID | None:
    if not user:
        return None
    found: UUID | None = await connection.fetchval(_SQL["principal"], user)
    if found is None:
        raise NotFound(f"there is no user {user!r}", user=user)
    return found


async def _record(
    connection: Connection, kind: str, name: str, actor: str, now: datetime, allowance: Allowance | None = None
) -> None:
    amounts = {} if allowance is None else {"gpus": allowance.gpus, "ceiling": allowance.ceiling}
    await events.record(connection, now, kind, actor=actor, detail={"department": name, **amounts})


def no_department(name: str) -> NotFound:
    """What is said of a name that no department has."""
    return NotFound(f"there is no department {name!r}", department=name)


def _department(row: Row) -> Department:
    return Department(
        name=row["name"],
        description=row["description"],
        allowance=Allowance(row["gpus"], row["ceiling"]),
        held=Held(row["guaranteed"], row["preemptible"]),
        workspaces=tuple(row["workspaces"]),
        created_by=row["created_by"],
        created_at=row["created_at"],
    )


def _workspace_quota(row: Row) -> WorkspaceQuota:
    return WorkspaceQuota(
        workspace_id=row["id"],
        workspace=row["name"],
        department=row["department"],
        allowance=Allowance(row["quota_gpus"], row["quota_ceiling"]),
        held=Held(row["guaranteed"], row["preemptible"]),
    )
