"""What a long queue costs: `python -m bench.size`.

A pass of the arbiter over 1,000 nodes, and the API's latency, at several lengths of the queue, beside raw SQL on the
same PostgreSQL in the same run. Requests take turns between the lengths, so that whatever else the machine does meets
all of them alike. One caller, one request at a time, and none before Temporal has heard of the last submit; Temporal
runs, workers do not.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

from arbitration.arbiter_pass import estimate, grant
from bench._conditions import arguments
from bench._figures import Cell, Report, Samples, milliseconds
from bench._http import Caller
from bench._parts import durable_postgres, migrated, start_api
from bench._watching import Parts, WatchedLedger
from bench._world import a_workspace_with_a_page, fill
from cli.stack.guard import guarded
from cli.stack.testing import running_temporal
from domain.gpr import EndCause
from ledger import lifecycle
from ledger.access import ensure_administrator, secret_hash
from ledger.gprs import NEWEST
from ledger.statements import load

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Awaitable, Callable

    from cli.stack.postgres import Postgres
    from cli.stack.roster import Roster
    from ledger.connection import Connection, Ledger

PAGE, SUBMISSIONS = "page", "submissions"
WARM_UP = 20
LOOK_SECONDS = 0.005
LOGIN, CREATE, LIST, SHOW = "EGS login", "EGS GPR create", "EGS GPR list, 100 rows", "native GPR show"
STEPS = (LOGIN, LIST, SHOW, CREATE)

UNDELIVERED = "select count(*) from outbox where delivered_at is null"
RUNNING = "select id, fence from gpr where phase = 'active' order by fence limit 1"
COPY_OF_A_ROW = """
insert into gpr (id, external_id, workspace_id, submitted_by, name, nodes, gpus_per_node, duration_seconds, priority, exclusive,
                 requeue_on_failure, options, phase, submitted_at, finished_at)
select $1, $1::uuid::text, workspace_id, submitted_by, name, nodes, gpus_per_node, duration_seconds, priority, exclusive,
       requeue_on_failure, options, 'cancelled', submitted_at, submitted_at from gpr where id = $2
