"""What GPUs have cost, and which part of it nobody used: of the workspaces that the caller may see."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from api.operations.permission import visible_workspace_ids, workspace_for
from domain.failures import InvalidRequest
from domain.permissions import Action
from ledger import costs

if TYPE_CHECKING:
    from datetime import datetime

    from api.operations.call import Call
    from domain.costs import Costs, CostsBy

SPAN_DEFAULT: Final = timedelta(days=30)
SPAN_MAX: Final = timedelta(days=366)


async def report(
    call: Call,
    by: CostsBy,
    begin: datetime | None,
    end: datetime | None,
    *,
    workspace: str | None = None,
    limit: int = 100,
) -> Costs:
    """Costs from `begin` until before `end`; by default of the 30 days that end now."""
    until = end or call.now
    since = begin or until - SPAN_DEFAULT
    if since >= until:
        raise InvalidRequest('"from" must lie before "to"')
    if until - since > SPAN_MAX:
        raise InvalidRequest("ask for a year at most")
    async with call.backends.ledger.reading() as connection:
        if workspace is None:
            ids = await visible_workspace_ids(connection, call)
        else:
            ids = [(await workspace_for(connection, call, workspace, Action.VIEW)).id]
        return await costs.costs(connection, by, since, until, call.now, workspace_ids=ids, limit=limit)
