"""How fast Gprs are taken in: `python -m bench.submit`.

HTTP submits (EGS) on a whole stack against raw `start_workflow` of an empty workflow on the same Temporal server, in
turns, in one run. Twice: with Berth's core worker stopped and nobody polling the empty workflows, so that both only
take in; and with everything running, so that both also run what was taken in, on the same cores.
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
from tests.system.installation import running_installation

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Awaitable, Callable, Sequence

    from tests.system.installation import Installation

WORKSPACE = "submits"
CALLERS = (1, 10, 50)
ROUNDS = 2
"""Each kind has its turn this often, so that both meet the same weather."""


@dataclass(slots=True)
class Turns:
    """What one kind of start did, over its turns."""

    samples: Samples = field(default_factory=Samples)
    elapsed: float = 0.0

    @property
    def rate(self) -> float:
        """Starts per second."""
        return len(self.samples.seconds) / self.elapsed


def main() -> None:
    """With the workers stopped, then with everything running."""
    sizes = arguments(__doc__, starts=300)
    report = Report("submit", {"starts of each kind and number of callers": sizes.starts})
    with running_installation() as installation:
        report.begin(PostgreSQL="18, fsync on", Temporal="development server, SQLite file")
        installation.egs.create_workspace(WORKSPACE, "worker-1")
        installation.stack.stop(CORE)
        asyncio.run(_compare(report, installation, sizes, "only taken in (no workers)", NOBODY))
        installation.stack.start(CORE)
        asyncio.run(_with_worker(report, installation, sizes))
    report.end(sizes.json)


async def _with_worker(report: Report, installation: Installation, sizes: Namespace) -> None:
    client = await Client.connect(installation.stack.environment()["TEMPORAL_ADDRESS"])
    async with empty_worker(client):
        await _compare(report, installation, sizes, "taken in and run (all workers)", TASK_QUEUE)


async def _compare(report: Report, installation: Installation, sizes: Namespace, title: str, task_queue: str) -> None:
    client = await Client.connect(installation.stack.environment()["TEMPORAL_ADDRESS"])
    callers = [Caller(installation.url) for _ in range(max(CALLERS))]
    for caller in callers:
        await caller.login(installation.key)
        await _submit(caller)
    rows: list[list[Cell]] = []
    ratios = {}
    for count in CALLERS:
        raw, http = Turns(), Turns()
        for _ in range(ROUNDS):
            await _turn(raw, [partial(_start, client, task_queue)] * count, sizes.starts // ROUNDS)
            await _turn(http, [partial(_submit, caller) for caller in callers[:count]], sizes.starts // ROUNDS)
        rows += [_row("start_workflow", count, raw), _row("HTTP submit", count, http)]
        ratios[count] = http.rate / raw.rate
    for caller in callers:
        caller.close()
    report.table(title, ["", "callers", "per second", "p50 ms", "p99 ms"], rows)
    for count, ratio in ratios.items():
        report.ratio(f"{title}: HTTP submits per start_workflow, {count} callers", ratio, "at least 0.5")


async def _turn(turns: Turns, starts: Sequence[Callable[[], Awaitable[object]]], total: int) -> None:
    """Each caller starts one after the other; together so many."""
    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for start in starts:
            group.create_task(_caller(turns.samples, start, total // len(starts)))
    turns.elapsed += time.perf_counter() - began


async def _caller(samples: Samples, start: Callable[[], Awaitable[object]], times: int) -> None:
    for _ in range(times):
        await samples.time(start)


async def _start(client: Client, task_queue: str) -> None:
    await client.start_workflow(Nothing.run, id=f"bench/{uuid4()}", task_queue=task_queue)


async def _submit(caller: Caller) -> None:
    wish = {"gprName": "bench", "sliceName": WORKSPACE, "exitDuration": "1h", "numberOfGPUs": 1, "numberOfGPUNodes": 1}
    await caller.ask("POST", "/api/v1/gpr", wish)


def _row(kind: str, callers: int, turns: Turns) -> list[Cell]:
    return [kind, callers, turns.rate, milliseconds(turns.samples.p50), milliseconds(turns.samples.p99)]


if __name__ == "__main__":
    main()
