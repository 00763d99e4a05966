"""How fast Gprs are taken in: `python -m bench.submit`.

HTTP submits (EGS) on a whole stack against raw `start_workflow` of an empty workflow on the same Temporal server, in
turns, in one run. A submit is durable when it is answered, and reaches Temporal a moment later: both rates are told,
and no turn begins before the one before is through. Twice: with everything running, so that both are through when
their first steps are done: the empty workflow has ended, the Gpr stands in the queue; and with Berth's core worker
stopped and nobody polling the empty workflows, so that both are through when Temporal has them.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING
from uuid import uuid4

from temporalio.client import Client

from bench._conditions import arguments
from bench._empty import NOBODY, TASK_QUEUE, Nothing, empty_worker
from bench._figures import Cell, Report, Samples, milliseconds
from bench._http import Caller
from cli.stack.own import CORE
from ledger.connection import Ledger
from tests.system.installation import running_installation

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Awaitable, Callable, Sequence

    from tests.system.installation import Installation

WORKSPACE = "submits"
CALLERS = (1, 10, 50)
ROUNDS = 3
"""Each kind has its turn this often, so that both meet the same weather."""
LOOK_SECONDS = 0.05
THROUGH_SECONDS_MAX = 180.0
UNDELIVERED = "select count(*) from outbox where delivered_at is null"
EMPTY_RUNNING = "WorkflowType = 'BenchNothing' and ExecutionStatus = 'Running' and TaskQueue = 'bench'"
LIVING = "WorkflowType = 'Gpr' and BerthPhase in ('queued', 'provisioning', 'active')"


@dataclass(slots=True)
class Turns:
    """What one kind of start did, over its turns."""

    samples: Samples = field(default_factory=Samples)
    answering: float = 0.0
    going_through: float = 0.0

    @property
    def answered(self) -> float:
        """Starts that were answered, per second."""
        return len(self.samples.seconds) / self.answering

    @property
    def through(self) -> float:
        """Starts that were through, per second."""
        return len(self.samples.seconds) / self.going_through


@dataclass(slots=True)
class Side:
    """One of the two that are compared: how each caller starts something, and what is true once all of it is through."""

    starts: Sequence[Callable[[], Awaitable[object]]]
    is_through: Callable[[], Awaitable[bool]]


@dataclass(slots=True)
class Bench:
    """The stack and the ways into it."""

    installation: Installation
    client: Client
    callers: list[Caller]
    ledger: Ledger
    starts: int
    submitted: int = 0

    async def start(self, task_queue: str) -> None:
        """A raw start."""
        await self.client.start_workflow(Nothing.run, id=f"bench/{uuid4()}", task_queue=task_queue)

    async def submit(self, caller: Caller) -> None:
        """A submit by HTTP."""
        self.submitted += 1
        wish = {"gprName": "bench", "sliceName": WORKSPACE, "exitDuration": "1h", "numberOfGPUs": 1}
        await caller.ask("POST", "/api/v1/gpr", wish)

    async def at_once(self) -> bool:
        """Nothing is to be waited for."""
        return True

    async def have_ended(self) -> bool:
        """No empty workflow runs."""
        return (await self.client.count_workflows(EMPTY_RUNNING)).count == 0

    async def are_delivered(self) -> bool:
        """Temporal has heard everything."""
        async with self.ledger.reading() as connection:
            return not await connection.fetchval(UNDELIVERED)

    async def stand_in_queue(self) -> bool:
        """Every lifecycle has taken its first steps."""
        return await self.are_delivered() and (await self.client.count_workflows(LIVING)).count >= self.submitted


def main() -> None:
    """With everything running, then with the workers stopped."""
    sizes = arguments(__doc__, starts=300, starts_and_runs=60)
    words = f"{sizes.starts} with the workers stopped, {sizes.starts_and_runs} with everything running"
    report = Report("submit", {"starts of each kind and number of callers, at least": words})
    with running_installation() as installation:
        report.begin(PostgreSQL="18, fsync on", Temporal="development server, SQLite file")
        installation.egs.create_workspace(WORKSPACE, "worker-1")
        asyncio.run(_measure(report, installation, sizes))
    report.end(sizes.json)


async def _measure(report: Report, installation: Installation, sizes: Namespace) -> None:
    environment = installation.stack.environment()
    client = await Client.connect(environment["TEMPORAL_ADDRESS"])
    callers = [Caller(installation.url) for _ in range(max(CALLERS))]
    bench = Bench(installation, client, callers, Ledger(environment["DATABASE_URL"]), sizes.starts_and_runs)
    for caller in callers:
        await caller.login(installation.key)
    async with empty_worker(client):
        await _compare(report, bench, "everything running", TASK_QUEUE)
    await asyncio.to_thread(installation.stack.stop, CORE)
    bench.starts = sizes.starts
    await _compare(report, bench, "workers stopped", NOBODY)
    for caller in callers:
        caller.close()
    await bench.ledger.close()


async def _compare(report: Report, bench: Bench, title: str, task_queue: str) -> None:
    running = task_queue != NOBODY
    rows: list[list[Cell]] = []
    ratios: dict[str, float] = {}
    for count in CALLERS:
        raw, http = Turns(), Turns()
        starts = [partial(bench.start, task_queue)] * count
        submits = [partial(bench.submit, caller) for caller in bench.callers[:count]]
        for _ in range(ROUNDS):
            await _turn(raw, Side(starts, bench.have_ended if running else bench.at_once), bench.starts // ROUNDS)
            await _turn(
                http, Side(submits, bench.stand_in_queue if running else bench.are_delivered), bench.starts // ROUNDS
            )
        rows += [_row("start_workflow", count, raw), _row("HTTP submit", count, http)]
        ratios[f"{title}, {count} callers: HTTP to durable / start_workflow"] = http.answered / raw.answered
        ratios[f"{title}, {count} callers: the same until through"] = http.through / raw.through
    report.table(title, ["", "callers", "answered/s", "p50 ms", "p99 ms", "through/s"], rows)
    for claim, ratio in ratios.items():
        report.ratio(claim, ratio, "at least 0.5")


async def _turn(turns: Turns, side: Side, total: int) -> None:
    """Each caller starts one after the other; together so many."""
    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for start in side.starts:
            group.create_task(_caller(turns.samples, start, -(-total // len(side.starts))))
    turns.answering += time.perf_counter() - began
    await _through(side.is_through)
    turns.going_through += time.perf_counter() - began


async def _caller(samples: Samples, start: Callable[[], Awaitable[object]], times: int) -> None:
    for _ in range(times):
        await samples.time(start)


async def _through(is_through: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(THROUGH_SECONDS_MAX):
        while not await is_through():  # noqa: ASYNC110 - Temporal and the database send no event
            await asyncio.sleep(LOOK_SECONDS)


def _row(kind: str, callers: int, turns: Turns) -> list[Cell]:
    samples = turns.samples
    return [kind, callers, turns.answered, milliseconds(samples.p50), milliseconds(samples.p99), turns.through]


if __name__ == "__main__":
    main()
