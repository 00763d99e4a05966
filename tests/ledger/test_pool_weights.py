"""What workspaces weigh in pools, and what they had there, in SQL: told apart as long as the pool has weights."""

from __future__ import annotations

from datetime import timedelta
from importlib.resources import files
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest

from arbitration.fairness import standings
from domain.failures import InUse, NotFound
from domain.hardware import Gpu
from domain.limits import Pool
from domain.scheduling import SchedulingPolicy
from domain.workspace import WorkspacePhase
from ledger import arbitration, leases, pool_weights, pools, scheduling, workspaces
from ledger.connection import Ledger
from planner.snapshot import Standing
from planner.usage import decayed
from tests.builders import a_gpr, a_workspace, now, some_nodes

if TYPE_CHECKING:
    from datetime import datetime

    from cli.stack.testing import Postgres

NOW = now().replace(microsecond=0)
HOUR = timedelta(hours=1)
GPU_HOUR = 3600
LAST_BEFORE = "0019_"
"""The migration before pools had weights."""


async def a_pool(ledger: Ledger, name: str = "gold") -> str:
    async with ledger.transaction() as connection:
        await pools.create(connection, name, "", "ann", NOW)
    return name


async def weigh(ledger: Ledger, pool: str, workspace: UUID, weight: int) -> None:
    async with ledger.transaction() as connection:
        await pool_weights.set_weight(connection, pool, workspace, weight, "ann", NOW)


async def unweigh(ledger: Ledger, pool: str, workspace: UUID) -> None:
    async with ledger.transaction() as connection:
        await pool_weights.remove(connection, pool, workspace, "ann", NOW)


async def had(ledger: Ledger, workspace: UUID, node: str, pool: str = "", *, hours: float = 1, ago: float = 0) -> UUID:
    """A Gpr that had one GPU for so long, and gave it back so many hours ago."""
    gpr_id = await a_gpr(ledger, workspace, exclusive=False, pool=pool)
    ended = NOW - ago * HOUR
    async with ledger.transaction() as connection:
        fence = await leases.grant(connection, gpr_id, "worker-1", [Gpu(node, 0)], ended - hours * HOUR)
        assert fence is not None
        await leases.release(connection, fence, [], ended)
        await connection.execute("update gpr set phase = 'released' where id = $1", gpr_id)
    return gpr_id


async def has(ledger: Ledger, workspace: UUID, node: str, pool: str, *, hours: float) -> UUID:
    """A Gpr that has had one GPU for so long."""
    gpr_id = await a_gpr(ledger, workspace, exclusive=False, pool=pool)
    async with ledger.transaction() as connection:
        await leases.grant(connection, gpr_id, "worker-1", [Gpu(node, 0)], NOW - hours * HOUR)
    return gpr_id


async def shares(ledger: Ledger, workspace: UUID, at: datetime = NOW) -> dict[str, Any]:
    """Weight, and GPU-hours, by pool."""
    async with ledger.reading() as connection:
        found = await scheduling.shares(connection, [str(workspace)], at)
    return {one.pool: (one.weight, round(one.used / GPU_HOUR, 1)) for one in found}


async def found(ledger: Ledger, pool: str) -> Pool:
    async with ledger.reading() as connection:
        return await pools.find(connection, pool)


async def weights(ledger: Ledger, pool: str | None = None, *workspace_ids: UUID) -> list[tuple[str, str, int]]:
    async with ledger.reading() as connection:
        all_of_them = await pool_weights.weights(connection, NOW, pool, workspace_ids or None)
    return [(one.pool, one.workspace, one.weight) for one in all_of_them]


async def delete(ledger: Ledger, pool: str) -> None:
    async with ledger.transaction() as connection:
        await pools.delete(connection, pool, "ann", NOW)


# --- weights ----------------------------------------------------------------------------------------------------------


