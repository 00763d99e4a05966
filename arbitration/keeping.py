"""Keeping a reservation: its times are placed as they come near, started, and given back when nobody uses them.

Each look does what is due and says when the next one is. It may be repeated, or come late: it goes by what the ledger holds.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final
from uuid import UUID

from arbitration.room import NoRoom, check_limits, look, spoken_refusal
from domain.durations import format_duration
from domain.failures import LimitReached
from domain.gpr import EndCause, Phase, may_come_back
from domain.identifiers import SCHEDULING_DOMAIN
from domain.instants import spoken
from domain.messages import Standing, kick_arbiter
from domain.reservation import TRY_AGAIN, look_interval
from domain.workspace import WorkspacePhase
from ledger import arbitration, lifecycle, outbox, reservations, scheduling, workspaces

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from domain.gpr import PlannedStart
    from domain.reservation import Occurrence, Reservation
    from domain.scheduling import SchedulingPolicy
    from domain.workspace import Workspace
    from ledger.arbitration import QueuedGpr
    from ledger.connection import Connection, Ledger

KEEPER: Final = "reservations"
"""Who acts, in the history."""
START_LOOK_MIN: Final = timedelta(seconds=5)
"""How long after a start that did not come about the arbiter is asked again; each time twice as long."""
PHASE_LOOK: Final = timedelta(seconds=2)
SERIES_LOOK_MAX: Final = timedelta(days=1)
"""A longer horizon is noticed by then."""
LOST_AFTER: Final = timedelta(seconds=30)
"""So much later than reserved is no teardown any more that takes its time."""
_GOING: Final = frozenset({WorkspacePhase.DELETING, WorkspacePhase.DELETED, WorkspacePhase.FAILED})


@dataclass(slots=True)
class Kept:
    """What was decided about a reservation, and when to look at it again; None: it is over."""

    name: str
    workspace: str
    wake_at: datetime | None = None
    looks: list[Standing] = field(default_factory=list)
    """Leases of which nobody knows yet whether they are used."""
    messages: list[int] = field(default_factory=list)


async def keep(ledger: Ledger, reservation_id: UUID, seen: Mapping[tuple[UUID, int], bool], now: datetime) -> Kept:
    """Do what is due about a reservation. `seen`: of leases, by Gpr and fence, whether anybody was seen to use them."""
    async with ledger.transaction() as connection:
        await arbitration.lock(connection, SCHEDULING_DOMAIN)
        reservation = await reservations.held(connection, reservation_id)
        kept = Kept(reservation.wish.request.name, reservation.workspace)
        if reservation.ended_at is None:
            keeper = _Keeper(connection, reservation, await scheduling.policy(connection), seen, now)
            await keeper.keep(kept)
    return kept


async def note_starts(
    ledger: Ledger, queue: Sequence[QueuedGpr], planned: Mapping[str, PlannedStart], now: datetime
) -> None:
    """What was reserved and will start late has lost its room: its people are told, and told again when there is other."""
    reserved = [gpr for gpr in queue if gpr.fixed_start is not None and gpr.gpr_id in planned]
    if not reserved:
        return
    late = {UUID(gpr.gpr_id): planned[gpr.gpr_id].estimate.reason for gpr in reserved if _is_late(gpr, planned)}
    in_time = [gpr_id for gpr in reserved if (gpr_id := UUID(gpr.gpr_id)) not in late]
    async with ledger.transaction() as connection:
        await reservations.note_starts(connection, late, in_time, now)


class _Keeper:
    """One look at one reservation."""

    def __init__(
        self,
        connection: Connection,
        reservation: Reservation,
        policy: SchedulingPolicy,
        seen: Mapping[tuple[UUID, int], bool],
        now: datetime,
    ) -> None:
        self._connection = connection
        self._reservation = reservation
        self._policy = policy
        self._seen = seen
        self._now = now
        self._wakes: list[datetime] = []

    async def keep(self, kept: Kept) -> None:
        if self._reservation.wish.rule and not self._reservation.cancelled_at:
            await self._place_more(kept)
        for occurrence in self._reservation.occurrences:
            await self._settle(occurrence, kept)
        if self._wakes:
            kept.wake_at = min(self._wakes)
        else:
            await reservations.end(self._connection, self._reservation.id, self._now)

    # --- a series goes on ---------------------------------------------------------------------------------------------

    async def _place_more(self, kept: Kept) -> None:
        workspace = await workspaces.find(self._connection, self._reservation.workspace_id)
        if workspace.phase in _GOING:
            return
        recurrence, until = self._reservation.wish.recurrence, self._now + self._policy.horizon
        starts = [start for start in recurrence.times(self._now, until) if self._is_to_place(start)]
        if starts:
            await self._place(workspace, starts, kept)
        later = recurrence.next(until)
        if later is not None:
            self._wakes.append(min(later - self._policy.horizon, self._now + SERIES_LOOK_MAX))

    def _is_to_place(self, start: datetime) -> bool:
        known = {one.starts_at: one for one in self._reservation.occurrences}
        if start not in known:
            return True
        one = known[start]
        return one.gpr_id is None and one.cancelled_at is None and one.tried_at + TRY_AGAIN <= self._now

    async def _place(self, workspace: Workspace, starts: Sequence[datetime], kept: Kept) -> None:
        wish, where = self._reservation.wish, (self._connection, self._reservation)
        asked = (workspace, self._reservation.created_by, wish, starts)
        for place in await look(self._connection, *asked, self._now):
            try:
                await check_limits(self._connection, workspace.id, wish, 1, self._policy)
            except LimitReached as limit:
                await reservations.note_no_room(*where, place.starts_at, limit.message, self._now)
                continue
            if isinstance(place, NoRoom):
                await reservations.note_no_room(*where, place.starts_at, spoken_refusal(wish, place), self._now)
            else:
                kept.messages += await reservations.book(*where, place, self._now)
        self._reservation = await reservations.find(self._connection, self._reservation.id)

    # --- one of its times ---------------------------------------------------------------------------------------------

    async def _settle(self, one: Occurrence, kept: Kept) -> None:
        if one.phase is Phase.QUEUED:
            await self._see_to_its_start(one, kept)
        elif one.phase is Phase.ACTIVE:
            await self._see_to_its_use(one, kept)
        elif one.phase is Phase.PROVISIONING or (one.phase and may_come_back(one.phase, one.end_cause)):
            self._wakes.append(self._now + PHASE_LOOK)
        elif self._may_get_room(one):
            tried_at = one.tried_at if one.tried_at + TRY_AGAIN > self._now else self._now
            self._wakes.append(min(tried_at + TRY_AGAIN, one.starts_at))

    def _may_get_room(self, one: Occurrence) -> bool:
        is_wanted = one.gpr_id is None and one.cancelled_at is None and not self._reservation.cancelled_at
        return is_wanted and one.starts_at > self._now

    async def _see_to_its_start(self, one: Occurrence, kept: Kept) -> None:
        ends_at = self._reservation.lease_ends_at(one)
        if self._now < one.starts_at:
            self._wakes.append(one.starts_at)
        elif self._now < ends_at:
            kept.messages.append(await outbox.put(self._connection, kick_arbiter()))
            late = self._now - one.starts_at
            self._wakes.append(min(self._now + max(late, START_LOOK_MIN), ends_at))
        else:
            text = f"it could not start before its time was over, at {spoken(ends_at)}"
            await self._end(one, EndCause.MISSED, "reservation_missed", text, kept)

    async def _see_to_its_use(self, one: Occurrence, kept: Kept) -> None:
        assert one.active_at is not None
        assert one.gpr_id is not None
        ends_at = one.end_at or self._reservation.lease_ends_at(one)
        due = one.active_at + self._policy.grace
        in_use = self._seen.get((one.gpr_id, one.fence or 0))
        if in_use:
            await reservations.note_use(self._connection, one.gpr_id, self._now)
        if in_use or one.used_at or not self._policy.grace or due >= ends_at:
            self._wakes.append(max(ends_at, self._now + PHASE_LOOK))
        elif in_use is False and self._now >= due:
            text = f"nobody used it within {format_duration(self._policy.grace_seconds)} of its start: it is given back"
            await self._end(one, EndCause.UNUSED, "given_back", text, kept)
        else:
            await self._wait_for_use(one, one.active_at + self._policy.grace / 2, due, kept)

    async def _wait_for_use(self, one: Occurrence, warn_at: datetime, due: datetime, kept: Kept) -> None:
        assert one.gpr_id is not None
        if self._now >= warn_at and self._seen.get((one.gpr_id, one.fence or 0)) is False:
            text = (
                f"nobody uses it yet: unless a pod of the workspace runs on its GPUs by {spoken(due)}, it is given back"
            )
            await reservations.tell(self._connection, one.gpr_id, "unused", text, self._now, due_at=warn_at)
        kept.looks.append(await lifecycle.standing(self._connection, one.gpr_id))
        marks = (one for one in (warn_at, due) if one > self._now)
        self._wakes.append(min([self._now + look_interval(self._policy.grace), *marks]))

    async def _end(self, one: Occurrence, cause: EndCause, kind: str, text: str, kept: Kept) -> None:
        assert one.gpr_id is not None
        await reservations.tell(self._connection, one.gpr_id, kind, text, self._now)
        _, messages = await lifecycle.end_for_user(self._connection, one.gpr_id, cause, self._now, KEEPER)
        kept.messages += messages


def _is_late(gpr: QueuedGpr, planned: Mapping[str, PlannedStart]) -> bool:
    starts_at = planned[gpr.gpr_id].estimate.starts_at
    assert gpr.fixed_start is not None
    return starts_at is None or starts_at > gpr.fixed_start + LOST_AFTER
