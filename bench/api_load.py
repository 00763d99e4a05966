"""The EGS API under load: `python -m bench.api_load`; a shorter form with `--quick`.

Each kind of call by 1, 10 and 100 callers at once, at several lengths of the queue. Beside it, in turns, in the same
run: the same statements without the API, raw `start_workflow` on the same Temporal server, and the client's own floor, a
server that only echoes. The API is one process, the callers live in this one. Temporal runs, workers do not: nobody
plans, and Temporal is given time to hear of the submits of a turn before the next one begins.
"""

from __future__ import annotations

import asyncio
import math
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING
from uuid import uuid4

from temporalio.client import Client

from bench._conditions import arguments
from bench._empty import NOBODY, Nothing
from bench._figures import Cell, Report, milliseconds
from bench._http import Caller
from bench._load import Bounds, Load
from bench._parts import durable_postgres, migrated, start_echo
from bench._town import CALLS, CREATE, READY, Town, drained, found
from cli.stack.guard import guarded
from cli.stack.testing import running_temporal

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterator, Sequence

    from cli.stack.postgres import Postgres
    from cli.stack.roster import Roster

ECHO, START = "echo, no API", "start_workflow"
CALLERS = (1, 10, 100)
SECONDS_MAX, SECONDS_MAX_QUICK = 2.0, 0.4
"""One turn of one kind of call, but for those that are under way then."""
DRAINS = 5
"""So many times as long Temporal has to hear of what was submitted, before the next turn."""
WARM_UP = Bounds(20, 1.0)


def main() -> None:
    """Kind by kind, each at every length of the queue in turn."""
    sizes = arguments(__doc__, nodes=100, queue=10_000, requests=300, quick=False)
    if sizes.quick:
        sizes.queue, sizes.requests = min(sizes.queue, 1_000), min(sizes.requests, 60)
    most = SECONDS_MAX_QUICK if sizes.quick else SECONDS_MAX
    words = f"{sizes.requests}, by 100 callers at least 10 each, within {most} s"
    report = Report("api_load", {"nodes of 8 GPUs": sizes.nodes, "requests of each kind": words})
    with guarded() as roster, durable_postgres(roster) as postgres, running_temporal() as temporal:
        report.begin(PostgreSQL="18, fsync on", Temporal="development server, SQLite")
        bench = Bench(report, sizes, Bounds(sizes.requests, most))
        asyncio.run(bench.run(roster, postgres, temporal.address))
    report.end(sizes.json)


