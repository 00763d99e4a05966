"""A principal's own workspace: at most one in use, made when it is first needed, and on every cluster.

One that is there joins the clusters that are registered later: wanted there in the ledger first, then made there by the
cluster's reconciler, and only then one of its clusters.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from uuid import UUID, uuid4

from domain.failures import AlreadyExists
from domain.login import personal_workspace_names
from domain.messages import kick_arbiter
from domain.workspace import Tenancy, WorkspacePhase, WorkspaceRequest
from ledger import events, outbox, workspaces
from ledger.statements import load

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from domain.identity import Principal
    from domain.workspace import Workspace
    from ledger.connection import Connection

_SQL = load("personal")

JOINING_AT_ONCE: Final = 8
"""Workspaces that join a cluster in one round of its reconciler."""


@dataclass(frozen=True, slots=True)
class Joining:
    """A workspace that is to stand on one more cluster, or was and has begun to go."""

    workspace_id: UUID
    tenancy: Tenancy
    is_wanted: bool


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


async def to_join(connection: Connection, workspace: Workspace) -> list[str]:
    """Clusters that it does not stand on and is not about to, but where somebody else has a namespace of its name."""
    namespace = workspace.request.namespaces[0]
    return [row["name"] for row in await connection.fetch(_SQL["to_join"], workspace.id, namespace)]


async def join(connection: Connection, workspace: Workspace, clusters: Sequence[str]) -> None:
    """Have it made on these clusters, too, unless it is not ready. Repeating it changes nothing."""
    await connection.execute(_SQL["join"], workspace.id, list(clusters), workspace.request.namespaces[0])


async def joining(connection: Connection, cluster: str) -> list[Joining]:
    """Workspaces that are to stand on this cluster, a few at a time."""
    return [
        Joining(
            row["id"],
            Tenancy(row["workspace_id"], row["name"], row["tenant"], (row["namespace"],)),
            is_wanted=WorkspacePhase(row["phase"]) is WorkspacePhase.READY,
        )
        for row in await connection.fetch(_SQL["joining"], cluster, JOINING_AT_ONCE)
    ]


async def joined(connection: Connection, workspace_id: UUID, cluster: str, now: datetime) -> list[int] | None:
    """It stands on this cluster: what waits for GPUs may start there. The ids of the messages to deliver.

    None where it has begun to go meanwhile: then what was made of it is to be taken away again.
    """
    if await connection.fetchval(_SQL["joined"], workspace_id, cluster) is None:
        return None
    await connection.execute(_SQL["joins_no_more"], workspace_id, cluster, True, now)
    await events.record(connection, now, "workspace_joined", workspace_id=workspace_id, detail={"cluster": cluster})
    return [await outbox.put(connection, kick_arbiter())]


async def did_not_join(connection: Connection, workspace_id: UUID, cluster: str, now: datetime) -> None:
    """Nothing of it is on this cluster, and nothing will be."""
    await connection.execute(_SQL["joins_no_more"], workspace_id, cluster, False, now)


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
