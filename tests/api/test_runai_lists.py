"""Lists of workloads: complete, in order, in parts that fit together, one's own only."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from api.dialects.runai.words import FIELDS
from domain.identity import Role
from tests.api.runai_kit import a_workload, answered, ids_of, refusal, stable_id
from tests.api.runai_town import EVERY, Town, a_town, named

if TYPE_CHECKING:
    from tests.api.api_kit import Someone, TheApi


@pytest_asyncio.fixture(scope="module")
async def town(api: TheApi) -> Town:
    return await a_town(api)


async def test_everything_is_listed_whichever_dialect_made_it_in_the_order_of_submission(
    api: TheApi, town: Town
) -> None:
    found = await ids_of(api, town.me)
    assert named(town, found) == EVERY
    assert named(town, await ids_of(api, town.me, sortOrder="desc"))[::-1] == named(town, found)


async def test_a_workload_says_what_it_is(api: TheApi, town: Town) -> None:
    found = {one["id"]: one for one in (await answered(api, town.me, "/workloads"))["workloads"]}
    runs, waits, job, box = [found[town.ids[name]] for name in ("runs", "waits", "job", "box")]
    assert (runs["phase"], runs["type"], runs["category"], runs["deletedAt"]) == (
        "Running",
        "Reservation",
        "Build",
        None,
    )
    assert (runs["priority"], runs["priorityClassName"]) == (80, "medium")
    assert (runs["projectName"], runs["departmentName"]) == (town.workspace, "default")
    assert runs["clusterId"] == stable_id("cluster", "worker-1")
    assert runs["allocatedResources"] == {"gpu": 1.0}
    assert runs["workloadRequestedResources"]["gpu"] == {"request": 1.0, "limit": 1.0}
    assert runs["submittedBy"] == town.me.principal.name
    assert (waits["phase"], waits["currentNodePools"], waits["requestedNodePools"]) == ("Pending", [], ["default"])
    assert "allocatedResources" not in waits
    assert (job["type"], job["category"], job["images"]) == ("Training", "Train", ["pytorch"])
    assert (box["type"], box["name"], box["phase"]) == ("DevBox", "mybox", "Pending")


async def test_what_is_deleted_is_in_a_list_of_its_own(api: TheApi, town: Town) -> None:
    gone = (await answered(api, town.me, "/workloads", deleted="true"))["workloads"]
    assert [(one["id"], one["phase"]) for one in gone] == [(town.ids["deleted"], "Stopped")]
    assert gone[0]["deletedAt"] == gone[0]["completedAt"]
    assert (await answered(api, town.me, "/workloads/count", deleted="true"))["count"] == 1
    assert (await answered(api, town.me, "/workloads/count"))["count"] == 7


async def test_anothers_workloads_are_neither_listed_nor_counted(api: TheApi, town: Town) -> None:
    stranger = await api.someone()
    for path in ("/workloads", "/workloads?deleted=true"):
        assert (await answered(api, stranger, path))["workloads"] == []
    assert (await answered(api, stranger, "/workloads/count"))["count"] == 0
    assert (await answered(api, stranger, "/workloads/count", filterBy="name=@a"))["count"] == 0
    viewer = await api.member(town.workspace, Role.VIEWER)
    assert named(town, await ids_of(api, viewer)) == [name for name in EVERY if name not in {"elsewhere", "box"}]


async def test_an_administrator_sees_all_and_a_confined_key_its_workspace(api: TheApi, town: Town) -> None:
    administrator = await api.someone(administrator=True)
    assert set(town.ids.values()) - {town.ids["deleted"]} <= set(await ids_of(api, administrator, limit=500))
    here = await api.someone(principal=town.me.principal, confined_to=await api.workspace_id(town.workspace))
    assert named(town, await ids_of(api, here)) == [name for name in EVERY if name not in {"elsewhere", "box"}]


# --- parts ------------------------------------------------------------------------------------------------------------


async def all_parts(api: TheApi, who: Someone, limit: int, **params: Any) -> list[str]:
    """The ids of a whole list, part by part."""
    found, offset = [], 0
    while True:
        part = await answered(api, who, "/workloads", limit=limit, offset=offset, **params)
        found += [one["id"] for one in part["workloads"]]
        if "next" not in part:
            return found
        assert len(part["workloads"]) == limit
        assert part["next"] == offset + limit
        offset = part["next"]


@pytest.mark.parametrize("word", FIELDS)
async def test_parts_of_every_order_fit_together_both_ways_under_ties_and_nulls(
    api: TheApi, town: Town, word: str
) -> None:
    whole = await ids_of(api, town.me, sortBy=word)
    assert len(whole) == 7
    for limit in (1, 2, 3, 7):
        assert await all_parts(api, town.me, limit, sortBy=word) == whole
        assert await all_parts(api, town.me, limit, sortBy=word, sortOrder="desc") == whole[::-1]
    by_me = {"filterBy": ["name!=nobody", f"submittedBy=={town.me.principal.name}"], "sortBy": word}
    administrator = await api.someone(administrator=True)
    assert await all_parts(api, administrator, 3, **by_me) == whole
    assert await all_parts(api, administrator, 2, **by_me, sortOrder="desc") == whole[::-1]


async def test_lists_are_in_the_order_that_is_asked_for(api: TheApi, town: Town) -> None:
    rows = (await answered(api, town.me, "/workloads", sortBy="name"))["workloads"]
    assert [one["name"] for one in rows] == sorted(one["name"] for one in rows)
    rows = (await answered(api, town.me, "/workloads", sortBy="phase"))["workloads"]
    assert [one["phase"] for one in rows] == sorted(one["phase"] for one in rows)
    rows = (await answered(api, town.me, "/workloads", sortBy="priority", sortOrder="desc"))["workloads"]
    assert [one["priority"] for one in rows] == sorted((one["priority"] for one in rows), reverse=True)
    ends = [
        one.get("completedAt")
        for one in (await answered(api, town.me, "/workloads", sortBy="completedAt"))["workloads"]
    ]
    assert ends[2:] == [None] * 5
    assert ends[:2] == sorted(ends[:2])
    rows = (await answered(api, town.me, "/workloads", sortBy="totalPendingTimeSeconds"))["workloads"]
    waits = [one["totalPendingTimeSeconds"] for one in rows]
    assert waits == sorted(waits)


async def test_the_last_part_has_no_next_also_where_it_is_just_full(api: TheApi, town: Town) -> None:
    assert "next" not in await answered(api, town.me, "/workloads", limit=7)
    assert (await answered(api, town.me, "/workloads", limit=6))["next"] == 6
    assert "next" not in await answered(api, town.me, "/workloads", limit=6, offset=6)
    beyond = await answered(api, town.me, "/workloads", offset=7)
    assert beyond == {"workloads": []}


@pytest.mark.parametrize(
    "params",
    [
        {"limit": 0},
        {"limit": 501},
        {"limit": -1},
        {"limit": "x"},
        {"offset": -1},
        {"offset": 2**31},
        {"sortBy": "nothing"},
        {"sortOrder": "up"},
        {"deleted": "perhaps"},
        {"search": "\0"},
        {"search": "x" * 501},
    ],
)
async def test_bounds_and_words_that_there_are_not_are_refused(api: TheApi, town: Town, params: dict[str, Any]) -> None:
    await refusal(api, town.me, "/workloads", **params)


async def test_parts_fit_together_while_others_come_and_move(api: TheApi) -> None:
    me = await api.someone()
    workspace = await api.workspace(me)
    first = [await a_workload(api, me, workspace) for _ in range(12)]

    async def write() -> None:
        for number in range(6):
            await a_workload(api, me, workspace)
            await api.call("PATCH", f"/berth/v1/gprs/{first[number]}", me, json={"priority": 10 + number})

    async def read(**params: Any) -> list[str]:
        return await all_parts(api, me, 2, **params)

    _, by_age, by_creation = await asyncio.gather(write(), read(), read(sortBy="createdAt"))
    for found in (by_age, by_creation):
        assert found[:12] == first
        assert len(found) == len(set(found))
