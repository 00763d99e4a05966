"""Workflows whose steps do nothing: what Temporal alone costs, on the same server and through the same sandbox."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.worker import Worker

with workflow.unsafe.imports_passed_through():
    from worker.parts import workflow_runner

TASK_QUEUE = "bench"
NOBODY = "bench-nobody"
"""A task queue that no worker polls."""
STEP_SECONDS_MAX = timedelta(seconds=60)


@dataclass(frozen=True)
class Stretch:
    """So many empty steps once told to go; then tell the next workflow, if there is one."""

    steps: int
    then: str = ""


@dataclass(frozen=True)
class Life:
    """A lease of this many seconds between the steps before and after it."""

    steps_before: int
    seconds: float
    steps_after: int


@workflow.defn(name="BenchNothing")
class Nothing:
    """Ends at once."""

    @workflow.run
    async def run(self) -> None:
        """Nothing."""


@workflow.defn(name="BenchStretch")
class StretchWorkflow:
    """A link of a chain of workflows that wake one another."""

    def __init__(self) -> None:
        self._told = False

    @workflow.run
    async def run(self, stretch: Stretch) -> None:
        """Wait, step by step, hand on."""
        await workflow.wait_condition(lambda: self._told)
        for _ in range(stretch.steps - 1):
            await _step("")
        await _step(stretch.then)

    @workflow.signal
    def go(self) -> None:
        """Begin."""
        self._told = True


@workflow.defn(name="BenchLife")
class LifeWorkflow:
    """The shape of a Gpr's lifecycle: its steps, its grant, its lease."""

    def __init__(self) -> None:
        self._told = False

    @workflow.run
    async def run(self, life: Life) -> None:
        """Load, be granted, provision, hold, tear down."""
        await _step("")
        await _step(workflow.info().workflow_id)
        await workflow.wait_condition(lambda: self._told)
        for _ in range(life.steps_before):
            await _step("")
        await asyncio.sleep(life.seconds)
        for _ in range(life.steps_after):
            await _step("")

    @workflow.signal
    def go(self) -> None:
        """Granted."""
        self._told = True


class Steps:
    """The one activity: empty, but for waking another workflow where one is named."""

    def __init__(self, client: Client) -> None:
        self._client = client

    @activity.defn(name="bench_step")
    async def step(self, wake: str) -> None:
        """Nothing, or a signal."""
        if wake:
            await self._client.get_workflow_handle(wake).signal(StretchWorkflow.go)


async def _step(wake: str) -> None:
    await workflow.execute_activity("bench_step", wake, start_to_close_timeout=STEP_SECONDS_MAX)


@asynccontextmanager
async def empty_worker(client: Client) -> AsyncIterator[None]:
    """Runs them in this process, with the product's runner and limits."""
    async with Worker(
        client,
        task_queue=TASK_QUEUE,
        workflows=[Nothing, StretchWorkflow, LifeWorkflow],
        activities=[Steps(client).step],
        workflow_runner=workflow_runner(),
        max_concurrent_workflow_tasks=100,
        max_concurrent_activities=50,
    ):
        yield
