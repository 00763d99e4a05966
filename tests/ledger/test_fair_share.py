"""What workspaces had, in SQL: the older the less, the same as the planner reckons it, and cheap however long the history is."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

import pytest

from domain.hardware import Gpu
from domain.scheduling import SchedulingPolicy
from ledger import leases, scheduling
from planner.usage import decayed
from tests.builders import a_gpr, a_workspace, now, some_nodes

if TYPE_CHECKING:
    from ledger.connection import Ledger

WEEK = timedelta(days=7)
HOUR = timedelta(hours=1)


async def a_lease(
    ledger: Ledger, workspace: UUID, node: str, gpus: int, began: datetime, ended: datetime | None
) -> int:
    """Fence of a lease, closed unless it has no end."""
    gpr_id = await a_gpr(ledger, workspace, gpus_per_node=gpus, exclusive=False)
    async with ledger.transaction() as connection:
        held = [Gpu(node, ordinal) for ordinal in range(gpus)]
        fence = await leases.grant(connection, gpr_id, "worker-1", held, began)
        assert fence is not None
        if ended:
            await leases.release(connection, fence, [], ended)
    return fence


async def used(ledger: Ledger, workspace: UUID, at: datetime) -> int:
    async with ledger.reading() as connection:
        (share,) = await scheduling.shares(connection, [str(workspace)], at)
    return share.used


async def test_a_workspace_that_had_nothing_weighs_one_and_used_nothing(ledger: Ledger) -> None:
    workspace = await a_workspace(ledger)
    async with ledger.reading() as connection:
        (share,) = await scheduling.shares(connection, [str(workspace)], now())
    assert (share.workspace, share.weight, share.used) == (str(workspace), 1, 0)


async def test_closed_and_open_leases_count_as_the_planner_reckons(ledger: Ledger) -> None:
    first, second, third = await some_nodes(ledger, count=3, gpus=8)
    workspace, at = await a_workspace(ledger), now()
    spans = [
        (first, 8, at - 3 * WEEK, at - 2 * WEEK),
        (first, 4, at - WEEK, at - HOUR),
        (second, 2, at - 5 * HOUR, at - HOUR),
        (third, 8, at - 2 * HOUR, None),
    ]
    for node, gpus, began, ended in spans:
        await a_lease(ledger, workspace, node, gpus, began, ended)
    expected = sum(decayed(gpus, began, ended or at, at, WEEK) for _, gpus, began, ended in spans)
    assert await used(ledger, workspace, at) == pytest.approx(expected, rel=1e-6)
    later = at + 2 * WEEK
    expected = sum(decayed(gpus, began, ended or later, later, WEEK) for _, gpus, began, ended in spans)
    assert await used(ledger, workspace, later) == pytest.approx(expected, rel=1e-6)


async def test_a_release_that_is_repeated_counts_once(ledger: Ledger) -> None:
    (node,) = await some_nodes(ledger, count=1, gpus=4)
    workspace, at = await a_workspace(ledger), now()
    fence = await a_lease(ledger, workspace, node, 4, at - HOUR, at)
    before = await used(ledger, workspace, at)
    async with ledger.transaction() as connection:
        await leases.release(connection, fence, [], at + HOUR)
    assert await used(ledger, workspace, at) == before > 0


async def test_leases_that_are_closed_out_of_order_count_both(ledger: Ledger) -> None:
    first, second = await some_nodes(ledger, count=2, gpus=4)
    workspace, at = await a_workspace(ledger), now()
    await a_lease(ledger, workspace, first, 4, at - 4 * HOUR, at - HOUR)
    await a_lease(ledger, workspace, second, 4, at - 4 * HOUR, at - 3 * HOUR)
    ends = (at - HOUR, at - 3 * HOUR)
    expected = sum(decayed(4, at - 4 * HOUR, end, at, WEEK) for end in ends)
    assert await used(ledger, workspace, at) == pytest.approx(expected, rel=1e-6)


async def test_use_of_long_ago_does_not_break_a_release(ledger: Ledger) -> None:
    (node,) = await some_nodes(ledger, count=1, gpus=4)
    workspace, at = await a_workspace(ledger), now()
    async with ledger.transaction() as connection:
        await scheduling.set_policy(connection, SchedulingPolicy(half_life_seconds=60), "somebody", at)
    await a_lease(ledger, workspace, node, 4, at - timedelta(days=300), at - timedelta(days=200))
    await a_lease(ledger, workspace, node, 4, at - timedelta(days=3), at)
    assert await used(ledger, workspace, at) == pytest.approx(4 * 60 / 0.693147, rel=0.01)


async def test_the_weight_of_a_workspace_is_what_it_was_set_to(ledger: Ledger) -> None:
    workspace = await a_workspace(ledger)
    async with ledger.transaction() as connection:
        await scheduling.set_weight(connection, workspace, 3, "somebody", now())
        (share,) = await scheduling.shares(connection, [str(workspace)], now())
    assert share.weight == 3


async def test_the_policy_is_what_it_was_set_to(ledger: Ledger) -> None:
    wish = SchedulingPolicy(
        fair_share=False,
        half_life_seconds=3600,
        ageing_seconds=60,
        horizon_seconds=7200,
        reservations_max=3,
        gpu_hours_max=5,
        grace_seconds=0,
    )
    async with ledger.transaction() as connection:
        assert await scheduling.policy(connection) == SchedulingPolicy()
        at = now()
        await scheduling.set_policy(connection, wish, "somebody", at)
        found = await scheduling.policy(connection)
    assert (found.set_by, found.set_at) == ("somebody", at)
    assert (found.fair_share, found.horizon_seconds, found.grace_seconds) == (False, 7200, 0)
