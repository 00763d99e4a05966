"""What workspaces weigh in pools, in the ledger: there it counts instead of what they weigh in general."""

from __future__ import annotations

from typing import TYPE_CHECKING

from domain.failures import NotFound
from domain.limits import PoolWeight
from domain.messages import kick_arbiter
from ledger import events, outbox, scheduling
from ledger.statements import load

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime
    from uuid import UUID

    from ledger.connection import Connection

_SQL = load("pool_weights")


async def set_weight(
    connection: Connection, pool: str, workspace_id: UUID, weight: int, actor: str, now: datetime
) -> list[int]:
    """Let a workspace weigh so much there; NotFound without the pool. The ids of the messages to deliver after the commit.

    The workspace must be held: of one that is being deleted the weight would stay.
    """
    if await connection.fetchval(_SQL["set"], pool, workspace_id, weight, actor, now) is None:
        raise NotFound(f"there is no pool {pool!r}", pool=pool)
    detail = {"pool": pool, "weight": weight}
    await events.record(connection, now, "pool_weight_set", workspace_id=workspace_id, actor=actor, detail=detail)
    return [await outbox.put(connection, kick_arbiter())]


async def remove(connection: Connection, pool: str, workspace_id: UUID, actor: str, now: datetime) -> list[int]:
    """Let what it weighs in general count there too; or NotFound. The ids of the messages to deliver after the commit."""
    if await connection.fetchval(_SQL["remove"], pool, workspace_id) is None:
        raise NotFound(f"the workspace has no weight of its own in the pool {pool!r}", pool=pool)
    detail = {"pool": pool}
    await events.record(connection, now, "pool_weight_removed", workspace_id=workspace_id, actor=actor, detail=detail)
    return [await outbox.put(connection, kick_arbiter())]


async def forget_workspace(connection: Connection, workspace_id: UUID) -> None:
    """It is gone: one that is made with its name is another."""
    await connection.execute(_SQL["forget_workspace"], workspace_id)


async def weights(
    connection: Connection, now: datetime, pool: str | None = None, workspace_ids: Collection[UUID] | None = None
) -> list[PoolWeight]:
    """By pool and name, with what each had there: of one pool or of all, of these workspaces or of all."""
    rows = await connection.fetch(_SQL["weights"], pool, None if workspace_ids is None else list(workspace_ids))
    if not rows:
        return []
    shares = await scheduling.shares(connection, {str(row["workspace_id"]) for row in rows}, now)
    used = {(share.workspace, share.pool): share.used for share in shares}
    return [
        PoolWeight(
            pool=row["pool"],
            workspace=row["workspace"],
            weight=row["weight"],
            used=used.get((str(row["workspace_id"]), row["pool"]), 0),  # it may have gone meanwhile
            set_by=row["set_by"],
            set_at=row["set_at"],
        )
        for row in rows
    ]
