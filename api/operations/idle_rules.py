"""When idle GPUs are told of, and taken back: rules of administrators, for all workspaces or for one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from api.operations.permission import require_administrator, visible_workspace_ids, workspace_for
from domain.failures import InvalidRequest
from domain.idleness import WINDOW_SECONDS_MAX, WINDOW_SECONDS_MIN, IdleRule, SetRule, Source
from domain.permissions import Action
from ledger import idleness

if TYPE_CHECKING:
    from uuid import UUID

    from api.operations.call import Call
    from ledger.connection import Connection


@dataclass(frozen=True, slots=True)
class NewIdleRule:
    """A rule to be set. Without a workspace it counts for all that have none of their own."""

    workspace: str | None
    window_seconds: int
    threshold_percent: int
    warning_seconds: int
    enforced: bool


async def listing(call: Call) -> list[SetRule]:
    """The installation's rule, and those of the workspaces that the caller may see."""
    async with call.backends.ledger.reading() as connection:
        return await idleness.rules(connection, await visible_workspace_ids(connection, call))


async def set_rule(call: Call, wish: NewIdleRule) -> SetRule:
    """Let a rule count from now on, in place of the one that was."""
    require_administrator(call)
    if not WINDOW_SECONDS_MIN <= wish.window_seconds <= WINDOW_SECONDS_MAX:
        raise InvalidRequest(f"the window must be {WINDOW_SECONDS_MIN} s to {WINDOW_SECONDS_MAX // 86_400} days long")
    async with call.backends.ledger.transaction() as connection:
        workspace_id = await _workspace_id(connection, call, wish.workspace)
        source = Source.INSTALLATION if workspace_id is None else Source.WORKSPACE
        rule = IdleRule(source, wish.window_seconds, wish.enforced, wish.threshold_percent, wish.warning_seconds)
        await idleness.set_rule(connection, workspace_id, rule, call.actor, call.now)
    return SetRule(rule, workspace_id, wish.workspace or "", call.actor, call.now)


async def delete(call: Call, workspace: str | None) -> SetRule:
    """Let a rule count no more; as it was. The installation's then counts for its workspace."""
    require_administrator(call)
    async with call.backends.ledger.transaction() as connection:
        workspace_id = await _workspace_id(connection, call, workspace)
        return await idleness.delete_rule(connection, workspace_id, workspace or "", call.actor, call.now)


async def _workspace_id(connection: Connection, call: Call, name: str | None) -> UUID | None:
    return None if name is None else (await workspace_for(connection, call, name, Action.VIEW)).id
