"""Nodes as gpuctl's clients see them: filters, pages, real use, GPUs, and the pools that they join and leave."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from domain.failures import ClusterRefused, ClusterUnavailable
from domain.gpr import Phase
from ledger import inventory
from tests.api.api_kit import CAPABILITIES, a_node, opened

if TYPE_CHECKING:
    from tests.api.api_kit import Someone, TheApi

NODE = "worker-2-t4-7"


async def listed(api: TheApi, who: Someone, query: str = "") -> dict[str, Any]:
    answer = await api.call("GET", f"/api/v1/nodes{query}", who)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def test_nodes_are_listed_page_by_page(api: TheApi) -> None:
    me = await api.someone()
    first, second = await listed(api, me), await listed(api, me, "?page=2")
    assert (first["total"], len(first["items"])) == (82, 20)
    assert not {one["nodeName"] for one in first["items"]} & {one["nodeName"] for one in second["items"]}
    assert len((await listed(api, me, "?page=1&pageSize=100"))["items"]) == 82
    assert await listed(api, me, "?page=1000000") == {"total": 82, "items": []}


@pytest.mark.parametrize(
    "query", ["?page=0", "?page=x", "?pageSize=0", "?pageSize=101", "?status=sleeping", "?pool=%00", f"?page={2**70}"]
)
async def test_pages_and_filters_have_bounds(api: TheApi, query: str) -> None:
    answer = await api.call("GET", f"/api/v1/nodes{query}", await api.someone())
    assert (answer.status_code, answer.json().keys()) == (400, {"error"})


async def test_a_node_in_the_list_says_what_it_has(api: TheApi) -> None:
    (found,) = (await listed(api, await api.someone(), "?gpuType=H100&pageSize=1"))["items"]
    assert found.pop("createdAt")
    assert found == {
        "nodeName": "worker-1-h100",
        "status": "active",
        "gpuTotal": 8,
        "gpuUsed": 0,
        "gpuFree": 8,
        "boundPools": ["default"],
        "cpu": "8",
        "memory": "30Gi",
        "gpuType": "NVIDIA-H100-80GB-HBM3",
    }


async def test_nodes_are_found_by_pool_gpu_and_status(api: TheApi) -> None:
    me, pool = await api.someone(), await api.pool("worker-2-t4-1", "worker-2-h100")
    assert [one["nodeName"] for one in (await listed(api, me, f"?pool={pool}"))["items"]] == [
        "worker-2-h100",
        "worker-2-t4-1",
    ]
    assert (await listed(api, me, f"?pool={pool}&gpuType=t4"))["total"] == 1
    assert (await listed(api, me, "?pool=default&status=active"))["total"] <= 80
    assert (await listed(api, me, "?status=not_ready"))["total"] == 0
    assert (await listed(api, me, "?gpuType=a100"))["total"] == 0


async def test_one_node_is_shown_with_its_use_and_labels(api: TheApi) -> None:
    found = (await api.call("GET", "/api/v1/nodes/worker-2-t4-3", await api.someone())).json()
    assert found["resources"] == {
        "cpuTotal": "8",
        "cpuUsed": "1500m",
        "memoryTotal": "30Gi",
        "memoryUsed": "2Gi",
        "gpuTotal": 1,
        "gpuUsed": 0,
        "gpuFree": 1,
    }
    assert {"key": "kubernetes.io/hostname", "value": "worker-2-t4-3"} in found["labels"]
    assert (found["status"], found["boundPools"]) == ("active", ["default"])


async def test_the_gpus_of_nodes_are_shown_and_nothing_is_measured_that_nobody_measured(api: TheApi) -> None:
    owner = await api.someone()
    await api.gpr(owner, await api.workspace(owner), Phase.ACTIVE)
    body = (await api.call("GET", "/api/v1/nodes/gpu-detail?pageSize=100", owner)).json()
    gpus = [gpu for node in body["items"] for gpu in node["gpus"]]
    assert (body["total"], len(gpus), {gpu["utilization"] for gpu in gpus}) == (82, 96, {None})
    assert {gpu["status"] for gpu in gpus} == {"used", "free"}
    assert [gpu["gpuId"] for gpu in body["items"][0]["gpus"]] == [f"gpu-{place}" for place in range(8)]


async def test_a_node_joins_and_leaves_pools(api: TheApi) -> None:
    me, pool = await api.someone(administrator=True), await api.pool()

    async def pools_now() -> list[str]:
        pools: list[str] = (await api.call("GET", f"/api/v1/nodes/{NODE}", me)).json()["boundPools"]
        return pools

    for _ in range(2):
        joined = await api.call("POST", f"/api/v1/nodes/{NODE}/pools", me, json={"pool": pool})
        assert (joined.status_code, joined.json()["node"], joined.json()["pool"]) == (200, NODE, pool)
    assert await pools_now() == [pool]
    left = await api.call("DELETE", f"/api/v1/nodes/{NODE}/pools/{pool}", me)
    assert (left.status_code, await pools_now()) == (200, ["default"])
    again = await api.call("DELETE", f"/api/v1/nodes/{NODE}/pools/{pool}", me)
    assert (again.status_code, again.json()["error"]) == (404, f"node '{NODE}' is not in the pool '{pool}'")


@pytest.mark.parametrize(
    ("node", "body", "status"),
    [
        (NODE, {"pool": "not-there"}, 404),
        ("not-there", {"pool": "{pool}"}, 404),
        (NODE, {"pool": "default"}, 400),
        (NODE, {"pool": ""}, 400),
        (NODE, {}, 400),
        (NODE, {"pool": 7}, 400),
        (NODE, {"pools": ["x"]}, 400),
    ],
)
async def test_a_node_does_not_join_what_is_not_there(
    api: TheApi, node: str, body: dict[str, Any], status: int
) -> None:
    me = await api.someone(administrator=True)
    if body.get("pool") == "{pool}":
        body = {"pool": await api.pool()}
    answer = await api.call("POST", f"/api/v1/nodes/{node}/pools", me, json=body)
    assert (answer.status_code, answer.json().keys()) == (status, {"error"})


@pytest.mark.parametrize("path", ["/api/v1/nodes/not-there", "/api/v1/nodes/not-there/labels", "/api/v1/nodes/a%20b"])
async def test_a_node_that_is_not_there_is_not_found(api: TheApi, path: str) -> None:
    answer = await api.call("GET", path, await api.someone())
    assert (answer.status_code, answer.json().keys()) == (404, {"error"})


async def test_a_cluster_that_does_not_answer_leaves_the_list_as_the_ledger_knows_it(api: TheApi) -> None:
    me = await api.someone()
    api.nodes.failures["worker-1"] = ClusterUnavailable("cluster 'worker-1' does not answer")
    items = (await listed(api, me, "?pageSize=100"))["items"]
    assert {one["cpu"] for one in items if one["nodeName"].startswith("worker-1")} == {"unknown"}
    assert {one["cpu"] for one in items if one["nodeName"].startswith("worker-2")} == {"8"}
    refused = await api.call("GET", "/api/v1/nodes/worker-1-h100", me)
    assert (refused.status_code, refused.json().keys(), refused.headers["retry-after"]) == (503, {"error"}, "2")


async def test_a_cluster_that_refuses_is_a_500_in_shape(api: TheApi) -> None:
    api.nodes.failures["worker-1"] = ClusterRefused("cluster 'worker-1' answered 403")
    answer = await api.call("GET", "/api/v1/nodes/worker-1-h100", await api.someone())
    assert (answer.status_code, answer.json()) == (500, {"error": "cluster 'worker-1' answered 403"})


async def test_a_name_in_several_clusters_asks_for_the_cluster(database_url: str) -> None:
    async with opened(database_url) as api:
        async with api.ledger.transaction() as connection:
            for cluster in ("east", "west"):
                await inventory.register_cluster(connection, cluster, CAPABILITIES, api.clock())
                await inventory.observe(connection, cluster, [a_node("same")], api.clock())
        me, pool = await api.someone(administrator=True), f"p-{uuid4().hex[:8]}"
        await api.call("POST", "/api/v1/pools", me, json={"name": pool})
        assert (await api.call("GET", "/api/v1/nodes/same", me)).status_code == 400
        assert (await api.call("GET", "/api/v1/nodes/same?cluster=west", me)).status_code == 200
        joined = await api.call("POST", "/api/v1/nodes/same/pools?cluster=east", me, json={"pool": pool})
        assert joined.status_code == 200
        assert (await listed(api, me, f"?pool={pool}"))["total"] == 1
