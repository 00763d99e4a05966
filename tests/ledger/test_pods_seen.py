"""Leases on which no pod runs: known from looks at clusters, without any sample; what was not looked at is not known."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest_asyncio

from domain.gpr import EndCause, Phase
from domain.hardware import Gpu
from domain.idleness import IdleRule, Move, Source
from ledger import gprs, idleness, lifecycle, pods_seen
from tests.builders import a_job, a_workspace, some_nodes
from tests.ledger.hardware_kit import an_active_gpr, did, happened, phase_of, some_gpus, told

if TYPE_CHECKING:
    from uuid import UUID

    from ledger.connection import Ledger

WINDOW = 600
WARNING = 120
RULE = IdleRule(Source.INSTALLATION, WINDOW, enforced=True, warning_seconds=WARNING)
MINUTE = timedelta(minutes=1)
START = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=3)
NOW = START + timedelta(minutes=10)
RELEASE_AT = NOW + timedelta(seconds=WARNING)


@dataclass
class Scene:
    """A node that nobody reads, with two GPUs that one Gpr holds."""

    ledger: Ledger
    node: str
    gpr_id: UUID
    fence: int

    async def looked(self, since: datetime, until: datetime, used_at: datetime | None = None) -> None:
        """Every minute, the last time at `until`; `used_at`: when a pod was last there."""
        at = since
        while at <= until:
            async with self.ledger.transaction() as connection:
                used = used_at if used_at is None else min(used_at, at)
                await pods_seen.note(connection, {self.fence: used}, at)
            at += MINUTE

    async def settle(self, at: datetime) -> Move:
        async with self.ledger.transaction() as connection:
            return (await idleness.settle(connection, self.gpr_id, at)).move

    async def unused_gpus(self, at: datetime) -> int:
        async with self.ledger.transaction() as connection:
            await idleness.count_idle(connection, at)
            return int(await connection.fetchval("select idle_gpus from gpr where id = $1", self.gpr_id))

    async def known(self) -> list[int]:
        async with self.ledger.reading() as connection:
            return [row["fence"] for row in await connection.fetch("select fence from pods_seen order by fence")]


@pytest_asyncio.fixture
async def scene(ledger: Ledger) -> Scene:
    (node,) = await some_nodes(ledger, count=1, gpus=2)
    gpr_id = await an_active_gpr(ledger, Gpu(node, 0), Gpu(node, 1), since=START)
    async with ledger.transaction() as connection:
        await idleness.set_rule(connection, None, RULE, "ada", START)
        fence = await connection.fetchval("select fence from gpr where id = $1", gpr_id)
    return Scene(ledger, node, gpr_id, fence)


async def warned(scene: Scene) -> None:
    await scene.looked(START, NOW)
    assert await scene.settle(NOW) is Move.WARN


async def test_a_lease_without_a_pod_is_warned_and_released_though_nobody_reads_its_gpus(scene: Scene) -> None:
    await warned(scene)
    (detail,) = await happened(scene.ledger, "idle_warned")
    assert detail == {
        "why": "nobody uses it: no pod was on its GPUs for 0h10m0s",
        "release_at": RELEASE_AT.isoformat(),
    }
    await scene.looked(NOW + MINUTE, RELEASE_AT)
    assert await scene.settle(RELEASE_AT) is Move.RELEASE
    async with scene.ledger.reading() as connection:
        gpr = await gprs.find(connection, scene.gpr_id)
    assert (gpr.phase, gpr.end_cause) == (Phase.RELEASING, EndCause.IDLE)
    assert gpr.failure == "nobody uses it: no pod was on its GPUs for 0h10m0s"
    assert await told(scene.ledger, scene.gpr_id) == ["idle", "idle_released"]


async def test_a_pod_after_the_warning_is_an_appeal(scene: Scene) -> None:
    await warned(scene)
    await scene.looked(NOW + MINUTE, RELEASE_AT, used_at=NOW + MINUTE)
    assert await scene.settle(RELEASE_AT) is Move.WITHDRAW
    assert await told(scene.ledger, scene.gpr_id) == ["idle", "not_idle"]


async def test_nothing_ends_before_a_look_that_is_as_late_as_the_end_that_was_warned_of(scene: Scene) -> None:
    await warned(scene)
    await scene.looked(NOW + MINUTE, RELEASE_AT - MINUTE)
    assert await scene.settle(RELEASE_AT + timedelta(seconds=10)) is Move.NOTHING
    assert await phase_of(scene.ledger, scene.gpr_id) is Phase.ACTIVE
    await scene.looked(RELEASE_AT, RELEASE_AT)
    assert await scene.settle(RELEASE_AT + timedelta(seconds=10)) is Move.RELEASE


async def test_a_pod_that_is_there_all_the_time_keeps_the_lease(scene: Scene) -> None:
    await scene.looked(START, NOW, used_at=NOW)
    assert await scene.settle(NOW) is Move.NOTHING


async def test_a_pod_that_has_ended_counts_until_its_end(scene: Scene) -> None:
    ended_at = START + 5 * MINUTE
    await scene.looked(START, NOW, used_at=ended_at)
    assert await scene.settle(NOW) is Move.NOTHING
    await scene.looked(NOW + MINUTE, ended_at + 10 * MINUTE, used_at=ended_at)
    assert await scene.settle(ended_at + 10 * MINUTE) is Move.WARN


async def test_of_a_hole_between_looks_nothing_is_known(scene: Scene) -> None:
    await scene.looked(START, START + 4 * MINUTE)
    await scene.looked(START + 8 * MINUTE, NOW + 7 * MINUTE)
    assert await scene.settle(NOW + 7 * MINUTE) is Move.NOTHING
    await scene.looked(NOW + 8 * MINUTE, NOW + 8 * MINUTE)
    assert await scene.settle(NOW + 8 * MINUTE) is Move.WARN


async def test_where_nobody_looks_any_more_the_warning_is_withdrawn(scene: Scene) -> None:
    await warned(scene)
    assert await scene.settle(NOW + 3 * MINUTE) is Move.WITHDRAW
    assert await phase_of(scene.ledger, scene.gpr_id) is Phase.ACTIVE


async def test_a_look_that_comes_twice_or_late_changes_nothing(scene: Scene) -> None:
    await warned(scene)
    await scene.looked(NOW, NOW, used_at=NOW)
    await scene.looked(START, START, used_at=START)
    assert await scene.settle(NOW + timedelta(seconds=1)) is Move.NOTHING
    assert await told(scene.ledger, scene.gpr_id) == ["idle"]


async def test_gpus_that_are_read_to_be_busy_are_in_use_without_a_pod(scene: Scene) -> None:
    ids = await some_gpus(scene.ledger, scene.node, each=2, at=START)
    await did(scene.ledger, ids[scene.node, 1], NOW - MINUTE, NOW, 80)
    await scene.looked(START, NOW)
    assert await scene.settle(NOW) is Move.NOTHING
    assert await scene.unused_gpus(NOW) == 1


async def test_a_rule_that_only_warns_ends_no_lease_without_a_pod(scene: Scene) -> None:
    async with scene.ledger.transaction() as connection:
        await idleness.set_rule(connection, None, replace(RULE, enforced=False), "ada", START)
    await warned(scene)
    await scene.looked(NOW + MINUTE, NOW + 9 * MINUTE)
    assert await scene.settle(NOW + 9 * MINUTE) is Move.NOTHING
    assert await phase_of(scene.ledger, scene.gpr_id) is Phase.ACTIVE


async def test_an_owners_wish_ends_a_lease_without_a_pod_only_where_it_says_so(ledger: Ledger) -> None:
    ending, warning = await some_nodes(ledger, count=2)
    gpr_ids = [
        await an_active_gpr(ledger, Gpu(node, 0), since=START, idle_seconds=WINDOW, ends_when_idle=ends)
        for node, ends in ((ending, True), (warning, False))
    ]
    moves = []
    for gpr_id in gpr_ids:
        async with ledger.reading() as connection:
            fence = await connection.fetchval("select fence from gpr where id = $1", gpr_id)
        scene = Scene(ledger, "", gpr_id, fence)
        await scene.looked(START, NOW)
        assert await scene.settle(NOW) is Move.WARN
        await scene.looked(NOW + MINUTE, NOW + 6 * MINUTE)
        moves.append(await scene.settle(NOW + 6 * MINUTE))
    assert moves == [Move.RELEASE, Move.NOTHING]


async def test_all_gpus_of_a_lease_without_a_pod_count_as_unused(scene: Scene) -> None:
    assert await scene.unused_gpus(NOW) == 0
    await scene.looked(START, NOW)
    assert await scene.unused_gpus(NOW) == 2
    await scene.looked(NOW + MINUTE, NOW + MINUTE, used_at=NOW + MINUTE)
    assert await scene.unused_gpus(NOW + MINUTE) == 0


async def test_looks_are_kept_of_active_leases_that_are_no_jobs_and_as_long_as_these_are_open(scene: Scene) -> None:
    job_id = await a_job(scene.ledger, await a_workspace(scene.ledger))
    async with scene.ledger.transaction() as connection:
        await connection.execute("update gpr set phase = 'active', fence = $2 where id = $1", job_id, scene.fence + 1)
        await connection.execute(
            """insert into lease (fence, gpr_id, workspace_id, cluster, exclusive, granted_at) overriding system value
               select $2, id, workspace_id, 'worker-1', false, submitted_at from gpr where id = $1""",
            job_id,
            scene.fence + 1,
        )
        await pods_seen.note(connection, {scene.fence: None, scene.fence + 1: None, 10**6: None}, NOW)
    assert await scene.known() == [scene.fence]
    async with scene.ledger.transaction() as connection:
        await lifecycle.begin_release(connection, scene.gpr_id, EndCause.EARLY_RELEASE, NOW)
        await lifecycle.finish_release(connection, scene.gpr_id, scene.fence, [], NOW)
        await pods_seen.note(connection, {scene.fence: None}, NOW + MINUTE)
    assert await scene.known() == []
