"""What leases have cost over a span of time, added up where the rows are."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from domain.costs import Cost, Costs, CostsBy
from domain.idleness import THRESHOLD_PERCENT
from ledger.statements import load

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime
    from uuid import UUID

    from ledger.connection import Connection, Row

_SQL = load("costs")

_STEPS: Final = ((timedelta(hours=20), 60), (timedelta(days=14), 900))
"""The finest roll-up that is still there for what is so old, and few enough of them to add up."""
_COARSEST: Final = 3600


async def costs(  # noqa: PLR0913 - what, over which time, whose
    connection: Connection,
    by: CostsBy,
    begin: datetime,
    end: datetime,
    now: datetime,
    *,
    workspace_ids: Collection[UUID] | None,
    limit: int,
) -> Costs:
    """What GPUs cost from `begin` until before `end`: of these workspaces, or of all for None; the largest first."""
    whose = None if workspace_ids is None else list(workspace_ids)
    step = next((seconds for age, seconds in _STEPS if now - begin <= age), _COARSEST)
    rows = await connection.fetch(_SQL["costs"], begin, end, now, whose, step, by, THRESHOLD_PERCENT, limit)
    return Costs(begin, end, by, tuple(_cost(row) for row in rows), _total(rows[0] if rows else None))


def _cost(row: Row) -> Cost:
    return Cost(
        key=row["key"],
        name=row["name"],
        workspace=row["workspace"],
        gpu_seconds=row["gpu_seconds"],
        idle_gpu_seconds=row["idle_seconds"],
        seen_gpu_seconds=row["seen_seconds"],
        amount=row["cost"],
        idle_amount=row["idle_cost"],
    )


def _total(row: Row | None) -> Cost:
    if row is None:
        return Cost("", "", "", 0.0, 0.0, 0.0, None, None)
    return Cost(
        key="",
        name="",
        workspace="",
        gpu_seconds=row["all_gpu_seconds"],
        idle_gpu_seconds=row["all_idle_seconds"],
        seen_gpu_seconds=row["all_seen_seconds"],
        amount=row["all_cost"],
        idle_amount=row["all_idle_cost"],
    )
