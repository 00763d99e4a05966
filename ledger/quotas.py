"""Quotas in the ledger. They are enforced by the plan; a ResourceQuota stands behind them as a ceiling."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING
from uuid import UUID

from domain.failures import NotFound
from domain.limits import Amounts, Quota
from domain.messages import kick_arbiter
from ledger import events, outbox
from ledger.statements import load

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import datetime

    from ledger.connection import Connection, Row

_SQL = load("quotas")


async def set_quota(  # noqa: PLR0913 - one argument for each thing that only the caller knows
    connection: Connection,
    workspace_id: UUID,
    namespace: str,
    limit: Amounts,
    description: str,
    actor: str,
    now: datetime,
) -> list[int]:
    """Let it count from now on; what is in use goes on. The ids of the messages to deliver after the commit."""
    amounts = (limit.gpus, limit.cpu_millis, limit.memory_mib)
    await connection.execute(_SQL["set"], workspace_id, namespace, description, *amounts, actor, now)
    detail = {
        "namespace": namespace,
        "gpus": limit.gpus,
        "cpu_millis": limit.cpu_millis,
        "memory_mib": limit.memory_mib,
    }
    await events.record(connection, now, "quota_set", workspace_id=workspace_id, actor=actor, detail=detail)
    return [await outbox.put(connection, kick_arbiter())]


async def delete(connection: Connection, workspace_id: UUID, namespace: str, actor: str, now: datetime) -> list[int]:
    """Let it count no more, or NotFound. The ids of the messages to deliver after the commit."""
    if await connection.fetchval(_SQL["delete"], workspace_id, namespace) is None:
        raise NotFound(f"namespace {namespace!r} has no quota", namespace=namespace)
    detail = {"namespace": namespace}
    await events.record(connection, now, "quota_deleted", workspace_id=workspace_id, actor=actor, detail=detail)
    return [await outbox.put(connection, kick_arbiter())]


async def quotas(connection: Connection, workspace_ids: Collection[UUID] | None = None) -> list[Quota]:
    """Those of these workspaces, or all for None, with what is in use."""
    ids = None if workspace_ids is None else list(workspace_ids)
    return [_quota(row) for row in await connection.fetch(_SQL["of_workspaces"], ids)]


async def limits(connection: Connection) -> Mapping[str, Mapping[str, Amounts]]:
    """For a plan: the limits in force, by workspace and namespace."""
    found: defaultdict[str, dict[str, Amounts]] = defaultdict(dict)
    for row in await connection.fetch(_SQL["limits"]):
        found[row["workspace"]][row["namespace"]] = Amounts(row["gpus"], row["cpu_millis"], row["memory_mib"])
    return found


async def ceilings(connection: Connection, cluster: str, now: datetime) -> Mapping[str, int | None]:
    """For Kubernetes' own ceiling: the most GPUs of each namespace on a cluster now and soon; None: it has no quota."""
    return {row["namespace"]: row["gpus"] for row in await connection.fetch(_SQL["ceilings"], cluster, now)}


def _quota(row: Row) -> Quota:
    return Quota(
        workspace_id=row["workspace_id"],
        workspace=row["workspace"],
        namespace=row["namespace"],
        limit=Amounts(row["gpus"], row["cpu_millis"], row["memory_mib"]),
        used=Amounts(row["gpus_used"], row["cpu_used"], row["memory_used"]),
        description=row["description"],
        set_by=row["set_by"],
        set_at=row["set_at"],
    )
