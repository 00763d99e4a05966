"""Reservations made and cancelled. Made under the arbiter's lock: what was free a moment ago may be somebody's now.

A time of a reservation that is near enough is a queued Gpr with a fixed start; the plan keeps its place.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from arbitration.room import NoRoom, check_limits, look, refusal
from domain.durations import format_duration
from domain.failures import InvalidRequest
from domain.gpr import EndCause, Phase
from domain.identifiers import SCHEDULING_DOMAIN
from domain.instants import spoken
from domain.messages import keep_reservation
from domain.reservation import WINDOW_SECONDS_MIN
from ledger import arbitration, lifecycle, outbox, reservations, scheduling
from ledger.reservations import Place

if TYPE_CHECKING:
    from domain.reservation import Reservation, ReservationWish
    from domain.scheduling import SchedulingPolicy
    from domain.workspace import Workspace
    from ledger.connection import Connection


async def reserve(
    connection: Connection,
    workspace: Workspace,
    made: tuple[UUID, UUID],
    wish: ReservationWish,
    now: datetime,
) -> list[int]:
    """Make a reservation: of every time within the horizon or not at all. `made`: its id, and whose it is.

    The ids of the messages to deliver after the commit. Raises InvalidRequest, LimitReached, DoesNotFit.
    """
    reservation_id, created_by = made
    await arbitration.lock(connection, SCHEDULING_DOMAIN)
    policy = await scheduling.policy(connection)
    starts = _first_starts(wish, policy, now)
    await check_limits(connection, workspace.id, wish, len(starts), policy)
    found = await look(connection, workspace, created_by, wish, starts, now)
    for place in found:
        if isinstance(place, NoRoom):
            raise refusal(wish, place)
    await reservations.create(connection, reservation_id, workspace.id, created_by, wish, now)
    reservation = await reservations.find(connection, reservation_id)
    messages = [await outbox.put(connection, keep_reservation(reservation_id))]
    for place in found:
        assert isinstance(place, Place)
        messages += await reservations.book(connection, reservation, place, now)
    return messages


async def cancel(
    connection: Connection, reservation_id: UUID, starts_at: datetime | None, actor: str, now: datetime
) -> list[int]:
    """Cancel one of its times, or all that are to come and the one that runs. Repeating it changes nothing.

    The ids of the messages to deliver after the commit. Raises InvalidRequest for what is no time of it.
    """
    reservation = await reservations.held(connection, reservation_id)
    chosen = [one for one in reservation.occurrences if starts_at in {None, one.starts_at}]
    messages: list[int] = []
    if starts_at is None and not reservation.cancelled_at:
        messages += await reservations.cancel(connection, reservation, actor, now)
    for one in chosen:
        if one.gpr_id is not None:
            cause = EndCause.CANCELLED if one.phase is Phase.QUEUED else EndCause.EARLY_RELEASE
            if one.phase in {Phase.QUEUED, Phase.PROVISIONING, Phase.ACTIVE}:
                messages += (await lifecycle.end_for_user(connection, one.gpr_id, cause, now, actor))[1]
        elif starts_at is not None:
            await reservations.skip(connection, reservation_id, starts_at, now)
    if starts_at is not None and not chosen:
        _check_is_to_come(reservation, starts_at, now)
        await reservations.skip(connection, reservation_id, starts_at, now)
    return messages


def _first_starts(wish: ReservationWish, policy: SchedulingPolicy, now: datetime) -> list[datetime]:
    """Its times within the horizon. Raises InvalidRequest where it is none of the near future, or overlaps itself."""
    until = now + policy.horizon
    if wish.window_seconds < WINDOW_SECONDS_MIN:
        raise InvalidRequest(f"a reservation lasts at least {WINDOW_SECONDS_MIN} seconds")
    recurrence = wish.recurrence
    if wish.start <= now:
        raise InvalidRequest("a reservation starts in the future; what is wanted now is a Gpr")
    if wish.start > until:
        raise InvalidRequest(f"room is kept {format_duration(policy.horizon_seconds)} ahead, until {spoken(until)}")
    gap = recurrence.shortest_gap()
    if gap is not None and gap < timedelta(seconds=wish.window_seconds):
        raise InvalidRequest("a time of this rule would begin before the one before it has ended")
    return recurrence.times(now, until)


def _check_is_to_come(reservation: Reservation, starts_at: datetime, now: datetime) -> None:
    times = reservation.wish.recurrence.times(now, starts_at) if starts_at > now else []
    if starts_at not in times:
        name = reservation.wish.request.name
        raise InvalidRequest(f"{spoken(starts_at)} is no time of {name!r} that is still to come")
