"""A principal's own workspace: at most one in use, made when it is first needed."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID, uuid4

from domain.failures import AlreadyExists
from domain.login import personal_workspace_names
from domain.workspace import WorkspaceRequest
from ledger import workspaces
from ledger.statements import load

if TYPE_CHECKING:
    from datetime import datetime

    from domain.identity import Principal
    from domain.workspace import Workspace
    from ledger.connection import Connection

_SQL = load("personal")


async def find(connection: Connection, principal_id: UUID) -> Workspace | None:
    """The principal's own workspace that is in use, or on its way to be."""
    workspace_id = await connection.fetchval(_SQL["in_use"], principal_id)
    return None if workspace_id is None else await workspaces.find(connection, workspace_id, principal_id)


async def make(
    connection: Connection, owner: Principal, clusters: tuple[str, ...], now: datetime
) -> tuple[Workspace, list[int]]:
    """The principal's own workspace, written now if there is none; the ids of the messages to deliver after the commit."""
    await connection.execute(_SQL["lock"], owner.id)
    found = await find(connection, owner.id)
    if found is not None:
        return found, []
    for name in await _names(connection, owner):
        try:
            async with connection.transaction():
                return await _written(connection, owner, name, clusters, now)
        except AlreadyExists:
            continue  # somebody else's: the next name is longer
    raise AlreadyExists(f"every name for a workspace of {owner.name!r} is taken")


async def _names(connection: Connection, owner: Principal) -> list[str]:
    """Those first under which it did not fail before: a cluster may hold a namespace of that name."""
    failed = {row["name"] for row in await connection.fetch(_SQL["failed"], owner.id)}
    return sorted(personal_workspace_names(owner.name, owner.id), key=failed.__contains__)


async def _written(
    connection: Connection, owner: Principal, name: str, clusters: tuple[str, ...], now: datetime
) -> tuple[Workspace, list[int]]:
    request = WorkspaceRequest(name, clusters, (name,), description=f"{owner.name}'s own")
    workspace_id = uuid4()
    messages = await workspaces.create(connection, workspace_id, owner.id, request, now)
    await connection.execute(_SQL["mark"], workspace_id, owner.id)
    return await workspaces.find(connection, workspace_id, owner.id), messages
