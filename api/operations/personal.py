"""A caller's own workspace, where a dialect has no others: found, or made when it is first needed, on every cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING

from api.operations.permission import require_unconfined_owner, role_in
from domain.failures import Forbidden, NotReadyYet
from domain.workspace import WorkspacePhase
from ledger import inventory, personal

if TYPE_CHECKING:
    from api.operations.call import Call
    from domain.workspace import Workspace


class NoClusterYet(NotReadyYet):
    """No cluster is registered yet, so there is nowhere to make a workspace."""

    code = "no_cluster_yet"


async def personal_workspace(call: Call) -> Workspace:
    """The caller's own workspace, with a namespace of its name on every cluster; `creating` while it is being made.

    Clusters that were registered since it was made are joined in a minute or so: until then it is not on them.
    Raises Forbidden for a key that is confined to another workspace, NoClusterYet.
    """
    async with call.backends.ledger.reading() as connection:
        workspace = await personal.find(connection, call.principal_id)
        further = [] if workspace is None else await personal.to_join(connection, workspace)
    if workspace is None:
        workspace = await _made(call)
    if role_in(call.caller, workspace.id, workspace.role) is None:
        raise Forbidden(f"this key is confined to workspace {call.caller.workspace_name!r}")
    if further and workspace.phase is WorkspacePhase.READY:
        async with call.backends.ledger.transaction() as connection:
            await personal.join(connection, workspace, further)
    return workspace


async def _made(call: Call) -> Workspace:
    require_unconfined_owner(call, "making a workspace of one's own")
    async with call.backends.ledger.transaction() as connection:
        clusters = tuple(sorted(cluster.name for cluster in await inventory.clusters(connection)))
        if not clusters:
            raise NoClusterYet
        workspace, messages = await personal.make(connection, call.caller.principal, clusters, call.now)
    call.deliver(messages)
    return workspace
