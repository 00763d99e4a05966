"""Keeps the samples: partitions made ahead and dropped when they are old, and samples rolled up to coarser steps.

A bucket is made from all that there is of it, so that making it again is the same; whoever writes into one that was
closed before says so (`gpu_rollup_late`), and it is made again. Each chunk of the roll-up is a transaction that moves
its mark, so whoever is killed half-way is gone on from there.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import asyncpg

from domain.devices import slot
from domain.failures import LedgerUnavailable
from ledger import events
from ledger.statements import load

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence

    from ledger.connection import Connection, Ledger

_SQL = load("sample_upkeep")


@dataclass(frozen=True, slots=True)
class Kept:
    """A partitioned table: how long its rows are kept, and how many days one of its partitions spans."""

    table: str
    kept: timedelta
    span_days: int
    rolled_to: int = 0
    """The step that is made of it; 0: none."""

    def begin(self, at: datetime) -> datetime:
        """Begin of the partition that an instant is in."""
        return slot(at, timedelta(days=self.span_days).total_seconds())

    def name(self, begin: datetime) -> str:
        """Of the partition that begins then."""
        return f"{self.table}_{begin:%Y%m%d}"

    def begin_of(self, name: str) -> datetime:
        """The reverse."""
        return datetime.strptime(name.removeprefix(f"{self.table}_"), "%Y%m%d").replace(tzinfo=UTC)

    @property
    def span(self) -> timedelta:
        """How long one partition is."""
        return timedelta(days=self.span_days)


@dataclass(frozen=True, slots=True)
class Step:
    """A step of the roll-up: what it is made of, and how much of it at once. `finer` 0: raw samples."""

    seconds: int
    finer: int
    chunk: timedelta
    of: Kept
    into: Kept


MINUTE: Final = 60
QUARTER: Final = 900
HOUR: Final = 3600
ROLLUP_SECONDS: Final = (HOUR, QUARTER, MINUTE)

RAW: Final = Kept("gpu_sample", timedelta(days=1), 1, rolled_to=MINUTE)
MINUTES: Final = Kept("gpu_rollup_60", timedelta(days=7), 1, rolled_to=QUARTER)
QUARTERS: Final = Kept("gpu_rollup_900", timedelta(days=30), 7, rolled_to=HOUR)
HOURS: Final = Kept("gpu_rollup_3600", timedelta(days=365), 28)
TABLES: Final = (RAW, MINUTES, QUARTERS, HOURS)
STEPS: Final = (
    Step(MINUTE, 0, timedelta(minutes=5), RAW, MINUTES),
    Step(QUARTER, MINUTE, timedelta(minutes=30), MINUTES, QUARTERS),
    Step(HOUR, QUARTER, timedelta(hours=6), QUARTERS, HOURS),
)
"""Chunks are a few seconds' work with 10,000 GPUs: a statement has fifteen."""

AHEAD: Final = timedelta(days=3)
"""Partitions stand this long before they are needed; a worker that is away for longer is made up for by who writes."""
NOT_ROLLED_KEPT: Final = timedelta(days=7)
"""What is not rolled up yet is not dropped before it is this much too old."""
CLOSED_AFTER: Final = timedelta(seconds=90)
"""A minute is closed when agents have had time to send it; what comes later is made up for, at a cost."""
CHUNKS_MAX: Final = 500
LATE_MAX: Final = 200
"""Buckets that are made again at once, and in one transaction."""
AGENT_FORGOTTEN_AFTER: Final = timedelta(hours=1)


async def make_partitions_ahead(ledger: Ledger, now: datetime) -> list[str]:
    """Make what is needed for the next days; the names of those that were made."""
    made = []
    for table in TABLES:
        async with ledger.transaction() as connection:
            made += await make_partitions(connection, table, now, now + AHEAD)
    return made


async def make_partitions(connection: Connection, table: Kept, first: datetime, last: datetime) -> list[str]:
    """Make the partitions in which these instants and all between them are, as far as there is none; their names."""
    if not await _missing(connection, table, first, last):
        return []
    with no_long_wait():
        await connection.execute(_SQL["lock_partitions"])
        missing = await _missing(connection, table, first, last)
        for begin in missing:
            name = table.name(begin)
            making = await connection.fetchval(_SQL["making"], name, table.table, begin, begin + table.span)
            await connection.execute(making)
    return [table.name(begin) for begin in missing]


async def drop_partitions(ledger: Ledger, now: datetime) -> list[str]:
    """Drop what is too old, unless it is still to be rolled up, and what lies in a future that nobody can know."""
    dropped = []
    for table in TABLES:
        async with ledger.reading() as connection:
            there, marks = await _partitions(connection, table), await _marks(connection)
        for name in (one for one in there if _is_over(table, table.begin_of(one), marks, now)):
            async with ledger.transaction() as connection:
                with no_long_wait():
                    await connection.execute(_SQL["lock_partitions"])
                    await connection.execute(await connection.fetchval(_SQL["dropping"], name))
            dropped.append(name)
    return dropped


async def forget_agents(ledger: Ledger, now: datetime) -> list[str]:
    """Nodes whose agent has not been heard of for long are judged by their pods again; their names."""
    async with ledger.transaction() as connection:
        rows = await connection.fetch(_SQL["forget_agents"], now - AGENT_FORGOTTEN_AFTER)
        nodes = [f"{row['cluster']}/{row['name']}" for row in rows]
        if nodes:
            await events.record(connection, now, "node_agents_forgotten", detail={"nodes": nodes[:50]})
    return nodes


