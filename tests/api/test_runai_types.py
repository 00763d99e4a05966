"""Categories, types and priorities: what there is, who may change what, and that it counts for new workloads."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from uuid import UUID

import pytest

from ledger import jobs
from tests.api.gpudev_kit import a_box
from tests.api.runai_kit import CATEGORY_ID, PRIORITY_ID, a_workload, answered, assert_failure, refusal, stable_id

if TYPE_CHECKING:
    from tests.api.api_kit import Someone, TheApi

DEPLOY_ID = stable_id("category", "Deploy")
COMPUTE_ID, GPR_ID = stable_id("type", "compute"), stable_id("type", "gpr")


async def test_what_there_is_to_choose_from(api: TheApi) -> None:
    me = await api.someone()
    categories = (await answered(api, me, "/workload-categories"))["categories"]
    assert [one["name"] for one in categories] == ["Build", "Deploy", "Train"]
    assert (await answered(api, me, f"/workload-categories/{CATEGORY_ID.upper()}")) == categories[0]
    priorities = (await answered(api, me, "/workload-priorities"))["priorities"]
    assert [(one["name"], one["value"]) for one in priorities] == [
        ("very-low", 25),
        ("low", 40),
        ("medium-low", 65),
        ("medium", 80),
        ("medium-high", 90),
        ("high", 125),
        ("very-high", 150),
    ]
    types = (await answered(api, me, "/workload-types"))["types"]
    assert [one["name"] for one in types] == ["Compute", "DevBox", "Inference", "Reservation", "Training", "Workspace"]
    assert (await answered(api, me, f"/workload-types/{types[0]['id']}")) == types[0]
    assert types[0]["categoryName"] == "Deploy"
    assert (await answered(api, me, "/workload-types", externalTypesOnly="true"))["types"] == []


@pytest.mark.parametrize("path", ["/workload-categories", "/workload-types"])
async def test_what_there_is_not_is_not_found_and_nonsense_is_refused(api: TheApi, path: str) -> None:
    me = await api.someone()
    await refusal(api, me, f"{path}/{UUID(int=1)}", 404)
    await refusal(api, me, f"{path}/nonsense", 400)


async def test_a_change_of_a_type_counts_for_new_workloads_and_leaves_the_others(api: TheApi) -> None:
    administrator, me = await api.someone(administrator=True), await api.someone()
    workspace = await api.workspace(me)
    before = await a_workload(api, me, workspace)
    path = f"/api/v1/workload-types/{GPR_ID}"
    changed = await api.call("PUT", path, administrator, json={"categoryId": DEPLOY_ID, "priorityId": PRIORITY_ID})
    assert changed.status_code == 200, changed.text
    body = changed.json()
    assert (body["categoryName"], body["priorityName"], body["updatedBy"]) == (
        "Deploy",
        "high",
        administrator.principal.name,
    )
    assert (await answered(api, me, f"/workload-types/{GPR_ID}")) == body
    after = await a_workload(api, me, workspace)
    told = {one["id"]: one["category"] for one in (await answered(api, me, "/workloads"))["workloads"]}
    assert told == {before: "Build", after: "Deploy"}
    unchanged = (await api.call("PUT", path, administrator)).json()
    assert {**unchanged, "updatedAt": None} == {**body, "updatedAt": None}
    only_category = await api.call("PUT", path, administrator, json={"categoryId": CATEGORY_ID})
    assert (only_category.json()["categoryName"], only_category.json()["priorityName"]) == ("Build", "high")


async def priority_of(api: TheApi, workload_id: str) -> int:
    async with api.ledger.reading() as connection:
        return int(await connection.fetchval("select priority from gpr where id = $1::text::uuid", workload_id))


async def a_job_of(api: TheApi, who: Someone, workspace: str, kind: str, name: str, **job: str) -> str:
    told = {"name": name, "namespace": f"{workspace}-ns", **job}
    document = {"kind": kind, "job": told, "environment": {"image": "x"}, "resources": {"gpu": 1}}
    answer = await api.call("POST", "/api/v1/jobs", who, json={"yamlContent": json.dumps(document)})
    assert answer.status_code == 201, answer.text
    async with api.ledger.reading() as connection:
        return str(await jobs.id_of(connection, None, name))


async def give(api: TheApi, kind: str, priority: str) -> None:
    """What new ones of a kind are to be given."""
    path = f"/api/v1/workload-types/{stable_id('type', kind)}"
    body = {"priorityId": stable_id("priority", priority)}
    answer = await api.call("PUT", path, await api.someone(administrator=True), json=body)
    assert answer.status_code == 200, answer.text


async def test_the_class_that_is_shown_of_a_type_is_that_of_new_ones_before_anybody_has_set_it(api: TheApi) -> None:
    me = await api.someone()
    workspace = await api.workspace(me)
    assert (await answered(api, me, f"/workload-types/{COMPUTE_ID}"))["priorityName"] == "medium"
    one = await a_job_of(api, me, workspace, "compute", "as-shipped")
    assert await priority_of(api, one) == 150
    assert (await answered(api, me, f"/workloads/{one}"))["priorityClassName"] == "medium"


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("very-low", 20),
        ("low", 50),
        ("medium-low", 120),
        ("medium", 150),
        ("medium-high", 180),
        ("high", 220),
        ("very-high", 280),
    ],
)
async def test_the_priority_of_a_type_is_that_of_new_gprs_that_name_none(api: TheApi, word: str, value: int) -> None:
    me = await api.someone()
    workspace = await api.workspace(me)
    await give(api, "gpr", word)
    one = await a_workload(api, me, workspace, priority=None)
    assert await priority_of(api, one) == value
    assert (await answered(api, me, f"/workloads/{one}"))["priorityClassName"] == word
    wish = {"workspace": workspace, "name": "native", "duration": "10m"}
    assert (await api.call("POST", "/berth/v1/gprs", me, json=wish)).json()["priority"] == value


async def test_a_priority_that_is_named_wins_over_that_of_the_type(api: TheApi) -> None:
    me = await api.someone()
    workspace = await api.workspace(me)
    await give(api, "gpr", "very-high")
    await give(api, "training", "very-high")
    assert await priority_of(api, await a_workload(api, me, workspace, priority=0)) == 0
    assert await priority_of(api, await a_workload(api, me, workspace, priority=101)) == 101
    assert await priority_of(api, await a_job_of(api, me, workspace, "training", "named", priority="medium")) == 150


async def test_the_priority_of_a_type_counts_for_jobs_and_boxes_too(api: TheApi) -> None:
    me = await api.someone()
    workspace = await api.workspace(me)
    await give(api, "training", "low")
    await give(api, "box", "very-high")
    assert await priority_of(api, await a_job_of(api, me, workspace, "training", "unnamed")) == 50
    assert await priority_of(api, await a_job_of(api, me, workspace, "notebook", "other-kind")) == 150
    assert await priority_of(api, await a_box(api, me)) == 280


async def test_a_change_that_makes_no_sense_or_is_not_an_administrators_is_refused(api: TheApi) -> None:
    administrator, me = await api.someone(administrator=True), await api.someone()
    path = f"/api/v1/workload-types/{COMPUTE_ID}"
    for who, where, body, status in (
        (me, path, {"categoryId": CATEGORY_ID}, 403),
        (administrator, path, {"categoryId": str(UUID(int=1))}, 400),
        (administrator, path, {"categoryId": "nonsense"}, 400),
        (administrator, f"/api/v1/workload-types/{UUID(int=1)}", {"categoryId": CATEGORY_ID}, 404),
    ):
        answer = await api.call("PUT", where, who, json=body)
        assert answer.status_code == status, answer.text
        assert_failure(answer)
    assert (await answered(api, me, f"/workload-types/{COMPUTE_ID}"))["categoryName"] == "Deploy"
