"""What workspaces weigh in pools: their people see it, administrators decide it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from api.operations import pools
from api.operations.permission import require_administrator, workspace_for
from domain.failures import NotFound
from domain.permissions import Action
from ledger import pool_weights, workspaces

if TYPE_CHECKING:
    from uuid import UUID

    from api.operations.call import Call
    from domain.limits import PoolWeight
    from ledger.connection import Connection


async def listing(call: Call, pool: str) -> tuple[PoolWeight, ...]:
    """Of the workspaces that the caller may see."""
    return (await pools.find(call, pool)).weights


async def set_weight(call: Call, pool: str, name: str, weight: int) -> PoolWeight:
    """Let a workspace weigh so much there from now on, instead of what it weighs in general."""
    require_administrator(call)
    async with call.backends.ledger.transaction() as connection:
        workspace = await workspace_for(connection, call, name, Action.VIEW)
        await workspaces.hold(connection, workspace.id)
        messages = await pool_weights.set_weight(connection, pool, workspace.id, weight, call.actor, call.now)
        found = await _weight(connection, call, pool, workspace.id)
    call.deliver(messages)
    return found


async def remove(call: Call, pool: str, name: str) -> PoolWeight:
    """Let what it weighs in general count there too; as it was."""
    require_administrator(call)
    async with call.backends.ledger.transaction() as connection:
        workspace = await workspace_for(connection, call, name, Action.VIEW)
        gone = await _weight(connection, call, pool, workspace.id)
        messages = await pool_weights.remove(connection, pool, workspace.id, call.actor, call.now)
    call.deliver(messages)
    return gone


async def _weight(connection: Connection, call: Call, pool: str, workspace_id: UUID) -> PoolWeight:
    found = await pool_weights.weights(connection, call.now, pool, [workspace_id])
    if not found:
        raise NotFound(f"the workspace has no weight of its own in the pool {pool!r}", pool=pool)
    return found[0]