async def roll_up(ledger: Ledger, now: datetime) -> int:
    """Bring all steps up to date, late samples included; how many buckets were made, or made again."""
    with no_long_wait():
        await _close_minutes(ledger, now)
    made = 0
    for step in STEPS:
        for roll in (_roll_next, _roll_late):
            for _ in range(CHUNKS_MAX):
                with no_long_wait():
                    rows = await _one_chunk(ledger, roll, step)
                if rows is None:
                    break
                made += rows
    return made


async def _close_minutes(ledger: Ledger, now: datetime) -> None:
    """From now on whoever writes below this says so; whoever did not is done with it."""
    async with ledger.transaction() as connection:
        await connection.execute(_SQL["lock_closing"])
        begin = slot(now - RAW.kept, HOUR)
        await connection.execute(_SQL["close_to"], MINUTE, slot(now - CLOSED_AFTER, MINUTE), begin)


async def _one_chunk(
    ledger: Ledger, roll: Callable[[Connection, Step], Awaitable[int | None]], step: Step
) -> int | None:
    async with ledger.transaction() as connection:
        return await roll(connection, step)


async def _roll_next(connection: Connection, step: Step) -> int | None:
    """The next chunk; None when there is none, or somebody else is at it."""
    if not await connection.fetchval(_SQL["lock_rolling"]):
        return None
    marks = await _marks(connection)
    if step.finer:
        if step.finer not in marks:  # somebody else is about to begin it
            return None
        finer = marks[step.finer].rolled_to
        begin = slot(finer - RAW.kept, HOUR)
        await connection.execute(_SQL["close_to"], step.seconds, slot(finer, step.seconds), begin)
        marks = await _marks(connection)
    mark = marks[step.seconds]
    if mark.closing_to <= mark.rolled_to:
        return None
    begin = await _first_of(connection, step.of, mark)
    end = min(begin + step.chunk, mark.closing_to)
    made = await _rolled(connection, step, begin, end, None) if begin < end else 0
    await connection.execute(_SQL["rolled"], step.seconds, end)
    return made


async def _first_of(connection: Connection, table: Kept, mark: _Mark) -> datetime:
    """Where there is something to roll up again: days without a partition are nothing to look at."""
    begins = sorted(table.begin_of(name) for name in await _partitions(connection, table))
    first = next((begin for begin in begins if begin + table.span > mark.rolled_to), mark.closing_to)
    return min(max(first, mark.rolled_to), mark.closing_to)


async def _roll_late(connection: Connection, step: Step) -> int | None:
    """Some of the buckets that were closed too early; None when there are none, or somebody else is at it."""
    if not await connection.fetchval(_SQL["lock_rolling"]):
        return None
    rows = await connection.fetch(_SQL["take_late"], step.seconds, LATE_MAX)
    if not rows:
        return None
    late: dict[datetime, list[int]] = {}
    for row in rows:
        late.setdefault(row["at"], []).append(row["gpu_id"])
    made = 0
    for at, ids in sorted(late.items()):
        made += await _rolled(connection, step, at, at + timedelta(seconds=step.seconds), ids)
    coarser = next((each for each in STEPS if each.finer == step.seconds), None)
    if coarser is not None:
        ids, times = [row["gpu_id"] for row in rows], [row["at"] for row in rows]
        await connection.execute(_SQL["late_too"], coarser.seconds, ids, times)
    return made


async def _rolled(connection: Connection, step: Step, begin: datetime, end: datetime, ids: Sequence[int] | None) -> int:
    await make_partitions(connection, step.into, begin, end - timedelta(microseconds=1))
    of = list(ids) if ids is not None else None
    if step.finer:
        done = await connection.execute(_SQL["roll_rollups"], begin, end, of, step.seconds, step.finer)
    else:
        done = await connection.execute(_SQL["roll_samples"], begin, end, of)
    return int(done.rpartition(" ")[2])


@dataclass(frozen=True, slots=True)
class _Mark:
    closing_to: datetime
    rolled_to: datetime


async def _marks(connection: Connection) -> dict[int, _Mark]:
    rows = await connection.fetch(_SQL["marks"])
    return {row["step_seconds"]: _Mark(row["closing_to"], row["rolled_to"]) for row in rows}


async def _partitions(connection: Connection, table: Kept) -> list[str]:
    return [row["name"] for row in await connection.fetch(_SQL["partitions"], table.table)]


async def _missing(connection: Connection, table: Kept, first: datetime, last: datetime) -> list[datetime]:
    there = set(await _partitions(connection, table))
    begin, wanted = table.begin(first), []
    while begin <= last:
        wanted.append(begin)
        begin += table.span
    return [each for each in wanted if table.name(each) not in there]


def _is_over(table: Kept, begin: datetime, marks: Mapping[int, _Mark], now: datetime) -> bool:
    end = begin + table.span
    if begin > now + AHEAD + table.span:
        return True
    is_rolled = not table.rolled_to or (table.rolled_to in marks and marks[table.rolled_to].rolled_to >= end)
    return end <= now - table.kept - (timedelta() if is_rolled else NOT_ROLLED_KEPT)


@contextmanager
def no_long_wait() -> Iterator[None]:
    """Who is in the way of a lock on the tables is not waited for long: everybody else would wait behind."""
    try:
        yield
    except asyncpg.LockNotAvailableError as error:
        raise LedgerUnavailable("somebody is at the samples; tried again later") from error
