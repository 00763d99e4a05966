"""The scheduling policy, the weights of workspaces, and what they had, in the ledger."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING
from uuid import UUID

from domain.messages import kick_arbiter
from domain.scheduling import SchedulingPolicy, WorkspaceShare
from ledger import events, outbox
from ledger.statements import load

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from ledger.connection import Connection

_SQL = load("scheduling")


async def policy(connection: Connection) -> SchedulingPolicy:
    """What counts now."""
    row = await connection.fetchrow(_SQL["policy"])
    assert row is not None
    return SchedulingPolicy(
        fair_share=row["fair_share"],
        half_life_seconds=row["half_life_seconds"],
        ageing_seconds=row["ageing_seconds"],
        horizon_seconds=row["horizon_seconds"],
        reservations_max=row["reservations_max"],
        gpu_hours_max=row["gpu_hours_max"],
        grace_seconds=row["grace_seconds"],
        guaranteed_seconds=row["guaranteed_seconds"],
        notice_seconds=row["notice_seconds"],
        set_by=row["set_by"],
        set_at=row["set_at"],
    )


async def set_policy(connection: Connection, wish: SchedulingPolicy, actor: str, now: datetime) -> list[int]:
    """Let it count from now on. The ids of the messages to deliver after the commit."""
    numbers = (wish.half_life_seconds, wish.ageing_seconds, wish.horizon_seconds)
    limits = (wish.reservations_max, wish.gpu_hours_max, wish.grace_seconds)
    early = (wish.guaranteed_seconds, wish.notice_seconds)
    await connection.execute(_SQL["set_policy"], wish.fair_share, *numbers, *limits, actor, now, *early)
    detail = {
        "fair_share": wish.fair_share,
        "half_life_seconds": wish.half_life_seconds,
        "ageing_seconds": wish.ageing_seconds,
        "horizon_seconds": wish.horizon_seconds,
        "reservations_max": wish.reservations_max,
        "gpu_hours_max": wish.gpu_hours_max,
        "grace_seconds": wish.grace_seconds,
        "guaranteed_seconds": wish.guaranteed_seconds,
        "notice_seconds": wish.notice_seconds,
    }
    await events.record(connection, now, "scheduling_policy_set", actor=actor, detail=detail)
    return [await outbox.put(connection, kick_arbiter())]


async def set_weight(connection: Connection, workspace_id: UUID, weight: int, actor: str, now: datetime) -> list[int]:
    """Let a workspace weigh so much. The ids of the messages to deliver after the commit."""
    await connection.execute(_SQL["set_weight"], workspace_id, weight)
    await events.record(
        connection, now, "weight_set", workspace_id=workspace_id, actor=actor, detail={"weight": weight}
    )
    return [await outbox.put(connection, kick_arbiter())]


async def pools_apart(connection: Connection) -> frozenset[str]:
    """Pools that have weights: what is had there counts there alone."""
    return frozenset(row["name"] for row in await connection.fetch(_SQL["pools_apart"]))


async def shares(
    connection: Connection, workspaces: Iterable[str], now: datetime, asked: Iterable[tuple[str, str]] = ()
) -> list[WorkspaceShare]:
    """Of these workspaces, by id, then by pool: in general first, then in each pool apart where they weigh or had anything.

    Also in those that they ask for, given as (id, pool): there too they weigh something, what they weigh in general.
    """
    ids = sorted({UUID(one) for one in workspaces})
    apart = await pools_apart(connection)
    rows = [row for row in await connection.fetch(_SQL["weights"], ids) if row["pool"] in {"", *apart}]
    weights = {(row["workspace"], row["pool"]): row["weight"] for row in rows}
    used = Counter[tuple[str, str]]()
    for row in await connection.fetch(_SQL["had"], ids, now):
        used[row["workspace"], row["pool"] if row["pool"] in apart else ""] += row["used"]
    accounts = {*weights, *used, *(one for one in asked if one[1] in apart)}
    return [
        WorkspaceShare(workspace, weights.get((workspace, pool), weights[workspace, ""]), used[workspace, pool], pool)
        for workspace, pool in sorted(accounts)
    ]
