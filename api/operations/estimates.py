"""When a request would start, before it is submitted."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from api.operations.gprs import checked_request
from api.operations.permission import workspace_for
from arbitration.what_if import Wish, start_of
from domain.failures import Unavailable
from domain.permissions import Action

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from api.operations.call import Call
    from api.operations.gprs import Submission
    from domain.gpr import GprRequest, PlannedStart
    from domain.workspace import Workspace

PATIENCE_SECONDS: Final = 20.0
"""How long a question waits for those before it: plans are made one at a time, so that they leave the process responsive."""


class Busy(Unavailable):
    """Too many questions to the plan at once."""

    code = "planner_busy"


async def start_of_wish(call: Call, wish: Submission) -> PlannedStart:
    """When and where it would start if it were submitted now; nothing is kept."""
    async with call.backends.ledger.reading() as connection:
        workspace = await workspace_for(connection, call, wish.workspace, Action.VIEW)
        request = await checked_request(connection, workspace, wish)
    return await planned(call, workspace, request)


async def planned(call: Call, workspace: Workspace, request: GprRequest) -> PlannedStart:
    """Where the plan would have it; one such question at a time."""
    async with turn(call):
        return await start_of(call.backends.ledger, Wish(workspace, request, str(call.principal_id)), call.now)


@asynccontextmanager
async def turn(call: Call) -> AsyncIterator[None]:
    """One's turn to have this process make a plan. Raises Busy when it does not come, or the plan is not made, in time."""
    try:
        async with asyncio.timeout(PATIENCE_SECONDS), call.backends.planning:
            yield
    except TimeoutError as error:
        raise Busy("too many estimates are being made; try again in a moment") from error
