"""Quotas of namespaces: their people see them, administrators set them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from api.operations.permission import require_administrator, visible_workspace_ids
from domain.failures import NotFound
from domain.limits import Amounts, Quota
from domain.shares import Scope, gpu_spells, over_time
from ledger import overrides, quotas, workspaces

if TYPE_CHECKING:
    from collections.abc import Iterable

    from api.operations.call import Call
    from domain.shares import Override
    from domain.workspace import Workspace
    from ledger.connection import Connection


@dataclass(frozen=True, slots=True)
class NewQuota:
    """What may be in use at once of a namespace, over all clusters of its workspace."""

    namespace: str
    limit: Amounts
    description: str = ""


async def listing(call: Call) -> list[Quota]:
    """Quotas of the workspaces that the caller may see."""
    async with call.backends.ledger.reading() as connection:
        found = await quotas.quotas(connection, await visible_workspace_ids(connection, call))
        ahead = await overrides.ahead(connection, call.now)
    return [_as_it_is_now(quota, ahead, call) for quota in found]


async def find(call: Call, namespace: str) -> Quota:
    """The quota of a namespace, or NotFound."""
    found = [quota for quota in await listing(call) if quota.namespace == namespace]
    if not found:
        raise NotFound(f"namespace {namespace!r} has no quota", namespace=namespace)
    return found[0]


async def set_quota(call: Call, wish: NewQuota) -> Quota:
    """Let it count from now on. What is in use goes on, even if it is more."""
    require_administrator(call)
    async with call.backends.ledger.transaction() as connection:
        workspace = await _owner(connection, wish.namespace)
        where = (workspace.id, wish.namespace)
        messages = await quotas.set_quota(connection, *where, wish.limit, wish.description, call.actor, call.now)
    call.deliver(messages)
    return await find(call, wish.namespace)


async def delete(call: Call, namespace: str) -> Quota:
    """Let it count no more; as it was."""
    require_administrator(call)
    gone = await find(call, namespace)
    async with call.backends.ledger.transaction() as connection:
        workspace = await _owner(connection, namespace)
        messages = await quotas.delete(connection, workspace.id, namespace, call.actor, call.now)
    call.deliver(messages)
    return gone


def _as_it_is_now(quota: Quota, ahead: Iterable[Override], call: Call) -> Quota:
    owner = (Scope.NAMESPACE, str(quota.workspace_id), quota.namespace)
    spells = gpu_spells(one for one in ahead if one.owner == owner)
    return replace(quota, gpus_now=over_time(quota.limit.gpus, spells, call.now).now)


async def _owner(connection: Connection, namespace: str) -> Workspace:
    found = await workspaces.of_namespace(connection, namespace)
    if found is None:
        raise NotFound(f"no workspace has a namespace {namespace!r}", namespace=namespace)
    return found
