"""What the look for idle GPUs takes that comes every minute: `python -m bench.idle`.

10,000 GPUs in nodes of eight, a sample of each every ten seconds, a lease on every node and one rule for all. In turns, in one
run: what one look reads and judges, against the floor of raw SQL that only goes through the same samples once. Then what it
takes to warn everybody at once, as after an outage of what people run. A short form with `--quick`.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Final

from bench._conditions import arguments
from bench._figures import Cell, Report, Samples, milliseconds
from bench._parts import durable_postgres, migrated
from cli.stack.guard import guarded
from domain.devices import SLOT_SECONDS, slot
from domain.idleness import IdleRule, Source
from ledger import idleness, pods_seen
from ledger.sample_upkeep import RAW, make_partitions

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Awaitable, Callable
    from uuid import UUID

    from cli.stack.postgres import Postgres
    from ledger.connection import Connection, Ledger

GPUS_PER_NODE: Final = 8
GPUS_QUICK: Final = 400
WINDOW_SECONDS: Final = 600
ROUNDS: Final = 5
LOOK_EVERY_SECONDS: Final = 60
BUSY, QUIET = 60, 0
WORLD = """
insert into principal (id, name, created_at) select md5('p')::uuid, 'p', $3;
insert into cluster (name, server, version, sufficient, registered_at, seen_at) values ('c', 's', '1', true, $3, $3);
insert into workspace (id, name, tenant, owner_id, clusters, phase, created_at)
    select md5('w' || i)::uuid, 'w' || i, 't' || i, md5('p')::uuid, '{c}', 'ready', $3 from generate_series(1, 100) i;
insert into node (cluster, name, shape, instance_type, gpus, memory_mib, state, observed_at, agent_seen_at)
    select 'c', 'n' || i, 'H100', 'p5', $2, 81559, 'ready', $3, $3 from generate_series(1, $1 / $2) i;
insert into gpu (cluster, node, ordinal, uuid, product, memory_mib, first_seen_at, seen_at)
    select cluster, name, o, name || '-' || o, 'H100', 81559, $3, $3 from node, generate_series(0, $2 - 1) o;
insert into gpr (id, external_id, workspace_id, submitted_by, name, nodes, gpus_per_node, duration_seconds, priority, exclusive,
                 requeue_on_failure, phase, submitted_at, active_at)
    select md5('g' || i)::uuid, 'g' || i, md5('w' || (1 + i % 100))::uuid, md5('p')::uuid, 'g', 1, $2, 864000, 101, false, true,
           'active', $3, $3 from generate_series(1, $1 / $2) i;
insert into lease (gpr_id, workspace_id, cluster, exclusive, granted_at)
    select id, workspace_id, 'c', false, $3 from gpr order by sequence;
insert into lease_gpu (fence, cluster, node, ordinal)
    select l.fence, 'c', 'n' || row_number() over (partition by o order by l.fence), o from lease l, generate_series(0, $2 - 1) o;
