"""Labels of nodes: single, in batches, by key and all; keys with slashes work, and some belong to others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from domain.failures import ClusterUnavailable

if TYPE_CHECKING:
    from tests.api.api_kit import TheApi

NODE, KEY = "worker-1-t4-3", "example.com/rack"
LABELS = f"/api/v1/nodes/{NODE}/labels"


@pytest.fixture(autouse=True)
def no_labels_of_other_tests(api: TheApi) -> None:
    api.nodes.labels.clear()


@pytest.mark.parametrize("spelled", ["example.com/rack", "example.com%2Frack"])
async def test_a_label_lives_its_life_under_a_key_with_a_slash(api: TheApi, spelled: str) -> None:
    me, path = await api.someone(administrator=True), f"{LABELS}/{spelled}"
    added = await api.call("POST", LABELS, me, json={"key": KEY, "value": "7"})
    assert (added.status_code, added.json()["nodeName"], added.json()["label"]) == (200, NODE, {KEY: "7"})
    shown = (await api.call("GET", path, me)).json()
    assert (shown["nodeName"], shown["label"]["key"], shown["label"]["value"]) == (NODE, KEY, "7")
    changed = await api.call("PUT", path, me, json={"value": "8"})
    assert (changed.status_code, changed.json()["label"]) == (200, f"{KEY}=8")
    assert (await api.call("GET", LABELS, me)).json()["labels"][KEY] == "8"
    gone = await api.call("DELETE", path, me)
    assert (gone.status_code, gone.json()["node"], gone.json()["label"]) == (200, NODE, KEY)
    assert [
        (await api.call(method, path, me, json={"value": "9"})).status_code for method in ("GET", "PUT", "DELETE")
    ] == [404] * 3


async def test_a_label_that_is_there_stays_unless_it_may_be_overwritten(api: TheApi) -> None:
    me, body = await api.someone(administrator=True), {"key": KEY, "value": "new"}
    await api.label(NODE)
    refused = await api.call("POST", LABELS, me, json=body)
    assert (refused.status_code, refused.json().keys()) == (409, {"error"})
    assert (await api.call("POST", LABELS, me, json={**body, "overwrite": True})).status_code == 200
    assert (await api.call("GET", LABELS, me)).json()["labels"][KEY] == "new"


@pytest.mark.parametrize(
    "key",
    [
        "berth.io/workspace",
        "kubernetes.io/hostname",
        "node-role.kubernetes.io/control-plane",
        "node.kubernetes.io/instance-type",
        "kwok.x-k8s.io/node",
        "nvidia.com/gpu.product",
    ],
)
async def test_labels_by_which_others_steer_cannot_be_changed(api: TheApi, key: str) -> None:
    me = await api.someone(administrator=True)
    answers = [
        await api.call("POST", LABELS, me, json={"key": key, "value": "x", "overwrite": True}),
        await api.call("PUT", f"{LABELS}/{key}", me, json={"value": "x"}),
        await api.call("DELETE", f"{LABELS}/{key}", me),
        await api.call("POST", f"/api/v1/nodes/labels/batch?nodeNames={NODE}&key={key}&value=x&overwrite=true", me),
    ]
    assert [answer.status_code for answer in answers] == [400] * 4
    assert all("cannot be changed here" in answer.json()["error"] for answer in answers)


@pytest.mark.parametrize(
    "body",
    [
        {"key": "", "value": "x"},
        {"key": "a b", "value": "x"},
        {"key": "a/b/c", "value": "x"},
        {"key": "/a", "value": "x"},
        {"key": "a", "value": "not good"},
        {"key": "a", "value": "x" * 64},
        {"key": "a" * 64, "value": "x"},
        {"key": "a", "value": 7},
        {"key": "a"},
        {"key": "a", "value": "x", "override": True},
    ],
)
async def test_what_is_no_label_is_refused(api: TheApi, body: dict[str, Any]) -> None:
    answer = await api.call("POST", LABELS, await api.someone(administrator=True), json=body)
    assert (answer.status_code, answer.json().keys()) == (400, {"error"})


@pytest.mark.parametrize("joined", [True, False])
async def test_a_batch_does_each_node_for_itself(api: TheApi, joined: bool) -> None:
    me = await api.someone(administrator=True)
    await api.label("worker-1-t4-2")
    names = ["worker-1-t4-1", "not-there", "worker-1-t4-2", "worker-2-h100"]
    query = {"key": KEY, "value": "9", "nodeNames": ",".join(names) if joined else names}
    answer = await api.call("POST", "/api/v1/nodes/labels/batch", me, params=query)
    body = answer.json()
    assert (answer.status_code, body["success"]) == (200, ["worker-1-t4-1", "worker-2-h100"])
    assert [one["nodeName"] for one in body["failed"]] == ["not-there", "worker-1-t4-2"]
    assert body["failed"][0]["error"] == "there is no node 'not-there'"


@pytest.mark.parametrize("query", ["", "?key=a&value=b", "?nodeNames=n&value=b", "?nodeNames=n&key=a"])
async def test_a_batch_names_nodes_a_key_and_a_value(api: TheApi, query: str) -> None:
    answer = await api.call("POST", f"/api/v1/nodes/labels/batch{query}", await api.someone(administrator=True))
    assert (answer.status_code, answer.json().keys()) == (400, {"error"})


async def test_labels_are_looked_up_across_nodes(api: TheApi) -> None:
    me = await api.someone()
    await api.label(NODE)
    await api.label("worker-2-h100", "worker-2")
    found = (await api.call("GET", f"/api/v1/nodes/labels?key={KEY}", me)).json()
    assert found["total"] == 2
    assert {"nodeName": NODE, "labelKey": KEY, "labelValue": "7"} in found["items"]
    assert len((await api.call("GET", f"/api/v1/nodes/labels?key={KEY}&pageSize=1", me)).json()["items"]) == 1
    assert (await api.call("GET", "/api/v1/nodes/labels", me)).status_code == 400
    overview = (await api.call("GET", "/api/v1/labels", me)).json()
    assert (overview[KEY], len(overview["kubernetes.io/hostname"])) == (["7"], 82)


async def test_the_labels_that_speak_of_gpus_come_with_the_pools(api: TheApi) -> None:
    me, pool = await api.someone(), await api.pool("worker-1-t4-4")
    page = (await api.call("GET", "/api/v1/nodes/labels/all?pageSize=100", me)).json()
    found = next(one for one in page["items"] if one["nodeName"] == "worker-1-t4-4")
    assert (page["total"], found["boundPools"]) == (82, [pool])
    assert found["gpuLabels"] == [{"key": "nvidia.com/gpu.count", "value": "1"}]


async def test_literal_paths_are_no_nodes(api: TheApi) -> None:
    me = await api.someone(administrator=True)
    for path in ("/api/v1/nodes/gpu-detail", f"/api/v1/nodes/labels?key={KEY}", "/api/v1/nodes/labels/all"):
        assert {"total", "items"} == (await api.call("GET", path, me)).json().keys()
    wrong = await api.call("GET", "/api/v1/nodes/labels/batch", me)
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "POST, OPTIONS")


async def test_a_cluster_that_does_not_answer_hides_its_labels_and_no_others(api: TheApi) -> None:
    me = await api.someone(administrator=True)
    api.nodes.failures["worker-1"] = ClusterUnavailable("cluster 'worker-1' does not answer")
    overview = (await api.call("GET", "/api/v1/labels", me)).json()
    assert len(overview["kubernetes.io/hostname"]) == 41
    answer = await api.call("POST", LABELS, me, json={"key": KEY, "value": "7"})
    assert (answer.status_code, answer.json()) == (503, {"error": "cluster 'worker-1' does not answer"})


async def test_a_changed_label_is_in_the_history(api: TheApi) -> None:
    me = await api.someone(administrator=True)
    await api.call("POST", LABELS, me, json={"key": KEY, "value": "7"})
    async with api.ledger.reading() as connection:
        row = await connection.fetchrow(
            "select * from event where kind = 'node_label_changed' order by id desc limit 1"
        )
    assert row is not None
    assert (row["actor"], row["detail"]["node"], row["detail"]["value"]) == (me.principal.name, NODE, "7")
