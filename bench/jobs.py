"""Jobs under load: `python -m bench.jobs`; a shorter form with `--quick`.

In three parts, each with its floor in the same run. Lists, details and submits on ledgers with 1,000 and 10,000 jobs,
beside the same statements without the API and raw `start_workflow`; Temporal runs, workers do not. One pod's log told
to 100 readers, by a cluster that does nothing but speak, beside the pod's log itself. And a batch of 500 jobs over 64
GPUs on a whole stack, while 100 logs are followed and a deletion hangs: in which order they start, what is left of them,
and how `/health` answers meanwhile; then how soon the API tells what happens to a pod. `--batch-only` is that alone. With
`--api-first` (root) the API and an echo server beside it, and who asks them, need not wait for a core: what else runs
on this machine, three control planes among it, is elsewhere in a real installation. `--voices 1`: all pods speak in the
same moment, once a second, instead of in sixteen groups.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING
from uuid import uuid4

from temporalio.client import Client

from bench._batch import play
from bench._conditions import arguments
from bench._empty import NOBODY, Nothing
from bench._fan_out import Place, fan_out, start_speaker
from bench._figures import Cell, Report, milliseconds
from bench._job_world import CLUSTER, PAGES, READS, SUBMIT, JobTown, found
from bench._load import Bounds, Load
from bench._parts import durable_postgres, migrated, start_echo
from cli.stack.guard import guarded
from cli.stack.testing import running_temporal
from tests.system.installation import running_installation

if TYPE_CHECKING:
    from argparse import Namespace

    from cli.stack.postgres import Postgres
    from cli.stack.roster import Roster

CALLERS = 10
ORIGINAL_RATE, ORIGINAL_MS, ORIGINAL_PAGE_MS = 44.0, 221.0, 548.0
"""Of the gpuctl that others run, at 10 callers, as issue 5 has them: submits a second, their p50, a page of 500 jobs."""
SECONDS_MAX, SECONDS_MAX_QUICK = 3.0, 0.7
DRAIN_SECONDS_MAX = 20.0
LOOK_SECONDS = 0.05
WARM_UP = Bounds(20, 1.0)


def main() -> None:
    """Part by part."""
    sizes = arguments(
        __doc__,
        jobs=10_000,
        batch=500,
        gpus=64,
        readers=100,
        voices=16,
        requests=200,
        seconds=10,
        flips=40,
        quick=False,
        batch_only=False,
        api_first=False,
    )
    if sizes.quick:
        sizes.jobs, sizes.batch, sizes.gpus = min(sizes.jobs, 2_000), min(sizes.batch, 48), min(sizes.gpus, 16)
        sizes.requests, sizes.seconds, sizes.flips = (
            min(sizes.requests, 40),
            min(sizes.seconds, 3),
            min(sizes.flips, 10),
        )
    words = f"{sizes.batch} jobs of 1 GPU over {sizes.gpus}, {sizes.readers} readers"
    report = Report("jobs", {"jobs in the list": f"{sizes.jobs // 10} and {sizes.jobs}", "batch": words})
    report.begin(PostgreSQL="18, fsync on", Temporal="development server, SQLite", Kubernetes="1.36.3, kwok nodes")
    if not sizes.batch_only:
        with guarded() as roster, durable_postgres(roster) as postgres, running_temporal() as temporal:
            asyncio.run(_small_parts(report, roster, postgres, temporal.address, sizes))
    with guarded() as roster, running_installation() as installation:
        asyncio.run(play(report, installation, roster, sizes))
    report.end(sizes.json)


async def _small_parts(report: Report, roster: Roster, postgres: Postgres, temporal: str, sizes: Namespace) -> None:
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="berth-bench-")))
        speaker, kubeconfig = start_speaker(roster, folder)
        towns = []
        for length in (sizes.jobs // 10, sizes.jobs):
            plain = await stack.enter_async_context(migrated(postgres))
            reach = {"BERTH_KUBECONFIGS": f"{CLUSTER}={kubeconfig}"}
            towns.append(await found(roster, plain, temporal, length, CALLERS, **reach))
            stack.push_async_callback(towns[-1].ledger.close)
        client = await Client.connect(temporal)
        await _reads(report, towns, sizes)
        await _submits(report, towns, client, sizes)
        await fan_out(report, Place(towns[0], speaker, start_echo(roster), sizes.readers, sizes.seconds))


# --- lists and details ------------------------------------------------------------------------------------------------


async def _reads(report: Report, towns: list[JobTown], sizes: Namespace) -> None:
    for callers in (1, CALLERS):
        for kind in READS:
            for town in towns:
                await Load().turn(town.calls(kind, callers), WARM_UP)
                town.floor[kind], town.api[kind] = Load(), Load()
                await town.floor[kind].turn(town.statements(kind, callers), _bounds(sizes))
                await town.api[kind].turn(town.calls(kind, callers), _bounds(sizes), town.server)
        _tell_reads(report, towns, callers)


def _tell_reads(report: Report, towns: list[JobTown], callers: int) -> None:
    columns = ["ms", "jobs", "API p50", "API p99", "raw p50", "raw p99", "errors", "per s", "API CPU"]
    rows: list[list[Cell]] = [_read_row(kind, town) for kind in READS for town in towns]
    report.table(f"reads by {callers} callers; raw: the same statements without the API", columns, rows)
    small, large = towns
    for kind in READS:
        p50 = large.api[kind].samples.p50
        claim = f"{kind}, {callers} callers: p50 at {large.jobs} jobs"
        report.ratio(f"{claim} to {small.jobs}", p50 / small.api[kind].samples.p50, "flat is 1")
        report.ratio(f"{claim} to raw SQL", p50 / large.floor[kind].samples.p50, "above 1")
    if callers == 1:
        page = milliseconds(large.api[PAGES].samples.p50)
        report.ratio(
            f"500 jobs of {large.jobs} to the original's {ORIGINAL_PAGE_MS:.0f} ms", page / ORIGINAL_PAGE_MS, "under 1"
        )


def _read_row(kind: str, town: JobTown) -> list[Cell]:
    api, raw = town.api[kind], town.floor[kind]
    figures = [milliseconds(figure) for load in (api, raw) for figure in (load.samples.p50, load.samples.p99)]
    return [kind, town.jobs, *figures, api.errors.total(), api.rate, 1000 * api.server_seconds / api.asked]


# --- submits ----------------------------------------------------------------------------------------------------------


async def _submits(report: Report, towns: list[JobTown], client: Client, sizes: Namespace) -> None:
    starts = Load()
    await starts.turn([partial(_start, client)] * CALLERS, _bounds(sizes))
    rows: list[list[Cell]] = [_submit_row("start_workflow", "", starts)]
    for town in towns:
        raw, api = Load(), Load()
        await raw.turn(town.statements(SUBMIT, CALLERS), _bounds(sizes))
        await api.turn(town.calls(SUBMIT, CALLERS), _bounds(sizes), town.server)
        await _heard(town)
        await town.withdraw_taken()
        rows += [_submit_row("raw SQL", town.jobs, raw), _submit_row("POST /jobs", town.jobs, api)]
    report.table(f"submits by {CALLERS} callers", ["", "jobs", "per s", "p50 ms", "p99 ms", "errors"], rows)
    report.ratio("submits a second to start_workflow", api.rate / starts.rate, "at least 0.5")
    report.ratio(f"submits a second to the original's {ORIGINAL_RATE:.0f}", api.rate / ORIGINAL_RATE, "above 1")
    report.ratio(f"p50 to the original's {ORIGINAL_MS:.0f} ms", milliseconds(api.samples.p50) / ORIGINAL_MS, "under 1")


async def _start(client: Client) -> None:
    await client.start_workflow(Nothing.run, id=f"bench/{uuid4()}", task_queue=NOBODY)


async def _heard(town: JobTown) -> None:
    """Temporal has heard of what was submitted, or had time enough to."""
    for _ in range(int(DRAIN_SECONDS_MAX / LOOK_SECONDS)):
        if not await town.undelivered():
            return
        await asyncio.sleep(LOOK_SECONDS)


def _submit_row(kind: str, jobs: int | str, load: Load) -> list[Cell]:
    p50, p99 = milliseconds(load.samples.p50), milliseconds(load.samples.p99)
    return [kind, jobs, load.rate, p50, p99, load.errors.total()]


def _bounds(sizes: Namespace) -> Bounds:
    return Bounds(sizes.requests, SECONDS_MAX_QUICK if sizes.quick else SECONDS_MAX)


if __name__ == "__main__":
    main()
