"""Room for reservations: for each of their times a window that nothing promised stands in the way of, or why there is none."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final
from uuid import UUID

from arbitration.snapshot import as_queued, read_snapshot
from domain.durations import format_duration
from domain.failures import DoesNotFit, LimitReached
from domain.instants import spoken
from ledger import arbitration, reservations
from ledger.reservations import Place
from planner.plan import openings
from planner.windows import fits, nearest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from domain.reservation import ReservationWish
    from domain.scheduling import SchedulingPolicy
    from domain.workspace import Workspace
    from ledger.connection import Connection
    from planner.snapshot import Claim, Snapshot

NEAREST_SHOWN: Final = 3
_WISH: Final = "the reservation"
"""Stands where a queued Gpr has its id."""


@dataclass(frozen=True, slots=True)
class NoRoom:
    """There is none for a time. `windows`: the nearest starts for which there is; none: `why` says what stands in the way."""

    starts_at: datetime
    why: str
    windows: tuple[datetime, ...] = ()


async def check_limits(
    connection: Connection, workspace_id: UUID, wish: ReservationWish, times: int, policy: SchedulingPolicy
) -> None:
    """LimitReached when a workspace would have more times, or GPU-hours, ahead of it than the policy lets it have."""
    ahead = await reservations.ahead(connection, workspace_id)
    if ahead.times + times > policy.reservations_max:
        raise LimitReached(
            f"a workspace may have {policy.reservations_max} reserved times ahead of it; it has {ahead.times}, "
            f"and these are {times} more",
            limit=policy.reservations_max,
            ahead=ahead.times,
        )
    hours = times * wish.gpu_hours
    if ahead.gpu_hours + hours > policy.gpu_hours_max:
        raise LimitReached(
            f"a workspace may have {policy.gpu_hours_max} GPU-hours reserved ahead of it; it has {ahead.gpu_hours:.1f}, "
            f"and these are {hours:.1f} more",
            limit=policy.gpu_hours_max,
            ahead=round(ahead.gpu_hours, 1),
        )


async def look(
    connection: Connection,
    workspace: Workspace,
    created_by: UUID,
    wish: ReservationWish,
    starts: Sequence[datetime],
    now: datetime,
) -> list[Place | NoRoom]:
    """Room for each of these times, beside that for those before it; nothing is written."""
    queue = await arbitration.queue(connection, now)
    behind_all = max((gpr.sequence for gpr in queue), default=0) + 1
    plain = as_queued(_WISH, workspace, wish.request, behind_all, str(created_by))
    wanted = plain._replace(duration_seconds=wish.lease_seconds, fixed_start=starts[0])
    snapshot = await read_snapshot(connection, [*queue, wanted], now)
    template = next(claim for claim in snapshot.queue if claim.gpr_id == _WISH)
    others = tuple(claim for claim in snapshot.queue if claim is not template)
    return await asyncio.to_thread(_places, replace(snapshot, queue=others), template, starts)


def _places(snapshot: Snapshot, template: Claim, starts: Iterable[datetime]) -> list[Place | NoRoom]:
    found: list[Place | NoRoom] = []
    for number, start in enumerate(starts):
        claim = replace(template, gpr_id=f"{_WISH} {number}", fixed_start=start, not_before=start)
        window = fits(snapshot, claim)
        if window is None:
            found.append(_no_room(snapshot, claim, start))
        else:
            found.append(Place(start, window.cluster, window.nodes))
            kept = replace(claim, planned_cluster=window.cluster, planned_nodes=window.nodes)
            snapshot = replace(snapshot, queue=(*snapshot.queue, kept))
    return found


def _no_room(snapshot: Snapshot, claim: Claim, start: datetime) -> NoRoom:
    windows = tuple(_nearest(snapshot, replace(claim, not_before=None), start))
    if windows:
        return NoRoom(start, "", windows)
    loose = replace(claim, fixed_start=None, not_before=None)
    opening = openings(snapshot, [loose])[claim.gpr_id]
    return NoRoom(start, opening.reason.text if opening.reason else "it is in the way of what is promised")


def _nearest(snapshot: Snapshot, claim: Claim, start: datetime) -> Iterator[datetime]:
    """In whole seconds, as starts are given: a later one is rounded up, a sooner one down."""
    for found in nearest(snapshot, claim, NEAREST_SHOWN):
        whole = found.replace(microsecond=0)
        whole += timedelta(seconds=found > start and whole < found)
        if whole == found or fits(snapshot, replace(claim, fixed_start=whole)):
            yield whole


def refusal(wish: ReservationWish, no_room: NoRoom) -> DoesNotFit:
    """What is answered to whoever asked for it."""
    length = timedelta(seconds=wish.window_seconds)
    windows = [{"start": start.isoformat(), "end": (start + length).isoformat()} for start in no_room.windows]
    start = no_room.starts_at.isoformat()
    return DoesNotFit(spoken_refusal(wish, no_room), start=start, nearest=windows, reason=no_room.why)


def spoken_refusal(wish: ReservationWish, no_room: NoRoom) -> str:
    """One sentence, without a capital or a full stop."""
    asked = wish.request
    gpus = f"{asked.nodes} x {asked.gpus_per_node}" if asked.nodes > 1 else f"{asked.gpus_per_node}"
    what = f"{gpus} {asked.shape or asked.instance_type or 'GPU'}"
    text = f"there is no room for {what} from {spoken(no_room.starts_at)} for {format_duration(wish.window_seconds)}"
    if no_room.windows:
        return f"{text}; there is from {', '.join(spoken(start) for start in no_room.windows)}"
    return f"{text}: {no_room.why}"
