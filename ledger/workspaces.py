"""Workspaces in the ledger: made, read, and moved through their lives."""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncpg

from domain.disk import RETENTION
from domain.failures import AlreadyExists, InUse, NotFound, WrongPhase
from domain.gpr import EndCause
from domain.identifiers import tenant_label
from domain.identity import Role
from domain.messages import delete_workspace, kick_arbiter, start_workspace
from domain.workspace import Tenancy, Workspace, WorkspacePhase, WorkspaceRequest
from ledger import disks, events, gprs, lifecycle, outbox, pool_weights
from ledger.statements import load

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from ledger.connection import Connection, Row

_SQL = load("workspaces")


async def create(
    connection: Connection, workspace_id: UUID, owner_id: UUID, request: WorkspaceRequest, now: datetime
) -> list[int]:
    """Write a workspace that is to be made; the ids of the messages to deliver after the commit.

    Raises AlreadyExists when its name, or one of its namespaces on one of its clusters, is in use.
    """
    try:
        await _insert(connection, workspace_id, owner_id, request, now)
    except asyncpg.UniqueViolationError as error:
        taken = "a namespace" if error.constraint_name == "namespace_in_use" else f"the name {request.name!r}"
        raise AlreadyExists(f"{taken} of this workspace is in use by another one") from error
    await events.record(connection, now, "workspace_created", workspace_id=workspace_id, detail={"name": request.name})
    return [await outbox.put(connection, start_workspace(str(workspace_id)))]


async def find(connection: Connection, workspace_id: UUID, principal_id: UUID | None = None) -> Workspace:
    """One workspace in whatever phase, or NotFound."""
    row = await connection.fetchrow(_SQL["one"], workspace_id, principal_id)
    if row is None:
        raise NotFound(f"there is no workspace {workspace_id}")
    return _workspace(row)


async def find_by_name(connection: Connection, name: str, principal_id: UUID | None = None) -> Workspace | None:
    """The workspace that uses this name now."""
    row = await connection.fetchrow(_SQL["in_use_by_name"], name, principal_id)
    return None if row is None else _workspace(row)


async def of_namespace(connection: Connection, namespace: str) -> Workspace | None:
    """The workspace that has a namespace of this name now."""
    row = await connection.fetchrow(_SQL["in_use_of_namespace"], namespace)
    return None if row is None else _workspace(row)


async def visible(connection: Connection, principal_id: UUID | None, *, limit: int, after: int = 0) -> list[Workspace]:
    """Workspaces in use of which the principal is a member, or all for None; `after`: sequence of the last one seen."""
    statement = _SQL["all_in_use"] if principal_id is None else _SQL["in_use_of_member"]
    return [_workspace(row) for row in await connection.fetch(statement, principal_id, after, limit)]


async def hold(connection: Connection, workspace_id: UUID) -> None:
    """Keep it from being deleted until the transaction ends. WrongPhase if it is being deleted."""
    if await connection.fetchval(_SQL["hold"], workspace_id) is None:
        raise WrongPhase("the workspace is being deleted")


async def begin_delete(connection: Connection, workspace_id: UUID, now: datetime, actor: str) -> list[int]:
    """Mark it as going and cancel what it has queued; the ids of the messages to deliver after the commit.

    Raises InUse while one of its Gprs holds GPUs, and while it has disks. Repeating it changes nothing.
    """
    phase = await _locked_phase(connection, workspace_id)
    if phase not in {WorkspacePhase.CREATING, WorkspacePhase.READY}:
        return []
    messages = []
    for gpr_id in await gprs.queued_in_workspace(connection, workspace_id):
        _, sent = await lifecycle.end_for_user(connection, gpr_id, EndCause.WORKSPACE_DELETED, now, actor)
        messages += sent
    # counted last: what was granted at this very moment is among them, and the refusal takes the cancellations back
    holding = await gprs.holding_in_workspace(connection, workspace_id)
    if holding:
        raise InUse(f"the workspace has {holding} active Gpr(s); release them first", active=holding)
    kept = await disks.kept_in_workspace(connection, workspace_id)
    if kept:
        raise InUse(
            f"the workspace has {kept} disk(s): a disk goes for good {RETENTION.days} days after it is deleted, and the "
            f"workspace can be deleted when all have gone",
            disks=kept,
        )
    await connection.execute(_SQL["set_phase"], workspace_id, WorkspacePhase.DELETING, "", now)
    await events.record(connection, now, "workspace_deleting", workspace_id=workspace_id, actor=actor)
    return [*messages, await outbox.put(connection, delete_workspace(str(workspace_id)))]


