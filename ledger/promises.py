"""Promised starts in the ledger. What can be promised is decided before, under the arbiter's lock (`arbitration/promising.py`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from domain.failures import WrongPhase
from domain.instants import spoken
from ledger import events
from ledger.statements import load

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from domain.promises import Promise
    from ledger.connection import Connection

_SQL = load("promises")

MOVED: Final = "promise_moved"
"""Of the event, and of the notice."""
FOUND: Final = "promise_renewed"


async def count(connection: Connection, workspace_id: UUID) -> int:
    """How many Gprs of a workspace wait with a promise."""
    return int(await connection.fetchval(_SQL["count"], workspace_id))


async def make(connection: Connection, gpr_id: UUID, promise: Promise, now: datetime, actor: str) -> None:
    """Write a new promise. WrongPhase for what does not wait."""
    made = await connection.fetchval(
        _SQL["make"], gpr_id, promise.made_at, promise.starts_at, promise.cluster, list(promise.nodes)
    )
    if made is None:
        raise WrongPhase("only what waits in the queue can be promised a start")
    await events.record(connection, now, "promised", gpr_id=gpr_id, actor=actor, detail=_detail(promise))


async def withdraw(connection: Connection, gpr_id: UUID, now: datetime, actor: str) -> bool:
    """Promise nothing any more; False where nothing was promised, or it waits no more."""
    if await connection.fetchval(_SQL["withdraw"], gpr_id) is None:
        return False
    await events.record(connection, now, "promise_withdrawn", gpr_id=gpr_id, actor=actor)
    return True


async def move(connection: Connection, gpr_id: UUID, was: Promise, new: Promise, why: str, now: datetime) -> bool:
    """The promised hardware was lost: say so, and promise anew, if there is a start. False where that was done before."""
    statement = "move" if was.starts_at is not None else "find_again"
    moved = await connection.fetchval(_SQL[statement], gpr_id, new.starts_at, new.cluster, list(new.nodes))
    if moved is None:
        return False
    kind = MOVED if was.starts_at is not None else FOUND
    detail = {"was": was.starts_at.isoformat() if was.starts_at else None, "why": why, **_detail(new)}
    await events.record(connection, now, kind, gpr_id=gpr_id, detail=detail)
    await connection.execute(_SQL["tell"], gpr_id, kind, now, _spoken(was, new, why))
    return True


def _detail(promise: Promise) -> dict[str, object]:
    starts_at = promise.starts_at.isoformat() if promise.starts_at else None
    return {"starts_at": starts_at, "cluster": promise.cluster, "nodes": list(promise.nodes)}


def _spoken(was: Promise, new: Promise, why: str) -> str:
    now_it_is = f"it starts by {spoken(new.starts_at)}" if new.starts_at else "nobody can say yet when it starts"
    if was.starts_at is None:
        return f"there is hardware again: {now_it_is}"
    return f"the start promised by {spoken(was.starts_at)} cannot be kept: {why}; {now_it_is}"
