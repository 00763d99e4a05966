"""Reservations in the ledger. Whether there is room for them is asked in `arbitration/reservations.py`."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple
from uuid import UUID, uuid4

from domain.failures import NotFound
from domain.gpr import GprRequest, Phase
from domain.instants import spoken
from domain.messages import keep_reservation
from domain.priority import PRIORITY_DEFAULT
from domain.reservation import SECONDS_PER_HOUR, Occurrence, Reservation, ReservationWish
from ledger import events, gprs, outbox
from ledger.statements import load

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import datetime

    from ledger.connection import Connection, Row

_SQL = load("reservations")
NEWEST: Final = 2**62
"""Keyset bound of the first page."""
OCCURRENCES_MAX: Final = 1200
"""Of one reservation, the latest ones: more than a rule can have ahead."""
OCCURRENCES_LISTED: Final = 400
"""Likewise, of each in a list."""


class Place(NamedTuple):
    """Where room is kept for one time of a reservation."""

    starts_at: datetime
    cluster: str
    nodes: tuple[str, ...]


class Ahead(NamedTuple):
    """What a workspace has reserved, as far as it is still to come or runs."""

    times: int
    gpu_hours: float


async def create(
    connection: Connection,
    reservation_id: UUID,
    workspace_id: UUID,
    created_by: UUID,
    wish: ReservationWish,
    now: datetime,
) -> None:
    """Write it, without any of its times."""
    asked = wish.request
    await connection.execute(
        _SQL["create"],
        reservation_id,
        workspace_id,
        created_by,
        asked.name,
        asked.nodes,
        asked.gpus_per_node,
        asked.shape,
        asked.instance_type,
        asked.memory_gib,
        list(asked.clusters),
        asked.pool,
        wish.start,
        wish.window_seconds,
        wish.rule,
        now,
    )
    detail = {
        "reservation": str(reservation_id),
        "name": asked.name,
        "start": wish.start.isoformat(),
        "rule": wish.rule,
        "nodes": asked.nodes,
        "gpus_per_node": asked.gpus_per_node,
        "window_seconds": wish.window_seconds,
    }
    await events.record(connection, now, "reservation_made", workspace_id=workspace_id, detail=detail)


async def book(connection: Connection, reservation: Reservation, place: Place, now: datetime) -> list[int]:
    """Queue the Gpr of one of its times, with its start fixed there. The ids of the messages to deliver after the commit."""
    gpr_id, asked = uuid4(), reservation.wish.request
    request = replace(asked, duration_seconds=reservation.wish.lease_seconds)
    options: dict[str, object] = {"reservation": str(reservation.id)}
    who = (reservation.workspace_id, reservation.created_by)
    messages = await gprs.submit(connection, gpr_id, *who, request, options, now)
    reason = f"is reserved from {place.starts_at:%Y-%m-%d %H:%M:%S} UTC on"
    nodes = list(place.nodes)
    await connection.execute(_SQL["fix_start"], gpr_id, place.starts_at, place.cluster, nodes, reason)
    await _put(connection, reservation.id, place.starts_at, now, gpr_id=gpr_id)
    detail: dict[str, object] = {
        "reservation": str(reservation.id),
        "start": place.starts_at.isoformat(),
        "cluster": place.cluster,
        "nodes": nodes,
    }
    await events.record(connection, now, "booked", gpr_id=gpr_id, workspace_id=reservation.workspace_id, detail=detail)
    return messages


async def note_no_room(
    connection: Connection, reservation: Reservation, starts_at: datetime, why: str, now: datetime
) -> None:
    """There is no room for one of its times, as yet; told in the history when it is new."""
    known = {one.starts_at: one.failure for one in reservation.occurrences}
    await _put(connection, reservation.id, starts_at, now, failure=why)
    if known.get(starts_at) != why:
        detail = {"reservation": str(reservation.id), "start": starts_at.isoformat(), "why": why}
        who = reservation.workspace_id
        await events.record(connection, now, "reservation_has_no_room", workspace_id=who, detail=detail)


async def skip(connection: Connection, reservation_id: UUID, starts_at: datetime, now: datetime) -> None:
    """One of its times, which has no Gpr, is not to be."""
    await _put(connection, reservation_id, starts_at, now, cancelled_at=now)


async def find(connection: Connection, reservation_id: UUID) -> Reservation:
    """One of them, or NotFound."""
    row = await connection.fetchrow(_SQL["one"], reservation_id)
    if row is None:
        raise NotFound(f"there is no reservation {reservation_id}")
    return (await _with_occurrences(connection, [row]))[0]


async def held(connection: Connection, reservation_id: UUID) -> Reservation:
    """Likewise; nobody else decides about it until the transaction ends."""
    await connection.fetchval(_SQL["hold"], reservation_id)
    return await find(connection, reservation_id)


async def page(
    connection: Connection, workspace_ids: Collection[UUID] | None, *, limit: int, before: int = NEWEST
) -> list[Reservation]:
    """Those of these workspaces, or all for None, newest first; `before` is the sequence of the last one seen."""
    if workspace_ids is None:
        rows = await connection.fetch(_SQL["all"], before, limit)
    else:
        rows = await connection.fetch(_SQL["of_workspaces"], list(workspace_ids), before, limit)
    return await _with_occurrences(connection, rows, OCCURRENCES_LISTED)


async def ahead(connection: Connection, workspace_id: UUID) -> Ahead:
    """What a workspace has reserved and not had yet."""
    row = await connection.fetchrow(_SQL["ahead"], workspace_id)
    assert row is not None
    return Ahead(row["times"], row["gpu_seconds"] / SECONDS_PER_HOUR)


async def note_use(connection: Connection, gpr_id: UUID, now: datetime) -> None:
    """Somebody was seen to use it."""
    await connection.execute(_SQL["used"], gpr_id, now)


async def note_starts(
    connection: Connection, late: Mapping[UUID, str], in_time: Collection[UUID], now: datetime
) -> None:
    """Tell, once and loudly, what will start later than it was reserved, and why; and what is in time again."""
    lost = await connection.fetch(_SQL["lose"], list(late), list(late.values()), now) if late else []
    for row in lost:
        message = f"the room that was kept from {spoken(row['starts_at'])} is lost: {row['why']}"
        await tell(connection, row["gpr_id"], "reservation_lost", message, now)
        await _record_start(connection, "reservation_lost", row, now, row["why"])
    for row in await connection.fetch(_SQL["regain"], list(in_time)) if in_time else []:
        await tell(
            connection, row["gpr_id"], "reservation_placed", f"starts at {spoken(row['starts_at'])} after all", now
        )
        await _record_start(connection, "reservation_placed", row, now, "")


async def tell(
    connection: Connection, gpr_id: UUID, kind: str, message: str, now: datetime, *, due_at: datetime | None = None
) -> None:
    """A notice that is due, and so delivered, now. Repeating it with the same `due_at` tells nothing twice."""
    if await connection.fetchval(_SQL["tell"], gpr_id, kind, due_at or now, message, now) is not None:
        await events.record(connection, now, "noticed", gpr_id=gpr_id, detail={"kind": kind, "message": message})


async def cancel(connection: Connection, reservation: Reservation, actor: str, now: datetime) -> list[int]:
    """No further time of it is placed. The ids of the messages to deliver after the commit."""
    await connection.execute(_SQL["cancel"], reservation.id, now)
    detail = {"reservation": str(reservation.id)}
    who = reservation.workspace_id
    await events.record(connection, now, "reservation_cancelled", workspace_id=who, actor=actor, detail=detail)
    return [await outbox.put(connection, keep_reservation(reservation.id))]


async def end(connection: Connection, reservation_id: UUID, now: datetime) -> None:
    """Nothing of it is still to come."""
    await connection.execute(_SQL["end"], reservation_id, now)


async def unfinished(connection: Connection) -> list[UUID]:
    """Those whose keeper must run."""
    return [UUID(row["id"]) for row in await connection.fetch(_SQL["unfinished"])]


async def _put(  # noqa: PLR0913 - the columns of one row
    connection: Connection,
    reservation_id: UUID,
    starts_at: datetime,
    now: datetime,
    *,
    gpr_id: UUID | None = None,
    failure: str = "",
    cancelled_at: datetime | None = None,
) -> None:
    await connection.execute(_SQL["put_occurrence"], reservation_id, starts_at, gpr_id, failure, now, cancelled_at)


async def _record_start(connection: Connection, kind: str, row: Row, now: datetime, why: str) -> None:
    detail = {"reservation": str(row["reservation_id"]), "start": row["starts_at"].isoformat(), "why": why}
    await events.record(connection, now, kind, gpr_id=row["gpr_id"], detail=detail)


async def _with_occurrences(connection: Connection, rows: list[Row], most: int = OCCURRENCES_MAX) -> list[Reservation]:
    found: defaultdict[UUID, list[Occurrence]] = defaultdict(list)
    ids = [row["id"] for row in rows]
    for row in await connection.fetch(_SQL["occurrences"], ids, most) if ids else []:
        found[row["reservation_id"]].append(_occurrence(row))
    return [replace(_reservation(row), occurrences=tuple(found[row["id"]])) for row in rows]


def _occurrence(row: Row) -> Occurrence:
    return Occurrence(
        starts_at=row["starts_at"],
        gpr_id=row["gpr_id"],
        failure=row["failure"],
        tried_at=row["tried_at"],
        used_at=row["used_at"],
        lost_at=row["lost_at"],
        cancelled_at=row["cancelled_at"],
        phase=Phase(row["phase"]) if row["phase"] else None,
        end_cause=row["end_cause"],
        active_at=row["active_at"],
        end_at=row["end_at"],
        fence=row["fence"],
        cluster=row["planned_cluster"] or "",
        nodes=tuple(row["planned_nodes"] or ()),
    )


def _reservation(row: Row) -> Reservation:
    request = GprRequest(
        name=row["name"],
        nodes=row["nodes"],
        gpus_per_node=row["gpus_per_node"],
        duration_seconds=row["duration_seconds"],
        priority=PRIORITY_DEFAULT,
        shape=row["shape"],
        instance_type=row["instance_type"],
        memory_gib=row["memory_gib"],
        clusters=tuple(row["clusters"]),
        pool=row["pool"],
    )
    return Reservation(
        id=row["id"],
        sequence=row["sequence"],
        workspace_id=row["workspace_id"],
        workspace=row["workspace"],
        created_by=row["created_by"],
        created_by_name=row["created_by_name"],
        wish=ReservationWish(request, row["starts_at"], row["rule"]),
        created_at=row["created_at"],
        cancelled_at=row["cancelled_at"],
        ended_at=row["ended_at"],
    )