update gpr set fence = l.fence from lease l where l.gpr_id = gpr.id
"""
SAMPLES = """
insert into gpu_sample (at, gpu_id, utilisation_percent, memory_used_mib, power_watts, processes)
select at, id, $4, 9000, 70, 1 from gpu, generate_series($1::timestamptz, $2::timestamptz, make_interval(secs => $3)) at
"""
FLOOR = """
select gpu_id, max(utilisation_percent), max(memory_used_mib) - min(memory_used_mib), max(processes), count(*), max(at)
from gpu_sample where at > $1 group by gpu_id
"""


def main() -> None:
    """Fill a ledger, look at it."""
    sizes = arguments(__doc__, gpus=10_000, quick=False)
    sizes.gpus = min(sizes.gpus, GPUS_QUICK) if sizes.quick else sizes.gpus
    samples = sizes.gpus * WINDOW_SECONDS // SLOT_SECONDS
    report = Report("idle", {"GPUs": sizes.gpus, "window, s": WINDOW_SECONDS, "samples in it": samples})
    with guarded() as roster, durable_postgres(roster) as postgres:
        report.begin(PostgreSQL="18, fsync on, settings of the local stack")
        asyncio.run(_measure(report, postgres, sizes))
    report.end(sizes.json)


async def _measure(report: Report, postgres: Postgres, sizes: Namespace) -> None:
    async with migrated(postgres) as ledger:
        now = slot(datetime.now(UTC), SLOT_SECONDS)
        await _fill(ledger, sizes.gpus, now)
        await _write_samples(ledger, now - timedelta(seconds=WINDOW_SECONDS), now, BUSY)
        await _looks(report, ledger, now)
        later = now + timedelta(seconds=WINDOW_SECONDS)
        await _write_samples(ledger, now + timedelta(seconds=SLOT_SECONDS), later, QUIET)
        await _warnings(report, ledger, later)


async def _fill(ledger: Ledger, gpus: int, now: datetime) -> None:
    long_ago = now - timedelta(days=1)
    values = {"$1": gpus, "$2": GPUS_PER_NODE, "$3": f"timestamptz '{long_ago.isoformat()}'"}
    text = WORLD
    for mark, value in values.items():
        text = text.replace(mark, str(value))
    rule = IdleRule(Source.INSTALLATION, WINDOW_SECONDS, enforced=True)
    async with ledger.transaction() as connection:
        await connection.execute(text, timeout=600)
        await make_partitions(connection, RAW, now - timedelta(days=1), now + timedelta(days=1))
        await idleness.set_rule(connection, None, rule, "bench", long_ago)


async def _write_samples(ledger: Ledger, begin: datetime, end: datetime, percent: int) -> None:
    async with ledger.transaction() as connection:
        await connection.execute(SAMPLES, begin, end, float(SLOT_SECONDS), percent, timeout=600)
    async with ledger.reading() as connection:
        await connection.execute("vacuum analyze", timeout=600)


# --- a look that finds nothing to do ------------------------------------------------------------------------------------


async def _looks(report: Report, ledger: Ledger, now: datetime) -> None:
    """The parts of a look, and their floor, in turns."""
    kinds = {
        "raw SQL: the samples of the window, once": partial(_read, ledger, partial(_floor, now=now)),
        "who is to be warned or released": partial(_read, ledger, partial(_judged, now=now)),
        "how many GPUs each leaves unused": partial(_written, ledger, partial(idleness.count_idle, now=now)),
        "what a cluster shows of pods": partial(_noted, ledger, now),
    }
    taken = {name: Samples() for name in kinds}
    for _ in range(ROUNDS):
        for name, step in kinds.items():
            await taken[name].time(step)
    rows: list[list[Cell]] = [[name, milliseconds(one.p50), milliseconds(one.p99)] for name, one in taken.items()]
    report.table(f"a look that finds nothing to do, {ROUNDS} times", ["ms", "p50", "longest"], rows)
    floor, judged, counted, _ = (one.p50 for one in taken.values())
    report.ratio("judging / raw SQL", judged / floor, "told, not asked for")
    report.ratio("judging and counting / raw SQL", (judged + counted) / floor, "told, not asked for")
    report.ratio("share of a minute that a look takes", (judged + counted) / LOOK_EVERY_SECONDS, "well below 1")


async def _read(ledger: Ledger, step: Callable[[Connection], Awaitable[object]]) -> None:
    async with ledger.reading() as connection:
        await step(connection)


async def _written(ledger: Ledger, step: Callable[[Connection], Awaitable[object]]) -> None:
    async with ledger.transaction() as connection:
        await step(connection)


async def _floor(connection: Connection, *, now: datetime) -> None:
    rows = await connection.fetch(FLOOR, now - timedelta(seconds=WINDOW_SECONDS), timeout=600)
    assert rows


async def _judged(connection: Connection, *, now: datetime) -> None:
    assert not await idleness.to_settle(connection, now)


async def _noted(ledger: Ledger, now: datetime) -> None:
    """Each look is a later one, or it would change nothing."""
    async with ledger.transaction() as connection:
        fences = [row["fence"] for row in await connection.fetch("select fence from lease")]
        last = await connection.fetchval("select coalesce(max(looked_at), $1) from pods_seen", now)
        at = last + timedelta(seconds=LOOK_EVERY_SECONDS)
        await pods_seen.note(connection, dict.fromkeys(fences, at), at)


# --- everybody at once ----------------------------------------------------------------------------------------------------


async def _warnings(report: Report, ledger: Ledger, now: datetime) -> None:
    """As the activity goes about it: one look, then a transaction for each lease."""
    looked, each = Samples(), Samples()
    waiting: list[UUID] = []

    async def look() -> None:
        async with ledger.reading() as connection:
            waiting.extend(await idleness.to_settle(connection, now))

    async def warn(gpr_id: UUID) -> None:
        async with ledger.transaction() as connection:
            await idleness.settle(connection, gpr_id, now)

    await looked.time(look)
    for gpr_id in waiting:
        await each.time(partial(warn, gpr_id))
    rows: list[list[Cell]] = [
        ["the look", 1, milliseconds(looked.p50), looked.p50],
        ["a warning", len(waiting), milliseconds(each.p50), sum(each.seconds)],
    ]
    report.table("everybody has become idle", ["", "times", "ms each, p50", "seconds in all"], rows)


if __name__ == "__main__":
    main()
