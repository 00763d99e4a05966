"""Steps that take longer than the time between two heartbeats end as they would without them."""

import asyncio
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import uuid4

import pytest
import pytest_asyncio
from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from cli.stack.testing import Temporal
from delivery.temporal import TemporalAddress, TemporalDoor
from worker.interceptors import EveryActivity

BEAT_SECONDS = 0.05
STEP_SECONDS = 1.0
SILENCE_SECONDS_MAX = 0.5


@activity.defn(name="takes_its_time")
async def takes_its_time() -> str:
    await asyncio.sleep(STEP_SECONDS)
    return "done"


@activity.defn(name="takes_its_time_in_a_thread")
def takes_its_time_in_a_thread() -> str:
    time.sleep(STEP_SECONDS)
    return "done"


@workflow.defn(name="OneStep")
class OneStep:
    @workflow.run
    async def run(self, step: str) -> str:
        silence = timedelta(seconds=SILENCE_SECONDS_MAX)
        result: str = await workflow.execute_activity(
            step, heartbeat_timeout=silence, start_to_close_timeout=timedelta(seconds=10)
        )
        return result


@pytest_asyncio.fixture
async def client(temporal: Temporal) -> AsyncIterator[Client]:
    client = await TemporalDoor(TemporalAddress(temporal.address)).client()
    with ThreadPoolExecutor(2) as threads:
        async with Worker(
            client,
            task_queue="heartbeats",
            workflows=[OneStep],
            activities=[takes_its_time, takes_its_time_in_a_thread],
            activity_executor=threads,
            workflow_runner=UnsandboxedWorkflowRunner(),
            interceptors=[EveryActivity(BEAT_SECONDS)],
        ):
            yield client


@pytest.mark.parametrize("step", ["takes_its_time", "takes_its_time_in_a_thread"])
async def test_a_long_step_is_neither_given_up_nor_failed_by_its_heart(client: Client, step: str) -> None:
    handle = await client.start_workflow("OneStep", step, id=f"one-step/{uuid4()}", task_queue="heartbeats")
    assert await asyncio.wait_for(handle.result(), 10) == "done"
    history = await handle.fetch_history()
    started = [event for event in history.events if event.HasField("activity_task_started_event_attributes")]
    assert [event.activity_task_started_event_attributes.attempt for event in started] == [1]
