"""Nodes whose GPUs are cut or shared, in each dialect's words: never among whole GPUs, and asked for by their own names."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest_asyncio

from arbitration.arbiter_pass import grant
from domain.hardware import ObservedPart
from domain.slices import GPU_RESOURCE, Slicing
from ledger import inventory
from tests.api.api_kit import a_node

if TYPE_CHECKING:
    from tests.api.api_kit import Someone, TheApi

A100, MIG = "NVIDIA-A100-SXM4-40GB", "nvidia.com/mig-1g.5gb"
SLICE, SHARED = f"{A100}-MIG-1g.5gb", f"{A100}-SHARED"
WHOLE_GPUS = ObservedPart("gpu", GPU_RESOURCE, A100, Slicing.NONE, 2, 40_960)
INSTANCES = ObservedPart("mig-1g.5gb", MIG, SLICE, Slicing.MIG, 7, 4864)
REPLICAS = ObservedPart("gpu.replicas", GPU_RESOURCE, SHARED, Slicing.SHARED, 4, 10_240)


@pytest_asyncio.fixture
async def cut(api: TheApi) -> TheApi:
    """The first cluster: one node with two whole GPUs and seven instances, one with a GPU that four share."""
    node = replace(a_node("cut-1", A100, "p4d.24xlarge", gpus=0), parts=(WHOLE_GPUS, INSTANCES))
    shared = replace(a_node("shared-1", A100, "p4d.24xlarge", gpus=0), parts=(REPLICAS,))
    async with api.ledger.transaction() as connection:
        await inventory.observe(connection, "worker-1", [node, shared], api.clock())
    return api


async def got(api: TheApi, path: str, who: Someone) -> Any:
    answer = await api.call("GET", path, who)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def granted(api: TheApi, me: Someone, **wish: Any) -> dict[str, Any]:
    """An EGS request for one of the first cluster's GPUs, after a pass."""
    fields = {"memoryPerGPU": 0, "instanceType": "", "gpuShape": "", **wish}
    gpr = await api.gpr(me, await api.workspace(me), **fields)
    await grant(api.ledger, api.clock())
    found: dict[str, Any] = (await got(api, f"/api/v1/gpr?gprId={gpr}", me))["data"]
    return found


async def test_egs_lists_each_part_with_what_a_request_copies(cut: TheApi) -> None:
    me = await cut.someone()
    items = (await got(cut, "/api/v1/inventory/list", me))["data"]["items"]
    told = {
        (one["gpuNodeName"], one["gpuShape"], one["gpuModelName"], one["gpuCount"], tuple(one["gpuSlicingProfile"]))
        for one in items
        if one["clusterName"] == "worker-1"
    }
    assert told == {
        ("cut-1", "p4d.24xlarge", A100, 2, ()),
        ("cut-1", SLICE, SLICE, 7, ("mig-1g.5gb",)),
        ("shared-1", SHARED, SHARED, 4, ("shared",)),
    }


async def test_egs_gets_an_instance_by_its_name_and_says_on_which_node(cut: TheApi) -> None:
    me = await cut.someone()
    found = await granted(cut, me, gpuShape=SLICE, instanceType="p4d.24xlarge")
    assert found["status"]["nodes"] == ["cut-1"]
    workspace = found["sliceName"]
    (held,) = (await got(cut, f"/api/v1/inventory?sliceName={workspace}", me))["data"]["items"]
    assert (held["nodeName"], held["gpuShape"], held["totalGpus"]) == (["cut-1"], SLICE, 1)


async def test_egs_never_gets_a_part_for_a_whole_gpu(cut: TheApi) -> None:
    me = await cut.someone()
    wanted = [await granted(cut, me, instanceType="p4d.24xlarge") for _ in range(4)]
    whole = [one["gprId"] for one in wanted if one["status"]["nodes"]]
    assert len(whole) == 2
    nodes = {one["name"]: one for one in (await got(cut, "/berth/v1/nodes?cluster=worker-1", me))["items"]}
    assert (nodes["cut-1/gpu"]["free_gpus"], nodes["shared-1/gpu.replicas"]["held_gpus"]) == (0, 0)


