"""The inventory in the union of the shapes that the document and the clients know."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from domain.gpr import Phase

if TYPE_CHECKING:
    from tests.api.api_kit import TheApi

NODE_KEYS = {
    *("gpuNodeName", "gpuShape", "gpuModelName", "instanceType", "clusterName", "memory", "gpuCount", "availableGPUs"),
    *("gpuTempThreshold", "gpuPowerThreshold", "gpuNodeState", "gpuNodeStatus", "cloudProvider", "cloud", "region"),
    *("nodeHealth", "gpuSlicingProfile", "allocation"),
}


async def test_the_list_has_every_spelling_of_itself(api: TheApi) -> None:
    data = (await api.call("GET", "/api/v1/inventory/list", await api.someone())).json()["data"]
    assert data["items"] == data["managedNodes"]
    assert data["unmanagedNodes"] == []
    assert all(node.keys() == NODE_KEYS for node in data["items"])


async def test_a_node_is_shown_in_the_documents_words(api: TheApi) -> None:
    node = await node_of(api, "worker-2-t4-0")
    assert (node["gpuShape"], node["gpuModelName"], node["instanceType"]) == (
        "n1-standard-8",
        "Tesla-T4",
        "n1-standard-8",
    )
    assert (node["memory"], node["gpuCount"], node["availableGPUs"], node["clusterName"]) == (15360, 1, 1, "worker-2")
    assert (node["gpuNodeState"], node["nodeHealth"], node["allocation"]) == ("NODE_AVAILABLE", "Healthy", [])


async def test_a_held_node_is_reserved_and_says_for_whom(api: TheApi) -> None:
    me = await api.someone()
    workspace = await api.workspace(me)
    gpr = await api.gpr(me, workspace, Phase.ACTIVE)
    holding = (await api.call("GET", f"/berth/v1/gprs/{gpr}", me)).json()["lease"]["nodes"][0]["node"]
    nodes = (await api.call("GET", "/api/v1/inventory/list", me)).json()["data"]["items"]
    held = next(node for node in nodes if node["gpuNodeName"] == holding)
    allocation = held["allocation"][0]
    assert (held["gpuNodeState"], allocation["gprName"], allocation["sliceName"]) == (
        "NODE_RESERVED",
        "gpr1",
        workspace,
    )
    assert allocation["allocationTimeStamp"].keys() == {"seconds", "nanos"}
    assert int(allocation["allocationTimeStamp"]["seconds"]) > 1_700_000_000


async def test_a_workspaces_inventory_is_what_it_holds(api: TheApi) -> None:
    me = await api.someone()
    workspace = await api.workspace(me)
    path = f"/api/v1/inventory?sliceName={workspace}"
    assert (await api.call("GET", path, me)).json()["data"] == {"items": []}
    gpr = await api.gpr(me, workspace, Phase.ACTIVE)
    items = (await api.call("GET", path, me)).json()["data"]["items"]
    lease = (await api.call("GET", f"/berth/v1/gprs/{gpr}", me)).json()["lease"]
    assert [(item["nodeName"], item["totalGpus"], item["clusterName"]) for item in items] == [
        ([lease["nodes"][0]["node"]], 1, "worker-1")
    ]
    assert items[0].keys() == {
        *("nodeName", "memory", "totalGpus", "instanceType", "gpuShape", "memoryPerGpu", "gpuPerNode", "totalGpuNodes"),
        "clusterName",
    }


async def test_the_inventory_of_a_workspace_that_is_not_there_is_not_found(api: TheApi) -> None:
    answer = await api.call("GET", "/api/v1/inventory?sliceName=workspace2", await api.someone())
    assert (answer.status_code, answer.json()["message"]) == (404, "Not Found")


async def node_of(api: TheApi, name: str) -> dict[str, Any]:
    nodes = (await api.call("GET", "/api/v1/inventory/list", await api.someone())).json()["data"]["items"]
    return next(node for node in nodes if node["gpuNodeName"] == name)
