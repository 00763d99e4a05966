"""Pools set nodes aside, quotas limit namespaces: both are seen by the plan, and so by every dialect."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from domain.gpr import Phase
from tests.api.api_kit import a_gpr_body

if TYPE_CHECKING:
    from tests.api.api_kit import Someone, TheApi

BIG = {"clusterName": "worker-1", "instanceType": "p5.48xlarge", "gpuShape": "", "memoryPerGPU": 0, "numberOfGPUs": 8}


async def wait_of(api: TheApi, who: Someone, workspace: str, **changes: Any) -> dict[str, Any]:
    answer = await api.call("POST", "/api/v1/gpr/waittime", who, json=a_gpr_body(workspace, **changes))
    assert answer.status_code == 200, answer.text
    data: dict[str, Any] = answer.json()["data"]
    return data


async def in_pool(api: TheApi, owner: Someone, pool: str) -> str:
    """Name of a new workspace whose requests go to this pool."""
    name = f"in-{pool}"
    body = {"name": name, "clusters": ["worker-1"], "namespaces": [f"{name}-ns"], "pool": pool}
    assert (await api.call("POST", "/berth/v1/workspaces", owner, json=body)).status_code == 201
    return name


async def test_nodes_of_a_pool_serve_only_those_who_name_it(api: TheApi) -> None:
    owner = await api.someone()
    outside = await api.workspace(owner)
    pool = await api.pool("worker-1-h100")
    inside = await in_pool(api, owner, pool)
    assert (await wait_of(api, owner, inside, **BIG))["nodes"] == ["worker-1-h100"]
    refused = await wait_of(api, owner, outside, **BIG)
    assert (refused["estimatedStartTime"], refused["position"]) == ("", 1)
    assert pool in refused["reason"]
    await api.call("DELETE", f"/berth/v1/pools/{pool}", await api.someone(administrator=True))
    assert (await wait_of(api, owner, outside, **BIG))["nodes"] == ["worker-1-h100"]


async def test_a_gpr_may_name_another_pool_than_its_workspace(api: TheApi) -> None:
    owner = await api.someone()
    workspace, pool = await api.workspace(owner), await api.pool("worker-1-t4-7")
    body = {"workspace": workspace, "name": "g", "duration": "5m", "pool": pool}
    made = await api.call("POST", "/berth/v1/gprs", owner, json=body)
    assert (made.status_code, made.json()["pool"]) == (201, pool)
    used = await api.call("DELETE", f"/berth/v1/pools/{pool}", await api.someone(administrator=True))
    assert used.status_code == 409
    unknown = await api.call("POST", "/berth/v1/gprs", owner, json={**body, "pool": "not-there"})
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "not_found")


async def test_nodes_are_added_removed_and_replaced(api: TheApi) -> None:
    administrator, pool = await api.someone(administrator=True), await api.pool("worker-1-t4-1")

    async def changed(**change: Any) -> list[str]:
        answer = await api.call("PATCH", f"/berth/v1/pools/{pool}", administrator, json=change)
        assert answer.status_code == 200, answer.text
        return [node["node"] for node in answer.json()["nodes"]]

    assert await changed(add=["worker-1/worker-1-t4-2"]) == ["worker-1-t4-1", "worker-1-t4-2"]
    assert await changed(remove=["worker-1-t4-1"]) == ["worker-1-t4-2"]
    assert await changed(nodes=["worker-1-t4-3"]) == ["worker-1-t4-3"]
    assert await changed(description="for tests") == ["worker-1-t4-3"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"name": "default"}, 422),
        ({"name": "no good"}, 422),
        ({"name": "fine", "nodes": ["no-such-node"]}, 404),
        ({"name": "fine", "nodes": "worker-1-t4-1"}, 422),
        ({}, 422),
    ],
)
async def test_what_is_no_pool_is_refused(api: TheApi, body: dict[str, Any], status: int) -> None:
    answer = await api.call("POST", "/berth/v1/pools", await api.someone(administrator=True), json=body)
    assert answer.status_code == status, answer.text


async def test_a_pool_is_made_once(api: TheApi) -> None:
    again = {"name": await api.pool()}
    assert (
        await api.call("POST", "/berth/v1/pools", await api.someone(administrator=True), json=again)
    ).status_code == 409


async def test_a_quota_limits_the_whole_workspace_of_the_namespace(api: TheApi) -> None:
    owner = await api.someone()
    workspace = await api.workspace(owner)
    await api.quota(f"{workspace}-ns", gpus=2)
    too_large = await wait_of(api, owner, workspace, numberOfGPUNodes=3)
    assert too_large["estimatedStartTime"] == ""
    assert "the quota of namespace" in too_large["reason"]
    assert (await wait_of(api, owner, workspace, numberOfGPUNodes=2))["estimatedWaitTime"] == "0h0m0s"


async def test_what_is_in_use_of_a_quota_is_shown(api: TheApi) -> None:
    owner = await api.someone()
    workspace = await api.workspace(owner)
    await api.gpr(owner, workspace, Phase.ACTIVE)
    namespace = await api.quota(f"{workspace}-ns", gpus=4, cpu_millis=8000)
    shown = (await api.call("GET", f"/berth/v1/quotas/{namespace}", owner)).json()
    assert shown["limit"] == {"gpus": 4, "cpu_millis": 8000, "memory_mib": None}
    assert shown["used"]["gpus"] == 1
    listed = (await api.call("GET", "/berth/v1/quotas", owner)).json()["items"]
    assert [one["namespace"] for one in listed] == [namespace]


async def test_a_quota_can_be_taken_away(api: TheApi) -> None:
    owner, administrator = await api.someone(), await api.someone(administrator=True)
    workspace = await api.workspace(owner)
    namespace = await api.quota(f"{workspace}-ns", gpus=0)
    assert (await wait_of(api, owner, workspace))["estimatedStartTime"] == ""
    assert (await api.call("DELETE", f"/berth/v1/quotas/{namespace}", administrator)).status_code == 200
    assert (await wait_of(api, owner, workspace))["estimatedWaitTime"] == "0h0m0s"
    assert (await api.call("GET", f"/berth/v1/quotas/{namespace}", owner)).status_code == 404
    assert (await api.call("DELETE", f"/berth/v1/quotas/{namespace}", administrator)).status_code == 404


async def test_a_namespace_that_nobody_has_gets_no_quota(api: TheApi) -> None:
    answer = await api.call("PUT", "/berth/v1/quotas/nobodys", await api.someone(administrator=True), json={"gpus": 1})
    assert answer.status_code == 404
