"""Reservations with good defaults, in the ledger alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from arbitration.reservations import reserve
from domain.reservation import ReservationWish
from domain.scheduling import SchedulingPolicy
from ledger import reservations, scheduling, workspaces
from tests.builders import a_principal, a_request, now

if TYPE_CHECKING:
    from domain.reservation import Occurrence, Reservation
    from ledger.connection import Ledger


def a_wish(start: datetime, *, seconds: int = 3600, rule: str = "", **changes: Any) -> ReservationWish:
    """One GPU from then on."""
    return ReservationWish(a_request(name="reserved", duration_seconds=seconds, **changes), start, rule)


def soon(seconds: float = 60) -> datetime:
    """An instant to come, in whole seconds."""
    return datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=seconds)


async def a_reservation(ledger: Ledger, workspace_id: UUID, wish: ReservationWish, at: datetime | None = None) -> UUID:
    """Id of a reservation for which there is room."""
    reservation_id, maker = uuid4(), await a_principal(ledger)
    async with ledger.transaction() as connection:
        workspace = await workspaces.find(connection, workspace_id)
        await reserve(connection, workspace, (reservation_id, maker), wish, at or now())
    return reservation_id


async def the_reservation(ledger: Ledger, reservation_id: UUID) -> Reservation:
    async with ledger.reading() as connection:
        return await reservations.find(connection, reservation_id)


async def occurrences(ledger: Ledger, reservation_id: UUID) -> list[Occurrence]:
    return list((await the_reservation(ledger, reservation_id)).occurrences)


async def policy(ledger: Ledger, **changes: Any) -> None:
    """What is decided from now on, the rest as it is by default."""
    async with ledger.transaction() as connection:
        await scheduling.set_policy(connection, SchedulingPolicy(**changes), "somebody", now())
