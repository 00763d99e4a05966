"""The round of every minute over the samples: whatever fails in it, the rest is done, and the next round does it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal

import pytest
from temporalio.client import Client, ScheduleActionStartWorkflow, WorkflowFailureError

from domain.identifiers import SAMPLES_SCHEDULE_ID
from ledger.sample_upkeep import RAW
from tests.builders import now
from tests.ledger.sample_kit import buckets, fetched, gpu_ids, samples, written
from tests.workflows.disturbances import FOR_EVER, FailingStep, Recording
from tests.workflows.stage import Stage
from worker.schedules import ensure_samples_schedule
from workflows.samples import KeepSamplesWorkflow

if TYPE_CHECKING:
    from temporalio.testing import WorkflowEnvironment

    from cli.stack.testing import Temporal
    from clusters.connection import ClusterConnection
    from ledger.connection import Ledger
    from workflows.signatures.reconciling import Repairs

STEPS = ["roll_up_samples", "make_sample_partitions", "drop_sample_partitions"]
PARTITIONS = "select relname from pg_class where relname like 'gpu\\_sample\\_2%' and relkind = 'r'"


async def a_round(stage: Stage) -> Repairs:
    done: Repairs = await (await stage.start_workflow(KeepSamplesWorkflow.run, "", SAMPLES_SCHEDULE_ID)).result()
    return done


async def sampled(stage: Stage) -> datetime:
    """When a GPU was there that was sampled four days and twenty minutes before."""
    at = now()
    [gpu_id] = await gpu_ids(stage.ledger)
    for ago in (timedelta(days=4), timedelta(minutes=20)):
        await written(stage.ledger, samples(gpu_id, at - ago, 30, utilisation_percent=4))
    return at


async def is_rolled_up(stage: Stage) -> bool:
    made = await buckets(stage.ledger, 60)
    return sum(count for count, _ in made.values()) >= 30


async def is_partitioned(stage: Stage, at: datetime) -> bool:
    names = {row[0] for row in await fetched(stage.ledger, PARTITIONS)}
    return RAW.name(RAW.begin(at + timedelta(days=3))) in names


async def is_rid_of_what_is_old(stage: Stage, at: datetime) -> bool:
    names = {row[0] for row in await fetched(stage.ledger, PARTITIONS)}
    return RAW.name(RAW.begin(at - timedelta(days=4))) not in names


async def test_a_round_rolls_up_makes_partitions_and_drops_old_ones(stage: Stage) -> None:
    at = await sampled(stage)
    done = (await a_round(stage)).mended
    assert f"dropped {RAW.name(RAW.begin(at - timedelta(days=4)))}" in done
    assert await is_rolled_up(stage)
    assert await is_partitioned(stage, at)
    assert (await a_round(stage)).mended == []


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", STEPS)
async def test_a_step_that_fails_once_or_runs_twice_changes_nothing(
    skipping: WorkflowEnvironment,
    ledger: Ledger,
    cluster: ClusterConnection,
    step: str,
    when: Literal["before", "after"],
) -> None:
    failing = FailingStep(step, when=when)
    async with Stage(skipping, ledger, cluster, interceptors=[failing]) as stage:
        at = await sampled(stage)
        await a_round(stage)
        assert await is_rolled_up(stage)
        assert await is_partitioned(stage, at)
        assert await is_rid_of_what_is_old(stage, at)
    assert failing.failed == 1


@pytest.mark.parametrize("step", STEPS)
async def test_a_step_that_does_not_succeed_keeps_no_other_from_it(
    skipping: WorkflowEnvironment, ledger: Ledger, cluster: ClusterConnection, step: str
) -> None:
    failing = FailingStep(step, times=FOR_EVER)
    async with Stage(skipping, ledger, cluster, interceptors=[failing]) as stage:
        at = await sampled(stage)
        with pytest.raises(WorkflowFailureError):
            await a_round(stage)
        assert await is_rolled_up(stage) == (step != "roll_up_samples")
        assert await is_partitioned(stage, at) == (step != "make_sample_partitions")
        # what is not rolled up is not dropped yet, either
        assert await is_rid_of_what_is_old(stage, at) == (step == "make_sample_partitions")
        failing.times = 0
        await a_round(stage)
        assert await is_rolled_up(stage)
        assert await is_partitioned(stage, at)
        assert await is_rid_of_what_is_old(stage, at)


async def test_the_steps_above_are_all_the_steps_there_are(
    skipping: WorkflowEnvironment, ledger: Ledger, cluster: ClusterConnection
) -> None:
    recording = Recording("KeepSamples")
    async with Stage(skipping, ledger, cluster, interceptors=[recording]) as stage:
        await a_round(stage)
    assert recording.steps == STEPS


async def test_the_round_is_on_a_schedule_of_every_minute_made_once(temporal: Temporal) -> None:
    client = await Client.connect(temporal.address)
    for _ in range(2):
        await ensure_samples_schedule(client)
    handle = client.get_schedule_handle(SAMPLES_SCHEDULE_ID)
    try:
        schedule = (await handle.describe()).schedule
        assert isinstance(schedule.action, ScheduleActionStartWorkflow)
        assert (schedule.action.workflow, schedule.action.task_queue) == ("KeepSamples", "core")
        assert [interval.every for interval in schedule.spec.intervals] == [timedelta(minutes=1)]
    finally:
        await handle.delete()
