"""Moments in a lifecycle that several scenarios wait for, or bring about."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from domain.gpr import EndCause
from ledger import lifecycle as moves
from tests.builders import now

if TYPE_CHECKING:
    from temporalio.client import WorkflowHandle

    from tests.workflows.stage import Stage

Lifecycle = Any


async def ended(stage: Stage, gpr_id: Any) -> Any:
    async with stage.ledger.transaction() as connection:
        standing, _ = await moves.end_for_user(connection, gpr_id, EndCause.EARLY_RELEASE, now(), "somebody")
    return standing


async def settled(lifecycle: WorkflowHandle[Any, Any]) -> Lifecycle:
    """The lifecycle once its history has stopped growing for a moment."""
    length = -1
    while length != (length := len((await lifecycle.fetch_history()).events)):
        await asyncio.sleep(0.7)
    return lifecycle
