"""Suspend and resume over HTTP: jobs and Gprs of every dialect, seen through all of them, ended in between."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from domain.gpr import Phase
from tests.api.test_gpuctl_jobs import detail, id_of, items, made, moved

if TYPE_CHECKING:
    from tests.api.api_kit import Someone, TheApi

Json = dict[str, Any]


async def told(api: TheApi, who: Someone, gpr: object, verb: str, status: int = 200) -> Json:
    """The answer to `suspend` or `resume`."""
    answer = await api.call("POST", f"/berth/v1/jobs/{gpr}/{verb}", who)
    assert answer.status_code == status, answer.text
    found: Json = answer.json()
    return found


async def egs_status(api: TheApi, who: Someone, gpr_id: str) -> Json:
    found: Json = (await api.call("GET", f"/api/v1/gpr?gprId={gpr_id}", who)).json()["data"]
    return found["items"][0]["status"] if "items" in found else found["status"]


async def test_a_job_is_suspended_and_resumed_and_every_dialect_sees_it(api: TheApi) -> None:
    owner = await api.someone()
    name = await made(api, owner, await api.workspace(owner))
    job_id = await moved(api, name, Phase.ACTIVE)
    view = await told(api, owner, job_id, "suspend")
    assert (view["phase"], view["end_cause"]) == ("releasing", "suspended")
    assert view["suspended_at"]
    assert (await detail(api, owner, name))["status"] == "Suspended"
    status = await egs_status(api, owner, view["external_id"])
    assert (status["provisioningStatus"], status["internalState"]) == ("Queued", "Reserved")
    assert await api.come_to_rest(job_id) is Phase.QUEUED
    (item,) = await items(api, owner, status="suspended")
    assert (item["jobId"], item["status"]) == (name, "Suspended")
    status = await egs_status(api, owner, view["external_id"])
    assert (status["provisioningStatus"], status["internalState"], status["retryCount"]) == ("Queued", "Queued", 0)
    view = (await api.call("GET", f"/berth/v1/gprs/{job_id}", owner)).json()
    assert view["estimate"]["reason_code"] == "suspended"
    assert view["estimate"]["reason"].startswith("suspended by ")
    view = await told(api, owner, job_id, "resume")
    assert (view["phase"], view["suspended_at"]) == ("queued", None)
    assert (await detail(api, owner, name))["status"] == "Pending"


async def test_so_is_a_gpr_by_either_of_its_ids_and_twice_is_once(api: TheApi) -> None:
    owner = await api.someone()
    external = await api.gpr(owner, await api.workspace(owner))
    once = await told(api, owner, external, "suspend")
    assert await told(api, owner, once["id"], "suspend") == once
    again = await told(api, owner, once["id"], "resume")
    assert await told(api, owner, external, "resume") == again
    assert (again["phase"], again["version"]) == ("queued", once["version"] + 1)


async def test_what_is_suspended_keeps_its_priority_for_whoever_changes_it(api: TheApi) -> None:
    owner = await api.someone()
    external = await api.gpr(owner, await api.workspace(owner))
    await told(api, owner, external, "suspend")
    changed = await api.call("PATCH", f"/berth/v1/gprs/{external}", owner, json={"priority": 201})
    assert (changed.status_code, changed.json()["priority"]) == (200, 201)


async def test_a_suspended_job_can_be_deleted(api: TheApi) -> None:
    owner = await api.someone()
    name = await made(api, owner, await api.workspace(owner))
    await told(api, owner, await id_of(api, name), "suspend")
    assert (await api.call("DELETE", f"/api/v1/jobs/{name}", owner)).status_code == 200
    assert (await detail(api, owner, name))["status"] == "Cancelled"
    assert await items(api, owner) == []


@pytest.mark.parametrize("how", ["gpuctl", "native", "EGS"])
async def test_deleted_while_its_gpus_are_taken_back_a_job_does_not_come_back(api: TheApi, how: str) -> None:
    owner = await api.someone()
    name = await made(api, owner, await api.workspace(owner))
    job_id = await moved(api, name, Phase.ACTIVE)
    external = (await told(api, owner, job_id, "suspend"))["external_id"]
    asked = {
        "gpuctl": ("DELETE", f"/api/v1/jobs/{name}"),
        "native": ("POST", f"/berth/v1/gprs/{job_id}/release"),
        "EGS": ("DELETE", f"/api/v1/gpr?gprId={external}"),
    }
    assert (await api.call(*asked[how], owner)).status_code == 200
    assert (await detail(api, owner, name))["status"] == "Terminating"
    assert await api.come_to_rest(job_id) is Phase.RELEASED


@pytest.mark.parametrize("phase", [Phase.RELEASING, Phase.RELEASED, Phase.EXPIRED, Phase.CANCELLED, Phase.FAILED])
@pytest.mark.parametrize("verb", ["suspend", "resume"])
async def test_what_is_over_is_refused(api: TheApi, verb: str, phase: Phase) -> None:
    owner = await api.someone()
    external = await api.gpr(owner, await api.workspace(owner), phase)
    refused = await told(api, owner, external, verb, 409)
    assert refused["error"]["code"] == "wrong_phase"
