"""What samples of GPUs cost: `python -m bench.samples`.

Inserting through `write_samples` against a bare COPY of the same rows into a table of the same columns without indexes,
in turns, in one run: as an agent sends them (one node's 30 s in a transaction), and thousands at once. Then the roll-up of
what was written, the size of a row of each step with its indexes, and from these what 10,000 GPUs take that are read
every ten seconds: share of what this server does in that time, size of a GPU-year, size of all that is kept.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from bench._conditions import arguments
from bench._figures import Cell, Report
from bench._parts import durable_postgres, migrated
from cli.stack.guard import guarded
from domain.devices import SLOT_SECONDS, GpuIdentity, GpuSample, slot
from ledger import sample_upkeep, telemetry
from ledger.sample_upkeep import HOUR, HOURS, MINUTE, MINUTES, QUARTER, QUARTERS, RAW, Kept

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterator, Sequence

    from cli.stack.postgres import Postgres
    from ledger.connection import Ledger

GPUS_PER_NODE = 8
SEND_SECONDS = 30
ROUNDS = 3
LARGE = 5000
PAPER_GPUS = 10_000
DAY_SECONDS = 86_400
MIB = 1024 * 1024
GIB = 1024 * MIB
BARE = """create table if not exists bare (at timestamptz not null, gpu_id integer not null, utilisation_percent smallint,
          memory_percent smallint, temperature_celsius smallint, memory_used_mib integer, power_watts real,
          processes smallint)"""
SIZES = """select c.relname, pg_total_relation_size(c.oid) as bytes, pg_relation_size(c.oid) as heap
           from pg_class c where c.relkind = 'r' and c.relname ~ '^(gpu_sample|gpu_rollup)_' and c.relispartition"""
COUNTS = """select 0 as step, count(*) as rows from gpu_sample
            union all select step_seconds, count(*) from gpu_rollup group by step_seconds"""
Batches = list[list[GpuSample]]


@dataclass(slots=True)
class Turns:
    """Rows written by one way, and how long it took."""

    rows: int = 0
    seconds: float = 0.0

    @property
    def rate(self) -> float:
        """Rows per second."""
        return self.rows / self.seconds


def main() -> None:
    """Insert, roll up, weigh."""
    sizes = arguments(__doc__, gpus=1000, minutes=75)
    report = Report("samples", {"GPUs": sizes.gpus, "minutes of samples": sizes.minutes})
    with guarded() as roster, durable_postgres(roster) as postgres:
        report.begin(PostgreSQL="18, fsync on, settings of the local stack")
        asyncio.run(_measure(report, postgres, sizes))
    report.end(sizes.json)


async def _measure(report: Report, postgres: Postgres, sizes: Namespace) -> None:
    async with migrated(postgres) as ledger:
        begin = slot(datetime.now(UTC) - timedelta(hours=3), HOUR)
        ids = await _gpus(ledger, sizes.gpus)
        async with ledger.transaction() as connection:
            await connection.execute(BARE)
        small = await _insert(report, ledger, ids, begin, sizes.minutes)
        roll = await _roll(report, ledger, begin, sizes)
        weights = await _weigh(report, ledger)
        _on_paper(report, small, roll, weights)


async def _gpus(ledger: Ledger, many: int) -> list[int]:
    ids: list[int] = []
    async with ledger.transaction() as connection:
        for node in range(-(-many // GPUS_PER_NODE)):
            gpus = [GpuIdentity(f"GPU-{node}-{place}", place, "H100", 81_559) for place in range(GPUS_PER_NODE)]
            ids += (await telemetry.write_gpus(connection, "c", f"n{node}", gpus, datetime.now(UTC))).values()
    return ids[:many]


# --- inserting --------------------------------------------------------------------------------------------------------


async def _insert(report: Report, ledger: Ledger, ids: Sequence[int], begin: datetime, minutes: int) -> Turns:
    """The rate of batches as agents send them."""
    windows = minutes * 60 // SEND_SECONDS
    kinds = {name: Turns() for name in ("write_samples, a node", "bare COPY, a node", "write_samples", "bare COPY")}
    large_from = windows // 2
    for window in range(windows):
        batches = list(_of_nodes(ids, begin + timedelta(seconds=window * SEND_SECONDS)))
        if window >= large_from:
            batches = list(_joined(batches))
        suffix = "" if window >= large_from else ", a node"
        for name, write in ((f"write_samples{suffix}", _written), (f"bare COPY{suffix}", _bare)):
            began = time.perf_counter()
            for batch in batches:
                await write(ledger, batch)
            kinds[name].seconds += time.perf_counter() - began
            kinds[name].rows += sum(map(len, batches))
    rows: list[list[Cell]] = [[name, turns.rows, turns.rate] for name, turns in kinds.items()]
    report.table("rows inserted by one connection, each batch a transaction", ["", "rows", "rows/s"], rows)
    for suffix, words in ((", a node", f"{GPUS_PER_NODE * SEND_SECONDS // SLOT_SECONDS} rows"), ("", f"{LARGE} rows")):
        ratio = kinds[f"write_samples{suffix}"].rate / kinds[f"bare COPY{suffix}"].rate
        report.ratio(f"write_samples / bare COPY, {words} at once", ratio, "told, not asked for")
    return kinds["write_samples, a node"]


def _of_nodes(ids: Sequence[int], begin: datetime) -> Iterator[list[GpuSample]]:
    """What each node sends of one window."""
    for first in range(0, len(ids), GPUS_PER_NODE):
        yield [
            GpuSample(
                begin + timedelta(seconds=second),
                gpu_id,
                (gpu_id * 7 + second) % 101,
                (gpu_id + second) % 101,
                30 + gpu_id % 50,
                (gpu_id * 613) % 81_559,
                70 + (gpu_id * 31 + second) % 630 + 0.5,
                gpu_id % 9,
            )
            for second in range(0, SEND_SECONDS, SLOT_SECONDS)
            for gpu_id in ids[first : first + GPUS_PER_NODE]
        ]


def _joined(batches: Batches) -> Iterator[list[GpuSample]]:
    rows = [row for batch in batches for row in batch]
    for first in range(0, len(rows), LARGE):
        yield rows[first : first + LARGE]


async def _written(ledger: Ledger, batch: list[GpuSample]) -> None:
    async with ledger.transaction() as connection:
        await telemetry.write_samples(connection, batch)


async def _bare(ledger: Ledger, batch: list[GpuSample]) -> None:
    async with ledger.transaction() as connection:
        await connection.copy_records_to_table("bare", records=batch, columns=GpuSample._fields)


# --- rolling up, and what it weighs -----------------------------------------------------------------------------------


async def _roll(report: Report, ledger: Ledger, begin: datetime, sizes: Namespace) -> float:
    """Seconds that a minute of one GPU takes, through all steps."""
    end = begin + timedelta(minutes=sizes.minutes)
    began = time.perf_counter()
    made = await sample_upkeep.roll_up(ledger, end + timedelta(minutes=2))
    seconds: float = time.perf_counter() - began
    again = time.perf_counter()
    await sample_upkeep.roll_up(ledger, end + timedelta(minutes=2))
    rows: list[list[Cell]] = [["the first", made, seconds], ["with nothing to do", 0, time.perf_counter() - again]]
    report.table("roll-up", ["", "buckets", "seconds"], rows)
    return seconds / float(sizes.gpus * sizes.minutes)


async def _weigh(report: Report, ledger: Ledger) -> dict[int, float]:
    """Bytes of a row with its indexes, by step; 0: raw."""
    async with ledger.reading() as connection:
        await connection.execute("vacuum analyze", timeout=300)
        sizes = await connection.fetch(SIZES)
        counts = {row["step"]: row["rows"] for row in await connection.fetch(COUNTS)}
    tables = {0: RAW, MINUTE: MINUTES, QUARTER: QUARTERS, HOUR: HOURS}
    rows: list[list[Cell]] = []
    weights: dict[int, float] = {}
    for step, table in tables.items():
        own = [row for row in sizes if row["relname"].rpartition("_")[0] == table.table]
        total, heap = sum(row["bytes"] for row in own), sum(row["heap"] for row in own)
        if count := counts.get(step):
            weights[step] = total / count
            rows.append([table.table, count, total / MIB, heap / count, total / count])
    report.table("size", ["", "rows", "MiB", "bytes/row, heap", "bytes/row with indexes"], rows)
    return weights


def _on_paper(report: Report, small: Turns, roll: float, weights: dict[int, float]) -> None:
    """Computed from what was measured; a step of which too little was made counts as heavy as the one before."""
    rows: list[list[Cell]] = []
    total = year = 0.0
    weight = weights[0]
    for step, table in {0: RAW, MINUTE: MINUTES, QUARTER: QUARTERS, HOUR: HOURS}.items():
        weight = min(weight, weights.get(step, weight)) if step > MINUTE else weights.get(step, weight)
        per_day = DAY_SECONDS / (step or SLOT_SECONDS)
        kept = _kept_days(table) * per_day * weight
        total += kept
        year += 365 * per_day * weight if step == HOUR else kept
        rows.append([table.table, _kept_days(table), per_day * PAPER_GPUS, kept * PAPER_GPUS / GIB])
    report.table(f"{PAPER_GPUS} GPUs, at most kept", ["", "days, with the open partition", "rows/day", "GiB"], rows)
    per_second = PAPER_GPUS / SLOT_SECONDS
    figures: list[list[Cell]] = [
        ["rows to insert, per second", per_second],
        ["share of what one connection inserted, %", 100 * per_second / small.rate],
        ["share of a core that rolls up, %", 100 * roll * PAPER_GPUS / 60],
        ["all that is kept of all GPUs, GiB", total * PAPER_GPUS / GIB],
        ["a GPU after a year, MiB", year / MIB],
        ["a GPU-year of raw samples, were they kept, MiB", 365 * DAY_SECONDS / SLOT_SECONDS * weights[0] / MIB],
    ]
    report.table("on paper, from the rows above", ["", ""], figures)


def _kept_days(table: Kept) -> int:
    """Until the last day of a partition is too old."""
    return table.kept.days + table.span_days


if __name__ == "__main__":
    main()
