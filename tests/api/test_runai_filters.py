"""Filters and searches over workloads: every operator, every way to join terms, and what is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qs

import pytest
import pytest_asyncio

from tests.api.runai_kit import answered, ids_of, names_of, refusal
from tests.api.runai_town import EVERY, Town, a_town, named

if TYPE_CHECKING:
    from tests.api.api_kit import TheApi


@pytest_asyncio.fixture(scope="module")
async def town(api: TheApi) -> Town:
    return await a_town(api)


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
