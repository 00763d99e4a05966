"""Suspending what waits or runs, and resuming it. Suspended, it holds nothing, and is planned no more than what has ended.

It is queued all the while: at the place that its submission gave it, with its whole duration still to come.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from domain.failures import NotFound, WrongPhase
from domain.gpr import SUSPENDED, EndCause, Phase, may_come_back
from domain.messages import RELEASE_SIGNAL, kick_arbiter, tell_gpr
from ledger import events, lifecycle, outbox
from ledger.statements import load

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from ledger.connection import Connection, Row

_SQL = load("gprs")

_RUNS: Final = frozenset({Phase.PROVISIONING, Phase.ACTIVE})


async def suspend(connection: Connection, gpr_id: UUID, now: datetime, actor: str) -> list[int]:
    """Take its GPUs away, if it has any, and let it wait; the ids of the messages to deliver after the commit.

    WrongPhase for what is over, or ends for good. Repeating it changes nothing.
    """
    row = await _living(connection, gpr_id, "suspended")
    if row["suspended_at"] is not None:
        return []
    if row["fixed_start"] is not None:
        raise WrongPhase("what is reserved has its time and cannot wait: cancel it", phase=row["phase"])
    reason = f"suspended by {actor}; it keeps its place until it is resumed"
    await connection.execute(_SQL["suspend"], gpr_id, now, SUSPENDED, reason)
    await events.record(connection, now, "suspended", gpr_id=gpr_id, actor=actor)
    messages = [kick_arbiter()]
    if Phase(row["phase"]) in _RUNS:
        after = await lifecycle.begin_release(connection, gpr_id, EndCause.SUSPENDED, now, actor=actor)
        messages.append(tell_gpr(RELEASE_SIGNAL, after))
    return await outbox.put_all(connection, messages)


async def resume(connection: Connection, gpr_id: UUID, now: datetime, actor: str) -> list[int]:
    """Plan it again, at its old place; the ids of the messages to deliver after the commit.

    WrongPhase for what is over, or ends for good. Repeating it changes nothing.
    """
    row = await _living(connection, gpr_id, "resumed")
    if row["suspended_at"] is None:
        return []
    await connection.execute(_SQL["resume"], gpr_id, now)
    await events.record(connection, now, "resumed", gpr_id=gpr_id, actor=actor)
    return await outbox.put_all(connection, [kick_arbiter()])


async def _living(connection: Connection, gpr_id: UUID, verb: str) -> Row:
    """Its row, held, if it waits, runs, or will wait again."""
    row = await connection.fetchrow(_SQL["lock"], gpr_id)
    if row is None:
        raise NotFound(f"there is no Gpr {gpr_id}")
    phase = Phase(row["phase"])
    if phase not in _RUNS | {Phase.QUEUED} and not may_come_back(phase, row["end_cause"] or ""):
        raise WrongPhase(f"only what waits or runs can be {verb}, and this is {phase}", phase=phase)
    return row