async def test_the_native_list_says_what_each_part_is(cut: TheApi) -> None:
    nodes = (await got(cut, "/berth/v1/nodes?cluster=worker-1", await cut.someone()))["items"]
    assert [(one["name"], one["gpus"], one["resource"], one["slicing"]) for one in nodes] == [
        ("cut-1", 0, GPU_RESOURCE, "none"),
        ("cut-1/gpu", 2, GPU_RESOURCE, "none"),
        ("cut-1/mig-1g.5gb", 7, MIG, "mig"),
        ("shared-1", 0, GPU_RESOURCE, "none"),
        ("shared-1/gpu.replicas", 4, GPU_RESOURCE, "shared"),
    ]


async def test_gpuctl_shows_a_cut_node_once_with_all_that_it_has(cut: TheApi) -> None:
    me = await cut.someone()
    found = (await got(cut, "/api/v1/nodes?pageSize=100", me))["items"]
    (node,) = [one for one in found if one["nodeName"].startswith("cut-1")]
    assert (node["nodeName"], node["gpuTotal"], node["gpuType"]) == ("cut-1", 9, f"{A100}, {SLICE}")
    listed = (await got(cut, "/api/v1/nodes/gpu-detail?pageSize=100", me))["items"]
    (detail,) = [one for one in listed if one["nodeName"] == "cut-1"]
    assert [gpu["type"] for gpu in detail["gpus"]] == [A100] * 2 + [SLICE] * 7
    assert detail["gpuCount"] == 9


async def test_gpuctl_finds_it_by_the_name_of_either(cut: TheApi) -> None:
    me = await cut.someone()
    for word, names in (("A100", {"cut-1"}), ("a100-mig-1g.5gb", {"cut-1"}), ("a100-shared", {"shared-1"})):
        found = (await got(cut, f"/api/v1/nodes?pageSize=100&gpuType={word}", me))["items"]
        assert {one["nodeName"] for one in found} == names


async def test_runai_tells_of_instances_as_what_kubernetes_counts_them_by(cut: TheApi) -> None:
    me = await cut.someone()
    for shape, asked in ((SLICE, MIG), (SHARED, GPU_RESOURCE)):
        found = await granted(cut, me, gpuShape=shape, numberOfGPUs=2)
        listed = (await got(cut, "/api/v1/workloads", me))["workloads"]
        (told,) = [one for one in listed if one["projectName"] == found["sliceName"]]
        said = {"extendedResources": [{"resource": asked, "quantity": "2"}]}
        assert (told["workloadRequestedResources"], told["allocatedResources"]) == (said, said)


async def test_gpudev_counts_no_part_as_a_gpu_of_its_kind(cut: TheApi) -> None:
    cut.clock.ahead += timedelta(seconds=3)
    found = (await got(cut, "/v1/gpu/availability", await cut.someone()))["availability"]
    assert (found["a100"]["total"], found["a100"]["max_per_node"]) == (2, 2)


async def test_maintenance_of_a_cut_node_is_of_all_its_parts(cut: TheApi) -> None:
    me = await cut.someone(administrator=True)
    await granted(cut, me, gpuShape=SLICE, numberOfGPUs=7)
    waits = await cut.gpr(me, await cut.workspace(me), gpuShape=SLICE, memoryPerGPU=0, instanceType="")
    promised = await cut.call("POST", f"/berth/v1/gprs/{waits}/promise", me)
    assert promised.status_code in {200, 201}, promised.text
    body = {"name": "cut-away", "end": (cut.clock() + timedelta(days=9)).isoformat(), "nodes": ["worker-1/cut-1"]}
    refused = await cut.call("POST", "/berth/v1/maintenance", me, json=body)
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "promises_in_the_way")
    made = await cut.call("POST", "/berth/v1/maintenance", me, json={**body, "force": True})
    assert made.status_code == 201, made.text
    away = {node["node"]: node["maintenance"] for node in (await got(cut, "/berth/v1/plan", me))["nodes"]}
    assert [one["name"] for one in away["cut-1/mig-1g.5gb"]] == ["cut-away"]
    await cut.call("DELETE", "/berth/v1/maintenance/cut-away", me)


async def test_a_pool_takes_a_node_with_all_its_parts(cut: TheApi) -> None:
    me = await cut.someone()
    pool = await cut.pool("worker-1/cut-1")
    (node,) = (await got(cut, f"/api/v1/nodes?pool={pool}", me))["items"]
    assert (node["nodeName"], node["gpuTotal"], node["boundPools"]) == ("cut-1", 9, [pool])
    found = await granted(cut, me, gpuShape=SLICE)
    assert found["status"]["nodes"] is None
