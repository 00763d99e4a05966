"""Leases that are to last longer: decided, and done, in the request that asks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from uuid import uuid4

from structlog.contextvars import bind_contextvars

from api.operations.permission import gpr_for
from arbitration import extension
from domain.durations import format_duration
from domain.failures import WrongPhase
from domain.gpr import Gpr, Phase
from domain.identifiers import SCHEDULING_DOMAIN
from domain.permissions import Action
from domain.promises import Extension, ExtensionRefused
from ledger import arbitration, extensions, gprs

if TYPE_CHECKING:
    from uuid import UUID

    from api.operations.call import Call
    from ledger.connection import Connection


@dataclass(frozen=True, slots=True)
class Extended:
    """The Gpr as it is now, and what was granted."""

    gpr: Gpr
    extension: Extension


async def extend(call: Call, reference: str, seconds: int, *, or_longest: bool) -> Extended:
    """Let a lease last so much longer, or, with `or_longest`, as much of that as there is room for.

    ExtensionRefused, with the longest that would be granted, where a promise, a reservation or the rules of the house
    stand in the way; WrongPhase for what has no lease, or one without an end. A repeat under the same idempotency key
    is answered with what the first one got.
    """
    messages: list[int] = []
    async with call.backends.ledger.transaction() as connection:
        gpr = await _under_lock(connection, call, reference)
        wish = (str(gpr.id), seconds, or_longest)
        extension_id, new = await call.subject(connection, "extend_gpr", wish, uuid4())
        if new:
            granted = await _granted(connection, call, gpr, seconds, or_longest=or_longest)
            messages = await extensions.grant(connection, extension_id, gpr, granted, call.now, call.actor)
        else:
            granted = await extensions.find(connection, extension_id)
        extended = await gprs.find(connection, gpr.id)
    call.deliver(messages)
    return Extended(extended, granted)


async def check(connection: Connection, call: Call, gpr_id: UUID, seconds: int) -> None:
    """Raise ExtensionRefused where the plan has no room for it. Holds the plan until the transaction ends."""
    _refuse(seconds, await extension.longest(connection, gpr_id, seconds, call.now))


async def _under_lock(connection: Connection, call: Call, reference: str) -> Gpr:
    """The Gpr, once no pass is under way: a pass takes the lock first, and then rows, and so does this."""
    await gpr_for(connection, call, reference, Action.CHANGE)
    await arbitration.lock(connection, SCHEDULING_DOMAIN)
    gpr = await gpr_for(connection, call, reference, Action.CHANGE, hold=True)
    bind_contextvars(gpr_id=str(gpr.id))
    return gpr


async def _granted(connection: Connection, call: Call, gpr: Gpr, seconds: int, *, or_longest: bool) -> Extension:
    _check_phase(gpr)
    allowed = await _within_rules(connection, call, gpr, seconds)
    found = allowed
    if allowed.seconds:
        fits = await extension.longest(connection, gpr.id, allowed.seconds, call.now)
        found = fits if fits.in_the_way else allowed
    if not (or_longest and found.seconds):
        _refuse(seconds, found)
    return found


def _check_phase(gpr: Gpr) -> None:
    if gpr.phase not in {Phase.PROVISIONING, Phase.ACTIVE}:
        raise WrongPhase(f"only what has a lease can be extended, and the Gpr is {gpr.phase}", phase=gpr.phase)
    if gpr.request.duration_seconds is None:
        raise WrongPhase("the lease has no end: it lasts until it ends by itself or is told to", phase=gpr.phase)


async def _within_rules(connection: Connection, call: Call, gpr: Gpr, seconds: int) -> Extension:
    most = call.backends.time_rules.extension_seconds_max
    left = max(0, most - await extensions.total(connection, gpr.id))
    if seconds <= left:
        return Extension(seconds)
    spoken = f"a lease may be extended by {format_duration(most)} in all, and {format_duration(left)} of it are left"
    return replace(Extension(left), in_the_way=spoken)


def _refuse(seconds: int, found: Extension) -> None:
    if found.seconds >= seconds:
        return
    longest = f"it can last {format_duration(found.seconds)} longer" if found.seconds else "it cannot last longer"
    raise ExtensionRefused(f"{longest}: {found.in_the_way}", longest_seconds=found.seconds, in_the_way=found.in_the_way)
