"""Extensions that were granted: each is one row, so that a repeated request finds what the first one got."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from domain.failures import WrongPhase
from domain.gpr import Phase
from domain.messages import EXTENDED_SIGNAL, kick_arbiter, tell_gpr
from domain.promises import Extension
from ledger import lifecycle, outbox
from ledger.statements import load

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from domain.gpr import Gpr
    from ledger.connection import Connection

_SQL = load("extensions")


async def find(connection: Connection, extension_id: UUID) -> Extension:
    """What was granted."""
    row = await connection.fetchrow(_SQL["find"], extension_id)
    assert row is not None
    return Extension(row["seconds"], row["in_the_way"])


async def total(connection: Connection, gpr_id: UUID) -> int:
    """By how many seconds in all it was extended."""
    return int(await connection.fetchval(_SQL["total"], gpr_id))


async def grant(
    connection: Connection, extension_id: UUID, gpr: Gpr, extension: Extension, now: datetime, actor: str
) -> list[int]:
    """Move the end of a lease that is being provisioned or active; the ids of the messages to deliver after the commit."""
    if gpr.phase is Phase.PROVISIONING:
        after = await lifecycle.lengthen(connection, gpr.id, extension.seconds, now, actor)
    elif gpr.end_at is None:
        raise WrongPhase(f"there is no end to move, and the Gpr is {gpr.phase}", phase=gpr.phase)
    else:
        later = gpr.end_at + timedelta(seconds=extension.seconds)
        after = await lifecycle.move_end(connection, gpr.id, later, now, actor)
    row = (extension_id, gpr.id, now, extension.seconds, extension.in_the_way, actor)
    await connection.execute(_SQL["insert"], *row)
    return await outbox.put_all(connection, [tell_gpr(EXTENDED_SIGNAL, after), kick_arbiter()])
