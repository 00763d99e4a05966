"""Promises: which start can be promised to a queued Gpr, and what becomes of a promise whose hardware is lost.

Both are decided under the arbiter's lock on a plan in which every other promise is kept to its last moment, so that no
two promises ever count on the same GPUs, however early each may turn out to start.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final
from uuid import UUID

from arbitration.snapshot import read_snapshot
from domain.failures import WrongPhase
from domain.identifiers import SCHEDULING_DOMAIN
from domain.promises import NoPromise, Promise
from ledger import arbitration, promises
from planner.plan import Forecast, outcome_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from domain.gpr import PlannedStart
    from ledger.arbitration import QueuedGpr
    from ledger.connection import Connection, Ledger
    from planner.snapshot import Claim, LeaseView, Snapshot

MARGIN: Final = timedelta(seconds=10)
"""Between a start that is planned and the one that is promised: provisionings and teardowns take as long as they take."""
LOST_AFTER: Final = timedelta(seconds=30)
"""A promise whose start is planned so much later has lost its hardware; less is a teardown that takes its time."""


async def promise(connection: Connection, gpr_id: UUID, now: datetime, actor: str) -> Promise:
    """Promise the start that is planned for it, or a few seconds later. What is promised already stays as it is.

    Raises WrongPhase for what is not in the queue, NoPromise where nobody can know a start.
    """
    await arbitration.lock(connection, SCHEDULING_DOMAIN)
    queue = await arbitration.queue(connection, now)
    mine = next((gpr for gpr in queue if gpr.gpr_id == str(gpr_id)), None)
    if mine is None:
        raise WrongPhase("only what waits in the queue, and is not suspended, can be promised a start")
    if mine.promise is not None:
        return mine.promise
    if mine.fixed_start is not None:
        raise NoPromise("what is reserved has its start already")
    snapshot = await read_snapshot(connection, queue, now)
    made = await asyncio.to_thread(_promised, snapshot, mine, now)
    await promises.make(connection, gpr_id, made, now, actor)
    return made


def late(queue: list[QueuedGpr], planned: Mapping[str, PlannedStart]) -> list[UUID]:
    """Of what is queued, all whose promise the plan does not keep; and those that lost it, and have a start again."""
    return [UUID(gpr.gpr_id) for gpr in queue if gpr.promise and _is_late(gpr.promise, planned.get(gpr.gpr_id))]


async def renew(ledger: Ledger, gpr_id: UUID, now: datetime) -> bool:
    """Look again, under the lock, at a promise that the plan did not keep; whether it had to be moved."""
    async with ledger.transaction() as connection:
        await arbitration.lock(connection, SCHEDULING_DOMAIN)
        queue = await arbitration.queue(connection, now)
        mine = next((gpr for gpr in queue if gpr.gpr_id == str(gpr_id)), None)
        if mine is None or mine.promise is None:
            return False
        was = mine.promise
        snapshot = await read_snapshot(connection, queue, now)
        outcome = await asyncio.to_thread(outcome_of, snapshot, mine.gpr_id)
        if not isinstance(outcome, Forecast) or not _is_late(was, outcome):
            return False
        new = await asyncio.to_thread(_renewed, snapshot, mine, now)
        return await promises.move(connection, gpr_id, was, new, outcome.reason.text, now)


def _is_late(promise: Promise, planned: PlannedStart | Forecast | None) -> bool:
    if planned is None:
        return False  # it starts now
    starts_at = planned.starts_at if isinstance(planned, Forecast) else planned.estimate.starts_at
    if promise.starts_at is None:
        return starts_at is not None
    return starts_at is None or starts_at > promise.starts_at + LOST_AFTER


def _promised(snapshot: Snapshot, gpr: QueuedGpr, now: datetime) -> Promise:
    """The start that people were shown, if it can be had; else the next one."""
    shown = gpr.shown.estimate.starts_at
    found = _kept(snapshot, gpr.gpr_id, max(now, shown or now) + MARGIN)
    if found.starts_at is not None and shown is None:
        found = _kept(snapshot, gpr.gpr_id, found.starts_at + MARGIN)
    if found.starts_at is None:
        raise NoPromise(f"no start can be promised: {found.reason.text}", reason_code=found.reason.code)
    return Promise(now, found.starts_at, found.cluster or "", found.nodes)


def _renewed(snapshot: Snapshot, gpr: QueuedGpr, now: datetime) -> Promise:
    """Behind what else is promised, and before all that is not, as the plan has it meanwhile."""
    assert gpr.promise
    queue = tuple(_without_place(claim) if claim.gpr_id == gpr.gpr_id else claim for claim in snapshot.queue)
    found = _kept(replace(snapshot, queue=queue), gpr.gpr_id, now + MARGIN, is_promised=True)
    return replace(gpr.promise, starts_at=found.starts_at, cluster=found.cluster or "", nodes=found.nodes)


def _without_place(claim: Claim) -> Claim:
    return replace(claim, planned_cluster="", planned_nodes=())


def _kept(snapshot: Snapshot, gpr_id: str, not_before: datetime, *, is_promised: bool = False) -> Forecast:
    """Where it starts from then on, if all other promises are kept to their last moment."""
    queue = tuple(
        replace(
            claim,
            pinned_start=not_before if is_promised else None,
            not_before=max(not_before, claim.not_before or not_before),
        )
        if claim.gpr_id == gpr_id
        else _to_its_last_moment(claim)
        for claim in snapshot.queue
    )
    outcome = outcome_of(replace(snapshot, queue=queue, leases=_as_they_end(snapshot)), gpr_id)
    assert isinstance(outcome, Forecast)  # what may not start yet is never granted
    return outcome


def _as_they_end(snapshot: Snapshot) -> tuple[LeaseView, ...]:
    """A promise counts on nobody's being preempted: that is not decided yet."""
    return tuple(replace(lease, preemptible=False) for lease in snapshot.leases)


def _to_its_last_moment(claim: Claim) -> Claim:
    if claim.pinned_start is None:
        return claim
    return replace(claim, not_before=max(claim.pinned_start, claim.not_before or claim.pinned_start))
