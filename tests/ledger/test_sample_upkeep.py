"""The roll-up is the same however often, late or interrupted it is made; partitions come ahead of need and go with age."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from domain.devices import GpuSample
from domain.failures import LedgerUnavailable
from ledger import sample_upkeep, telemetry
from ledger.sample_upkeep import HOURS, MINUTES, QUARTERS, RAW, TABLES, drop_partitions, make_partitions_ahead, roll_up
from tests.ledger.sample_kit import CLUSTER, NODE, NOON, SECOND, a_gpu, buckets, fetched, gpu_ids, samples, written

if TYPE_CHECKING:
    from ledger.connection import Connection, Ledger

LATER = NOON + timedelta(hours=2)
MINUTE = 60 * SECOND
DAY = timedelta(days=1)
PARTITIONS = """select i.inhparent::regclass::text, count(*) from pg_inherits i join pg_class c on c.oid = i.inhrelid
                where c.relname like 'gpu\\_%\\_2%' and c.relkind = 'r' group by 1 order by 1"""


async def test_samples_become_buckets_of_each_step(ledger: Ledger) -> None:
    [gpu_id] = await gpu_ids(ledger)
    rows = [
        GpuSample(NOON + place * 10 * SECOND, gpu_id, place % 100, 1, 40 + place % 7, place, float(place))
        for place in range(360)
    ]
    await written(ledger, rows)
    assert await roll_up(ledger, LATER) == 60 + 4 + 1
    query = "select * from gpu_rollup where step_seconds = $1 and at = $2"
    assert await fetched(ledger, query, 60, NOON) == [(60, NOON, gpu_id, 6, 2.5, 5, 2.5, 5, 2.5, 5.0, 45)]
    [hour] = await fetched(ledger, query, 3600, NOON)
    percents = [row.utilisation_percent or 0 for row in rows]
    assert hour[3:] == (360, pytest.approx(sum(percents) / 360), 99, 179.5, 359, 179.5, 359.0, 46)


async def test_rolling_up_again_changes_nothing(ledger: Ledger) -> None:
    [gpu_id] = await gpu_ids(ledger)
    await written(ledger, samples(gpu_id, NOON, 30, utilisation_percent=7))
    await roll_up(ledger, LATER)
    before = await fetched(ledger, "select * from gpu_rollup order by step_seconds, at")
    assert await roll_up(ledger, LATER) == 0
    assert await roll_up(ledger, LATER - timedelta(minutes=30)) == 0, "a clock that goes back"
    assert await fetched(ledger, "select * from gpu_rollup order by step_seconds, at") == before


async def test_a_minute_is_closed_only_when_agents_had_time_to_send_it(ledger: Ledger) -> None:
    [gpu_id] = await gpu_ids(ledger)
    await written(ledger, samples(gpu_id, NOON, 18))
    await roll_up(ledger, NOON + 2 * MINUTE)
    assert list(await buckets(ledger, 60)) == []
    await roll_up(ledger, NOON + 2 * MINUTE + 30 * SECOND)
    assert list(await buckets(ledger, 60)) == [NOON]


async def test_late_samples_are_in_the_buckets_of_every_step(ledger: Ledger) -> None:
    near, far = await gpu_ids(ledger, 2)
    await written(ledger, samples(near, NOON, 180, utilisation_percent=10))
    await roll_up(ledger, LATER)
    await written(ledger, samples(far, NOON, 180, utilisation_percent=90))
    await written(ledger, samples(near, NOON + 30 * MINUTE, 6, utilisation_percent=10))
    assert await roll_up(ledger, LATER) > 0
    query = "select gpu_id, samples, utilisation_average from gpu_rollup where step_seconds = $1 and at = $2 order by 1"
    assert await fetched(ledger, query, 60, NOON + MINUTE) == [(near, 6, 10), (far, 6, 90)]
    assert await fetched(ledger, query, 900, NOON) == [(near, 90, 10), (far, 90, 90)]
    assert await fetched(ledger, query, 3600, NOON) == [(near, 186, 10), (far, 180, 90)]
    assert await fetched(ledger, "select count(*) from gpu_rollup_late") == [(0,)]
    assert await roll_up(ledger, LATER) == 0


async def test_a_gpu_that_could_say_nothing_for_a_while_has_the_average_of_the_rest(ledger: Ledger) -> None:
    [gpu_id] = await gpu_ids(ledger)
    await written(ledger, samples(gpu_id, NOON, 6, utilisation_percent=40))
    await written(ledger, samples(gpu_id, NOON + MINUTE, 12, processes=1))
    await roll_up(ledger, LATER)
    assert await buckets(ledger, 60) == {NOON: (6, 40), NOON + MINUTE: (6, None), NOON + 2 * MINUTE: (6, None)}
    assert await buckets(ledger, 900) == {NOON: (18, 40)}


async def test_samples_written_while_their_bucket_is_closed_are_in_it(ledger: Ledger) -> None:
    """A writer that has not committed is waited for; one that begins later knows that it is late."""
    [gpu_id] = await gpu_ids(ledger)
    async with ledger.transaction() as connection:
        await telemetry.write_samples(connection, samples(gpu_id, NOON, 6, utilisation_percent=5))
        rolling = asyncio.create_task(roll_up(ledger, LATER))
        await asyncio.wait({rolling}, timeout=0.3)
        assert not rolling.done()
    await rolling
    assert await buckets(ledger, 60) == {NOON: (6, 5)}


async def test_a_writer_that_does_not_end_stops_nobody_else(ledger: Ledger) -> None:
    [gpu_id] = await gpu_ids(ledger)
    await make_partitions_ahead(ledger, NOON)
    async with ledger.transaction() as connection:
        await telemetry.write_samples(connection, samples(gpu_id, NOON, 6))
        with pytest.raises(LedgerUnavailable):
            await roll_up(ledger, LATER)
        assert await written(ledger, samples(gpu_id, NOON + MINUTE, 6)) == 6
    await roll_up(ledger, LATER)
    assert list(await buckets(ledger, 60)) == [NOON, NOON + MINUTE]


@pytest.mark.parametrize("at", [1, 2, 7, 13, 14, 15, 16, 17, 18])
async def test_killed_in_any_chunk_it_goes_on_from_there(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    [gpu_id] = await gpu_ids(ledger)
    await written(ledger, samples(gpu_id, NOON, 400, utilisation_percent=1))
    killing = Killed(at)
    with monkeypatch.context() as patched:
        patched.setattr(sample_upkeep, "_rolled", killing)
        with pytest.raises(KeyboardInterrupt):
            await roll_up(ledger, LATER)
    await roll_up(ledger, LATER)
    assert sum(count for count, _ in (await buckets(ledger, 60)).values()) == 400
    assert sum(count for count, _ in (await buckets(ledger, 900)).values()) == 400
    assert sum(count for count, _ in (await buckets(ledger, 3600)).values()) == 360


class Killed:
    """Does its work in the n-th chunk that has any, and dies before it is committed."""

    def __init__(self, at: int) -> None:
        self._left = at
        self._rolled = sample_upkeep._rolled

    async def __call__(self, connection: Connection, step: Any, begin: Any, end: Any, ids: Any) -> int:
        made = await self._rolled(connection, step, begin, end, ids)
        self._left -= made > 0
        if self._left == 0:
            raise KeyboardInterrupt
        return made


async def test_two_at_once_make_each_bucket_once(ledger: Ledger) -> None:
    ids = await gpu_ids(ledger, 4)
    for gpu_id in ids:
        await written(ledger, samples(gpu_id, NOON, 360, utilisation_percent=3))
    made = await asyncio.gather(*(roll_up(ledger, LATER) for _ in range(3)))
    await roll_up(ledger, LATER)
    assert sum(made) <= 4 * (60 + 4 + 1)
    assert len(await fetched(ledger, "select 1 from gpu_rollup")) == 4 * (60 + 4 + 1)


async def test_partitions_are_made_ahead_and_once(ledger: Ledger) -> None:
    made = await make_partitions_ahead(ledger, NOON)
    assert len([name for name in made if name.startswith("gpu_sample_")]) == 4
    assert await make_partitions_ahead(ledger, NOON) == []
    assert {name for name, _ in await fetched(ledger, PARTITIONS)} == {table.table for table in TABLES}


async def test_many_who_need_a_partition_at_once_make_it_once(ledger: Ledger) -> None:
    ids = await gpu_ids(ledger, 8)
    await asyncio.gather(*(written(ledger, samples(gpu_id, NOON, 3)) for gpu_id in ids))
    assert await fetched(ledger, "select count(*) from gpu_sample") == [(24,)]


async def test_what_is_too_old_goes_and_the_rest_stays(ledger: Ledger) -> None:
    [gpu_id] = await gpu_ids(ledger)
    await written(ledger, samples(gpu_id, NOON - DAY, 6))
    await written(ledger, samples(gpu_id, NOON, 6))
    await roll_up(ledger, NOON + MINUTE)
    assert await drop_partitions(ledger, NOON + MINUTE) == []
    await roll_up(ledger, NOON + DAY)
    assert await drop_partitions(ledger, NOON + DAY) == ["gpu_sample_20260309"]
    assert await drop_partitions(ledger, NOON + DAY) == []
    assert await fetched(ledger, "select count(*) from gpu_sample") == [(6,)]
    assert NOON - DAY in await buckets(ledger, 60)


@pytest.mark.parametrize(("table", "step_seconds"), [(MINUTES, 60), (QUARTERS, 900), (HOURS, 3600)])
async def test_each_step_is_kept_for_its_time(ledger: Ledger, table: sample_upkeep.Kept, step_seconds: int) -> None:
    [gpu_id] = await gpu_ids(ledger)
    await written(ledger, samples(gpu_id, NOON, 6))
    await roll_up(ledger, NOON + DAY)
    for now in (NOON + table.kept - DAY, NOON + table.kept + table.span + DAY):
        there = bool(await buckets(ledger, step_seconds))
        assert there
        await roll_up(ledger, now)
        await drop_partitions(ledger, now)
    assert await buckets(ledger, step_seconds) == {}


async def test_what_is_not_rolled_up_yet_is_kept_for_longer_but_not_for_ever(ledger: Ledger) -> None:
    [gpu_id] = await gpu_ids(ledger)
    await written(ledger, samples(gpu_id, NOON, 6))
    assert await drop_partitions(ledger, NOON + 5 * DAY) == []
    assert await drop_partitions(ledger, NOON + 10 * DAY) == ["gpu_sample_20260310"]


async def test_samples_of_a_clock_far_ahead_do_not_stay(ledger: Ledger) -> None:
    [gpu_id] = await gpu_ids(ledger)
    await written(ledger, samples(gpu_id, NOON + 400 * DAY, 1))
    [name] = await drop_partitions(ledger, NOON)
    assert name.startswith(RAW.table)


async def test_a_reader_in_the_way_is_not_waited_for_long(ledger: Ledger) -> None:
    [gpu_id] = await gpu_ids(ledger)
    await written(ledger, samples(gpu_id, NOON, 6))
    async with ledger.transaction() as connection:
        await connection.fetch("select * from gpu_sample")
        with pytest.raises(LedgerUnavailable):
            await drop_partitions(ledger, NOON + 30 * DAY)
    assert len(await drop_partitions(ledger, NOON + 30 * DAY)) == 1


async def test_an_agent_that_is_away_for_long_is_forgotten_and_one_that_is_there_is_not(ledger: Ledger) -> None:
    async with ledger.transaction() as connection:
        await connection.execute(
            """insert into cluster (name, server, version, sufficient, registered_at, seen_at)
               values ($1, '', '', true, now(), now())""",
            CLUSTER,
        )
        for node, seen_at in ((NODE, NOON), ("gone", NOON - timedelta(hours=2))):
            await connection.execute(
                """insert into node (cluster, name, shape, instance_type, gpus, memory_mib, state, observed_at)
                   values ($1, $2, 'H100', '', 8, 1, 'ready', now())""",
                CLUSTER,
                node,
            )
            await telemetry.write_gpus(connection, CLUSTER, node, [a_gpu()], seen_at)
    assert await sample_upkeep.forget_agents(ledger, NOON) == [f"{CLUSTER}/gone"]
    assert await sample_upkeep.forget_agents(ledger, NOON) == []
