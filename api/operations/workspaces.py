"""What one can do with workspaces: make them on every cluster or not at all, see them, get into them, delete them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Final
from uuid import UUID, uuid4

from structlog.contextvars import bind_contextvars

from api.operations.permission import require_unconfined_owner, role_in, workspace_for
from clusters.access import IssuedKubeconfig, merged
from domain.failures import FenceLost, InvalidRequest, WrongPhase
from domain.identifiers import access_anchor_name, checked_name, checked_namespace
from domain.permissions import Action
from domain.workspace import NAME_IN_USE, Tenancy, Workspace, WorkspacePhase, WorkspaceRequest
from ledger import inventory, reading, workspaces

if TYPE_CHECKING:
    from api.operations.call import Call
    from ledger.connection import Connection

_LOOK_SECONDS: Final = (0.05, 0.05, 0.05, 0.1, 0.1, 0.15)
"""Pauses between looks into the ledger; the last one is repeated."""


class WorkspaceNotMade(InvalidRequest):
    """The workspace could not be made on every cluster; nothing of it is left."""

    code = "workspace_not_made"


@dataclass(frozen=True, slots=True)
class Kubeconfig:
    """A kubeconfig for some clusters of a workspace, and when the first of its tokens ends."""

    text: str
    expires_at: datetime
    clusters: tuple[str, ...]


async def create(call: Call, request: WorkspaceRequest) -> Workspace:
    """Make a workspace and wait a while for it. It is durable at once: `creating` means that it will come."""
    require_unconfined_owner(call, "making a workspace")
    wish = _checked(request)
    messages: list[int] = []
    async with call.backends.ledger.transaction() as connection:
        workspace_id, new = await call.subject(connection, "create_workspace", wish, uuid4())
        if new:
            await _require_known(connection, wish.clusters)
            messages = await workspaces.create(connection, workspace_id, call.principal_id, wish, call.now)
    bind_contextvars(workspace_id=str(workspace_id))
    call.deliver(messages)
    return await _settled(call, workspace_id)


async def find(call: Call, name: str) -> Workspace:
    """The workspace in use under this name."""
    async with call.backends.ledger.reading() as connection:
        return await workspace_for(connection, call, name, Action.VIEW)


async def listing(call: Call, *, limit: int, after: int = 0) -> list[Workspace]:
    """Workspaces in use that the caller may see, oldest first; `after`: sequence of the last one seen."""
    member = None if call.caller.administrator else call.principal_id
    async with call.backends.ledger.reading() as connection:
        if call.caller.workspace_id is not None:
            return await _only_one(connection, call, call.caller.workspace_id, after)
        return await workspaces.visible(connection, member, limit=limit, after=after)


async def delete(call: Call, name: str) -> Workspace:
    """Begin to delete it. Repeating it changes nothing; InUse while one of its Gprs holds GPUs, or it has disks."""
    async with call.backends.ledger.transaction() as connection:
        workspace = await workspace_for(connection, call, name, Action.DELETE_WORKSPACE)
        bind_contextvars(workspace_id=str(workspace.id))
        messages = await workspaces.begin_delete(connection, workspace.id, call.now, call.actor)
        gone = await workspaces.find(connection, workspace.id, call.principal_id)
    call.deliver(messages)
    return gone


async def kubeconfig(call: Call, name: str, cluster: str | None, expires_in_seconds: int) -> Kubeconfig:
    """A kubeconfig for one cluster of the workspace, or for all."""
    async with call.backends.ledger.reading() as connection:
        workspace = await workspace_for(connection, call, name, Action.ISSUE_KUBECONFIG)
        clusters = _chosen_clusters(workspace, cluster)
        tenancies = [await workspaces.tenancy(connection, workspace.id, one) for one in clusters]
        fences = [await reading.active_fence(connection, workspace.id, one) for one in clusters]
    issued = await asyncio.gather(
        *(
            _issue(call, one, tenancy, fence, expires_in_seconds)
            for one, tenancy, fence in zip(clusters, tenancies, fences, strict=True)
        )
    )
    together = merged(issued)
    return Kubeconfig(together.text, together.expires_at, clusters)


async def _only_one(connection: Connection, call: Call, workspace_id: UUID, after: int) -> list[Workspace]:
    workspace = await workspaces.find(connection, workspace_id, call.principal_id)
    in_use = workspace.phase in NAME_IN_USE and workspace.sequence > after
    return [workspace] if in_use and role_in(call.caller, workspace_id, workspace.role) is not None else []


def _checked(request: WorkspaceRequest) -> WorkspaceRequest:
    checked_name(request.name, "the name of a workspace")
    if not request.clusters:
        raise InvalidRequest("a workspace needs at least one cluster")
    if not request.namespaces:
        raise InvalidRequest("a workspace needs at least one namespace")
    namespaces = tuple(dict.fromkeys(checked_namespace(one) for one in request.namespaces))
    return replace(request, clusters=tuple(dict.fromkeys(request.clusters)), namespaces=namespaces)


async def _require_known(connection: Connection, names: tuple[str, ...]) -> None:
    known = [cluster.name for cluster in await inventory.clusters(connection)]
    for name in names:
        if name not in known:
            raise InvalidRequest(f"cluster {name!r} is not registered; registered: {', '.join(known) or 'none'}")


async def _settled(call: Call, workspace_id: UUID) -> Workspace:
    """As it is when it is no longer being made, or after a while; WorkspaceNotMade if that failed."""
    deadline = asyncio.get_running_loop().time() + call.backends.ready_seconds
    pauses = iter(_LOOK_SECONDS)
    while True:
        async with call.backends.ledger.reading() as connection:
            workspace = await workspaces.find(connection, workspace_id, call.principal_id)
        if workspace.phase is WorkspacePhase.FAILED:
            raise WorkspaceNotMade(f"the workspace could not be made: {workspace.failure}")
        if workspace.phase is not WorkspacePhase.CREATING or asyncio.get_running_loop().time() >= deadline:
            return workspace
        await asyncio.sleep(next(pauses, _LOOK_SECONDS[-1]))


def _chosen_clusters(workspace: Workspace, cluster: str | None) -> tuple[str, ...]:
    name = workspace.request.name
    if workspace.phase is not WorkspacePhase.READY:
        raise WrongPhase(f"workspace {name!r} is {workspace.phase}, not ready", phase=workspace.phase)
    if cluster is None:
        return workspace.request.clusters
    if cluster not in workspace.request.clusters:
        own = ", ".join(workspace.request.clusters)
        raise InvalidRequest(f"workspace {name!r} is not on cluster {cluster!r}; it is on: {own}")
    return (cluster,)


async def _issue(
    call: Call, cluster: str, tenancy: Tenancy, fence: int | None, expires_in_seconds: int
) -> IssuedKubeconfig:
    """Bound to the active lease where there is one; if that ends at this very moment, unbound."""
    issuer = call.backends.kubeconfigs
    if fence is not None:
        try:
            return await issuer.issue(cluster, tenancy, access_anchor_name(fence), expires_in_seconds)
        except FenceLost:
            pass
    return await issuer.issue(cluster, tenancy, None, expires_in_seconds)
