"""What administrators decide about the order of the queue: the policy, and what each workspace weighs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from api.operations.permission import require_administrator, workspace_for
from domain.permissions import Action
from domain.scheduling import gpu_hours
from ledger import scheduling

if TYPE_CHECKING:
    from api.operations.call import Call
    from domain.scheduling import SchedulingPolicy
    from domain.workspace import Workspace
    from ledger.connection import Connection


@dataclass(frozen=True, slots=True)
class PoolShare:
    """What is due to a workspace in a pool that has weights, and what it had there lately."""

    pool: str
    weight: int
    gpu_hours_used: float


@dataclass(frozen=True, slots=True)
class Share:
    """What is due to a workspace beside the others, and what it had lately; in some pools apart."""

    workspace: str
    weight: int
    gpu_hours_used: float
    pools: tuple[PoolShare, ...]


async def policy(call: Call) -> SchedulingPolicy:
    """What counts now; anybody may know."""
    async with call.backends.ledger.reading() as connection:
        return await scheduling.policy(connection)


async def set_policy(call: Call, wish: SchedulingPolicy) -> SchedulingPolicy:
    """Let it count from now on."""
    require_administrator(call)
    async with call.backends.ledger.transaction() as connection:
        messages = await scheduling.set_policy(connection, wish, call.actor, call.now)
        found = await scheduling.policy(connection)
    call.deliver(messages)
    return found


async def share(call: Call, name: str) -> Share:
    """What is due to a workspace."""
    async with call.backends.ledger.reading() as connection:
        workspace = await workspace_for(connection, call, name, Action.VIEW)
        return await _share(connection, call, workspace)


async def set_weight(call: Call, name: str, weight: int) -> Share:
    """Let a workspace weigh so much from now on."""
    require_administrator(call)
    async with call.backends.ledger.transaction() as connection:
        workspace = await workspace_for(connection, call, name, Action.VIEW)
        messages = await scheduling.set_weight(connection, workspace.id, weight, call.actor, call.now)
        found = await _share(connection, call, workspace)
    call.deliver(messages)
    return found


async def _share(connection: Connection, call: Call, workspace: Workspace) -> Share:
    usual, *apart = await scheduling.shares(connection, [str(workspace.id)], call.now)
    in_pools = tuple(PoolShare(one.pool, one.weight, gpu_hours(one.used)) for one in apart)
    return Share(workspace.request.name, usual.weight, gpu_hours(usual.used), in_pools)
