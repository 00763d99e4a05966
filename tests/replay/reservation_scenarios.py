"""Reservations, kept for their histories (`record.py`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from arbitration.reservations import cancel
from tests.builders_reservations import a_reservation, a_wish, policy, soon
from tests.replay.moments import Lifecycle, settled
from tests.workflows.disturbances import FailingStep
from tests.workflows.reservation_kit import begun, kept
from workflows.reservation import ReservationWorkflow

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.workflows.stage import Stage


async def reservation_asleep(stage: Stage) -> Lifecycle:
    reservation_id = await a_reservation(stage.ledger, await stage.a_workspace(), a_wish(soon(3600)))
    with stage.environment.with_time_skipping_disabled():
        return await settled(await kept(stage, reservation_id))


async def reservation_unused(stage: Stage) -> Lifecycle:
    await policy(stage.ledger, grace_seconds=600)
    reservation_id, _ = await begun(stage, await stage.a_workspace(), soon(60))
    keeper = await kept(stage, reservation_id)
    await keeper.result()
    return keeper


async def reservation_series_missed(stage: Stage) -> Lifecycle:
    await policy(stage.ledger, horizon_seconds=36 * 3600)
    wish = a_wish(soon(3600), seconds=60, rule="FREQ=DAILY;COUNT=4")
    keeper = await kept(stage, await a_reservation(stage.ledger, await stage.a_workspace(), wish))
    await keeper.result()
    return keeper


async def reservation_cancelled(stage: Stage) -> Lifecycle:
    reservation_id = await a_reservation(stage.ledger, await stage.a_workspace(), a_wish(soon(3600), rule="FREQ=DAILY"))
    with stage.environment.with_time_skipping_disabled():
        keeper = await kept(stage, reservation_id)
    async with stage.ledger.transaction() as connection:
        await cancel(connection, reservation_id, None, "somebody", soon(0))
    await keeper.signal(ReservationWorkflow.changed)
    await keeper.result()
    return keeper


RESERVATION_SCENARIOS: dict[str, tuple[Callable[[Stage], Awaitable[Lifecycle]], FailingStep | None]] = {
    "Reservation.asleep": (reservation_asleep, None),
    "Reservation.unused": (reservation_unused, None),
    "Reservation.not_seen": (reservation_unused, FailingStep("see_use", times=4)),
    "Reservation.series_missed": (reservation_series_missed, None),
    "Reservation.cancelled": (reservation_cancelled, None),
}
