"""Keeping a reservation: awake when something of it is due, and in between asleep.

The ledger decides what is due, and when the next thing is. So this can be started from nothing at any moment, and every
look may be repeated.
"""

import asyncio
from contextlib import suppress
from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from domain.messages import KICK_SIGNAL, RESERVATION_WORKFLOW, Standing
    from workflows import visibility
    from workflows.activity_options import SEE_USE, on_cluster, on_ledger
    from workflows.signatures.reservations import (
        ReservationKeeping,
        ReservationLook,
        ReservationStanding,
        SeenUse,
        UseWatching,
    )

LOOKS_PER_RUN_MAX = 200
"""A look is about ten events; a new run begins long before histories become heavy."""


@workflow.defn(name=RESERVATION_WORKFLOW)
class ReservationWorkflow:
    """One reservation, until nothing of it is still to come."""

    @workflow.init
    def __init__(self, reservation_id: str) -> None:
        self._reservation_id = reservation_id
        self._changed = False

    @workflow.run
    async def run(self, reservation_id: str) -> None:
        """Look after look."""
        seen: list[SeenUse] = []
        for _ in range(LOOKS_PER_RUN_MAX):
            self._changed = False
            look = ReservationLook(reservation_id, workflow.now(), seen)
            standing: ReservationStanding = await workflow.execute_activity_method(
                ReservationKeeping.keep_reservation, look, **on_ledger()
            )
            self._show(standing)
            if standing.wake_at is None:
                return
            await self._sleep_until(standing.wake_at)
            seen = await self._seen(standing.looks)
        workflow.continue_as_new(reservation_id)

    @workflow.signal(name=KICK_SIGNAL)
    def changed(self) -> None:
        """Something of it has changed."""
        self._changed = True

    async def _sleep_until(self, wake_at: datetime) -> None:
        with suppress(TimeoutError):
            await workflow.wait_condition(
                lambda: self._changed,
                timeout=max(wake_at - workflow.now(), timedelta()),
                timeout_summary=f"something is due {visibility.clock(wake_at)}",
            )

    async def _seen(self, leases: list[Standing]) -> list[SeenUse]:
        """Of each lease whether it is used, as far as its cluster says."""
        found = await asyncio.gather(*(self._look_at(lease) for lease in leases))
        return [one for one in found if one is not None]

    async def _look_at(self, lease: Standing) -> SeenUse | None:
        try:
            in_use = await workflow.execute_activity_method(
                UseWatching.see_use,
                lease,
                **on_cluster(lease.cluster, SEE_USE),
                summary=f"is fence {lease.fence} used",
            )
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            return None
        return SeenUse(lease.gpr_id, lease.fence, in_use)

    def _show(self, standing: ReservationStanding) -> None:
        until = f"next look {visibility.clock(standing.wake_at)}" if standing.wake_at else "over"
        visibility.show(
            f"reservation {standing.name} of {standing.workspace}: {until}",
            visibility.KIND.value_set("reservation"),
            visibility.WORKSPACE.value_set(standing.workspace),
        )
