"""Suspended, a Gpr waits without GPUs and without a plan, at its place in the queue, until it is resumed or ended."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from domain.failures import NotFound, WrongPhase
from domain.gpr import SUSPENDED, EndCause, Phase
from domain.hardware import Gpu
from domain.identifiers import gpr_workflow_id
from domain.job import JobState, ObservedJob, ObservedPod
from domain.messages import RELEASE_SIGNAL
from ledger import arbitration, gprs, jobs, leases, lifecycle, reading, suspension
from tests.builders import a_gpr, a_job, a_workspace, now

if TYPE_CHECKING:
    from uuid import UUID

    from domain.gpr import Gpr
    from ledger.connection import Ledger

ANNA = "anna"
CLUSTER, NODE = "worker-1", "suspended-1"
A_NODE = """
insert into cluster (name, server, version, sufficient, registered_at, seen_at)
values ('worker-1', '', '', true, now(), now()) on conflict do nothing
"""
ITS_NODE = """
insert into node (cluster, name, shape, instance_type, gpus, memory_mib, state, observed_at)
values ('worker-1', $1, 'H100', 'p5', 8, 81559, 'ready', now()) on conflict do nothing
"""


async def a_queued(ledger: Ledger, **changes: object) -> UUID:
    return await a_gpr(ledger, await a_workspace(ledger), exclusive=False, **changes)


async def found(ledger: Ledger, gpr_id: UUID) -> Gpr:
    async with ledger.reading() as connection:
        return await gprs.find(connection, gpr_id)


async def suspend(ledger: Ledger, gpr_id: UUID) -> list[int]:
    async with ledger.transaction() as connection:
        return await suspension.suspend(connection, gpr_id, now(), ANNA)


async def resume(ledger: Ledger, gpr_id: UUID) -> list[int]:
    async with ledger.transaction() as connection:
        return await suspension.resume(connection, gpr_id, now(), ANNA)


async def grant(ledger: Ledger, gpr_id: UUID) -> int | None:
    """A lease on a node of its own."""
    node = f"{NODE}-{gpr_id.hex[:8]}"
    async with ledger.transaction() as connection:
        await connection.execute(A_NODE)
        await connection.execute(ITS_NODE, node)
        return await leases.grant(connection, gpr_id, CLUSTER, [Gpu(node, 0)], now())


async def activate(ledger: Ledger, gpr_id: UUID) -> int:
    fence = await grant(ledger, gpr_id)
    assert fence is not None
    async with ledger.transaction() as connection:
        await lifecycle.activate(connection, gpr_id, fence, now())
    return fence


async def rest(ledger: Ledger, gpr_id: UUID, fence: int) -> None:
    async with ledger.transaction() as connection:
        await lifecycle.finish_release(connection, gpr_id, fence, [], now())


async def is_planned(ledger: Ledger, gpr_id: UUID) -> bool:
    async with ledger.reading() as connection:
        return str(gpr_id) in {one.gpr_id for one in await arbitration.queue(connection, now())}


async def kinds_of_events(ledger: Ledger, gpr_id: UUID) -> list[str]:
    async with ledger.reading() as connection:
        return [event.kind for event in await reading.events_of_gpr(connection, gpr_id, limit=50)]


async def told(ledger: Ledger, gpr_id: UUID, signal: str) -> int:
    """How often its lifecycle was sent this."""
    query = "select count(*) from outbox where workflow_id = $1 and signal = $2"
    async with ledger.reading() as connection:
        return int(await connection.fetchval(query, gpr_workflow_id(gpr_id), signal))


async def test_what_is_queued_is_planned_no_more_and_says_why(ledger: Ledger) -> None:
    gpr_id = await a_queued(ledger)
    before = await found(ledger, gpr_id)
    assert await suspend(ledger, gpr_id)
    gpr = await found(ledger, gpr_id)
    assert (gpr.phase, gpr.sequence, gpr.retries) == (Phase.QUEUED, before.sequence, 0)
    assert gpr.suspended_at is not None
    assert (gpr.estimate.starts_at, gpr.estimate.reason_code) == (None, SUSPENDED)
    assert gpr.estimate.reason == "suspended by anna; it keeps its place until it is resumed"
    assert not await is_planned(ledger, gpr_id)
    assert await grant(ledger, gpr_id) is None


async def test_resumed_it_is_planned_again_at_its_old_place(ledger: Ledger) -> None:
    gpr_id, behind = await a_queued(ledger), await a_queued(ledger)
    await suspend(ledger, gpr_id)
    assert await resume(ledger, gpr_id)
    gpr = await found(ledger, gpr_id)
    assert (gpr.suspended_at, gpr.estimate.reason_code) == (None, "")
    assert gpr.sequence < (await found(ledger, behind)).sequence
    assert await is_planned(ledger, gpr_id)
    assert await grant(ledger, gpr_id) is not None


async def test_an_estimate_that_was_made_meanwhile_does_not_hide_the_reason(ledger: Ledger) -> None:
    gpr_id = await a_queued(ledger)
    async with ledger.reading() as connection:
        shown = {one.gpr_id: one.shown for one in await arbitration.queue(connection, now())}
    await suspend(ledger, gpr_id)
    async with ledger.transaction() as connection:
        await arbitration.write_estimates(connection, {str(gpr_id): shown[str(gpr_id)]}, now())
    assert (await found(ledger, gpr_id)).estimate.reason_code == SUSPENDED


@pytest.mark.parametrize("is_active", [False, True])
async def test_what_holds_gpus_gives_them_back_and_waits_without_back_off(ledger: Ledger, *, is_active: bool) -> None:
    gpr_id = await a_queued(ledger, duration_seconds=3600)
    fence = await activate(ledger, gpr_id) if is_active else await grant(ledger, gpr_id)
    assert fence is not None
    assert await suspend(ledger, gpr_id)
    assert (await found(ledger, gpr_id)).phase is Phase.RELEASING
    assert await told(ledger, gpr_id, RELEASE_SIGNAL) == 1
    await rest(ledger, gpr_id, fence)
    gpr = await found(ledger, gpr_id)
    assert (gpr.phase, gpr.retries, gpr.fence, gpr.end_at, gpr.end_cause) == (Phase.QUEUED, 0, None, None, "")
    assert gpr.estimate.reason_code == SUSPENDED
    assert not await is_planned(ledger, gpr_id)
    await resume(ledger, gpr_id)
    async with ledger.reading() as connection:
        queued = {one.gpr_id: one for one in await arbitration.queue(connection, now())}[str(gpr_id)]
    assert (queued.not_before, queued.excluded_nodes) == (None, frozenset())


async def test_its_whole_duration_is_still_to_come(ledger: Ledger) -> None:
    gpr_id = await a_queued(ledger, duration_seconds=3600)
    fence = await activate(ledger, gpr_id)
    await suspend(ledger, gpr_id)
    await rest(ledger, gpr_id, fence)
    async with ledger.transaction() as connection:
        after = await lifecycle.expire(connection, gpr_id, now() + timedelta(hours=2))
    assert after.phase is Phase.QUEUED
    await resume(ledger, gpr_id)
    await activate(ledger, gpr_id)
    gpr = await found(ledger, gpr_id)
    assert gpr.active_at is not None
    assert gpr.end_at == gpr.active_at + timedelta(hours=1)


async def test_resumed_before_its_gpus_are_free_it_goes_straight_back_into_the_plan(ledger: Ledger) -> None:
    gpr_id = await a_queued(ledger)
    fence = await activate(ledger, gpr_id)
    await suspend(ledger, gpr_id)
    await resume(ledger, gpr_id)
    await rest(ledger, gpr_id, fence)
    assert (await found(ledger, gpr_id)).phase is Phase.QUEUED
    assert await is_planned(ledger, gpr_id)


async def test_twice_is_once(ledger: Ledger) -> None:
    gpr_id = await a_queued(ledger)
    await suspend(ledger, gpr_id)
    once = await found(ledger, gpr_id)
    assert await suspend(ledger, gpr_id) == []
    assert await found(ledger, gpr_id) == once
    await resume(ledger, gpr_id)
    again = await found(ledger, gpr_id)
    assert await resume(ledger, gpr_id) == []
    assert await found(ledger, gpr_id) == again
    assert await kinds_of_events(ledger, gpr_id) == ["submitted", "suspended", "resumed"]


async def test_suspended_it_can_be_ended(ledger: Ledger) -> None:
    gpr_id = await a_queued(ledger)
    await suspend(ledger, gpr_id)
    async with ledger.transaction() as connection:
        await lifecycle.end_for_user(connection, gpr_id, EndCause.CANCELLED, now(), ANNA)
    gpr = await found(ledger, gpr_id)
    assert (gpr.phase, gpr.suspended_at, gpr.estimate.reason) == (Phase.CANCELLED, None, "")


async def test_cancelled_while_its_gpus_are_taken_back_it_does_not_come_back(ledger: Ledger) -> None:
    gpr_id = await a_queued(ledger)
    fence = await activate(ledger, gpr_id)
    await suspend(ledger, gpr_id)
    async with ledger.transaction() as connection:
        await lifecycle.end_for_user(connection, gpr_id, EndCause.CANCELLED, now(), ANNA)
    await rest(ledger, gpr_id, fence)
    gpr = await found(ledger, gpr_id)
    assert (gpr.phase, gpr.suspended_at) == (Phase.RELEASED, None)


async def test_a_try_that_fails_comes_back_suspended_where_that_was_asked_for_meanwhile(ledger: Ledger) -> None:
    gpr_id = await a_queued(ledger)
    fence = await grant(ledger, gpr_id)
    assert fence is not None
    async with ledger.transaction() as connection:
        await lifecycle.provisioning_failed(connection, gpr_id, fence, "no", [], now())
    await suspend(ledger, gpr_id)
    await rest(ledger, gpr_id, fence)
    gpr = await found(ledger, gpr_id)
    assert (gpr.phase, gpr.retries, gpr.estimate.reason_code) == (Phase.QUEUED, 1, SUSPENDED)
    assert not await is_planned(ledger, gpr_id)


@pytest.mark.parametrize("move", [suspension.suspend, suspension.resume])
async def test_what_is_over_or_ends_for_good_stays_as_it_is(ledger: Ledger, move: object) -> None:
    over, ends = await a_queued(ledger), await a_queued(ledger)
    await activate(ledger, ends)
    async with ledger.transaction() as connection:
        await lifecycle.end_for_user(connection, over, EndCause.CANCELLED, now(), ANNA)
        await lifecycle.end_for_user(connection, ends, EndCause.EARLY_RELEASE, now(), ANNA)
    for gpr_id in (over, ends):
        with pytest.raises(WrongPhase):
            async with ledger.transaction() as connection:
                await move(connection, gpr_id, now(), ANNA)  # type: ignore[operator]


async def test_what_there_is_not_cannot_be_suspended(ledger: Ledger) -> None:
    with pytest.raises(NotFound):
        await suspend(ledger, await a_workspace(ledger))


async def test_of_a_suspended_job_the_log_stays_until_it_runs_again(ledger: Ledger) -> None:
    job_id = await a_job(ledger, await a_workspace(ledger))
    fence = await activate(ledger, job_id)
    async with ledger.transaction() as connection:
        running = ObservedJob(JobState.RUNNING, pods=(ObservedPod("it-0", "Running"),))
        await jobs.observe(connection, job_id, running, now())
    await suspend(ledger, job_id)
    async with ledger.transaction() as connection:
        await jobs.keep(connection, job_id, {"it-0": ["2026-01-01T00:00:00Z said"]}, [])
    await rest(ledger, job_id, fence)
    async with ledger.reading() as connection:
        waiting = await jobs.find(connection, job_id)
    assert (waiting.status, waiting.observed, list(waiting.logs)) == ("suspended", None, ["it-0"])
    await resume(ledger, job_id)
    await grant(ledger, job_id)
    async with ledger.reading() as connection:
        assert (await jobs.find(connection, job_id)).logs == {}
