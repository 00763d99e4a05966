"""Questions to the plan: what if, when are so many free, why not sooner, who has what when; and how far off answers were.

A plan is work for the processor, so a process makes one at a time (`api/operations/estimates.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final
from uuid import UUID

from api.operations.estimates import turn
from api.operations.gprs import checked_request, find
from api.operations.permission import visible_workspace_ids, workspace_for
from arbitration.calendar import NodeCalendar as NodeCalendar  # noqa: PLC0414 - what dialects are answered with
from arbitration.calendar import Span as Span  # noqa: PLC0414 - likewise
from arbitration.calendar import calendar
from arbitration.free_at import FreeAt as FreeAt  # noqa: PLC0414 - likewise
from arbitration.free_at import Question as Question  # noqa: PLC0414 - likewise
from arbitration.free_at import free_at
from arbitration.sooner import Outlook as Outlook  # noqa: PLC0414 - likewise
from arbitration.sooner import Sooner as Sooner  # noqa: PLC0414 - likewise
from arbitration.sooner import outlook
from arbitration.what_if import Foreseen as Foreseen  # noqa: PLC0414 - likewise
from arbitration.what_if import Wish, starts_of
from domain.gpr import Gpr
from domain.handover import Handover
from domain.honesty import Accuracy
from domain.permissions import Action
from ledger import handovers, honesty, reading

if TYPE_CHECKING:
    from api.operations.call import Call
    from api.operations.gprs import Submission
    from ledger.connection import Connection

IN_USE: Final = "in use"
"""The name of what the caller may not know of."""


@dataclass(frozen=True, slots=True)
class Why:
    """A Gpr, and, while it is in the queue, what a plan made now says of it."""

    gpr: Gpr
    outlook: Outlook | None


@dataclass(frozen=True, slots=True)
class Calendar:
    """Every node's spans from now until then; those of others have no name."""

    at: datetime
    until: datetime
    nodes: Sequence[NodeCalendar]
    names: dict[str, str]
    """Of workspaces that the caller may see, by id."""


async def what_if(call: Call, submissions: Sequence[Submission]) -> list[Foreseen]:
    """When and where each would start if all were submitted now in this order; nothing is kept."""
    async with call.backends.ledger.reading() as connection:
        wishes = [await _wish(connection, call, submission) for submission in submissions]
    async with turn(call):
        return await starts_of(call.backends.ledger, wishes, call.now)


async def openings(call: Call, question: Question) -> list[FreeAt]:
    """When so many GPUs are free, for every number of each kind, or for those that were asked about."""
    async with turn(call):
        return await free_at(call.backends.ledger, question, call.now)


async def why(call: Call, reference: str) -> Why:
    """Why a Gpr does not start yet, and what would start sooner."""
    gpr = await find(call, reference)
    async with turn(call):
        return Why(gpr, await outlook(call.backends.ledger, gpr.id, call.now))


async def plan(call: Call, hours: int, cluster: str | None) -> Calendar:
    """Who has which GPUs when, for so many hours."""
    async with turn(call):
        nodes = await calendar(call.backends.ledger, call.now, hours, cluster)
    async with call.backends.ledger.reading() as connection:
        visible = await visible_workspace_ids(connection, call)
        seen = {UUID(span.workspace_id) for node in nodes for span in node.spans}
        names = await reading.names_of_workspaces(connection, seen if visible is None else seen & set(visible))
    hidden = [replace(node, spans=tuple(_seen(span, names) for span in node.spans)) for node in nodes]
    return Calendar(call.now, call.now + timedelta(hours=hours), hidden, names)


async def accuracy(call: Call, days: int) -> tuple[list[Accuracy], Handover]:
    """How far off the starts were that anybody was shown, of what has started within so many days; and what plans allow for."""
    async with call.backends.ledger.reading() as connection:
        return await honesty.accuracy(connection, call.now - timedelta(days=days)), await handovers.known(connection)


def _seen(span: Span, names: dict[str, str]) -> Span:
    return span if span.workspace_id in names else replace(span, gpr_id="", gpr_name=IN_USE, workspace_id="")


async def _wish(connection: Connection, call: Call, submission: Submission) -> Wish:
    workspace = await workspace_for(connection, call, submission.workspace, Action.VIEW)
    return Wish(workspace, await checked_request(connection, workspace, submission), str(call.principal_id))