async def test_a_weight_is_what_it_was_last_set_to_and_setting_it_wakes_the_arbiter(ledger: Ledger) -> None:
    pool, workspace = await a_pool(ledger), await a_workspace(ledger, "physics")
    await weigh(ledger, pool, workspace, 3)
    async with ledger.transaction() as connection:
        assert len(await pool_weights.set_weight(connection, pool, workspace, 5, "bob", NOW)) == 1
        (only,) = await pool_weights.weights(connection, NOW)
    assert (only.pool, only.workspace, only.weight, only.used) == (pool, "physics", 5, 0)
    assert (only.set_by, only.set_at) == ("bob", NOW)


async def test_weights_are_those_of_the_pools_and_workspaces_that_are_meant(ledger: Ledger) -> None:
    gold, silver = await a_pool(ledger), await a_pool(ledger, "silver")
    red, blue = await a_workspace(ledger, "red"), await a_workspace(ledger, "blue")
    for pool, workspace in ((gold, red), (gold, blue), (silver, red)):
        await weigh(ledger, pool, workspace, 2)
    assert await weights(ledger) == [("gold", "blue", 2), ("gold", "red", 2), ("silver", "red", 2)]
    assert await weights(ledger, "gold") == [("gold", "blue", 2), ("gold", "red", 2)]
    assert await weights(ledger, None, red) == [("gold", "red", 2), ("silver", "red", 2)]
    assert await weights(ledger, "gold", red) == [("gold", "red", 2)]


async def test_a_pool_that_is_not_there_has_no_weights(ledger: Ledger) -> None:
    workspace = await a_workspace(ledger)
    with pytest.raises(NotFound, match="no pool 'nowhere'"):
        await weigh(ledger, "nowhere", workspace, 3)
    with pytest.raises(NotFound):
        await unweigh(ledger, "nowhere", workspace)


async def test_a_weight_is_removed_once(ledger: Ledger) -> None:
    pool, workspace = await a_pool(ledger), await a_workspace(ledger)
    await weigh(ledger, pool, workspace, 3)
    async with ledger.transaction() as connection:
        assert len(await pool_weights.remove(connection, pool, workspace, "ann", NOW)) == 1
    assert await weights(ledger) == []
    with pytest.raises(NotFound, match="no weight of its own"):
        await unweigh(ledger, pool, workspace)


# --- what was had -----------------------------------------------------------------------------------------------------


async def test_what_is_had_in_a_pool_is_told_apart_as_long_as_the_pool_has_weights(ledger: Ledger) -> None:
    first, second = await some_nodes(ledger, count=2)
    pool, owner, guest = await a_pool(ledger), await a_workspace(ledger), await a_workspace(ledger)
    await had(ledger, guest, first, pool, hours=2)
    await had(ledger, guest, first, hours=3, ago=3)
    await has(ledger, guest, second, pool, hours=1)
    assert await shares(ledger, guest) == {"": (1, pytest.approx(6, abs=0.2))}
    await weigh(ledger, pool, owner, 3)
    assert await shares(ledger, guest) == {
        "": (1, pytest.approx(3, abs=0.15)),
        pool: (1, pytest.approx(3, abs=0.15)),
    }
    assert await shares(ledger, owner) == {"": (1, 0.0), pool: (3, 0.0)}
    await unweigh(ledger, pool, owner)
    assert await shares(ledger, guest) == {"": (1, pytest.approx(6, abs=0.2))}
    assert await shares(ledger, owner) == {"": (1, 0.0)}


async def test_without_a_weight_in_the_pool_a_workspace_weighs_there_what_it_weighs_else(ledger: Ledger) -> None:
    pool, owner, guest = await a_pool(ledger), await a_workspace(ledger), await a_workspace(ledger)
    await weigh(ledger, pool, owner, 3)
    async with ledger.transaction() as connection:
        await scheduling.set_weight(connection, guest, 2, "ann", NOW)
        asked = {(str(guest), pool), (str(guest), "silver")}
        two = await scheduling.shares(connection, [str(guest)], NOW, asked)
    assert [(one.pool, one.weight, one.used) for one in two] == [("", 2, 0), (pool, 2, 0)]


