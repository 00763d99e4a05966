"""Pools as gpuctl's clients see them: a bare array, the other spelling for one, and `default` for the nodes of none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from domain.gpr import Phase

if TYPE_CHECKING:
    from tests.api.api_kit import Someone, TheApi

YAML = """
kind: pool
version: v0.1
pool: {{name: {name}, description: the fast ones}}
nodes:
  worker-1-h100: {{gpu-type: h100-80g}}
  worker-1-t4-2:
"""


def a_name() -> str:
    return f"pool-{uuid4().hex[:10]}"


async def made(api: TheApi, who: Someone, **body: Any) -> str:
    answer = await api.call("POST", "/api/v1/pools", who, json={"name": a_name(), **body})
    assert answer.status_code == 201, answer.text
    name: str = answer.json()["name"]
    return name


async def detail(api: TheApi, who: Someone, name: str) -> dict[str, Any]:
    answer = await api.call("GET", f"/api/v1/pools/{name}", who)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_a_pool_is_made_listed_and_shown_with_the_gpus_of_its_nodes(api: TheApi) -> None:
    me, name = await api.someone(administrator=True), a_name()
    body = {"name": name, "description": "fast", "nodes": ["worker-1-h100", "worker-1-t4-1"]}
    answer = await api.call("POST", "/api/v1/pools", me, json=body)
    assert (answer.status_code, answer.json()["name"], answer.json()["status"]) == (201, name, "created")
    listed = (await api.call("GET", "/api/v1/pools", me)).json()
    types = ["NVIDIA-H100-80GB-HBM3", "Tesla-T4"]
    counts = {"gpuTotal": 9, "gpuUsed": 0, "gpuFree": 9, "gpuType": types, "status": "active"}
    assert {"name": name, "description": "fast", **counts} in listed
    assert await detail(api, me, name) == {
        "name": name,
        "description": "fast",
        "nodes": body["nodes"],
        "gpu_total": 9,
        "gpu_used": 0,
        "gpu_free": 9,
        "gpu_types": types,
        "status": "active",
    }


async def test_what_is_in_use_of_a_pool_is_counted(api: TheApi) -> None:
    owner = await api.someone()
    await api.gpr(owner, await api.workspace(owner), Phase.ACTIVE)
    nodes = (await api.call("GET", "/berth/v1/nodes", owner)).json()["items"]
    held = next(node["name"] for node in nodes if node["held_gpus"])
    found = await detail(api, owner, await api.pool(held))
    assert (found["gpu_total"], found["gpu_used"], found["gpu_free"]) == (8, 1, 7)


async def test_the_nodes_of_no_pool_are_the_pool_default(api: TheApi) -> None:
    me = await api.someone(administrator=True)
    before = await detail(api, me, "default")
    assert before["status"] == "active"
    name = await made(api, me, nodes=["worker-2-t4-5"])
    assert "worker-2-t4-5" in before["nodes"]
    assert "worker-2-t4-5" not in (await detail(api, me, "default"))["nodes"]
    assert [one["name"] for one in (await api.call("GET", "/api/v1/pools", me)).json()].count("default") == 1
    assert (await api.call("DELETE", f"/api/v1/pools/{name}", me)).json()["status"] == "deleted"
    assert (await detail(api, me, "default"))["gpu_total"] == before["gpu_total"]


@pytest.mark.parametrize("as_json", [True, False])
async def test_a_pool_is_made_from_yaml_inside_json_or_plain(api: TheApi, as_json: bool) -> None:
    me, name = await api.someone(administrator=True), a_name()
    text = YAML.format(name=name)
    sent = {"json": {"yamlContent": text}} if as_json else {"content": text}
    assert (await api.call("POST", "/api/v1/pools", me, **sent)).status_code == 201
    assert (await detail(api, me, name))["nodes"] == ["worker-1-h100", "worker-1-t4-2"]


async def test_a_pool_is_changed_where_the_change_says_so(api: TheApi) -> None:
    me = await api.someone(administrator=True)
    name = await made(api, me, nodes=["worker-1-t4-6"], description="old")
    answer = await api.call("PUT", f"/api/v1/pools/{name}", me, json={"description": "new"})
    assert (answer.status_code, answer.json()["status"]) == (200, "updated")
    assert (await detail(api, me, name))["nodes"] == ["worker-1-t4-6"]
    await api.call("PUT", f"/api/v1/pools/{name}", me, json={"name": name, "nodes": ["worker-1-t4-8"]})
    after = await detail(api, me, name)
    assert (after["description"], after["nodes"]) == ("new", ["worker-1-t4-8"])


async def test_a_pool_in_use_is_kept(api: TheApi) -> None:
    me = await api.someone(administrator=True)
    name, workspace = await api.pool("worker-1-t4-9"), await api.workspace(me)
    body = {"workspace": workspace, "name": "g", "duration": "5m", "pool": name}
    assert (await api.call("POST", "/berth/v1/gprs", me, json=body)).status_code == 201
    refused = await api.call("DELETE", f"/api/v1/pools/{name}", me)
    assert (refused.status_code, refused.json()) == (
        409,
        {"error": f"the pool '{name}' is used by 1 request(s); let them end first"},
    )


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_a_pool_that_is_not_there_is_not_found(api: TheApi, method: str) -> None:
    me = await api.someone(administrator=True)
    answer = await api.call(method, "/api/v1/pools/nowhere", me, json={"description": "x"})
    assert (answer.status_code, answer.json().keys()) == (404, {"error"})


async def test_a_name_is_taken_once(api: TheApi) -> None:
    me = await api.someone(administrator=True)
    again = await api.call("POST", "/api/v1/pools", me, json={"name": await made(api, me)})
    assert (again.status_code, again.json().keys()) == (409, {"error"})


@pytest.mark.parametrize(
    ("change", "status", "said"),
    [
        ({"name": "default"}, 400, "'default' means the nodes of no pool"),
        ({"name": "Not-Good"}, 400, "name"),
        ({"name": None}, 400, "name: is required"),
        ({"nodes": ["not-there"]}, 404, "there is no node 'not-there'"),
        ({"nodes": "worker-1-h100"}, 400, "nodes: must be a list"),
        ({"discription": "x"}, 400, "did you mean 'description'?"),
        ({"gpuType": ["a100"], "nodes": ["worker-1-h100"]}, 400, "which gpuType does not name: a100"),
        ({"quota": {"gpu": 4}}, 400, "a pool has no limits of its own"),
        ({"yamlContent": "kind: quota"}, 400, "yamlContent"),
        ({"dryRun": True}, 400, "dryRun is for jobs"),
    ],
)
async def test_what_is_no_pool_is_refused_and_makes_none(
    api: TheApi, change: dict[str, Any], status: int, said: str
) -> None:
    me, name = await api.someone(administrator=True), a_name()
    answer = await api.call("POST", "/api/v1/pools", me, json={"name": name, **change})
    assert (answer.status_code, answer.json().keys()) == (status, {"error"})
    assert said in answer.json()["error"]
    assert (await api.call("GET", f"/api/v1/pools/{name}", me)).status_code == 404


async def test_a_node_with_other_gpus_than_the_yaml_says_is_refused(api: TheApi) -> None:
    text = YAML.format(name=a_name()).replace("h100-80g", "A100-80G")
    answer = await api.call("POST", "/api/v1/pools", await api.someone(administrator=True), content=text)
    assert (answer.status_code, answer.json()["error"]) == (
        400,
        "node 'worker-1-h100' has NVIDIA-H100-80GB-HBM3 GPUs, not A100-80G",
    )


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
async def test_the_pool_default_cannot_be_changed(api: TheApi, method: str) -> None:
    for administrator, status in ((True, 400), (False, 403)):
        me = await api.someone(administrator=administrator)
        answer = await api.call(method, "/api/v1/pools/default", me, json={"description": "x"})
        assert (answer.status_code, answer.json().keys()) == (status, {"error"})


async def test_the_name_in_the_path_is_the_name(api: TheApi) -> None:
    me = await api.someone(administrator=True)
    name = await made(api, me)
    answer = await api.call("PUT", f"/api/v1/pools/{name}", me, json={"name": "another"})
    assert (answer.status_code, "cannot be changed" in answer.json()["error"]) == (400, True)


async def test_a_pool_does_not_change_to_nodes_that_are_not_there(api: TheApi) -> None:
    me = await api.someone(administrator=True)
    name = await made(api, me, nodes=["worker-1-t4-11"])
    answer = await api.call("PUT", f"/api/v1/pools/{name}", me, json={"nodes": ["worker-1-t4-12", "not-there"]})
    assert (answer.status_code, answer.json()) == (404, {"error": "there is no node 'not-there'"})
    assert (await detail(api, me, name))["nodes"] == ["worker-1-t4-11"]
