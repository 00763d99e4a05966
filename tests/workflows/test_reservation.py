"""Keeping a reservation, in skipped time: what nobody uses goes back, what never starts is told, a series goes on."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal
from uuid import UUID

import pytest

from arbitration.keeping import keep
from arbitration.reservations import cancel
from clusters.capacity import write_tokens
from domain.gpr import EndCause, Phase
from domain.reservation import OccurrenceState
from ledger import lifecycle, reading
from tests.builders_clusters import a_pod, eventually
from tests.builders_reservations import a_reservation, a_wish, occurrences, policy, soon, the_reservation
from tests.workflows.disturbances import FOR_EVER, FailingStep, Recording
from tests.workflows.reservation_kit import begun, kept
from tests.workflows.stage import Stage
from workflows.reservation import ReservationWorkflow

if TYPE_CHECKING:
    from temporalio.testing import WorkflowEnvironment

    from clusters.connection import ClusterConnection
    from domain.history import Notice
    from ledger.connection import Ledger

DAY = timedelta(days=1)
ALL_STEPS = ["keep_reservation", "see_use"]


async def states(stage: Stage, reservation_id: UUID) -> list[OccurrenceState]:
    return [one.state for one in await occurrences(stage.ledger, reservation_id)]


async def notices(stage: Stage, gpr_id: UUID) -> list[Notice]:
    async with stage.ledger.reading() as connection:
        return [one for one in await reading.notices_of_gpr(connection, gpr_id) if one.delivered_at]


async def test_what_nobody_uses_is_given_back_after_the_grace_and_its_people_are_warned(stage: Stage) -> None:
    await policy(stage.ledger, grace_seconds=600)
    workspace, start = await stage.a_workspace(), soon(3600)
    reservation_id, gpr_id = await begun(stage, workspace, start, seconds=7200)
    await (await kept(stage, reservation_id)).result()
    assert await states(stage, reservation_id) == [OccurrenceState.UNUSED]
    gpr = await stage.gpr(gpr_id)
    assert gpr.end_cause == EndCause.UNUSED
    told = await notices(stage, gpr_id)
    assert [one.kind for one in told] == ["unused", "given_back"]
    assert told[0].due_at == start + timedelta(seconds=300)
    given_back_at = told[1].delivered_at
    assert given_back_at
    assert timedelta(seconds=600) <= given_back_at - start <= timedelta(seconds=660)


async def test_what_a_pod_came_to_is_kept_until_its_end(stage: Stage) -> None:
    await policy(stage.ledger, grace_seconds=600)
    workspace, start = await stage.a_workspace(), soon(3600)
    reservation_id, gpr_id = await begun(stage, workspace, start, seconds=7200)
    await a_pod_on_it(stage, workspace, gpr_id)
    keeper = await kept(stage, reservation_id)
    while not (await occurrences(stage.ledger, reservation_id))[0].used_at:
        await asyncio.sleep(0.05)
    assert (await stage.gpr(gpr_id)).phase is Phase.ACTIVE
    assert [one.kind for one in await notices(stage, gpr_id)] == []
    await keeper.terminate("the test is over")


async def test_without_a_grace_nothing_is_ever_given_back(stage: Stage) -> None:
    await policy(stage.ledger, grace_seconds=0)
    workspace, start = await stage.a_workspace(), soon(3600)
    reservation_id, gpr_id = await begun(stage, workspace, start)
    with stage.environment.with_time_skipping_disabled():
        keeper = await kept(stage, reservation_id)
    await asyncio.sleep(1)
    assert (await stage.gpr(gpr_id)).phase is Phase.ACTIVE
    await keeper.terminate("the test is over")


async def test_what_cannot_start_while_its_time_lasts_is_missed_and_told(stage: Stage) -> None:
    workspace, start = await stage.a_workspace(), soon(3600)
    reservation_id = await a_reservation(stage.ledger, workspace, a_wish(start))
    (one,) = await occurrences(stage.ledger, reservation_id)
    assert one.gpr_id
    await (await kept(stage, reservation_id)).result()
    assert await states(stage, reservation_id) == [OccurrenceState.MISSED]
    assert (await stage.gpr(one.gpr_id)).phase is Phase.CANCELLED
    assert [told.kind for told in await notices(stage, one.gpr_id)] == ["reservation_missed"]
    assert (await the_reservation(stage.ledger, reservation_id)).ended_at


async def test_the_times_of_a_series_are_placed_as_they_come_near(stage: Stage) -> None:
    await policy(stage.ledger, horizon_seconds=36 * 3600)
    workspace, start = await stage.a_workspace(), soon(3600)
    reservation_id = await a_reservation(stage.ledger, workspace, a_wish(start, seconds=60, rule="FREQ=DAILY;COUNT=5"))
    assert len(await occurrences(stage.ledger, reservation_id)) == 2
    await (await kept(stage, reservation_id)).result()
    found = await occurrences(stage.ledger, reservation_id)
    assert [one.starts_at for one in found] == [start + number * DAY for number in range(5)]
    assert {one.state for one in found} == {OccurrenceState.MISSED}


async def test_a_time_without_room_is_said_so_and_gets_it_when_there_is(stage: Stage) -> None:
    await policy(stage.ledger, horizon_seconds=36 * 3600)
    first, second, start = await stage.a_workspace(), await stage.a_workspace(), soon(3600)
    series = a_wish(start, seconds=60, rule="FREQ=DAILY;COUNT=3", gpus_per_node=8, nodes=2)
    reservation_id = await a_reservation(stage.ledger, first, series)
    rival = await a_reservation(stage.ledger, second, a_wish(start + 2 * DAY, seconds=60, gpus_per_node=8), start + DAY)
    await look(stage, reservation_id, start + DAY)
    assert (await states(stage, reservation_id))[2] is OccurrenceState.NO_ROOM
    assert "there is from" in (await occurrences(stage.ledger, reservation_id))[2].failure
    async with stage.ledger.transaction() as connection:
        await cancel(connection, rival, None, "somebody", start + DAY)
    await look(stage, reservation_id, start + DAY + timedelta(minutes=9))
    assert (await states(stage, reservation_id))[2] is OccurrenceState.NO_ROOM
    await look(stage, reservation_id, start + DAY + timedelta(minutes=11))
    assert (await states(stage, reservation_id))[2] is OccurrenceState.BOOKED


async def test_a_cancelled_series_looks_for_no_room_any_more(stage: Stage) -> None:
    await policy(stage.ledger, horizon_seconds=36 * 3600)
    first, second, start = await stage.a_workspace(), await stage.a_workspace(), soon(3600)
    series = a_wish(start, seconds=60, rule="FREQ=DAILY;COUNT=3", gpus_per_node=8, nodes=2)
    reservation_id = await a_reservation(stage.ledger, first, series)
    await a_reservation(stage.ledger, second, a_wish(start + 2 * DAY, seconds=60, gpus_per_node=8), start + DAY)
    await look(stage, reservation_id, start + DAY)
    async with stage.ledger.transaction() as connection:
        await cancel(connection, reservation_id, None, "somebody", start + DAY)
    await look(stage, reservation_id, start + DAY + timedelta(minutes=11))
    assert (await the_reservation(stage.ledger, reservation_id)).ended_at


async def test_a_cancelled_reservation_is_over_at_once(stage: Stage) -> None:
    workspace = await stage.a_workspace()
    reservation_id = await a_reservation(stage.ledger, workspace, a_wish(soon(3600), rule="FREQ=DAILY"))
    with stage.environment.with_time_skipping_disabled():
        keeper = await kept(stage, reservation_id)
    async with stage.ledger.transaction() as connection:
        await cancel(connection, reservation_id, None, "somebody", soon(0))
    await keeper.signal(ReservationWorkflow.changed)
    await keeper.result()
    assert set(await states(stage, reservation_id)) == {OccurrenceState.CANCELLED}


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", ALL_STEPS)
async def test_a_step_that_fails_once_or_runs_twice_changes_nothing(
    skipping: WorkflowEnvironment,
    ledger: Ledger,
    cluster: ClusterConnection,
    step: str,
    when: Literal["before", "after"],
) -> None:
    failing = FailingStep(step, when=when)
    async with Stage(skipping, ledger, cluster, interceptors=[failing]) as stage:
        assert await lived(stage) == ["unused", "given_back"]
    assert failing.failed == 1


async def test_a_look_at_the_ledger_is_tried_until_it_succeeds(
    skipping: WorkflowEnvironment, ledger: Ledger, cluster: ClusterConnection
) -> None:
    failing = FailingStep("keep_reservation", times=25)
    async with Stage(skipping, ledger, cluster, interceptors=[failing]) as stage:
        assert "given_back" in await lived(stage)
    assert failing.failed == 25


async def test_what_nobody_can_see_is_not_taken_away(
    skipping: WorkflowEnvironment, ledger: Ledger, cluster: ClusterConnection
) -> None:
    failing = FailingStep("see_use", times=FOR_EVER)
    async with Stage(skipping, ledger, cluster, interceptors=[failing]) as stage:
        await policy(ledger, grace_seconds=600)
        start = soon(3600)
        reservation_id, gpr_id = await begun(stage, await stage.a_workspace(), start)
        keeper = await kept(stage, reservation_id)
        while failing.failed < 60:
            await asyncio.sleep(0.05)
        assert (await stage.gpr(gpr_id)).phase is Phase.ACTIVE
        await keeper.terminate("the test is over")


async def test_a_lost_lifecycle_begins_anew_and_goes_on_from_the_ledger(stage: Stage) -> None:
    await policy(stage.ledger, grace_seconds=600)
    reservation_id, gpr_id = await begun(stage, await stage.a_workspace(), soon(3600))
    with stage.environment.with_time_skipping_disabled():
        await (await kept(stage, reservation_id)).terminate("lost")
    await (await kept(stage, reservation_id)).result()
    assert (await stage.gpr(gpr_id)).end_cause == EndCause.UNUSED


async def test_the_steps_above_are_all_the_steps_there_are(
    skipping: WorkflowEnvironment, ledger: Ledger, cluster: ClusterConnection
) -> None:
    recording = Recording("Reservation")
    async with Stage(skipping, ledger, cluster, interceptors=[recording]) as stage:
        await lived(stage)
    assert set(recording.steps) == set(ALL_STEPS)


async def lived(stage: Stage) -> list[str]:
    """What the people of an unused reservation were told."""
    await policy(stage.ledger, grace_seconds=600)
    reservation_id, gpr_id = await begun(stage, await stage.a_workspace(), soon(3600))
    await (await kept(stage, reservation_id)).result()
    return [one.kind for one in await notices(stage, gpr_id)]


async def look(stage: Stage, reservation_id: UUID, at: datetime) -> None:
    """What its keeper does at that instant."""
    await keep(stage.ledger, reservation_id, {}, at)


async def a_pod_on_it(stage: Stage, workspace: UUID, gpr_id: UUID) -> None:
    """A pod of the workspace runs on the lease's GPUs."""
    pods = f"/api/v1/namespaces/{(await stage.tenancy(workspace)).namespaces[0]}/pods"
    async with stage.ledger.reading() as connection:
        standing = await lifecycle.standing(connection, gpr_id)
    counts = {part.node: len(part.ordinals) for part in standing.gpus}
    await asyncio.to_thread(write_tokens, stage.cluster, standing.token, counts)
    await asyncio.to_thread(stage.cluster.create, pods, a_pod())

    def runs() -> bool:
        return any(pod["spec"].get("nodeName") for pod in stage.cluster.items(pods))

    assert await asyncio.to_thread(eventually, runs)