async def test_leases_of_a_pool_count_as_the_planner_reckons(ledger: Ledger) -> None:
    (node,) = await some_nodes(ledger, count=1)
    pool, workspace, week = await a_pool(ledger), await a_workspace(ledger), timedelta(days=7)
    await weigh(ledger, pool, workspace, 3)
    for hours, ago in ((5, 400), (7, 30), (2, 0)):
        await had(ledger, workspace, node, pool, hours=hours, ago=ago)
    spans = [(NOW - (ago + hours) * HOUR, NOW - ago * HOUR) for hours, ago in ((5, 400), (7, 30), (2, 0))]
    for at in (NOW, NOW + 2 * week):
        async with ledger.reading() as connection:
            (_, in_pool) = await scheduling.shares(connection, [str(workspace)], at)
        expected = sum(decayed(1, began, ended, at, week) for began, ended in spans)
        assert in_pool.used == pytest.approx(expected, rel=1e-4)


async def test_a_plan_knows_who_stands_where_as_far_as_it_matters_to_the_queue(ledger: Ledger) -> None:
    first, second = await some_nodes(ledger, count=2)
    pool, other = await a_pool(ledger), await a_pool(ledger, "silver")
    owner, guest, absent = [await a_workspace(ledger) for _ in range(3)]
    await weigh(ledger, pool, owner, 3)
    await had(ledger, owner, first, pool, hours=2)
    await has(ledger, absent, second, pool, hours=2)
    for workspace, named in ((owner, pool), (guest, pool), (guest, other)):
        await a_gpr(ledger, workspace, exclusive=False, pool=named)
    async with ledger.reading() as connection:
        queue = await arbitration.queue(connection, NOW)
        known = await standings(connection, queue, SchedulingPolicy(), NOW)
        (lease,) = await leases.open_leases(connection)
    assert set(known) == {
        Standing(str(owner), 1, 0),
        Standing(str(owner), 3, GPU_HOUR, pool),  # a GPU-hour and a bit: whole hours are told apart
        Standing(str(guest), 1, 0),
        Standing(str(guest), 1, 0, pool),
    }
    assert lease.pool == pool


# --- what goes --------------------------------------------------------------------------------------------------------


async def test_with_a_pool_its_weights_go_and_what_was_had_there_counts_with_the_rest(ledger: Ledger) -> None:
    (node,) = await some_nodes(ledger, count=1)
    pool, workspace = await a_pool(ledger), await a_workspace(ledger)
    await weigh(ledger, pool, workspace, 3)
    await had(ledger, workspace, node, pool, hours=2)
    await had(ledger, workspace, node, hours=3, ago=100)
    before = await shares(ledger, workspace, NOW + 50 * HOUR)
    await delete(ledger, pool)
    after = await shares(ledger, workspace, NOW + 50 * HOUR)
    assert after == {"": (1, pytest.approx(before[""][1] + before[pool][1], abs=0.15))}
    with pytest.raises(NotFound):
        await delete(ledger, pool)
    assert await shares(ledger, workspace, NOW + 50 * HOUR) == after
    await a_pool(ledger, pool)
    assert await weights(ledger, pool) == []
    await weigh(ledger, pool, workspace, 7)
    assert await shares(ledger, workspace, NOW + 50 * HOUR) == {**after, pool: (7, 0.0)}


async def test_a_pool_that_is_used_keeps_its_weights(ledger: Ledger) -> None:
    pool, workspace = await a_pool(ledger), await a_workspace(ledger, "physics")
    await weigh(ledger, pool, workspace, 3)
    await a_gpr(ledger, workspace, pool=pool)
    with pytest.raises(InUse):
        await delete(ledger, pool)
    assert await weights(ledger) == [(pool, "physics", 3)]


