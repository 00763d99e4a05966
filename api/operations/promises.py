"""Promised starts: asked for by those who plan around one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from structlog.contextvars import bind_contextvars

from api.operations.permission import gpr_for
from arbitration import promising
from domain.gpr import Phase
from domain.identifiers import SCHEDULING_DOMAIN
from domain.messages import kick_arbiter
from domain.permissions import Action
from domain.promises import TooManyPromises
from ledger import arbitration, gprs, outbox, promises

if TYPE_CHECKING:
    from api.operations.call import Call
    from domain.gpr import Gpr
    from ledger.connection import Connection


async def make(call: Call, reference: str) -> Gpr:
    """Promise a queued Gpr the start that is planned for it. Repeating it changes nothing.

    WrongPhase for what does not wait, NoPromise where nobody can know a start, TooManyPromises for one more than a
    workspace may have.
    """
    messages: list[int] = []
    async with call.backends.ledger.transaction() as connection:
        gpr = await _under_lock(connection, call, reference)
        if gpr.promise is None or gpr.phase is not Phase.QUEUED:
            await _check_limit(connection, call, gpr)
            await promising.promise(connection, gpr.id, call.now, call.actor)
            messages = [await outbox.put(connection, kick_arbiter())]
        promised = await gprs.find(connection, gpr.id)
    call.deliver(messages)
    return promised


async def withdraw(call: Call, reference: str) -> Gpr:
    """Give a promise up. Repeating it changes nothing."""
    messages: list[int] = []
    async with call.backends.ledger.transaction() as connection:
        gpr = await _under_lock(connection, call, reference)
        if await promises.withdraw(connection, gpr.id, call.now, call.actor):
            messages = [await outbox.put(connection, kick_arbiter())]
        changed = await gprs.find(connection, gpr.id)
    call.deliver(messages)
    return changed


async def _under_lock(connection: Connection, call: Call, reference: str) -> Gpr:
    """The Gpr, once no pass is under way: a pass takes the lock first, and then rows, and so does this."""
    await gpr_for(connection, call, reference, Action.CHANGE)
    await arbitration.lock(connection, SCHEDULING_DOMAIN)
    gpr = await gpr_for(connection, call, reference, Action.CHANGE, hold=True)
    bind_contextvars(gpr_id=str(gpr.id))
    return gpr


async def _check_limit(connection: Connection, call: Call, gpr: Gpr) -> None:
    limit = call.backends.time_rules.promises_per_workspace
    if gpr.phase is Phase.QUEUED and await promises.count(connection, gpr.workspace_id) >= limit:
        raise TooManyPromises(
            f"workspace {gpr.workspace!r} may have {limit} promises at once, and has them; give one up", limit=limit
        )
