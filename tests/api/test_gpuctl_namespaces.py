"""Namespaces are those of workspaces: seen by their members, deleted with their workspace, never somebody else's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from domain.failures import ClusterUnavailable
from domain.gpr import Phase

if TYPE_CHECKING:
    from tests.api.api_kit import Someone, TheApi


async def a_namespace(api: TheApi, owner: Someone) -> str:
    return f"{await api.workspace(owner)}-ns"


async def test_namespaces_of_ones_workspaces_are_listed_and_no_others(api: TheApi) -> None:
    owner, stranger = await api.someone(), await api.someone()
    names = sorted([await a_namespace(api, owner), await a_namespace(api, owner)])
    listed = (await api.call("GET", "/api/v1/namespaces", owner)).json()
    assert (listed["total"], [one["name"] for one in listed["items"]]) == (2, names)
    assert {one["status"] for one in listed["items"]} == {"Active"}
    assert all(one["age"].endswith("s") for one in listed["items"])
    assert (await api.call("GET", "/api/v1/namespaces", stranger)).json() == {"total": 0, "items": []}
    assert (await api.call("GET", f"/api/v1/namespaces/{names[0]}", stranger)).status_code == 404


async def test_one_namespace_comes_with_its_labels_and_quota(api: TheApi) -> None:
    owner = await api.someone()
    name = await a_namespace(api, owner)
    bare = (await api.call("GET", f"/api/v1/namespaces/{name}", owner)).json()
    assert (bare["name"], bare["status"], bare["quota"]) == (name, "Active", None)
    assert bare["labels"].keys() == {"runwhere.ai/namespace", "berth.io/workspace"}
    await api.quota(name, gpus=3)
    limited = (await api.call("GET", f"/api/v1/namespaces/{name}", owner)).json()
    assert limited["quota"]["hard"] == {"nvidia.com/gpu": "3"}


async def test_a_namespace_goes_with_its_workspace(api: TheApi) -> None:
    owner = await api.someone()
    name = await a_namespace(api, owner)
    for _ in range(2):
        gone = await api.call("DELETE", f"/api/v1/namespaces/{name}", owner)
        assert (gone.status_code, gone.json()["name"], gone.json()["status"]) == (200, name, "deleted")
    shown = await api.call("GET", f"/api/v1/namespaces/{name}", owner)
    assert shown.json()["status"] == "Terminating"


async def test_one_of_several_namespaces_is_not_deleted_alone(api: TheApi) -> None:
    owner = await api.someone()
    body = {"name": "two-of-them", "clusters": ["worker-1"], "namespaces": ["two-a", "two-b"]}
    assert (await api.call("POST", "/berth/v1/workspaces", owner, json=body)).status_code == 201
    refused = await api.call("DELETE", "/api/v1/namespaces/two-a?force=true", owner)
    assert refused.status_code == 409
    assert refused.json() == {
        "error": "workspace 'two-of-them' has other namespaces as well (two-b): delete the workspace"
    }


async def test_a_namespace_in_which_gpus_are_held_is_kept(api: TheApi) -> None:
    owner = await api.someone()
    workspace = await api.workspace(owner)
    await api.gpr(owner, workspace, Phase.ACTIVE)
    refused = await api.call("DELETE", f"/api/v1/namespaces/{workspace}-ns", owner)
    assert (refused.status_code, refused.json().keys()) == (409, {"error"})


async def test_force_ends_what_is_live_before_the_namespace_goes(api: TheApi) -> None:
    owner = await api.someone()
    workspace = await api.workspace(owner)
    gpr = await api.gpr(owner, workspace, Phase.ACTIVE)
    path = f"/api/v1/namespaces/{workspace}-ns?force=true"
    busy = await api.call("DELETE", path, owner)
    assert (busy.status_code, "repeat this when they have ended" in busy.json()["error"]) == (409, True)
    ended = (await api.call("GET", f"/berth/v1/gprs/{gpr}", owner)).json()
    assert ended["phase"] == Phase.RELEASING
    await api.finish(gpr)
    assert (await api.call("DELETE", path, owner)).status_code == 200


@pytest.mark.parametrize("name", ["kube-system", "berth-system"])
@pytest.mark.parametrize("administrator", [True, False])
async def test_a_namespace_of_the_cluster_is_forbidden_ground(api: TheApi, name: str, administrator: bool) -> None:
    me = await api.someone(administrator=administrator)
    refused = await api.call("DELETE", f"/api/v1/namespaces/{name}?force=true", me)
    assert (refused.status_code, refused.json().keys()) == (403, {"error"})


async def test_a_namespace_that_others_made_is_forbidden_for_those_who_may_know_of_it(api: TheApi) -> None:
    me, member = await api.someone(administrator=True), await api.someone()
    api.nodes.namespaces.add(("worker-2", "monitoring"))
    api.nodes.failures["worker-1"] = ClusterUnavailable("cluster 'worker-1' does not answer")
    assert (await api.call("DELETE", "/api/v1/namespaces/monitoring", me)).status_code == 403
    assert (await api.call("DELETE", "/api/v1/namespaces/monitoring", member)).status_code == 404
    assert (await api.call("DELETE", "/api/v1/namespaces/nowhere", me)).status_code == 404


async def test_another_tenants_namespace_does_not_exist(api: TheApi) -> None:
    name = await a_namespace(api, await api.someone())
    stranger = await api.someone()
    for method in ("GET", "DELETE"):
        answer = await api.call(method, f"/api/v1/namespaces/{name}", stranger)
        assert (answer.status_code, answer.json()) == (404, {"error": f"namespace '{name}' not found"})


@pytest.mark.parametrize("path", ["/api/v1/namespaces/%00", "/api/v1/namespaces/x?force=perhaps"])
async def test_what_is_no_namespace_is_refused(api: TheApi, path: str) -> None:
    answer = await api.call("DELETE", path, await api.someone())
    assert (answer.status_code, answer.json().keys()) == (400, {"error"})
