"""Weights in a pool: who sets and sees them, and what they do to those who share its nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from ledger import workspaces
from tests.api.time_kit import Json, Town, error_of, instant

if TYPE_CHECKING:
    from datetime import datetime

    import httpx

    from tests.api.api_kit import Someone, TheApi


async def weigh(town: Town, pool: str, workspace: str, weight: Any = 3, who: Someone | None = None) -> httpx.Response:
    return await town.ask("PUT", f"pools/{pool}/weights/{workspace}", who, json={"weight": weight})


async def unweigh(town: Town, pool: str, workspace: str, who: Someone | None = None) -> httpx.Response:
    return await town.ask("DELETE", f"pools/{pool}/weights/{workspace}", who)


async def weights(town: Town, path: str, who: Someone | None = None) -> list[tuple[str, int]]:
    """Workspaces and what they weigh, in whatever lists them."""
    found = await town.got(path, who)
    listed = found["weights"] if "weights" in found else found["items"]
    return [(one["workspace"], one["weight"]) for one in listed]


async def a_town_with_a_pool(api: TheApi) -> tuple[Town, str]:
    """One GPU in a pool, one in none."""
    town = await Town.founded(api, 1, 1)
    return town, await api.pool(f"{town.cluster}/{town.cluster}-0")


# --- set, seen, removed -----------------------------------------------------------------------------------------------


async def test_a_weight_is_set_changed_seen_and_removed(api: TheApi) -> None:
    town, pool = await a_town_with_a_pool(api)
    one, other = sorted([await town.workspace(), await town.workspace()])
    assert await weights(town, f"pools/{pool}/weights") == []
    await weigh(town, pool, other, 2)
    await weigh(town, pool, one, 2)
    answer = await weigh(town, pool, one, 5)
    shown: Json = answer.json()
    assert (shown["pool"], shown["workspace"], shown["weight"], shown["gpu_hours_used"]) == (pool, one, 5, 0.0)
    assert shown["set_by"]
    for path in (f"pools/{pool}/weights", f"pools/{pool}"):
        assert await weights(town, path) == [(one, 5), (other, 2)]
    (listed,) = [found for found in (await town.got("pools"))["items"] if found["name"] == pool]
    assert [(each["workspace"], each["weight"]) for each in listed["weights"]] == [(one, 5), (other, 2)]
    gone = await unweigh(town, pool, one)
    assert (gone.status_code, gone.json()) == (200, shown)
    assert await weights(town, f"pools/{pool}") == [(other, 2)]
    assert error_of(await unweigh(town, pool, one)) == (404, "not_found")


@pytest.mark.parametrize("weight", [0, 1001, -1, "3", None, 1.5])
async def test_what_is_no_weight_is_refused(api: TheApi, weight: Any) -> None:
    town, pool = await a_town_with_a_pool(api)
    assert error_of(await weigh(town, pool, await town.workspace(), weight)) == (422, "invalid_request")


async def test_only_administrators_decide_and_only_of_what_there_is(api: TheApi) -> None:
    town, pool = await a_town_with_a_pool(api)
    owner = await api.someone()
    workspace = await town.workspace(owner)
    assert error_of(await weigh(town, pool, workspace, who=owner)) == (403, "forbidden")
    assert error_of(await unweigh(town, pool, workspace, owner)) == (403, "forbidden")
    for nowhere, nobody in ((pool, "no-such-workspace"), ("no-such-pool", workspace), ("default", workspace)):
        assert error_of(await weigh(town, nowhere, nobody)) == (404, "not_found")
        assert error_of(await unweigh(town, nowhere, nobody)) == (404, "not_found")
    assert error_of(await town.ask("GET", "pools/no-such-pool/weights")) == (404, "not_found")


async def test_a_workspace_that_is_being_deleted_gets_no_weight(api: TheApi) -> None:
    town, pool = await a_town_with_a_pool(api)
    workspace = await town.workspace()
    async with api.ledger.transaction() as connection:
        await workspaces.begin_delete(connection, await api.workspace_id(workspace), api.clock(), "ann")
    assert (await weigh(town, pool, workspace)).status_code == 409
    assert await weights(town, f"pools/{pool}") == []


async def test_people_see_the_weights_of_their_own_workspaces(api: TheApi) -> None:
    town, pool = await a_town_with_a_pool(api)
    owner = await api.someone()
    mine, others = await town.workspace(owner), await town.workspace()
    for workspace in (mine, others):
        await weigh(town, pool, workspace)
    for path in (f"pools/{pool}/weights", f"pools/{pool}"):
        assert await weights(town, path, owner) == [(mine, 3)]
        assert await weights(town, path, await api.someone()) == []
    assert others not in (await town.ask("GET", "pools", owner)).text
    share = await town.got(f"workspaces/{mine}/weight", owner)
    assert share["weight"] == 1
    assert share["pools"] == [{"pool": pool, "weight": 3, "gpu_hours_used": 0.0}]


async def test_a_pool_that_is_made_anew_has_no_weights(api: TheApi) -> None:
    town, pool = await a_town_with_a_pool(api)
    workspace = await town.workspace()
    await weigh(town, pool, workspace)
    gone = await town.ask("DELETE", f"pools/{pool}")
    assert [one["workspace"] for one in gone.json()["weights"]] == [workspace]
    assert (await town.got(f"workspaces/{workspace}/weight"))["pools"] == []
    made = await town.ask("POST", "pools", json={"name": pool})
    assert (made.status_code, made.json()["weights"]) == (201, [])


# --- what they do -----------------------------------------------------------------------------------------------------


async def test_two_workspaces_share_the_nodes_of_a_pool_by_what_they_weigh_there(api: TheApi) -> None:
    town, pool = await a_town_with_a_pool(api)
    owner, guest = await town.workspace(), await town.workspace()
    await weigh(town, pool, owner, 3)
    await town.running(1, pool=pool)
    theirs = [await town.submit(workspace=guest, pool=pool, name=f"guest-{number}") for number in range(3)]
    own = [await town.submit(workspace=owner, pool=pool, name=f"own-{number}") for number in range(5)]
    await town.run()
    starts = {gpr_id: await town.start_of(gpr_id) for gpr_id in (*theirs, *own)}
    in_order = sorted(starts, key=lambda gpr_id: starts[gpr_id])
    assert in_order == [theirs[0], *own[:3], theirs[1], *own[3:], theirs[2]]
    assert await would_start(town, owner, pool) <= starts[theirs[2]] < await would_start(town, guest, pool)


async def would_start(town: Town, workspace: str, pool: str) -> datetime:
    """If it were submitted now."""
    wish = {"workspace": workspace, "duration": "1h", "gpus_per_node": 1, "shape": town.shape, "pool": pool}
    answer = await town.ask("POST", "what-if", json={"requests": [wish]})
    return instant(answer.json()["items"][0]["estimate"]["starts_at"])


async def test_outside_of_the_pool_they_share_by_what_they_weigh_in_general(api: TheApi) -> None:
    town, pool = await a_town_with_a_pool(api)
    owner, guest = await town.workspace(), await town.workspace()
    await weigh(town, pool, owner, 100)
    await town.running(1)
    requests = [await town.submit(workspace=one) for one in (guest, guest, owner, owner)]
    await town.run()
    starts = [await town.start_of(gpr_id) for gpr_id in requests]
    assert sorted(starts) == [starts[0], starts[2], starts[1], starts[3]]


async def test_who_had_much_in_a_pool_is_last_there_and_nowhere_else_until_the_pool_has_no_weights(api: TheApi) -> None:
    town, pool = await a_town_with_a_pool(api)
    greedy, modest = await town.workspace(), await town.workspace()
    await weigh(town, pool, modest, 1)
    long = await town.running(1, workspace=greedy, pool=pool, duration="30h")
    town.later(hours=20)
    await town.end(long)
    share = await town.got(f"workspaces/{greedy}/weight")
    assert (share["gpu_hours_used"], share["pools"][0]["gpu_hours_used"] > 15) == (0.0, True)
    blockers = [await town.running(1, pool=where) for where in (pool, "")]

    async def who_is_first(where: str) -> str:
        asked = {who: await town.submit(workspace=who, pool=where, name="ask") for who in (greedy, modest)}
        await town.run()
        starts = {who: await town.start_of(gpr_id) for who, gpr_id in asked.items()}
        for gpr_id in asked.values():
            await town.ask("POST", f"gprs/{gpr_id}/release")
        return "greedy" if starts[greedy] < starts[modest] else "modest"

    assert await who_is_first(pool) == "modest"
    assert await who_is_first("") == "greedy"  # who asked first
    await unweigh(town, pool, modest)
    assert await who_is_first(pool) == "modest"
    assert await who_is_first("") == "modest"
    for blocker in blockers:
        await town.end(blocker)
