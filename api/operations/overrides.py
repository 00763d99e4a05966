"""Timed overrides of quotas: from an instant until another something else counts. Administrators set them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

from api.operations.permission import require_administrator, visible_workspace_ids
from domain.failures import InvalidRequest, NotFound
from domain.instants import spoken
from domain.shares import Allowance, Override, Scope
from ledger import overrides, shares, workspaces

if TYPE_CHECKING:
    from collections.abc import Iterable

    from api.operations.call import Call
    from domain.workspace import Workspace
    from ledger.connection import Connection


@dataclass(frozen=True, slots=True)
class NewOverride:
    """What is to count of a namespace, workspace or department, from when until when. No begin: from now on."""

    scope: Scope
    name: str
    allowance: Allowance
    ends_at: datetime
    begins_at: datetime | None = None
    description: str = ""


async def listing(call: Call, *, with_past: bool) -> list[Override]:
    """Those that count now or will, or all that there were, of what the caller may see; by begin."""
    async with call.backends.ledger.reading() as connection:
        found = await (overrides.ever(connection) if with_past else overrides.ahead(connection, call.now))
        seen = await _visible(connection, call, found)
    return sorted(seen, key=lambda one: (one.begins_at, one.set_at))


async def set_override(call: Call, wish: NewOverride) -> Override:
    """Let it count; what runs when it begins or ends goes on."""
    require_administrator(call)
    begins_at = wish.begins_at.astimezone(UTC) if wish.begins_at else None
    wish = replace(wish, begins_at=begins_at, ends_at=wish.ends_at.astimezone(UTC))
    async with call.backends.ledger.transaction() as connection:
        override_id, is_new = await call.subject(connection, "set_quota_override", wish, uuid4())
        messages = []
        if is_new:
            _check(wish, begins_at or call.now, call.now)
            override = await _override(connection, call, wish, override_id, begins_at or call.now)
            messages = await overrides.set_override(connection, override, call.now)
        made = await overrides.find(connection, override_id)
    call.deliver(messages)
    return made


async def withdraw(call: Call, reference: str) -> Override:
    """End it now, or let it never begin; it stays in the history. Repeating it changes nothing."""
    require_administrator(call)
    async with call.backends.ledger.transaction() as connection:
        override_id = _id(reference)
        messages = await overrides.withdraw(connection, override_id, call.actor, call.now)
        withdrawn = await overrides.find(connection, override_id)
    call.deliver(messages)
    return withdrawn


def _check(wish: NewOverride, begins_at: datetime, now: datetime) -> None:
    wish.allowance.check()
    if wish.allowance == Allowance():
        raise InvalidRequest("an override says how many GPUs are to count: give gpus, ceiling or both")
    if wish.scope is Scope.NAMESPACE and wish.allowance.ceiling is not None:
        raise InvalidRequest("a namespace has no ceiling beside its quota: give gpus")
    if wish.ends_at <= begins_at:
        raise InvalidRequest(f"it would end at {spoken(wish.ends_at)}, before it begins")
    if wish.ends_at <= now:
        raise InvalidRequest(f"it would end at {spoken(wish.ends_at)}, which is over")


async def _override(
    connection: Connection, call: Call, wish: NewOverride, override_id: UUID, begins_at: datetime
) -> Override:
    workspace = await _workspace(connection, wish)
    return Override(
        id=override_id,
        scope=wish.scope,
        name=wish.name,
        workspace_id=workspace.id if workspace else None,
        workspace=workspace.request.name if workspace else "",
        allowance=wish.allowance,
        begins_at=begins_at,
        ends_at=wish.ends_at,
        description=wish.description,
        set_by=call.actor,
        set_at=call.now,
    )


async def _workspace(connection: Connection, wish: NewOverride) -> Workspace | None:
    """Whose limit it is; None: a department's. NotFound where there is no such thing."""
    if wish.scope is Scope.DEPARTMENT:
        await shares.hold_department(connection, wish.name)
        return None
    look = workspaces.of_namespace if wish.scope is Scope.NAMESPACE else workspaces.find_by_name
    found = await look(connection, wish.name)
    if found is None:
        raise NotFound(f"there is no {wish.scope} {wish.name!r}", name=wish.name)
    return found


async def _visible(connection: Connection, call: Call, found: Iterable[Override]) -> list[Override]:
    visible = await visible_workspace_ids(connection, call)
    if visible is None:
        return list(found)
    mine = await shares.departments_of(connection, visible)
    return [one for one in found if one.workspace_id in visible or (one.scope is Scope.DEPARTMENT and one.name in mine)]


def _id(reference: str) -> UUID:
    try:
        return UUID(reference)
    except ValueError as error:
        raise NotFound(f"there is no quota override {reference!r}") from error
