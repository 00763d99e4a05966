"""What one can do with Gprs. Each wish is one ledger transaction; what it decided is told to Temporal after the commit."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Final
from uuid import UUID, uuid4

from structlog.contextvars import bind_contextvars

from api.operations.permission import gpr_for, require_administrator, visible_workspace_ids, workspace_for
from domain.failures import InvalidRequest, WrongPhase
from domain.gpr import EndCause, Gpr, GprRequest, Phase, may_come_back
from domain.identifiers import GPR_NAME_LENGTH_MAX, checked_name
from domain.permissions import Action
from ledger import gprs, lifecycle, pools, prices, reading, suspension, workloads

if TYPE_CHECKING:
    from api.operations.call import Call
    from domain.history import Event, Notice
    from domain.workspace import Workspace
    from ledger.connection import Connection

PAGE: Final = 500
"""Gprs that are read, and put into words, in one go."""
_NOT_YET: Final = frozenset({Phase.QUEUED, Phase.PROVISIONING})


@dataclass(frozen=True, slots=True)
class Submission:
    """A Gpr to be queued. `options` is what the client said beyond the request, kept and echoed.

    With `any_cluster` the request's clusters are only preferred: every other one of the workspace will do. `ranks_as`: the
    kind of workload whose own priority it gets, where one was set, for the client named none; empty: it named one.
    """

    workspace: str
    request: GprRequest
    options: dict[str, object] = field(default_factory=dict)
    any_cluster: bool = False
    ranks_as: str = ""


@dataclass(frozen=True, slots=True)
class GprQuery:
    """Which Gprs to list. `before` is the sequence of the last one seen."""

    workspace: str | None = None
    phases: Collection[Phase] = reading.ALL_PHASES
    limit: int = 100
    before: int = gprs.NEWEST


@dataclass(frozen=True, slots=True)
class Change:
    """What is to become of a Gpr; None and False leave as it is. With an early release the priority is of no account."""

    priority: int | None = None
    name: str | None = None
    release_early: bool = False


async def submit(call: Call, submission: Submission) -> UUID:
    """Queue a Gpr; its id. Durable when this returns."""
    checked_name(submission.request.name, "the name of a GPR", GPR_NAME_LENGTH_MAX)
    messages: list[int] = []
    async with call.backends.ledger.transaction() as connection:
        workspace = await workspace_for(connection, call, submission.workspace, Action.SUBMIT)
        gpr_id, new = await call.subject(connection, "submit_gpr", submission, uuid4())
        bind_contextvars(gpr_id=str(gpr_id))
        if new:
            request = await checked_request(connection, workspace, submission)
            options = submission.options
            messages = await gprs.submit(
                connection, gpr_id, workspace.id, call.principal_id, request, options, call.now
            )
    call.deliver(messages)
    return gpr_id


async def find(call: Call, reference: str) -> Gpr:
    """One Gpr."""
    async with call.backends.ledger.reading() as connection:
        gpr = await gpr_for(connection, call, reference, Action.VIEW)
        return (await _with_costs(connection, call, [gpr]))[0]


async def listing(call: Call, query: GprQuery) -> list[Gpr]:
    """Gprs of a workspace, or of all that the caller may see, newest first."""
    async with call.backends.ledger.reading() as connection:
        workspace_ids = await _visible_ids(connection, call, query.workspace)
        page = await reading.gpr_page(
            connection, workspace_ids, phases=query.phases, limit=query.limit, before=query.before
        )
        return await _with_costs(connection, call, page)


async def pages(call: Call, workspace: str) -> AsyncIterator[list[Gpr]]:
    """All Gprs of a workspace, newest first, page by page, for dialects whose lists have no pages."""
    async with call.backends.ledger.reading() as connection:
        ids = await _visible_ids(connection, call, workspace)
    before = gprs.NEWEST
    while before:
        async with call.backends.ledger.reading() as connection:
            page = await reading.gpr_page(connection, ids, limit=PAGE, before=before)
            page = await _with_costs(connection, call, page)
        if page or before == gprs.NEWEST:
            yield page
        before = page[-1].sequence if len(page) == PAGE else 0


async def change(call: Call, reference: str, wish: Change) -> Gpr:
    """Change it as a whole or not at all. Raises WrongPhase where its phase does not let the wish be true."""
    name = None if wish.name is None else checked_name(wish.name, "the name of a GPR", GPR_NAME_LENGTH_MAX)
    async with call.backends.ledger.transaction() as connection:
        gpr = await _held(connection, call, reference)
        messages = await _release_early(connection, call, gpr) if wish.release_early else []
        if name is not None and name != gpr.request.name:
            await lifecycle.rename(connection, gpr.id, name)
        if not wish.release_early and wish.priority not in {None, gpr.request.priority}:
            priority = int(wish.priority or 0)
            messages += await lifecycle.set_priority(connection, gpr.id, priority, call.now, call.actor)
        changed = await _found_again(connection, call, gpr)
    call.deliver(messages)
    return changed


async def withdraw(call: Call, reference: str) -> Gpr:
    """End a Gpr that is not active yet. Repeating it changes nothing; WrongPhase once it was active."""
    async with call.backends.ledger.transaction() as connection:
        gpr = await _held(connection, call, reference)
        messages: list[int] = []
        if _may_still_start(gpr):
            messages = await _end(connection, call, gpr, EndCause.CANCELLED)
        elif gpr.active_at is not None or gpr.phase is Phase.FAILED:
            raise WrongPhase(
                f"the GPR is {gpr.phase}: only one that is not provisioned yet can be deleted", phase=gpr.phase
            )
        changed = await _found_again(connection, call, gpr)
    call.deliver(messages)
    return changed


async def release(call: Call, reference: str) -> Gpr:
    """End a Gpr in whatever phase it is. Repeating it changes nothing."""
    async with call.backends.ledger.transaction() as connection:
        gpr = await _held(connection, call, reference)
        cause = EndCause.CANCELLED if _may_still_start(gpr) else EndCause.EARLY_RELEASE
        live = _may_still_start(gpr) or gpr.phase is Phase.ACTIVE
        messages = await _end(connection, call, gpr, cause) if live else []
        changed = await _found_again(connection, call, gpr)
    call.deliver(messages)
    return changed


async def suspend(call: Call, reference: str) -> Gpr:
    """Take back its GPUs, if it has any, and let it wait until it is resumed. WrongPhase for what is over."""
    return await _moved(call, reference, suspension.suspend)


async def resume(call: Call, reference: str) -> Gpr:
    """Let it wait for GPUs again, at the place in the queue that it had. WrongPhase for what is over."""
    return await _moved(call, reference, suspension.resume)


async def events(call: Call, reference: str, *, limit: int, after: int) -> list[Event]:
    """What was decided about it, oldest first."""
    async with call.backends.ledger.reading() as connection:
        gpr = await gpr_for(connection, call, reference, Action.VIEW)
        found = await reading.events_of_gpr(connection, gpr.id, limit=limit, after=after)
    return [replace(event, workspace_id=gpr.workspace_id) for event in found]


async def notices(call: Call, reference: str) -> list[Notice]:
    """What its people are told, and when."""
    async with call.backends.ledger.reading() as connection:
        gpr = await gpr_for(connection, call, reference, Action.VIEW)
        return await reading.notices_of_gpr(connection, gpr.id)


async def all_events(call: Call, *, limit: int, after: int) -> list[Event]:
    """What was decided about anything, oldest first; for administrators."""
    require_administrator(call)
    async with call.backends.ledger.reading() as connection:
        return await reading.events_since(connection, limit=limit, after=after)


async def checked_request(connection: Connection, workspace: Workspace, submission: Submission) -> GprRequest:
    """The request on clusters and in a pool of the workspace, in the inventory's words. Raises InvalidRequest, NotFound."""
    request = await _ranked(connection, await _spelled(connection, _within(workspace, submission)), submission.ranks_as)
    pool = request.pool or workspace.request.pool
    if pool:
        await pools.find(connection, pool)
    return replace(request, pool=pool)


