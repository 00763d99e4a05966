"""Namespaces, for dialects whose people think in them: each belongs to a workspace, and most workspaces have only one."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from api.operations import gprs, quotas, workspaces
from api.operations.permission import require_administrator, workspace_of_namespace
from domain.failures import AlreadyExists, InUse, InvalidRequest, NamespaceNotOurs, NotFound
from domain.gpr import Phase
from domain.identifiers import checked_namespace
from domain.limits import Quota
from domain.permissions import Action
from domain.workspace import Workspace, WorkspaceRequest
from ledger import inventory
from ledger import workspaces as ledger_workspaces

if TYPE_CHECKING:
    from collections.abc import Sequence

    from api.operations.call import Call

MADE_AT_ONCE: Final = 4
"""Workspaces of one request; each waits for its clusters."""
PAGE: Final = 500
LOOK_SECONDS: Final = 0.2
LIVE: Final = frozenset({Phase.QUEUED, Phase.PROVISIONING, Phase.ACTIVE})


@dataclass(frozen=True, slots=True)
class Namespace:
    """A namespace, the workspace that has it, and what limits it."""

    name: str
    workspace: Workspace
    quota: Quota | None


@dataclass(frozen=True, slots=True)
class SetQuota:
    """A quota that counts now, and whether there was none before."""

    quota: Quota
    new: bool


async def listing(call: Call) -> list[Namespace]:
    """Namespaces of the workspaces that the caller may see, by name."""
    limits = {quota.namespace: quota for quota in await quotas.listing(call)}
    found: dict[str, Workspace] = {}
    for workspace in await _workspaces(call):
        for name in workspace.request.namespaces:
            found.setdefault(name, workspace)
    return [Namespace(name, workspace, limits.get(name)) for name, workspace in sorted(found.items())]


async def find(call: Call, name: str) -> Namespace:
    """One namespace, or NotFound."""
    workspace = await _owner(call, name, Action.VIEW)
    limits = [quota for quota in await quotas.listing(call) if quota.namespace == name]
    return Namespace(name, workspace, limits[0] if limits else None)


async def usual(call: Call, otherwise: str) -> str:
    """The namespace that is meant when none is named: the caller's only one, if it has just one.

    Else the common one, `otherwise`, which the first administrator that means it makes.
    """
    names = {name for workspace in await _workspaces(call) for name in workspace.request.namespaces}
    if len(names) == 1:
        return names.pop()
    if otherwise not in names and call.caller.administrator:
        await _make(call, otherwise, await _clusters(call))
    return otherwise


async def delete(call: Call, name: str, *, force: bool = False) -> Workspace:
    """Begin to delete a namespace, and its workspace with it. With `force`, what is live in it is ended first.

    InUse while a Gpr holds its GPUs, and where the workspace has other namespaces; NamespaceNotOurs where it exists in a
    cluster, but Berth did not make it.
    """
    try:
        workspace = await _owner(call, name, Action.DELETE_WORKSPACE)
    except NotFound:
        await _refuse_foreign(call, name)
        raise
    others = [one for one in workspace.request.namespaces if one != name]
    if others:
        own = workspace.request.name
        raise InUse(f"workspace {own!r} has other namespaces as well ({', '.join(others)}): delete the workspace")
    if force:
        await _end_all(call, workspace)
    return await _deleted(call, workspace, patient=force)


async def set_quotas(call: Call, wishes: Sequence[quotas.NewQuota]) -> list[SetQuota]:
    """Let these quotas count. A namespace that is missing is made, with a workspace of its name, on all clusters.

    Names are checked before anything is made. What was done before a later one fails stays done, and repeating is safe.
    """
    require_administrator(call)
    known = {one.name for one in await listing(call)}
    missing = [wish.namespace for wish in wishes if wish.namespace not in known]
    for name in missing:
        checked_namespace(name)
    clusters = await _clusters(call) if missing else ()
    at_once = asyncio.Semaphore(MADE_AT_ONCE)

    async def made(name: str) -> None:
        async with at_once:
            await _make(call, name, clusters)

    for failure in await asyncio.gather(*map(made, missing), return_exceptions=True):
        if failure is not None:
            raise failure
    before = {quota.namespace for quota in await quotas.listing(call)}
    return [SetQuota(await quotas.set_quota(call, wish), wish.namespace not in before) for wish in wishes]


async def _workspaces(call: Call) -> list[Workspace]:
    found: list[Workspace] = []
    while True:
        page = await workspaces.listing(call, limit=PAGE, after=found[-1].sequence if found else 0)
        found += page
        if len(page) < PAGE:
            return found


async def _owner(call: Call, name: str, action: Action) -> Workspace:
    async with call.backends.ledger.reading() as connection:
        return await workspace_of_namespace(connection, call, name, action)


async def _refuse_foreign(call: Call, name: str) -> None:
    """Say of a namespace that the cluster's people made that it is theirs; whether there is one, administrators learn."""
    foreign = NamespaceNotOurs(f"namespace {name!r} was not made by Berth and cannot be deleted here", namespace=name)
    try:
        checked_namespace(name)
    except InvalidRequest as reserved:
        if name.startswith("kube-") or name in {"default", "berth-system"}:
            raise foreign from reserved
        return
    if not call.caller.administrator:
        return
    asked = (call.backends.nodes.has_namespace(cluster, name) for cluster in await _clusters(call))
    if True in await asyncio.gather(*asked, return_exceptions=True):
        raise foreign


async def _clusters(call: Call) -> tuple[str, ...]:
    async with call.backends.ledger.reading() as connection:
        found = tuple(one.name for one in await inventory.clusters(connection) if one.sufficient)
    if not found:
        raise InvalidRequest("no cluster is registered on which a namespace could be made")
    return found


async def _make(call: Call, name: str, clusters: tuple[str, ...]) -> None:
    request = WorkspaceRequest(name=name, clusters=clusters, namespaces=(name,))
    try:
        await workspaces.create(replace(call, idempotency_key=None), request)
    except AlreadyExists:
        async with call.backends.ledger.reading() as connection:
            if await ledger_workspaces.of_namespace(connection, name) is None:
                raise


async def _end_all(call: Call, workspace: Workspace) -> None:
    async for page in gprs.pages(call, workspace.request.name):
        for gpr in page:
            if gpr.phase in LIVE:
                await gprs.release(call, str(gpr.id))


async def _deleted(call: Call, workspace: Workspace, *, patient: bool) -> Workspace:
    """As it is once its deletion has begun. Patient: what was ended a moment ago may take a while to be gone."""
    loop = asyncio.get_running_loop()
    until = loop.time() + (call.backends.ready_seconds if patient else 0)
    while True:
        try:
            return await workspaces.delete(call, workspace.request.name)
        except InUse as busy:
            if loop.time() >= until:
                raise InUse(f"{busy.message}; repeat this when they have ended", **busy.details) from busy
        await asyncio.sleep(LOOK_SECONDS)
