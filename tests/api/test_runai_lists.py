"""Lists of workloads: complete, in order, in parts that fit together, filtered and searched as asked, one's own only."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import pytest
import pytest_asyncio

from api.dialects.runai.words import FIELDS
from domain.gpr import Phase
from domain.identity import Role
from domain.job import JobState
from tests.api.gpudev_kit import a_box
from tests.api.runai_kit import (
    a_workload,
    answered,
    at,
    ids_of,
    job_id_of,
    names_of,
    refusal,
    seen,
    stable_id,
    workload_of,
)

if TYPE_CHECKING:
    from tests.api.api_kit import Someone, TheApi


EVERY = ["waits", "failed", "expired", "elsewhere", "runs", "job", "box"]
"""What is not deleted, in the order of submission."""


class Town:
    """Somebody with a workspace and what is in it."""

    def __init__(self, me: Someone, workspace: str, ids: dict[str, str]) -> None:
        self.me, self.workspace, self.ids = me, workspace, ids


@pytest_asyncio.fixture(scope="module")
async def town(api: TheApi) -> Town:
    """Seven workloads, of every dialect and in several phases; one of them deleted."""
    me = await api.someone()
    workspace, other = await api.workspace(me), await api.workspace(me)
    ids = {
        "waits": await a_workload(api, me, workspace, gprName="alpha", priority=10),
        "failed": await a_workload(api, me, workspace, Phase.FAILED, gprName="beta-2", priority=150),
        "expired": await a_workload(api, me, workspace, Phase.EXPIRED, gprName="x.y_z", priority=290),
        "elsewhere": await a_workload(api, me, other, gprName="gamma", priority=201),
        "deleted": await a_workload(api, me, workspace, Phase.RELEASED, gprName="gone"),
        "runs": await a_workload(api, me, workspace, Phase.ACTIVE, gprName="beta", priority=150),
        "job": await job_id_of(api, me, f"{workspace}-ns"),
        "box": await a_box(api, me, env_vars={"POD_NAME": "mybox"}),
    }
    return Town(me, workspace, ids)


def named(town: Town, ids: list[str]) -> list[str]:
    words = {value: name for name, value in town.ids.items()}
    return [words[one] for one in ids]


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


# --- filters ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("term", "meant"),
    [
        ("name==alpha", ["waits"]),
        ("name!=alpha", [name for name in EVERY if name != "waits"]),
        ("name=@eta", ["failed", "runs"]),
        ("name=@_", ["expired"]),
        ("name=@%", []),
        ("name=^beta", ["failed", "runs"]),
        ("name=^b", ["failed", "runs"]),
        ("name=$-2", ["failed"]),
        ("name=$ma", ["elsewhere"]),
        ("name<=alpha", ["waits"]),
        ("name>=x", ["expired"]),
        ("phase==Running", ["runs"]),
        ("phase!=Pending", ["failed", "expired", "runs"]),
        ("phase=^P", ["waits", "elsewhere", "job", "box"]),
        ("phase=@ail", ["failed"]),
        ("phase<=Failed", ["failed", "expired"]),
        ("type==Training", ["job"]),
        ("type!@Re", ["job", "box"]),
        ("category=$ain", ["job"]),
        ("nodepool==default", EVERY),
        ("allocatedGPU>=1", ["runs"]),
        ("allocatedGPU>=0.5", ["runs"]),
        ("allocatedGPU==1", ["runs"]),
        ("allocatedGPU==0.5", []),
        ("allocatedGPU<=-1", []),
        ("priority>=125", ["expired", "elsewhere"]),
        ("priority<=25", ["waits"]),
        ("priority!=80", ["waits", "expired", "elsewhere", "box"]),
        ("priorityClassName==very-high", ["expired"]),
        ("idleGpus>=1", []),
        ("idleAllocatedGpus==0", EVERY),
        ("totalPendingTimeSeconds>=86400", []),
        ("totalPendingTimeSeconds<=86400", EVERY),
        ("totalRunningTimeSeconds>=1e300", []),
        ("totalRunningTimeSeconds!=86399", EVERY),
        ("createdAt>=2020-01-01T00:00:00Z", EVERY),
        ("createdAt<=2020-01-01", []),
        ("completedAt>=2020-01-01T00:00:00+02:00", ["failed", "expired"]),
        ("completedAt!=2020-01-01T00:00:00Z", EVERY),
        ("deletedAt<=2100-01-01T00:00:00Z", []),
        ("guaranteedRuntimeEndsAt>=2020-01-01T00:00:00Z", []),
        ("guaranteedRuntimeEndsAt!=2020-01-01T00:00:00Z", EVERY),
        ("distributedFramework==Pytorch", []),
        ("distributedFramework!@Pytorch", EVERY),
        ("aiApplicationId==1", []),
        ("aiApplicationName!=x", EVERY),
    ],
)
async def test_every_operator_means_what_it_says(api: TheApi, town: Town, term: str, meant: list[str]) -> None:
    assert named(town, await ids_of(api, town.me, filterBy=term)) == meant
    assert (await answered(api, town.me, "/workloads/count", filterBy=term))["count"] == len(meant)
    by_me = [term, f"submittedBy=={town.me.principal.name}"]
    administrator = await api.someone(administrator=True)
    assert named(town, await ids_of(api, administrator, filterBy=by_me)) == meant
    assert (await answered(api, administrator, "/workloads/count", filterBy=by_me))["count"] == len(meant)


async def test_ids_and_names_of_cluster_project_department_and_people_are_filtered_by(api: TheApi, town: Town) -> None:
    one = (await answered(api, town.me, "/workloads", limit=1))["workloads"][0]
    both = {"waits", "runs", "failed", "expired", "job"}
    for word in ("clusterId", "projectId", "projectName", "departmentId", "departmentName", "submittedBy"):
        found = set(named(town, await ids_of(api, town.me, filterBy=f"{word}=={one[word]}")))
        assert found >= both
        assert await ids_of(api, town.me, filterBy=f"{word}==nobody") == []
        prefix, suffix = one[word][:4], one[word][-4:]
        assert (
            set(named(town, await ids_of(api, town.me, filterBy=[f"{word}=^{prefix}", f"{word}=${suffix}"]))) == found
        )


@pytest.mark.parametrize(
    ("query", "meant"),
    [
        ("filterBy=name==alpha,type==Reservation", ["waits"]),
        ("filterBy=name==alpha&filterBy=type==Reservation", ["waits"]),
        ("filterBy=name%3D%3Dalpha%2Ctype%3D%3DReservation", ["waits"]),
        ("filterBy=name==alpha,%20type==Training", []),
        ("filterBy=name==alpha,beta", []),
        ("filterBy=name!=alpha,beta&search=alpha", ["waits"]),
        ("filterBy=name!=a==b&search=alpha", ["waits"]),
        ("filterBy=name!=alpha,type==Reservation&filterBy=", EVERY),
        ("filterBy=", EVERY),
        ("filterBy=" + ",".join(["priority>=0"] * 11), EVERY),
        ("filterBy=createdAt>=2021-01-01T00:00:00%2000:00,name==alpha", ["waits"]),
    ],
)
async def test_terms_are_joined_or_repeated_and_values_hold_commas_and_operators(
    api: TheApi, town: Town, query: str, meant: list[str]
) -> None:
    assert named(town, await ids_of(api, town.me, **as_params(query))) == meant
    answer = await api.call("GET", f"/api/v1/workloads?{query}", town.me)
    assert named(town, [one["id"] for one in answer.json()["workloads"]]) == meant


def as_params(query: str) -> dict[str, list[str]]:
    return parse_qs(query, keep_blank_values=True)


@pytest.mark.parametrize(
    "term",
    [
        "nonsense",
        "name",
        "name==",
        "name=alpha",
        "==alpha",
        "Name==alpha",
        "foo==bar",
        "foo,name==alpha",
        "name>alpha",
        "createdAt=@2021",
        "createdAt==yesterday",
        "createdAt>=2021-13-01T00:00:00Z",
        "createdAt>=1700000000",
        "completedAt=^2021",
        "allocatedGPU=@1",
        "allocatedGPU>=many",
        "allocatedGPU>=nan",
        "allocatedGPU>=1e999",
        "priority=$0",
        "totalPendingTimeSeconds!@1",
        "phase==Sleeping",
        "name==a\0b",
        "name==" + "x" * 501,
        ",".join(["name!=x"] * 51),
    ],
)
async def test_nonsense_is_refused_and_says_what_would_do(api: TheApi, town: Town, term: str) -> None:
    body = await refusal(api, town.me, "/workloads", filterBy=term)
    assert body["code"] == 400
    await refusal(api, town.me, "/workloads/count", filterBy=term)


@pytest.mark.parametrize(
    ("search", "meant"),
    [
        ("alpha", ["waits"]),
        ("ALPHA", ["waits"]),
        ("beta reservation", ["failed", "runs"]),
        ("al", ["waits"]),
        ("%", []),
        ("_", ["expired"]),
        ("training", ["job"]),
        ("no such thing", []),
        ("  ", EVERY),
    ],
)
async def test_the_search_finds_what_has_every_word_somewhere(
    api: TheApi, town: Town, search: str, meant: list[str]
) -> None:
    own = f"{search} {town.me.principal.name}"
    assert named(town, await ids_of(api, town.me, search=own)) == meant
    assert (await answered(api, town.me, "/workloads/count", search=own))["count"] == len(meant)


async def test_a_search_and_filters_and_an_order_work_together(api: TheApi, town: Town) -> None:
    found = await names_of(api, town.me, search="beta", filterBy="phase!=Failed", sortBy="name", sortOrder="desc")
    assert found == ["beta"]


async def test_a_moving_workload_is_found_where_it_is_now(api: TheApi) -> None:
    me = await api.someone()
    workspace = await api.workspace(me)
    external = await api.gpr(me, workspace)
    one = await workload_of(api, external)
    assert await ids_of(api, me, filterBy="phase==Pending") == [one]
    await api.move(external, Phase.ACTIVE)
    assert await ids_of(api, me, filterBy="phase==Pending") == []
    assert await ids_of(
        api, me, filterBy=f"phase==Running,phaseUpdatedAt<={at(api.clock() + timedelta(seconds=1))}"
    ) == [one]
    await api.finish(external)
    assert await ids_of(api, me, deleted="true", filterBy="deletedAt>=2020-01-01T00:00:00Z") == [one]


async def test_what_was_in_a_workspace_that_is_gone_is_deleted(api: TheApi) -> None:
    me = await api.someone()
    workspace = await api.workspace(me)
    one = await a_workload(api, me, workspace, Phase.EXPIRED)
    assert await ids_of(api, me) == [one]
    async with api.ledger.transaction() as connection:
        await connection.execute(
            "update workspace set phase = 'deleted', ended_at = now() where id = $1", await api.workspace_id(workspace)
        )
    assert await ids_of(api, me) == []
    assert await ids_of(api, me, deleted="true") == [one]
    assert (await answered(api, me, "/workloads/count", deleted="true"))["count"] == 1


async def test_a_job_in_every_state_has_a_phase_and_conditions(api: TheApi) -> None:
    me = await api.someone()
    workspace = await api.workspace(me)
    told = {}
    for state in JobState:
        body = {
            "yamlContent": f"{{kind: inference, job: {{name: j-{state.value}, namespace: {workspace}-ns}}, "
            "environment: {image: x}, resources: {gpu: 1}}"
        }
        assert (await api.call("POST", "/api/v1/jobs", me, json=body)).status_code == 201
        async with api.ledger.reading() as connection:
            external = await connection.fetchval(
                "select external_id from gpr where name = $1 and workspace_id = $2",
                f"j-{state.value}",
                await api.workspace_id(workspace),
            )
        await api.move(external, Phase.ACTIVE)
        one = await workload_of(api, external)
        await seen(api, one, state)
        found = await answered(api, me, f"/workloads/{one}")
        told[state.value] = (found["phase"], found["conditions"][-1]["type"], found["conditions"][-1]["status"])
        assert [one["type"] for one in found["conditions"][:2]] == ["Scheduled", "Created"]
        await api.finish(external)
    assert told == {
        "pending": ("Initializing", "Initialized", "False"),
        "running": ("Running", "Available", "True"),
        "degraded": ("Degraded", "Degraded", "True"),
        "suspended": ("Stopping", "Suspended", "False"),
        "succeeded": ("Completed", "Completed", "True"),
        "failed": ("Failed", "Failed", "True"),
        "terminating": ("Terminating", "Terminating", "True"),
        "unknown": ("Unknown", "Available", "Unknown"),
    }


async def test_an_idle_workload_is_found_by_its_idle_gpus(api: TheApi) -> None:
    me = await api.someone()
    one = await a_workload(api, me, await api.workspace(me), Phase.ACTIVE)
    async with api.ledger.transaction() as connection:
        await connection.execute("update gpr set idle_gpus = 1 where id = $1::text::uuid", one)
    found = (await answered(api, me, "/workloads", filterBy="idleAllocatedGpus>=1", sortBy="idleGpus"))["workloads"]
    assert [(each["id"], each["idleGpus"], each["idleAllocatedGpus"]) for each in found] == [(one, 1, 1.0)]
    told = await answered(api, me, "/workloads/telemetry", telemetryType="IDLE_ALLOCATED_GPUS")
    assert [value["value"] for value in told["values"]] == ["1"]