async def test_with_a_workspace_its_weights_go_and_one_of_its_name_has_none(ledger: Ledger) -> None:
    pool, stays, goes = await a_pool(ledger), await a_workspace(ledger, "stays"), await a_workspace(ledger, "goes")
    for workspace in (stays, goes):
        await weigh(ledger, pool, workspace, 3)
    async with ledger.transaction() as connection:
        await workspaces.begin_delete(connection, goes, NOW, "ann")
    assert len(await weights(ledger)) == 2
    for _ in range(2):
        async with ledger.transaction() as connection:
            await workspaces.to_end(connection, goes, WorkspacePhase.DELETED, "", NOW)
        assert await weights(ledger) == [(pool, "stays", 3)]
    again = await a_workspace(ledger, "goes")
    assert await shares(ledger, again) == {"": (1, 0.0)}


async def test_nodes_that_change_pools_take_nothing_with_them(ledger: Ledger) -> None:
    (node,) = await some_nodes(ledger, count=1)
    gold, silver, workspace = await a_pool(ledger), await a_pool(ledger, "silver"), await a_workspace(ledger)
    for pool in (gold, silver):
        await weigh(ledger, pool, workspace, 2)
    await put(ledger, gold, node)
    gpr_id = await has(ledger, workspace, node, gold, hours=2)
    await put(ledger, silver, node)
    assert (await shares(ledger, workspace))[gold] == (2, pytest.approx(2, abs=0.15))
    async with ledger.transaction() as connection:
        fence = await connection.fetchval("select fence from gpr where id = $1", gpr_id)
        await leases.release(connection, fence, [], NOW)
    assert await shares(ledger, workspace) == {
        "": (1, 0.0),
        gold: (2, pytest.approx(2, abs=0.15)),
        silver: (2, 0.0),
    }


async def put(ledger: Ledger, pool: str, node: str) -> None:
    """Into this pool alone."""
    async with ledger.transaction() as connection:
        await connection.execute("delete from pool_node")
        await connection.execute("insert into pool_node (pool, cluster, node) values ($1, 'worker-1', $2)", pool, node)
    assert [one.node for one in (await found(ledger, pool)).nodes] == [node]


# --- a ledger from before ---------------------------------------------------------------------------------------------


async def test_what_was_had_before_pools_had_weights_is_told_apart_by_pool(postgres: Postgres) -> None:
    ledger = Ledger(postgres.create_database())
    texts = {file.name: file.read_text() for file in (files("ledger") / "migrations").iterdir()}
    before = [name for name in sorted(texts) if name <= LAST_BEFORE or name.startswith(LAST_BEFORE)]
    (after,) = (name for name in texts if name.startswith("0020_"))
    async with ledger.transaction() as connection:
        for name in before:
            await connection.execute(texts[name])
    (node,) = await some_nodes(ledger, count=1)
    gold, gone = await a_pool(ledger), f"gone-{uuid4().hex[:4]}"
    both, plain = await a_workspace(ledger), await a_workspace(ledger)
    await had(ledger, both, node, gold, hours=2)
    await had(ledger, both, node, gone, hours=1, ago=2)
    await had(ledger, both, node, hours=3, ago=3)
    await had(ledger, plain, node, hours=4, ago=10)
    async with ledger.transaction() as connection:
        of_plain = await connection.fetchval("select used from workspace_use where workspace_id = $1", plain)
        await connection.execute(texts[after])
        rows = await connection.fetch("select workspace_id, pool, used from workspace_use order by pool")
    used = {(row["workspace_id"], row["pool"]): row["used"] for row in rows}
    assert used == {
        (both, ""): pytest.approx(4 * GPU_HOUR, rel=0.05),
        (both, gold): pytest.approx(2 * GPU_HOUR, rel=0.05),
        (plain, ""): of_plain,
    }
    await weigh(ledger, gold, plain, 2)
    assert await shares(ledger, both) == {"": (1, pytest.approx(4, abs=0.2)), gold: (1, pytest.approx(2, abs=0.15))}
    await ledger.close()
