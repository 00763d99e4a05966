"""GPUs at a fixed time: reserved, looked at, cancelled."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

from api.operations.gprs import Submission, checked_request
from api.operations.permission import reservation_for, visible_workspace_ids, workspace_for
from arbitration import reservations as booking
from domain.failures import WrongPhase
from domain.identifiers import GPR_NAME_LENGTH_MAX, checked_name
from domain.permissions import Action
from domain.reservation import Reservation, ReservationWish
from domain.workspace import WorkspacePhase
from ledger import reservations

if TYPE_CHECKING:
    from api.operations.call import Call


@dataclass(frozen=True, slots=True)
class NewReservation:
    """What is to be reserved, and for which workspace."""

    workspace: str
    wish: ReservationWish


async def reserve(call: Call, wanted: NewReservation) -> Reservation:
    """Keep room for every time within the horizon, or refuse with what is in the way and the nearest windows."""
    checked_name(wanted.wish.request.name, "the name of a reservation", GPR_NAME_LENGTH_MAX)
    messages: list[int] = []
    async with call.backends.planning, call.backends.ledger.transaction() as connection:
        workspace = await workspace_for(connection, call, wanted.workspace, Action.SUBMIT)
        reservation_id, new = await call.subject(connection, "reserve", wanted, uuid4())
        if new:
            if workspace.phase is not WorkspacePhase.READY:
                raise WrongPhase(f"the workspace is {workspace.phase}", phase=workspace.phase)
            request = await checked_request(connection, workspace, Submission(wanted.workspace, wanted.wish.request))
            wish = replace(wanted.wish, request=request, start=wanted.wish.start.astimezone(UTC))
            made = (reservation_id, call.principal_id)
            messages = await booking.reserve(connection, workspace, made, wish, call.now)
        found = await reservations.find(connection, reservation_id)
    call.deliver(messages)
    return found


async def find(call: Call, reference: str) -> Reservation:
    """One of them."""
    async with call.backends.ledger.reading() as connection:
        return await reservation_for(connection, call, reference, Action.VIEW)


async def listing(call: Call, workspace: str | None, *, limit: int, before: int) -> list[Reservation]:
    """Those of a workspace, or of all that the caller may see, newest first."""
    async with call.backends.ledger.reading() as connection:
        if workspace is not None:
            ids: list[UUID] | None = [(await workspace_for(connection, call, workspace, Action.VIEW)).id]
        else:
            ids = await visible_workspace_ids(connection, call)
        return await reservations.page(connection, ids, limit=limit, before=before)


async def cancel(call: Call, reference: str, starts_at: datetime | None) -> Reservation:
    """Cancel one of its times, or all that are to come and the one that runs. Repeating it changes nothing."""
    async with call.backends.ledger.transaction() as connection:
        reservation = await reservation_for(connection, call, reference, Action.CHANGE)
        start = starts_at.astimezone(UTC) if starts_at else None
        messages = await booking.cancel(connection, reservation.id, start, call.actor, call.now)
        changed = await reservations.find(connection, reservation.id)
    call.deliver(messages)
    return changed
