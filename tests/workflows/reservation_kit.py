"""Reservations on the stage: begun, and kept in skipped time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from arbitration.arbiter_pass import grant
from domain.identifiers import reservation_workflow_id
from ledger import lifecycle
from tests.builders_reservations import a_reservation, a_wish, occurrences
from workflows.reservation import ReservationWorkflow

if TYPE_CHECKING:
    from datetime import datetime

    from temporalio.client import WorkflowHandle

    from tests.workflows.stage import Stage


async def kept(stage: Stage, reservation_id: UUID) -> WorkflowHandle[ReservationWorkflow, None]:
    """What keeps it, in skipped time."""
    run, workflow_id = ReservationWorkflow.run, reservation_workflow_id(reservation_id)
    return await stage.start_workflow(run, str(reservation_id), workflow_id)


async def begun(stage: Stage, workspace: UUID, start: datetime, **changes: Any) -> tuple[UUID, UUID]:
    """A reservation that has begun, and is active, an hour before its time: workflows that skip time begin at ours."""
    reservation_id = await a_reservation(stage.ledger, workspace, a_wish(start, **changes))
    (one,) = await occurrences(stage.ledger, reservation_id)
    assert one.gpr_id
    await grant(stage.ledger, start)
    async with stage.ledger.transaction() as connection:
        fence = (await lifecycle.standing(connection, one.gpr_id)).fence
        await lifecycle.activate(connection, one.gpr_id, fence, start)
    return reservation_id, one.gpr_id
