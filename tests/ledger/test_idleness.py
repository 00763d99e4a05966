"""Idle leases in the ledger: warned, left alone when used or unseen, released in the end, and one outcome of every race."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from domain.failures import NotFound
from domain.gpr import EndCause, Phase
from domain.hardware import Gpu
from domain.idleness import IdleRule, Move, Source
from domain.messages import CHANGED_SIGNAL, RELEASE_SIGNAL
from ledger import gprs, idleness, lifecycle, sample_upkeep
from tests.builders import a_box, a_gpr, a_workspace, some_nodes
from tests.ledger.hardware_kit import an_active_gpr, did, happened, phase_of, some_gpus, told

if TYPE_CHECKING:
    from uuid import UUID

    from ledger.connection import Ledger

WINDOW = 600
WARNING = 120
RULE = IdleRule(Source.INSTALLATION, WINDOW, enforced=True, warning_seconds=WARNING)
START = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=3)
NOW = START + timedelta(hours=1)
NOBODY_KNEW = NOW - timedelta(seconds=WINDOW // 2)


@dataclass
class Scene:
    """One node with two GPUs, and a rule for all."""

    ledger: Ledger
    gpus: dict[int, int]
    gpr_id: UUID

    async def settle(self, at: datetime) -> Move:
        async with self.ledger.transaction() as connection:
            return (await idleness.settle(connection, self.gpr_id, at)).move

    async def to_settle(self, at: datetime) -> bool:
        async with self.ledger.reading() as connection:
            return self.gpr_id in await idleness.to_settle(connection, at)

    async def both(self, since: datetime, until: datetime, **what: Any) -> None:
        for gpu_id in self.gpus.values():
            await did(self.ledger, gpu_id, since, until, **what)

    async def set_rule(self, rule: IdleRule | None, workspace_id: UUID | None = None) -> None:
        async with self.ledger.transaction() as connection:
            if rule is None:
                await idleness.delete_rule(connection, workspace_id, "", "ada", NOW)
            else:
                await idleness.set_rule(connection, workspace_id, rule, "ada", NOW)


@pytest_asyncio.fixture
async def scene(ledger: Ledger) -> Scene:
    (node,) = await some_nodes(ledger, count=1, gpus=2)
    ids = await some_gpus(ledger, node, each=2, at=START)
    gpr_id = await an_active_gpr(ledger, Gpu(node, 0), Gpu(node, 1), since=START)
    made = Scene(ledger, {ordinal: ids[node, ordinal] for ordinal in (0, 1)}, gpr_id)
    await made.set_rule(RULE)
    return made


async def warned(scene: Scene) -> datetime:
    """When it is released unless it is used."""
    await scene.both(NOW - timedelta(seconds=WINDOW), NOW)
    assert await scene.settle(NOW) is Move.WARN
    return NOW + timedelta(seconds=WARNING)


# --- from idle to released ----------------------------------------------------------------------------------------------


async def test_an_idle_lease_is_warned_and_then_released_and_its_lifecycle_hears_of_it(scene: Scene) -> None:
    release_at = await warned(scene)
    assert await told(scene.ledger, scene.gpr_id) == ["idle"]
    assert await scene.settle(NOW + timedelta(seconds=1)) is Move.NOTHING
    await scene.both(NOW, release_at)
    assert await scene.to_settle(release_at)
    assert await scene.settle(release_at) is Move.RELEASE
    async with scene.ledger.reading() as connection:
        gpr = await gprs.find(connection, scene.gpr_id)
        (message,) = await connection.fetch("select * from outbox where signal = $1", RELEASE_SIGNAL)
    assert (gpr.phase, gpr.end_cause) == (Phase.RELEASING, EndCause.IDLE)
    assert gpr.failure == "its GPUs were idle for 0h10m0s (never above 2 %, and no more memory taken)"
    assert (message["workflow_id"], message["signal_argument"]["phase"]) == (f"gpr/{scene.gpr_id}", "releasing")
    assert await told(scene.ledger, scene.gpr_id) == ["idle", "idle_released"]
    assert await scene.settle(release_at) is Move.NOTHING


async def test_the_warning_says_why_and_when(scene: Scene) -> None:
    await scene.both(NOW - timedelta(seconds=WINDOW), NOW, processes=0)
    assert await scene.settle(NOW) is Move.WARN
    async with scene.ledger.reading() as connection:
        message = await connection.fetchval("select message from notice where kind = 'idle'")
    assert message.startswith("its GPUs had no process for 0h10m0s: it is released at ")
    (detail,) = await happened(scene.ledger, "idle_warned")
    assert detail["release_at"] == (NOW + timedelta(seconds=WARNING)).isoformat()


async def test_use_after_the_warning_withdraws_it_and_the_next_warning_begins_anew(scene: Scene) -> None:
    release_at = await warned(scene)
    await scene.both(NOW, release_at)
    await did(scene.ledger, scene.gpus[1], NOW + timedelta(seconds=5), NOW + timedelta(seconds=15), 90)
    assert await scene.settle(release_at) is Move.WITHDRAW
    assert await scene.settle(release_at) is Move.NOTHING
    later = release_at + timedelta(seconds=WINDOW)
    await scene.both(release_at, later)
    assert await scene.settle(later) is Move.WARN
    assert await told(scene.ledger, scene.gpr_id) == ["idle", "not_idle", "idle"]


async def test_a_reading_that_is_newer_than_the_look_counts(scene: Scene) -> None:
    release_at = await warned(scene)
    await scene.both(NOW, release_at)
    await did(scene.ledger, scene.gpus[0], release_at + timedelta(seconds=3), release_at + timedelta(seconds=13), 50)
    assert await scene.settle(release_at) is Move.WITHDRAW


async def test_a_rule_that_only_warns_releases_nothing(scene: Scene) -> None:
    await scene.set_rule(replace(RULE, enforced=False))
    release_at = await warned(scene)
    await scene.both(NOW, release_at)
    assert await scene.settle(release_at + timedelta(seconds=1)) is Move.NOTHING
    assert await phase_of(scene.ledger, scene.gpr_id) is Phase.ACTIVE


async def test_long_windows_are_judged_by_the_minute(scene: Scene) -> None:
    window = 9000
    await scene.set_rule(replace(RULE, window_seconds=window))
    now = START + timedelta(seconds=window + 600)
    await scene.both(START, now)
    assert await sample_upkeep.roll_up(scene.ledger, now) > 100
    async with scene.ledger.transaction() as connection:
        await connection.execute("delete from gpu_sample where at < $1", now - timedelta(minutes=30))
    assert await scene.settle(now) is Move.WARN


async def test_use_long_ago_is_seen_in_the_minutes_of_a_long_window(scene: Scene) -> None:
    window = 9000
    await scene.set_rule(replace(RULE, window_seconds=window))
    now = START + timedelta(seconds=window + 600)
    used = now - timedelta(hours=2)
    for begin, end, percent in (
        (START, used, 0),
        (used, used + timedelta(minutes=1), 80),
        (used + timedelta(minutes=1), now, 0),
    ):
        await scene.both(begin, end, utilisation=percent)
    await sample_upkeep.roll_up(scene.ledger, now)
    assert not await scene.to_settle(now)


# --- left alone ---------------------------------------------------------------------------------------------------------


async def test_one_busy_gpu_keeps_the_whole_lease(scene: Scene) -> None:
    await did(scene.ledger, scene.gpus[0], NOW - timedelta(seconds=WINDOW), NOW, 0)
    await did(scene.ledger, scene.gpus[1], NOW - timedelta(seconds=WINDOW), NOW, 3)
    assert not await scene.to_settle(NOW)


async def test_growing_memory_is_use_and_shrinking_memory_is_not(scene: Scene) -> None:
    begin = NOW - timedelta(seconds=WINDOW)
    await did(scene.ledger, scene.gpus[0], begin, NOBODY_KNEW, 0, 9000)
    await did(scene.ledger, scene.gpus[0], NOBODY_KNEW, NOW, 0, 500)
    await did(scene.ledger, scene.gpus[1], begin, NOW)
    assert await scene.to_settle(NOW)
    later = NOW + timedelta(seconds=WINDOW)
    await did(scene.ledger, scene.gpus[0], NOW, NOW + timedelta(seconds=300), 0, 500)
    await did(scene.ledger, scene.gpus[0], NOW + timedelta(seconds=300), later, 0, 600)
    await did(scene.ledger, scene.gpus[1], NOW, later)
    assert not await scene.to_settle(later)


@pytest.mark.parametrize("what", [{"utilisation": None}, {"memory_mib": None}])
async def test_what_cannot_be_read_is_not_idle(scene: Scene, what: dict[str, None]) -> None:
    await scene.both(NOW - timedelta(seconds=WINDOW), NOW, **what)
    assert not await scene.to_settle(NOW)


async def test_missing_readings_are_not_idle_and_withdraw_a_warning(scene: Scene) -> None:
    release_at = await warned(scene)
    assert await scene.settle(release_at) is Move.WITHDRAW
    assert await phase_of(scene.ledger, scene.gpr_id) is Phase.ACTIVE


async def test_a_hole_of_more_than_a_tenth_of_the_window_is_not_idle(scene: Scene) -> None:
    begin = NOW - timedelta(seconds=WINDOW)
    await scene.both(begin, begin + timedelta(seconds=200))
    await scene.both(begin + timedelta(seconds=290), NOW)
    assert not await scene.to_settle(NOW)


async def test_a_node_without_readings_is_left_alone(ledger: Ledger) -> None:
    (node,) = await some_nodes(ledger, count=1)
    gpr_id = await an_active_gpr(ledger, Gpu(node, 0), since=START)
    scene = Scene(ledger, {}, gpr_id)
    await scene.set_rule(RULE)
    assert not await scene.to_settle(NOW)


async def test_without_any_rule_nobody_is_judged(scene: Scene) -> None:
    await scene.set_rule(None)
    await scene.both(NOW - timedelta(seconds=WINDOW), NOW)
    assert not await scene.to_settle(NOW)
    with pytest.raises(NotFound):
        await scene.set_rule(None)


# --- whose rule ---------------------------------------------------------------------------------------------------------


async def test_a_workspaces_rule_stands_in_place_of_the_installations(scene: Scene) -> None:
    async with scene.ledger.reading() as connection:
        workspace_id = (await gprs.find(connection, scene.gpr_id)).workspace_id
    await scene.set_rule(replace(RULE, source=Source.WORKSPACE, window_seconds=1800), workspace_id)
    await scene.both(NOW - timedelta(seconds=WINDOW), NOW)
    assert not await scene.to_settle(NOW)
    await scene.set_rule(None, workspace_id)
    assert await scene.to_settle(NOW)


async def test_an_owners_wish_counts_beside_the_rules_and_never_instead(ledger: Ledger) -> None:
    (node, other) = await some_nodes(ledger, count=2)
    ids = await some_gpus(ledger, node, other, at=START)
    strict = await an_active_gpr(ledger, Gpu(node, 0), since=START, idle_seconds=300, ends_when_idle=True)
    lax = await an_active_gpr(ledger, Gpu(other, 0), since=START, idle_seconds=86_400, ends_when_idle=False)
    for gpu_id in ids.values():
        await did(ledger, gpu_id, NOW - timedelta(seconds=WINDOW), NOW)
    async with ledger.transaction() as connection:
        assert await idleness.to_settle(connection, NOW) == [strict]
        await idleness.set_rule(connection, None, RULE, "ada", NOW)
        assert set(await idleness.to_settle(connection, NOW)) == {strict, lax}


async def test_rules_are_listed_for_those_who_may_see_their_workspaces(ledger: Ledger) -> None:
    one, other = await a_workspace(ledger, "one"), await a_workspace(ledger, "other")
    async with ledger.transaction() as connection:
        for workspace_id in (None, one, other):
            await idleness.set_rule(connection, workspace_id, RULE, "ada", NOW)
        everything = await idleness.rules(connection, None)
        mine = await idleness.rules(connection, [one])
    assert [rule.workspace for rule in everything] == ["", "one", "other"]
    assert [rule.workspace for rule in mine] == ["", "one"]


# --- races, and what is told --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cause", [EndCause.EARLY_RELEASE, EndCause.EXPIRED])
async def test_of_an_idle_release_and_another_end_at_the_same_moment_one_wins(scene: Scene, cause: EndCause) -> None:
    release_at = await warned(scene)
    await scene.both(NOW, release_at)

    async def end() -> None:
        async with scene.ledger.transaction() as connection:
            await lifecycle.begin_release(connection, scene.gpr_id, cause, release_at, actor="owner")

    move, _ = await asyncio.gather(scene.settle(release_at), end())
    async with scene.ledger.reading() as connection:
        gpr = await gprs.find(connection, scene.gpr_id)
    assert gpr.phase is Phase.RELEASING
    assert gpr.end_cause == (EndCause.IDLE if move is Move.RELEASE else cause)
    assert len(await happened(scene.ledger, "releasing")) == 1


async def test_an_extension_at_the_same_moment_does_not_keep_idle_gpus(scene: Scene) -> None:
    release_at = await warned(scene)
    await scene.both(NOW, release_at)

    async def extend() -> None:
        async with scene.ledger.transaction() as connection:
            await lifecycle.move_end(connection, scene.gpr_id, release_at + timedelta(days=60), release_at, "owner")

    results = await asyncio.gather(scene.settle(release_at), extend(), return_exceptions=True)
    assert results[0] is Move.RELEASE
    assert await phase_of(scene.ledger, scene.gpr_id) is Phase.RELEASING


async def test_two_looks_at_the_same_moment_warn_and_release_once(scene: Scene) -> None:
    await scene.both(NOW - timedelta(seconds=WINDOW), NOW)
    assert sorted(await asyncio.gather(scene.settle(NOW), scene.settle(NOW))) == [Move.NOTHING, Move.WARN]
    release_at = NOW + timedelta(seconds=WARNING)
    await scene.both(NOW, release_at)
    moves = await asyncio.gather(scene.settle(release_at), scene.settle(release_at))
    assert sorted(moves) == [Move.NOTHING, Move.RELEASE]


async def test_the_warning_of_a_lease_that_ended_is_forgotten(scene: Scene) -> None:
    await warned(scene)
    async with scene.ledger.transaction() as connection:
        await lifecycle.begin_release(connection, scene.gpr_id, EndCause.EARLY_RELEASE, NOW)
        await idleness.forget_warnings(connection)
        assert await connection.fetchval("select count(*) from idle_warning") == 0


async def test_a_box_is_told_at_once(ledger: Ledger) -> None:
    await some_nodes(ledger, count=1)
    box_id = await a_box(ledger, await a_workspace(ledger))
    gpr_id = await a_gpr(ledger, await a_workspace(ledger))
    async with ledger.transaction() as connection:
        (message,) = await idleness.tell(connection, box_id, "idle", "nobody uses it", NOW)
        assert await connection.fetchval("select signal from outbox where id = $1", message) == CHANGED_SIGNAL
        assert await idleness.tell(connection, gpr_id, "idle", "nobody uses it", NOW) == []


async def test_unused_gpus_of_each_gpr_are_counted(scene: Scene) -> None:
    await did(scene.ledger, scene.gpus[0], NOW - timedelta(seconds=WINDOW), NOW, 0)
    await did(scene.ledger, scene.gpus[1], NOW - timedelta(seconds=WINDOW), NOW, 70)

    async def counted(at: datetime) -> int:
        async with scene.ledger.transaction() as connection:
            await idleness.count_idle(connection, at)
            return int(await connection.fetchval("select idle_gpus from gpr where id = $1", scene.gpr_id))

    assert await counted(NOW) == 1
    assert await counted(NOW + timedelta(minutes=2)) == 0
