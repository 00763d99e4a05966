"""What plans allow for between two leases is what the newest leases took."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from arbitration.snapshot import read_snapshot
from domain.gpr import EndCause
from domain.handover import LESSONS_MIN, USUAL, Handover
from domain.hardware import Gpu
from ledger import handovers, leases, lifecycle
from tests.builders import a_gpr, a_workspace, now, some_nodes

if TYPE_CHECKING:
    from ledger.connection import Ledger

MINUTE = timedelta(minutes=1)


async def known(ledger: Ledger) -> Handover:
    async with ledger.reading() as connection:
        return await handovers.known(connection)


async def leases_that(ledger: Ledger, *, begin_after: float, are_free_after: float, count: int = LESSONS_MIN) -> None:
    """One after the other on one GPU, a minute each; the first begins long enough ago."""
    (node,) = await some_nodes(ledger, count=1)
    workspace, at = await a_workspace(ledger), now() - count * timedelta(hours=1)
    for _ in range(count):
        gpr_id = await a_gpr(ledger, workspace, exclusive=False)
        begin = at + timedelta(seconds=begin_after)
        end = begin + MINUTE
        free = end + timedelta(seconds=are_free_after)
        async with ledger.transaction() as connection:
            fence = await leases.grant(connection, gpr_id, "worker-1", [Gpu(node, 0)], at)
            assert fence
            await lifecycle.activate(connection, gpr_id, fence, begin)
            await lifecycle.begin_release(connection, gpr_id, EndCause.EARLY_RELEASE, end)
            await lifecycle.finish_release(connection, gpr_id, fence, [], free)
        at = free


async def test_nothing_is_learnt_of_few_leases(ledger: Ledger) -> None:
    assert await known(ledger) == USUAL
    await leases_that(ledger, begin_after=30, are_free_after=40, count=LESSONS_MIN - 1)
    assert await handovers.learn(ledger, now()) is None
    assert await known(ledger) == USUAL


async def test_what_the_newest_leases_took_is_allowed_for_and_learnt_again_when_it_changes(ledger: Ledger) -> None:
    await leases_that(ledger, begin_after=7.5, are_free_after=33)
    assert await handovers.learn(ledger, now()) == await known(ledger) == Handover(8, 33)
    await leases_that(ledger, begin_after=8.5, are_free_after=34, count=handovers.LESSONS_MAX)
    assert await handovers.learn(ledger, now()) is None
    await leases_that(ledger, begin_after=1, are_free_after=50, count=handovers.LESSONS_MAX)
    assert await handovers.learn(ledger, now()) == await known(ledger) == Handover(3, 50)


async def test_a_lease_that_is_still_torn_down_or_never_began_teaches_nothing(ledger: Ledger) -> None:
    await leases_that(ledger, begin_after=1, are_free_after=1)
    (node,) = await some_nodes(ledger, count=1, gpus=8)
    workspace = await a_workspace(ledger)
    for ordinal in range(8):
        gpr_id = await a_gpr(ledger, workspace, exclusive=False)
        async with ledger.transaction() as connection:
            fence = await leases.grant(connection, gpr_id, "worker-1", [Gpu(node, ordinal)], now())
            assert fence
            if ordinal % 2:
                await lifecycle.activate(connection, gpr_id, fence, now() + MINUTE)
            await lifecycle.begin_release(connection, gpr_id, EndCause.EARLY_RELEASE, now() + 2 * MINUTE)
            if not ordinal % 2:
                await lifecycle.finish_release(connection, gpr_id, fence, [], now() + 60 * MINUTE)
    assert await handovers.learn(ledger, now()) is None


async def test_plans_allow_for_it_from_the_grant_and_from_the_end_of_a_lease(ledger: Ledger) -> None:
    await leases_that(ledger, begin_after=30, are_free_after=40)
    await handovers.learn(ledger, now())
    provisioning, slow_to_begin, torn_down, slow_to_end = await some_nodes(ledger, count=4)
    workspace, at = await a_workspace(ledger), now()
    async with ledger.transaction() as connection:
        for node, granted, ended in (
            (provisioning, at - MINUTE / 4, None),
            (slow_to_begin, at - MINUTE, None),
            (torn_down, at - 2 * MINUTE, at - MINUTE / 4),
            (slow_to_end, at - 2 * MINUTE, at - MINUTE),
        ):
            gpr_id = await a_gpr(ledger, workspace, exclusive=False, duration_seconds=600)
            fence = await leases.grant(connection, gpr_id, "worker-1", [Gpu(node, 0)], granted)
            assert fence
            if ended:
                await lifecycle.activate(connection, gpr_id, fence, granted)
                await lifecycle.begin_release(connection, gpr_id, EndCause.EARLY_RELEASE, ended)
        snapshot = await read_snapshot(connection, [], at)
    assert snapshot.turnaround_seconds == 40
    assert {lease.gpus[0].node: lease.until for lease in snapshot.leases} == {
        provisioning: at + timedelta(seconds=15 + 600),
        slow_to_begin: at + timedelta(seconds=3 + 600),
        torn_down: at - MINUTE / 4,
        slow_to_end: at + timedelta(seconds=5 - 40),
    }
