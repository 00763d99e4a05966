"""Slice workspaces: made and waited for, listed, entered, deleted; with every refusal in EGS's words."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
import yaml

from domain.failures import ClusterUnavailable, FenceLost
from domain.gpr import Phase
from domain.workspace import WorkspacePhase

if TYPE_CHECKING:
    import httpx

    from tests.api.api_kit import TheApi

PATH = "/api/v1/slice-workspace"


def a_body(**changes: Any) -> dict[str, Any]:
    name = f"ws-{uuid4().hex[:10]}"
    body = {"workspaceName": name, "clusters": ["worker-1"], "namespaces": [f"{name}-a", f"{name}-b"]}
    body |= {"username": "John Doe", "email": "john.doe@example.com"}
    return {key: value for key, value in {**body, **changes}.items() if value is not ...}


def sentence(answer: httpx.Response) -> str:
    told: str = json.loads(answer.json()["error"]["data"])["error"]["DetailedError"]["Errormessage"]
    return told


async def test_a_new_workspace_is_ready_when_it_is_answered(api: TheApi) -> None:
    me, body = await api.someone(), a_body()
    answer = await api.call("POST", PATH, me, json=body)
    expected = {
        "statusCode": 200,
        "status": "OK",
        "message": "Success",
        "data": {"workspaceName": body["workspaceName"]},
        "error": None,
    }
    assert (answer.status_code, answer.json()) == (200, expected)
    view = (await api.call("GET", f"/berth/v1/workspaces/{body['workspaceName']}", me)).json()
    assert (view["phase"], view["role"], view["username"]) == ("ready", "owner", "John Doe")


async def test_the_message_to_temporal_is_handed_over_after_the_commit(api: TheApi) -> None:
    await api.call("POST", PATH, await api.someone(), json=a_body())
    async with api.ledger.reading() as connection:
        kinds = await connection.fetch(
            "select workflow_type from outbox where id = any($1::bigint[])", api.courier.delivered
        )
    assert [row["workflow_type"] for row in kinds] == ["Workspace"]


async def test_a_workspace_that_is_still_being_made_is_answered_with_success_because_it_is_durable(api: TheApi) -> None:
    api.courier.workspaces_become = None
    me, body = await api.someone(), a_body()
    answer = await api.call("POST", PATH, me, json=body)
    assert answer.status_code == 200
    assert (await api.call("GET", f"/berth/v1/workspaces/{body['workspaceName']}", me)).json()["phase"] == "creating"


async def test_a_workspace_that_could_not_be_made_says_why_and_leaves_its_name_free(api: TheApi) -> None:
    api.courier.workspaces_become = WorkspacePhase.FAILED
    me, body = await api.someone(), a_body()
    answer = await api.call("POST", PATH, me, json=body)
    assert (answer.status_code, answer.json()["message"]) == (422, "Bad Request")
    assert "namespace 'kept' exists" in sentence(answer)
    api.courier.workspaces_become = WorkspacePhase.READY
    assert (await api.call("POST", PATH, me, json=body)).status_code == 200


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"workspaceName": ...}, '"workspaceName" is required'),
        ({"workspaceName": ""}, '"workspaceName" is not allowed to be empty'),
        ({"workspaceName": None}, '"workspaceName" input should be a valid string'),
        ({"workspaceName": "a b"}, "the name of a workspace must be"),
        ({"workspaceName": "-a"}, "the name of a workspace must be"),
        ({"workspaceName": "a" * 64}, "the name of a workspace must be"),
        ({"workspaceName": "caf\u00e9"}, "the name of a workspace must be"),
        ({"workspaceName": "a\0b"}, '"workspaceName"'),
        ({"workspaceName": 7}, '"workspaceName" input should be a valid string'),
        ({"clusters": ...}, '"clusters" is required'),
        ({"clusters": []}, '"clusters" is not allowed to be empty'),
        ({"clusters": "worker-1"}, '"clusters" input should be a valid list'),
        ({"clusters": ["worker-9"]}, "cluster 'worker-9' is not registered; registered: worker-1, worker-2"),
        ({"namespaces": ...}, '"namespaces" is required'),
        ({"namespaces": [""]}, '"namespaces.0" is not allowed to be empty'),
        ({"namespaces": ["Upper"]}, "'Upper' is not a Kubernetes namespace name"),
        ({"namespaces": ["kube-system"]}, "belongs to the cluster"),
        ({"namespaces": ["default"]}, "belongs to the cluster"),
        ({"username": "x" * 501}, '"username"'),
        ({"email": "a\0b"}, '"email"'),
    ],
)
async def test_a_body_that_is_not_valid_is_refused_field_by_field(
    api: TheApi, changes: dict[str, Any], told: str
) -> None:
    answer = await api.call("POST", PATH, await api.someone(), json=a_body(**changes))
    assert answer.status_code == 422
    assert told in sentence(answer)


async def test_blank_optional_fields_were_not_given(api: TheApi) -> None:
    answer = await api.call("POST", PATH, await api.someone(), json=a_body(username="", email=None, unknown={"x": 1}))
    assert answer.status_code == 200


async def test_a_taken_name_and_a_taken_namespace_are_conflicts(api: TheApi) -> None:
    me, body = await api.someone(), a_body()
    await api.call("POST", PATH, me, json=body)
    for second in (body, a_body(namespaces=body["namespaces"])):
        answer = await api.call("POST", PATH, me, json=second)
        assert (answer.status_code, answer.json()["message"], answer.json()["error"]["message"]) == (
            409,
            *("Already Exists",) * 2,
        )


async def test_the_list_has_namespaces_with_their_clusters(api: TheApi) -> None:
    me, body = await api.someone(), a_body(clusters=["worker-1", "worker-2"])
    await api.call("POST", PATH, me, json=body)
    clusters = ["worker-1", "worker-2"]
    assert (await api.call("GET", f"{PATH}/list", me)).json()["data"]["workspaces"] == [
        {
            "name": body["workspaceName"],
            "overlayNetworkDeploymentMode": "no-network",
            "maxClusters": 16,
            "sliceDescription": "Created via slice workspace API",
            "clusters": clusters,
            "namespaces": [{"namespace": one, "clusters": clusters} for one in body["namespaces"]],
        }
    ]


async def test_deleting_needs_a_body_or_a_query_and_can_be_repeated(api: TheApi) -> None:
    me = await api.someone()
    workspace = await api.workspace(me)
    first = await api.call("DELETE", PATH, me, json={"workspaceName": workspace})
    assert (first.status_code, first.json()["data"]) == (200, {})
    second = await api.call("DELETE", PATH, me, params={"workspaceName": workspace})
    assert (second.status_code, second.json()["data"]) == (200, {})
    assert (await api.call("DELETE", PATH, me)).status_code == 422


async def test_naming_a_workspace_that_is_being_deleted_again_is_a_conflict(api: TheApi) -> None:
    me, body = await api.someone(), a_body()
    await api.call("POST", PATH, me, json=body)
    await api.call("DELETE", PATH, me, json={"workspaceName": body["workspaceName"]})
    assert (await api.call("POST", PATH, me, json=body)).status_code == 409


async def test_a_workspace_whose_gpr_holds_gpus_is_not_deleted(api: TheApi) -> None:
    me = await api.someone()
    workspace = await api.workspace(me)
    await api.gpr(me, workspace, Phase.ACTIVE)
    answer = await api.call("DELETE", PATH, me, json={"workspaceName": workspace})
    assert (answer.status_code, sentence(answer)) == (409, "the workspace has 1 active Gpr(s); release them first")


async def test_deleting_a_workspace_cancels_what_it_has_queued_and_takes_no_more(api: TheApi) -> None:
    me = await api.someone()
    workspace = await api.workspace(me)
    gpr = await api.gpr(me, workspace)
    await api.call("DELETE", PATH, me, json={"workspaceName": workspace})
    assert (await api.call("GET", f"/berth/v1/gprs/{gpr}", me)).json()["phase"] == "cancelled"
    body = {"gprName": "g", "sliceName": workspace, "exitDuration": "5m", "numberOfGPUs": 1}
    assert (await api.call("POST", "/api/v1/gpr", me, json=body)).status_code == 409


async def test_a_workspace_that_is_not_there_is_not_found(api: TheApi) -> None:
    for name in ("no-such", "a\0b", "x" * 200, "\u00fc"):
        answer = await api.call("DELETE", PATH, await api.someone(), json={"workspaceName": name})
        assert answer.status_code in ({422} if "\0" in name else {404})


@pytest.mark.parametrize("way", ["get with body", "get with query", "post"])
async def test_a_kubeconfig_is_issued_whichever_way_it_is_asked_for(api: TheApi, way: str) -> None:
    me = await api.someone()
    names = {"workspaceName": await api.workspace(me, "worker-1", "worker-2"), "clusterName": "worker-2"}
    more: dict[str, Any] = {"params": names} if way == "get with query" else {"json": names}
    answer = await api.call("POST" if way == "post" else "GET", f"{PATH}/kube-config", me, **more)
    assert yaml.safe_load(answer.json()["data"]["kubeConfig"])["current-context"] == "ws@worker-2"
    assert [asked[:2] for asked in api.issuer.asked] == [("worker-2", None)]


async def test_without_a_cluster_name_the_kubeconfig_has_all_clusters(api: TheApi) -> None:
    me = await api.someone()
    names = {"workspaceName": await api.workspace(me, "worker-1", "worker-2"), "clusterName": ""}
    answer = await api.call("POST", f"{PATH}/kube-config", me, json=names)
    content = yaml.safe_load(answer.json()["data"]["kubeConfig"])
    assert [cluster["name"] for cluster in content["clusters"]] == ["worker-1", "worker-2"]


async def test_a_kubeconfig_issued_during_a_lease_is_bound_to_it(api: TheApi) -> None:
    me = await api.someone()
    workspace = await api.workspace(me)
    gpr = await api.gpr(me, workspace, Phase.ACTIVE)
    fence = (await api.call("GET", f"/berth/v1/gprs/{gpr}", me)).json()["lease"]["fence"]
    await api.call("POST", f"{PATH}/kube-config", me, json={"workspaceName": workspace})
    assert api.issuer.asked == [("worker-1", f"berth-access-{fence}", 3600)]


async def test_a_lease_that_ends_while_its_kubeconfig_is_issued_leaves_an_unbound_one(api: TheApi) -> None:
    me = await api.someone()
    workspace = await api.workspace(me)
    await api.gpr(me, workspace, Phase.ACTIVE)
    api.issuer.anchor_failures["worker-1"] = FenceLost()
    answer = await api.call("POST", f"{PATH}/kube-config", me, json={"workspaceName": workspace})
    assert "unbound" in answer.json()["data"]["kubeConfig"]


async def test_a_kubeconfig_for_a_cluster_that_is_away_is_unavailable_for_now(api: TheApi) -> None:
    me = await api.someone()
    api.issuer.failures["worker-1"] = ClusterUnavailable("cluster 'worker-1' does not answer")
    answer = await api.call("POST", f"{PATH}/kube-config", me, json={"workspaceName": await api.workspace(me)})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    assert (answer.json()["message"], sentence(answer)) == ("Service Unavailable", "cluster 'worker-1' does not answer")


async def test_a_kubeconfig_for_a_foreign_cluster_or_a_workspace_that_is_not_ready_is_refused(api: TheApi) -> None:
    me = await api.someone()
    workspace = await api.workspace(me)
    foreign = {"workspaceName": workspace, "clusterName": "worker-2"}
    assert (await api.call("POST", f"{PATH}/kube-config", me, json=foreign)).status_code == 422
    await api.call("DELETE", PATH, me, json={"workspaceName": workspace})
    assert (await api.call("POST", f"{PATH}/kube-config", me, json={"workspaceName": workspace})).status_code == 409