def _within(workspace: Workspace, submission: Submission) -> GprRequest:
    request = submission.request
    foreign = [cluster for cluster in request.clusters if cluster not in workspace.request.clusters]
    if foreign:
        own = ", ".join(workspace.request.clusters)
        raise InvalidRequest(f"workspace {workspace.request.name!r} is not on cluster {foreign[0]!r}; it is on: {own}")
    others = workspace.request.clusters if submission.any_cluster else ()
    return replace(request, clusters=tuple(dict.fromkeys([*request.clusters, *others])))


async def _ranked(connection: Connection, request: GprRequest, kind: str) -> GprRequest:
    given = await workloads.given_priority(connection, kind) if kind else None
    return request if given is None else replace(request, priority=given)


async def _found_again(connection: Connection, call: Call, gpr: Gpr) -> Gpr:
    return (await _with_costs(connection, call, [await gprs.find(connection, gpr.id)]))[0]


async def _with_costs(connection: Connection, call: Call, found: list[Gpr]) -> list[Gpr]:
    costs = await prices.costs(connection, [gpr.id for gpr in found if gpr.active_at or gpr.spent], call.now)
    return [replace(gpr, cost=costs[gpr.id]) if gpr.id in costs else gpr for gpr in found]


async def _spelled(connection: Connection, request: GprRequest) -> GprRequest:
    """Shape and instance type as the inventory spells them.

    A shape may be given by its instance type: one list of the inventory calls that the shape.
    """
    if not request.shape and not request.instance_type:
        return request
    found = await reading.hardware_spelling(connection, request.shape, request.instance_type)
    shape, instance_type = found.shape or request.shape, found.instance_type or request.instance_type
    if not found.shape and found.shape_as_type and instance_type in {"", found.shape_as_type}:
        return replace(request, shape="", instance_type=found.shape_as_type)
    return replace(request, shape=shape, instance_type=instance_type)


