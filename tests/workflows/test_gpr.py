"""The life of a Gpr in skipped time, on the real ledger and a real cluster."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from temporalio.client import WorkflowFailureError

from arbitration.arbiter_pass import grant
from clusters.access import anchors
from clusters.capacity import read_tokens
from domain.gpr import EndCause, Phase
from domain.identifiers import token_key
from ledger import lifecycle as moves
from ledger import reading
from tests.builders import now
from workflows.gpr import GprWorkflow

if TYPE_CHECKING:
    from uuid import UUID

    from domain.messages import Standing
    from tests.workflows.stage import Stage

HOUR = 3600
DAY = 86_400


async def test_a_thirty_day_lease_expires_and_leaves_nothing_behind(stage: Stage) -> None:
    workspace = await stage.a_workspace()
    gpr_id = await stage.a_granted_gpr(workspace, duration_seconds=30 * DAY)
    assert await (await stage.start(gpr_id)).result() == Phase.EXPIRED
    after = await stage.gpr(gpr_id)
    assert after.finished_at is not None
    assert after.active_at is not None
    assert timedelta() <= after.finished_at - after.active_at - timedelta(days=30) < timedelta(seconds=5)
    await stage.assert_nothing_left(workspace)


async def test_notices_are_delivered_30_15_and_5_minutes_before_the_end(stage: Stage) -> None:
    workspace = await stage.a_workspace()
    gpr_id = await stage.a_granted_gpr(workspace, duration_seconds=HOUR)
    await (await stage.start(gpr_id)).result()
    end_at = (await stage.gpr(gpr_id)).end_at
    assert end_at is not None
    delivered = await deliveries(stage, gpr_id)
    assert [round((end_at - at).total_seconds() / 60) for at in delivered] == [30, 15, 5]


async def test_a_lease_of_ten_minutes_has_one_notice(stage: Stage) -> None:
    workspace = await stage.a_workspace()
    gpr_id = await stage.a_granted_gpr(workspace, duration_seconds=600)
    await (await stage.start(gpr_id)).result()
    assert len(await deliveries(stage, gpr_id)) == 1


async def test_an_early_release_ends_the_lease_at_once(stage: Stage) -> None:
    workspace, gpr_id, lifecycle = await held(stage)
    await lifecycle.signal(GprWorkflow.release, await end(stage, gpr_id, EndCause.EARLY_RELEASE))
    assert await lifecycle.result() == Phase.RELEASED
    after = await stage.gpr(gpr_id)
    assert after.finished_at is not None
    assert after.end_at is not None
    assert after.finished_at < after.end_at
    await stage.assert_nothing_left(workspace)


async def test_an_early_release_whose_signal_is_lost_is_still_carried_out_when_the_lease_would_end(
    stage: Stage,
) -> None:
    workspace, gpr_id, lifecycle = await held(stage)
    await end(stage, gpr_id, EndCause.EARLY_RELEASE)
    await stage.environment.fast_forward(lifecycle, timedelta(days=2))
    assert await lifecycle.result() == Phase.RELEASED
    await stage.assert_nothing_left(workspace)


async def test_an_extension_whose_signal_comes_late_never_ends_the_lease_early(stage: Stage) -> None:
    _, gpr_id, lifecycle = await held(stage)
    end_at = (await stage.gpr(gpr_id)).end_at
    assert end_at is not None
    async with stage.ledger.transaction() as connection:
        await moves.move_end(connection, gpr_id, end_at + timedelta(days=3), now(), "somebody")
    await stage.environment.fast_forward(lifecycle, timedelta(days=9))
    await lifecycle.result()
    after = await stage.gpr(gpr_id)
    assert after.finished_at is not None
    assert after.finished_at >= end_at + timedelta(days=3)
    assert len(await deliveries(stage, gpr_id)) == 3


async def test_repeated_and_stale_signals_change_nothing(stage: Stage) -> None:
    workspace, gpr_id, lifecycle = await held(stage)
    async with stage.ledger.reading() as connection:
        active = await moves.standing(connection, gpr_id)
    for _ in range(3):
        await lifecycle.signal(GprWorkflow.granted, active)
    released = await end(stage, gpr_id, EndCause.EARLY_RELEASE)
    await lifecycle.signal(GprWorkflow.release, released)
    await lifecycle.signal(GprWorkflow.extended, active)
    assert await lifecycle.result() == Phase.RELEASED
    await stage.assert_nothing_left(workspace)


async def test_a_gpr_cancelled_in_the_queue_ends_without_having_held_anything(stage: Stage) -> None:
    workspace = await stage.a_workspace()
    gpr_id = await stage.a_granted_gpr(workspace, gpus_per_node=64)
    lifecycle = await stage.start(gpr_id)
    await lifecycle.signal(GprWorkflow.release, await end(stage, gpr_id, EndCause.CANCELLED))
    assert await lifecycle.result() == Phase.CANCELLED
    assert (await stage.gpr(gpr_id)).gpus == ()


async def test_a_release_during_provisioning_wins_over_the_activation(stage: Stage) -> None:
    workspace = await stage.a_workspace()
    gpr_id = await stage.a_granted_gpr(workspace)
    released = await end(stage, gpr_id, EndCause.CANCELLED)
    lifecycle = await stage.start(gpr_id)
    await lifecycle.signal(GprWorkflow.release, released)
    assert await lifecycle.result() == Phase.CANCELLED
    assert (await stage.gpr(gpr_id)).active_at is None
    await stage.assert_nothing_left(workspace)


async def test_an_operator_who_cancels_the_workflow_ends_the_lease_in_good_order(stage: Stage) -> None:
    workspace, gpr_id, lifecycle = await held(stage)
    await lifecycle.cancel()
    with pytest.raises(WorkflowFailureError):
        await lifecycle.result()
    assert (await stage.gpr(gpr_id)).phase is Phase.RELEASED
    await stage.assert_nothing_left(workspace)


async def test_a_terminated_lifecycle_goes_on_from_the_ledger_when_it_is_started_again(stage: Stage) -> None:
    workspace, gpr_id, lifecycle = await held(stage)
    before = await stage.gpr(gpr_id)
    await lifecycle.terminate("an operator's mistake")
    assert await (await stage.start(gpr_id)).result() == Phase.EXPIRED
    after = await stage.gpr(gpr_id)
    assert (after.active_at, after.end_at) == (before.active_at, before.end_at)
    await stage.assert_nothing_left(workspace)


async def test_while_the_lease_runs_its_tokens_and_its_access_are_there(stage: Stage) -> None:
    workspace, gpr_id, lifecycle = await held(stage, nodes=2, gpus_per_node=3)
    tenancy = await stage.tenancy(workspace)
    nodes = [gpu.node for gpu in (await stage.gpr(gpr_id)).gpus]
    tokens = await asyncio.to_thread(read_tokens, stage.cluster, token_key(tenancy.tenant), nodes)
    assert sorted(tokens.values()) == [3, 3]
    fence = (await stage.gpr(gpr_id)).fence
    assert await asyncio.to_thread(anchors, stage.cluster, tenancy.namespaces[0]) == [fence]
    await lifecycle.signal(GprWorkflow.release, await end(stage, gpr_id, EndCause.EARLY_RELEASE))
    await lifecycle.result()
    assert await asyncio.to_thread(anchors, stage.cluster, tenancy.namespaces[0]) == []


async def test_the_next_gpr_of_an_exclusive_workspace_waits_until_the_first_is_torn_down(stage: Stage) -> None:
    workspace, gpr_id, lifecycle = await held(stage)
    second = await stage.a_granted_gpr(workspace)
    assert (await stage.gpr(second)).phase is Phase.QUEUED
    await lifecycle.signal(GprWorkflow.release, await end(stage, gpr_id, EndCause.EARLY_RELEASE))
    await lifecycle.result()
    await grant(stage.ledger, now())
    assert (await stage.gpr(second)).phase is Phase.PROVISIONING


async def held(stage: Stage, **changes: object):  # noqa: ANN201 - workspace, Gpr and lifecycle of a running lease
    """A day's lease that is active, its clock held still."""
    workspace = await stage.a_workspace()
    gpr_id = await stage.a_granted_gpr(workspace, duration_seconds=DAY, **changes)
    with stage.environment.with_time_skipping_disabled():
        lifecycle = await stage.start(gpr_id)
    while (await stage.gpr(gpr_id)).phase is not Phase.ACTIVE:
        await asyncio.sleep(0.05)
    return workspace, gpr_id, lifecycle


async def end(stage: Stage, gpr_id: UUID, cause: EndCause) -> Standing:
    """Decide in the ledger that it ends; nobody is told yet."""
    async with stage.ledger.transaction() as connection:
        standing, _ = await moves.end_for_user(connection, gpr_id, cause, now(), "somebody")
    return standing


async def deliveries(stage: Stage, gpr_id: UUID):  # noqa: ANN201 - instants
    async with stage.ledger.reading() as connection:
        return [
            notice.delivered_at for notice in await reading.notices_of_gpr(connection, gpr_id) if notice.delivered_at
        ]