"""
A_ROW = "select id from gpr where workspace_id = (select id from workspace where name = $1) order by sequence limit 1"
READ_QUEUE = "select * from gpr where phase = 'queued' order by sequence"
READ_HELD = "select * from lease_gpu where released_at is null"
WRITE_QUEUE = "update gpr set position = coalesce(position, 0) + 1 where phase = 'queued'"


@dataclass(slots=True)
class Town:
    """One ledger with a queue of this length, and an API process on it."""

    queued: int
    ledger: Ledger
    caller: Caller
    key: str
    row: UUID
    workspace: UUID
    api: dict[str, Samples] = field(default_factory=lambda: {step: Samples() for step in STEPS})
    floor: dict[str, Samples] = field(default_factory=lambda: {step: Samples() for step in STEPS})


def main() -> None:
    """Pass by pass, then request by request."""
    sizes = arguments(__doc__, nodes=1000, queue=10_000, requests=300, events=5)
    report = Report("size", {"nodes of 8 GPUs": sizes.nodes, "requests of each kind": sizes.requests})
    with guarded() as roster, durable_postgres(roster) as postgres, running_temporal() as temporal:
        report.begin(PostgreSQL="18, fsync on", Temporal="development server, SQLite")
        lengths = [length for length in (100, 1_000, 10_000) if length < sizes.queue] + [sizes.queue]
        for length in lengths:
            asyncio.run(_passes(report, postgres, sizes, length))
        asyncio.run(_latencies(report, roster, postgres, temporal.address, sizes))
    report.end(sizes.json)


# --- passes -----------------------------------------------------------------------------------------------------------


async def _passes(report: Report, postgres: Postgres, sizes: Namespace, queue: int) -> None:
    async with migrated(postgres) as plain:
        await fill(plain, nodes=sizes.nodes, queue=queue, now=datetime.now(UTC))
        ledger = WatchedLedger(plain.url)
        await ledger.ping()
        floors = await _pass_floors(plain)
        first = [await _part(ledger, grant), await _part(ledger, estimate)]
        later = [await _after_one_event(ledger) for _ in range(sizes.events)]
        await ledger.close()
    rows: list[list[Cell]] = [
        _row("first pass: grants", first[0]),
        _row("first pass: estimates", first[1]),
        _row(f"after one event: grants (median of {sizes.events})", _median([pair[0] for pair in later])),
        _row(f"after one event: estimates (median of {sizes.events})", _median([pair[1] for pair in later])),
        ["raw SQL: select queue and held GPUs, update queue", floors[0], "", floors[1], sum(floors)],
    ]
    report.table(f"pass, {queue} queued, ms", ["", "read", "plan", "write, commit", "whole"], rows)
    grants, estimates = _median([pair[0] for pair in later]), _median([pair[1] for pair in later])
    report.ratio(f"{queue} queued: read of a pass to raw select", milliseconds(grants.reading) / floors[0], "above 1")
    report.ratio(
        f"{queue} queued: write of estimates to raw update", milliseconds(estimates.writing) / floors[1], "near 1"
    )
    report.ratio(f"{queue} queued: grants after one event, seconds", grants.whole, "wanted 0.05 on an idle core")


async def _part(ledger: WatchedLedger, step: Callable[[Ledger, datetime], Awaitable[object]]) -> Parts:
    began = time.perf_counter()
    await step(ledger, datetime.now(UTC))
    return ledger.parts(began, time.perf_counter())


async def _after_one_event(ledger: WatchedLedger) -> tuple[Parts, Parts]:
    """One lease ends; then what the arbiter does."""
    now = datetime.now(UTC)
    async with ledger.transaction() as connection:
        running = await connection.fetchrow(RUNNING)
        assert running is not None
        await lifecycle.begin_release(connection, running["id"], EndCause.EARLY_RELEASE, now)
        await lifecycle.finish_release(connection, running["id"], running["fence"], [], now)
    return await _part(ledger, grant), await _part(ledger, estimate)


async def _pass_floors(ledger: Ledger) -> tuple[float, float]:
    async with ledger.transaction() as connection:
        began = time.perf_counter()
        await connection.fetch(READ_QUEUE)
        await connection.fetch(READ_HELD)
        read = time.perf_counter()
        await connection.execute(WRITE_QUEUE)
        return milliseconds(read - began), milliseconds(time.perf_counter() - read)


def _median(parts: list[Parts]) -> Parts:
    return sorted(parts, key=lambda part: part.whole)[len(parts) // 2]


def _row(name: str, parts: Parts) -> list[Cell]:
    return [name, *(milliseconds(part) for part in (parts.reading, parts.planning, parts.writing, parts.whole))]


# --- latencies --------------------------------------------------------------------------------------------------------


async def _latencies(report: Report, roster: Roster, postgres: Postgres, temporal: str, sizes: Namespace) -> None:
    async with AsyncExitStack() as stack:
        towns = []
        for length in (0, sizes.queue // 10, sizes.queue):
            ledger = await stack.enter_async_context(migrated(postgres))
            towns.append(await _founded(roster, ledger, temporal, sizes.nodes, length))
            stack.callback(towns[-1].caller.close)
        raw = [await stack.enter_async_context(town.ledger.reading()) for town in towns]
        for _ in range(WARM_UP):
            await _round(towns, raw)
        for town in towns:
            town.api, town.floor = ({step: Samples() for step in STEPS} for _ in range(2))
        for _ in range(sizes.requests):
            await _round(towns, raw)
    _tell(report, towns)


async def _founded(roster: Roster, ledger: Ledger, temporal: str, nodes: int, queue: int) -> Town:
    crowd = await fill(ledger, nodes=nodes, queue=queue, now=datetime.now(UTC))
    await a_workspace_with_a_page(ledger, crowd, PAGE)
    await a_workspace_with_a_page(ledger, crowd, SUBMISSIONS)
    await estimate(ledger, datetime.now(UTC))
    key = await ensure_administrator(ledger, datetime.now(UTC))
    assert key is not None
    caller = Caller(start_api(roster, f"api-{queue}", ledger.url, temporal))
    await caller.login(key)
    async with ledger.reading() as connection:
        row = await connection.fetchval(A_ROW, PAGE)
        workspace = await connection.fetchval("select workspace_id from gpr where id = $1", row)
    return Town(queue, ledger, caller, key, row, workspace)


async def _round(towns: list[Town], raw: list[Connection]) -> None:
    for town, connection in zip(towns, raw, strict=True):
        requests, statements = _requests(town), _statements(town, connection)
        for step in STEPS:
            await town.floor[step].time(statements[step])
            await town.api[step].time(requests[step])
        while await connection.fetchval(UNDELIVERED):  # noqa: ASYNC110 - a database sends no event
            await asyncio.sleep(LOOK_SECONDS)


def _requests(town: Town) -> dict[str, Callable[[], Awaitable[object]]]:
    caller, wish = town.caller, {"gprName": "bench", "sliceName": SUBMISSIONS, "exitDuration": "1h", "numberOfGPUs": 1}
    return {
        LOGIN: lambda: caller.login(town.key),
        CREATE: lambda: caller.ask("POST", "/api/v1/gpr", wish),
        LIST: lambda: caller.ask("GET", f"/api/v1/gpr/list?sliceName={PAGE}"),
        SHOW: lambda: caller.ask("GET", f"/berth/v1/gprs/{town.row}"),
    }


def _statements(town: Town, connection: Connection) -> dict[str, Callable[[], Awaitable[object]]]:
    gprs, access = load("gprs"), load("access")
    return {
        LOGIN: lambda: connection.fetchrow(access["key_by_secret"], secret_hash(town.key)),
        CREATE: lambda: connection.execute(COPY_OF_A_ROW, uuid4(), town.row),
        LIST: lambda: connection.fetch(gprs["page_of_workspace"], town.workspace, NEWEST, 100),
        SHOW: lambda: connection.fetchrow(gprs["one"], town.row),
    }


def _tell(report: Report, towns: list[Town]) -> None:
    columns = ["", "queued", "API p50", "API p99", "raw SQL p50", "raw SQL p99"]
    rows: list[list[Cell]] = [
        [step, town.queued, *_shown(town.api[step]), *_shown(town.floor[step])] for step in STEPS for town in towns
    ]
    report.table("API latency, ms", columns, rows)
    empty, full = towns[0], towns[-1]
    for step in STEPS:
        with_queue, without, floor = full.api[step], empty.api[step], full.floor[step]
        report.ratio(f"{step}: p50 at {full.queued} queued to p50 at 0", with_queue.p50 / without.p50, "flat is 1")
        report.ratio(f"{step}: p99 at {full.queued} queued to p99 at 0", with_queue.p99 / without.p99, "flat is 1")
        report.ratio(f"{step}: p50 to that of raw SQL, {full.queued} queued", with_queue.p50 / floor.p50, "above 1")


def _shown(samples: Samples) -> list[float]:
    return [milliseconds(samples.p50), milliseconds(samples.p99)]


if __name__ == "__main__":
    main()
