"""Leases that end early, to make room for another request: one row each, from the decision until the lease is over.

Who must make room is decided before, under the arbiter's lock (`arbitration/preempting.py`). The lifecycle hears of its new
end by the signal that an extension uses; at that end `ledger/lifecycle.py` looks here for why it ends.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from domain.instants import spoken
from domain.messages import EXTENDED_SIGNAL, tell_gpr
from ledger import events, leases, lifecycle, outbox
from ledger.statements import load

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime
    from uuid import UUID

    from ledger.connection import Connection, Row

_SQL = load("preemption")

PREEMPTED: Final = "preempted"
"""Of the event, and of the notice."""
STAYS: Final = "not_preempted"
"""Likewise, when the lease has its old end again."""


@dataclass(frozen=True, slots=True)
class Claimant:
    """Whom leases make room for."""

    id: UUID
    name: str


@dataclass(frozen=True, slots=True)
class OpenPreemption:
    """A lease that is to end early, and is not over yet."""

    id: int
    fence: int
    gpr_id: UUID
    at: datetime
    ends_at: datetime
    was_end_at: datetime | None
    """When it was to end; None: nobody knew."""
    claimant: str
    """The name of the request that it makes room for."""
    is_over: bool
    """Everything that it held is free."""
    works: bool
    """Its end has not begun."""
    is_wanted: bool
    """Its claimant still waits."""


async def claimant(connection: Connection, gpr_id: UUID) -> Claimant | None:
    """A request that waits, and waits on until the transaction ends; None: it does not wait."""
    row = await connection.fetchrow(_SQL["hold_claimant"], gpr_id)
    return None if row is None else Claimant(gpr_id, row["name"])


async def begin(
    connection: Connection, fence: int, claimant: Claimant, ends_at: datetime, now: datetime, *, taken_back: bool
) -> list[int] | None:
    """Let a lease end at that instant; the ids of the messages to deliver after the commit. None: it ends by then anyway.

    `taken_back`: the claimant is of no stronger band, but what the lease borrows is guaranteed to it.
    """
    row = await connection.fetchrow(_SQL["hold_lease"], fence, ends_at)
    if row is None:
        return None
    gpr_id: UUID = row["id"]
    await connection.execute(_SQL["begin"], fence, gpr_id, claimant.id, now, ends_at, row["end_at"], taken_back)
    text = _told(claimant, ends_at, taken_back=taken_back)
    after = await lifecycle.end_sooner(connection, gpr_id, ends_at, PREEMPTED, text, now)
    was = row["end_at"].isoformat() if row["end_at"] else None
    whom = {"for": str(claimant.id), "for_name": claimant.name, "taken_back": taken_back}
    detail = {**whom, "end_at": ends_at.isoformat(), "was": was}
    await events.record(connection, now, PREEMPTED, gpr_id=gpr_id, fence=fence, detail=detail)
    return [await outbox.put(connection, tell_gpr(EXTENDED_SIGNAL, after))]


async def open_ones(connection: Connection) -> list[OpenPreemption]:
    """All that are not settled, in the order of their decision."""
    return [_open(row) for row in await connection.fetch(_SQL["open"])]


async def of_gpr(connection: Connection, gpr_id: UUID) -> OpenPreemption | None:
    """The one that ends a Gpr's lease, if any."""
    row = await connection.fetchrow(_SQL["of_gpr"], gpr_id)
    return None if row is None else _open(row)


async def settle(connection: Connection, over: Iterable[OpenPreemption], now: datetime) -> None:
    """These leases are over."""
    ids = [one.id for one in over]
    if ids:
        await connection.execute(_SQL["settle"], ids, now, False)


async def restore(connection: Connection, one: OpenPreemption, now: datetime) -> list[int]:
    """Give a lease its old end again; the ids of the messages to deliver after the commit. None where it ends already."""
    if not await leases.hold_active(connection, one.gpr_id, one.fence):
        return []
    await lifecycle.end_as_before(connection, one.gpr_id, one.was_end_at, now)
    await connection.execute(_SQL["restore_notices"], one.gpr_id, one.at, now)
    await connection.execute(_SQL["settle"], [one.id], now, True)
    end = f"at {spoken(one.was_end_at)}" if one.was_end_at else "when it ends by itself or is told to"
    text = f"{one.claimant} needs its GPUs no more: it ends {end}, as before"
    await connection.execute(_SQL["tell"], one.gpr_id, STAYS, now, text)
    detail = {"end_at": one.was_end_at.isoformat() if one.was_end_at else None}
    await events.record(connection, now, STAYS, gpr_id=one.gpr_id, fence=one.fence, detail=detail)
    return [await outbox.put(connection, tell_gpr(EXTENDED_SIGNAL, await lifecycle.standing(connection, one.gpr_id)))]


def _told(claimant: Claimant, ends_at: datetime, *, taken_back: bool) -> str:
    why, where = "which is of a stronger band", "first in its band"
    if taken_back:
        why, where = "to which what it borrows is guaranteed", "at its old place"
    return (
        f"its GPUs are needed for {claimant.name}, {why}: it ends at {spoken(ends_at)} and is queued again, "
        f"{where}, for its whole duration"
    )


def _open(row: Row) -> OpenPreemption:
    return OpenPreemption(**dict(row))
