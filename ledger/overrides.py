"""Timed overrides of limits in the ledger. The arbiter is woken when one begins and when it ends: nobody else would notice."""

from __future__ import annotations

from typing import TYPE_CHECKING

from domain.failures import NotFound, WrongPhase
from domain.messages import kick_arbiter
from domain.shares import Allowance, Override, Scope
from ledger import events, outbox
from ledger.statements import load

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from ledger.connection import Connection, Row

_SQL = load("overrides")


async def set_override(connection: Connection, wish: Override, now: datetime) -> list[int]:
    """Let it count from its begin on. The ids of the messages to deliver after the commit."""
    where = (
        wish.workspace_id,
        wish.name if wish.scope is Scope.NAMESPACE else "",
        wish.name if wish.scope is Scope.DEPARTMENT else "",
    )
    amounts = (wish.allowance.gpus, wish.allowance.ceiling)
    span = (wish.begins_at, wish.ends_at)
    await connection.execute(
        _SQL["set"], wish.id, wish.scope, *where, *amounts, *span, wish.description, wish.set_by, now
    )
    await _record(connection, "quota_override_set", wish, wish.set_by, now)
    for mark in (wish.begins_at, wish.ends_at):
        if mark > now:
            await outbox.kick_at(connection, mark)
    return [await outbox.put(connection, kick_arbiter())]


async def withdraw(connection: Connection, override_id: UUID, actor: str, now: datetime) -> list[int]:
    """End it now; what has not begun never does. NotFound; WrongPhase when it is over."""
    override = await find(connection, override_id)
    if override.withdrawn_at is not None:
        return []
    if (await connection.execute(_SQL["withdraw"], override_id, now, actor)).endswith(" 0"):
        raise WrongPhase("it is over: what was, stays")
    await _record(connection, "quota_override_withdrawn", override, actor, now)
    return [await outbox.put(connection, kick_arbiter())]


async def withdraw_all_of_department(connection: Connection, name: str, actor: str, now: datetime) -> None:
    """It goes, and another of its name is not to find them."""
    await connection.execute(_SQL["withdraw_all_of_department"], name, now, actor)


async def find(connection: Connection, override_id: UUID) -> Override:
    """One of them, also of those that are over; or NotFound."""
    row = await connection.fetchrow(_SQL["one"], override_id)
    if row is None:
        raise NotFound(f"there is no quota override {override_id}")
    return _override(row)


async def ahead(connection: Connection, now: datetime) -> list[Override]:
    """Those that count now or will, in the order in which they were set."""
    return [_override(row) for row in await connection.fetch(_SQL["ahead"], now)]


async def ever(connection: Connection) -> list[Override]:
    """All that there were, likewise."""
    return [_override(row) for row in await connection.fetch(_SQL["all"])]


async def _record(connection: Connection, kind: str, override: Override, actor: str, now: datetime) -> None:
    detail = {
        "override": str(override.id),
        "scope": override.scope,
        "name": override.name,
        "gpus": override.allowance.gpus,
        "ceiling": override.allowance.ceiling,
        "begins_at": override.begins_at.isoformat(),
        "ends_at": override.ends_at.isoformat(),
    }
    await events.record(connection, now, kind, workspace_id=override.workspace_id, actor=actor, detail=detail)


def _override(row: Row) -> Override:
    return Override(
        id=row["id"],
        scope=Scope(row["scope"]),
        name=row["namespace"] or row["department"] or row["workspace"],
        workspace_id=row["workspace_id"],
        workspace=row["workspace"],
        allowance=Allowance(row["gpus"], row["ceiling"]),
        begins_at=row["begins_at"],
        ends_at=row["ends_at"],
        description=row["description"],
        set_by=row["set_by"],
        set_at=row["set_at"],
        withdrawn_by=row["withdrawn_by"],
        withdrawn_at=row["withdrawn_at"],
    )