async def tenancy(connection: Connection, workspace_id: UUID, cluster: str) -> Tenancy:
    """What of it is to exist on one cluster."""
    row = await connection.fetchrow(_SQL["tenancy"], workspace_id, cluster)
    if row is None:
        raise NotFound(f"there is no workspace {workspace_id}")
    return Tenancy(row["id"], row["name"], row["tenant"], tuple(row["namespaces"]))


async def to_ready(connection: Connection, workspace_id: UUID, now: datetime) -> tuple[WorkspacePhase, list[int]]:
    """It exists on every cluster, unless its deletion was asked for meanwhile; the phase that it has now.

    Also the ids of the messages to deliver after the commit: what was submitted meanwhile may start.
    """
    phase = await _locked_phase(connection, workspace_id)
    if phase is not WorkspacePhase.CREATING:
        return phase, []
    await connection.execute(_SQL["set_phase"], workspace_id, WorkspacePhase.READY, "", now)
    await events.record(connection, now, "workspace_ready", workspace_id=workspace_id)
    return WorkspacePhase.READY, [await outbox.put(connection, kick_arbiter())]


async def to_end(connection: Connection, workspace_id: UUID, phase: WorkspacePhase, why: str, now: datetime) -> None:
    """Nothing of it is left in any cluster: deleted, or failed; its name and namespaces are free again."""
    before = await _locked_phase(connection, workspace_id)
    if before in {WorkspacePhase.DELETED, WorkspacePhase.FAILED}:
        return
    if before is WorkspacePhase.DELETING:
        phase = WorkspacePhase.DELETED
    await connection.execute(_SQL["set_phase"], workspace_id, phase, why, now)
    await connection.execute(_SQL["release_namespaces"], workspace_id, now)
    await pool_weights.forget_workspace(connection, workspace_id)
    await events.record(connection, now, f"workspace_{phase}", workspace_id=workspace_id, detail={"why": why})


async def note_failure(connection: Connection, workspace_id: UUID, why: str) -> None:
    """Say what its making or deletion waits for."""
    await connection.execute(_SQL["note_failure"], workspace_id, why)


async def unfinished(connection: Connection) -> list[str]:
    """Ids of all workspaces whose lifecycle must be running."""
    return [row["id"] for row in await connection.fetch(_SQL["unfinished"])]


async def _insert(
    connection: Connection, workspace_id: UUID, owner_id: UUID, request: WorkspaceRequest, now: datetime
) -> None:
    await connection.execute(
        _SQL["create"],
        workspace_id,
        request.name,
        tenant_label(request.name, workspace_id),
        owner_id,
        request.username,
        request.email,
        request.description,
        list(request.clusters),
        request.pool,
        now,
    )
    rows = [(workspace_id, cluster, namespace) for cluster in request.clusters for namespace in request.namespaces]
    await connection.executemany(_SQL["add_namespace"], rows)
    await connection.execute(_SQL["add_member"], workspace_id, owner_id, Role.OWNER)


async def _locked_phase(connection: Connection, workspace_id: UUID) -> WorkspacePhase:
    row = await connection.fetchrow(_SQL["lock"], workspace_id)
    if row is None:
        raise NotFound(f"there is no workspace {workspace_id}")
    return WorkspacePhase(row["phase"])


def _workspace(row: Row) -> Workspace:
    request = WorkspaceRequest(
        name=row["name"],
        clusters=tuple(row["clusters"]),
        namespaces=tuple(row["namespaces"]),
        username=row["username"],
        email=row["email"],
        description=row["description"],
        pool=row["pool"],
    )
    return Workspace(
        id=row["id"],
        request=request,
        tenant=row["tenant"],
        phase=WorkspacePhase(row["phase"]),
        failure=row["failure"],
        created_at=row["created_at"],
        sequence=row["sequence"],
        role=None if row["member_role"] is None else Role(row["member_role"]),
    )