async def _visible_ids(connection: Connection, call: Call, workspace: str | None) -> list[UUID] | None:
    if workspace is not None:
        return [(await workspace_for(connection, call, workspace, Action.VIEW)).id]
    return await visible_workspace_ids(connection, call)


async def _held(connection: Connection, call: Call, reference: str) -> Gpr:
    gpr = await gpr_for(connection, call, reference, Action.CHANGE, hold=True)
    bind_contextvars(gpr_id=str(gpr.id))
    return gpr


def _may_still_start(gpr: Gpr) -> bool:
    """Also one that is torn down and would come back into the queue."""
    return gpr.phase in _NOT_YET or may_come_back(gpr.phase, gpr.end_cause)


async def _release_early(connection: Connection, call: Call, gpr: Gpr) -> list[int]:
    if gpr.phase is Phase.ACTIVE:
        return await _end(connection, call, gpr, EndCause.EARLY_RELEASE)
    if gpr.phase is Phase.RELEASING and gpr.end_cause == EndCause.EARLY_RELEASE:
        return []
    # a lease that ends for another reason is over for its owner; one that never ran is still to come
    over = gpr.phase is Phase.RELEASING and gpr.active_at is not None and not _may_still_start(gpr)
    phase = Phase.RELEASED if over else gpr.phase
    raise WrongPhase(f"the GPR is {gpr.phase}: only an active one can be released early", phase=phase)


async def _moved(
    call: Call, reference: str, move: Callable[[Connection, UUID, datetime, str], Awaitable[list[int]]]
) -> Gpr:
    async with call.backends.ledger.transaction() as connection:
        gpr = await _held(connection, call, reference)
        messages = await move(connection, gpr.id, call.now, call.actor)
        changed = await _found_again(connection, call, gpr)
    call.deliver(messages)
    return changed


async def _end(connection: Connection, call: Call, gpr: Gpr, cause: EndCause) -> list[int]:
    _, messages = await lifecycle.end_for_user(connection, gpr.id, cause, call.now, call.actor)
    return messages