@dataclass(slots=True)
class Bench:
    """One run."""

    report: Report
    sizes: Namespace
    bounds: Bounds
    towns: list[Town] = field(default_factory=list)
    starts: dict[int, Load] = field(default_factory=dict)
    echoes: dict[int, Load] = field(default_factory=dict)

    async def run(self, roster: Roster, postgres: Postgres, temporal: str) -> None:
        """Found the towns, load them, tell."""
        async with AsyncExitStack() as stack:
            for length in self.lengths():
                plain = await stack.enter_async_context(migrated(postgres))
                self.towns.append(await found(roster, plain, temporal, self.sizes.nodes, length))
                stack.push_async_callback(self.towns[-1].ledger.close)
            client = await Client.connect(temporal)
            echo = start_echo(roster)
            for town in self.towns:
                for kind in CALLS:
                    await Load().turn(town.calls(kind, 10), WARM_UP)
            for callers in CALLERS:
                await self._floors(client, echo, callers)
                for kind in (READY, *CALLS):
                    await self._kind(kind, callers)
        self._tell()

    def lengths(self) -> Sequence[int]:
        """Of the queues."""
        queue = self.sizes.queue
        return (0, queue) if self.sizes.quick else (0, queue // 10, queue)

    async def _floors(self, client: Client, echo: str, callers: int) -> None:
        talkers = [Caller(echo) for _ in range(callers)]
        self.echoes[callers] = Load()
        await self.echoes[callers].turn(
            [partial(talker.fetch, "GET", "/") for talker in talkers], self._bounds(callers)
        )
        for talker in talkers:
            talker.close()
        self.starts[callers] = Load()
        await self.starts[callers].turn([partial(_start, client)] * callers, self._bounds(callers))

    async def _kind(self, kind: str, callers: int) -> None:
        for town in self.towns:
            if kind in CALLS:
                raw = town.floor[kind, callers] = Load()
                await raw.turn(town.statements(kind, callers), self._bounds(callers))
            load = town.api[kind, callers] = Load()
            await load.turn(town.calls(kind, callers), self._bounds(callers), town.server)
            await drained(town, DRAINS * self.bounds.seconds)
            await town.withdraw_taken()

    def _bounds(self, callers: int) -> Bounds:
        return Bounds(max(self.bounds.requests, 10 * callers), self.bounds.seconds)

    def _tell(self) -> None:
        rows = [self._row(kind, callers) for kind in (READY, *CALLS) for callers in CALLERS]
        pairs = [f"{part} at {town.queued}" for town in self.towns for part in ("p50", "p99")]
        columns = ["ms", "callers", *pairs, "errors", "per s", "API CPU", "raw p50", "raw p99", "to raw", "to 0 queued"]
        self.report.table("EGS calls; raw: the same statements without the API", columns, rows)
        floors = [_floor_row(ECHO, count, load) for count, load in self.echoes.items()]
        floors += [_floor_row(START, count, load) for count, load in self.starts.items()]
        self.report.table("floors", ["ms", "callers", "p50", "p99", "errors", "per s", "client CPU"], floors)
        self._tell_errors()
        for callers in CALLERS:
            ratio = self.towns[-1].api[CREATE, callers].rate / self.starts[callers].rate
            self.report.ratio(
                f"create to start_workflow, answered per second, {callers} callers", ratio, "at least 0.5"
            )
        for callers in CALLERS:
            share = max(load.client_seconds / load.asked for load in self._loads(callers)) * 1000
            self.report.ratio(f"client's own processor time for a call, ms, at most, {callers} callers", share, "small")

    def _row(self, kind: str, callers: int) -> list[Cell]:
        loads = [town.api[kind, callers] for town in self.towns]
        full, cost = loads[-1], 1000 * sum(load.server_seconds for load in loads) / sum(load.asked for load in loads)
        row: list[Cell] = [kind, callers]
        row += [milliseconds(figure) for load in loads for figure in _percentiles(load)]
        row += [sum(load.errors.total() for load in loads), full.rate, cost]
        raw = self.towns[-1].floor.get((kind, callers))
        row += (
            ["", "", ""]
            if raw is None
            else [*map(milliseconds, _percentiles(raw)), _percentiles(full)[0] / _percentiles(raw)[0]]
        )
        return [*row, _percentiles(full)[0] / _percentiles(loads[0])[0]]

    def _tell_errors(self) -> None:
        kinds: list[list[Cell]] = [
            [f"{side} {kind}", callers, town.queued, name, number, load.asked]
            for town in self.towns
            for side, loads in (("API", town.api), ("raw", town.floor))
            for (kind, callers), load in loads.items()
            for name, number in load.errors.items()
        ]
        asked = sum(load.asked for callers in CALLERS for load in self._loads(callers))
        failed = sum(load.errors.total() for callers in CALLERS for load in self._loads(callers))
        if kinds:
            self.report.table("errors", ["", "callers", "queued", "kind", "number", "of"], kinds)
        self.report.ratio(f"errors in {asked} calls", failed, "none")

    def _loads(self, callers: int) -> Iterator[Load]:
        return (load for town in self.towns for (_, number), load in town.api.items() if number == callers)


async def _start(client: Client) -> None:
    await client.start_workflow(Nothing.run, id=f"bench/{uuid4()}", task_queue=NOBODY)


def _percentiles(load: Load) -> tuple[float, float]:
    return (load.samples.p50, load.samples.p99) if load.samples.seconds else (math.nan, math.nan)


def _floor_row(kind: str, callers: int, load: Load) -> list[Cell]:
    figures = [milliseconds(figure) for figure in _percentiles(load)]
    return [kind, callers, *figures, load.errors.total(), load.rate, 1000 * load.client_seconds / load.asked]


if __name__ == "__main__":
    main()
