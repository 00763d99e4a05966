"""Who may do what: every route x what the caller is to the workspace. The table is the rule; the API must agree with it."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from domain.gpr import Phase
from domain.identity import Role
from tests.api import runai_kit
from tests.api.gpudev_kit import a_box_and_a_disk
from tests.api.route_table import GPUDEV_ROUTES, ROUTES, Asked, filled

if TYPE_CHECKING:
    from tests.api.api_kit import Someone, TheApi

VIEW, EDIT, OWN, ANYBODY, UNCONFINED_OWNER, ADMINISTRATOR = (
    "view",
    "edit",
    "own",
    "anybody",
    "unconfined",
    "administrator",
)

SEE_BOX, CHANGE_BOX, SEE_DISK, CHANGE_DISK = "see box", "change box", "see disk", "change disk"
"""Of the owner's, in the workspace of his own."""
SEE_MINE, CHANGE_MINE = "see mine", "change mine"
"""Of the caller's own: everybody has a workspace of their own, unless their key is for another one."""

NEEDS = {
    "POST /api/v1/slice-workspace": UNCONFINED_OWNER,
    "DELETE /api/v1/slice-workspace": OWN,
    "GET /api/v1/slice-workspace/list": ANYBODY,
    "GET /api/v1/slice-workspace/kube-config": EDIT,
    "POST /api/v1/slice-workspace/kube-config": EDIT,
    "GET /api/v1/inventory/list": ANYBODY,
    "GET /api/v1/inventory": VIEW,
    "POST /api/v1/gpr": EDIT,
    "POST /api/v1/gpr/waittime": VIEW,
    "GET /api/v1/gpr": VIEW,
    "GET /api/v1/gpr/list": VIEW,
    "PUT /api/v1/gpr": EDIT,
    "DELETE /api/v1/gpr": EDIT,
    "POST /api/v1/api-key": UNCONFINED_OWNER,
    "GET /api/v1/api-key/list": ANYBODY,
    "POST /berth/v1/gprs": EDIT,
    "GET /berth/v1/gprs": VIEW,
    "GET /berth/v1/gprs/{gpr}": VIEW,
    "PATCH /berth/v1/gprs/{gpr}": EDIT,
    "POST /berth/v1/gprs/{gpr}/release": EDIT,
    "POST /berth/v1/jobs/{gpr}/suspend": EDIT,
    "POST /berth/v1/jobs/{gpr}/resume": EDIT,
    "GET /berth/v1/gprs/{gpr}/events": VIEW,
    "GET /berth/v1/gprs/{gpr}/notices": VIEW,
    "POST /berth/v1/gprs/{gpr}/promise": EDIT,
    "DELETE /berth/v1/gprs/{gpr}/promise": EDIT,
    "POST /berth/v1/gprs/{gpr}/extend": EDIT,
    "GET /berth/v1/gprs/{gpr}/why": VIEW,
    "POST /berth/v1/what-if": VIEW,
    "GET /berth/v1/openings": ANYBODY,
    "GET /berth/v1/plan": ANYBODY,
    "GET /berth/v1/honesty": ANYBODY,
    "POST /berth/v1/reservations": EDIT,
    "GET /berth/v1/reservations": VIEW,
    "GET /berth/v1/reservations/{reservation}": VIEW,
    "DELETE /berth/v1/reservations/{reservation}": EDIT,
    "GET /berth/v1/maintenance": ANYBODY,
    "POST /berth/v1/maintenance": ADMINISTRATOR,
    "DELETE /berth/v1/maintenance/{maintenance}": ADMINISTRATOR,
    "GET /berth/v1/scheduling": ANYBODY,
    "PATCH /berth/v1/scheduling": ADMINISTRATOR,
    "GET /berth/v1/workspaces/{workspace}/weight": VIEW,
    "PUT /berth/v1/workspaces/{workspace}/weight": ADMINISTRATOR,
    "POST /berth/v1/workspaces": UNCONFINED_OWNER,
    "GET /berth/v1/workspaces": ANYBODY,
    "GET /berth/v1/workspaces/{workspace}": VIEW,
    "DELETE /berth/v1/workspaces/{workspace}": OWN,
    "GET /berth/v1/workspaces/{workspace}/kubeconfig": EDIT,
    "GET /berth/v1/nodes": ANYBODY,
    "GET /berth/v1/clusters": ANYBODY,
    "GET /berth/v1/pools": ANYBODY,
    "POST /berth/v1/pools": ADMINISTRATOR,
    "GET /berth/v1/pools/{pool}": ANYBODY,
    "PATCH /berth/v1/pools/{pool}": ADMINISTRATOR,
    "DELETE /berth/v1/pools/{pool}": ADMINISTRATOR,
    "GET /berth/v1/pools/{pool}/weights": ANYBODY,
    "PUT /berth/v1/pools/{pool}/weights/{workspace}": ADMINISTRATOR,
    "DELETE /berth/v1/pools/{pool}/weights/{workspace}": ADMINISTRATOR,
    "GET /berth/v1/quotas": ANYBODY,
    "GET /berth/v1/quotas/{namespace}": VIEW,
    "PUT /berth/v1/quotas/{namespace}": ADMINISTRATOR,
    "DELETE /berth/v1/quotas/{namespace}": ADMINISTRATOR,
    "GET /berth/v1/departments": ANYBODY,
    "POST /berth/v1/departments": ADMINISTRATOR,
    "GET /berth/v1/departments/{department}": VIEW,
    "PUT /berth/v1/departments/{department}": ADMINISTRATOR,
    "DELETE /berth/v1/departments/{department}": ADMINISTRATOR,
    "PUT /berth/v1/workspaces/{workspace}/department": ADMINISTRATOR,
    "GET /berth/v1/workspace-quotas": ANYBODY,
    "GET /berth/v1/workspaces/{workspace}/quota": VIEW,
    "PUT /berth/v1/workspaces/{workspace}/quota": ADMINISTRATOR,
    "GET /berth/v1/quota-overrides": ANYBODY,
    "POST /berth/v1/quota-overrides": ADMINISTRATOR,
    "DELETE /berth/v1/quota-overrides/{override}": ADMINISTRATOR,
    "GET /berth/v1/user-ceilings": ANYBODY,
    "PUT /berth/v1/user-ceilings": ADMINISTRATOR,
    "PUT /berth/v1/user-ceilings/{user}": ADMINISTRATOR,
    "DELETE /berth/v1/user-ceilings/{user}": ADMINISTRATOR,
    "GET /berth/v1/prices": ANYBODY,
    "PUT /berth/v1/prices": ADMINISTRATOR,
    "GET /berth/v1/gpus": ANYBODY,
    "GET /berth/v1/gpus/{gpu}/faults": ANYBODY,
    "POST /berth/v1/gpus/{gpu}/quarantine": ADMINISTRATOR,
    "POST /berth/v1/gpus/{gpu}/release": ADMINISTRATOR,
    "GET /berth/v1/idle-rules": ANYBODY,
    "PUT /berth/v1/idle-rules": ADMINISTRATOR,
    "DELETE /berth/v1/idle-rules": ADMINISTRATOR,
    "GET /berth/v1/costs": ANYBODY,
    "GET /berth/v1/whoami": ANYBODY,
    "POST /berth/v1/keys": UNCONFINED_OWNER,
    "GET /berth/v1/keys": ANYBODY,
    "GET /berth/v1/events": ADMINISTRATOR,
    "POST /api/v1/jobs": EDIT,
    "POST /api/v1/jobs/batch": ANYBODY,
    "GET /api/v1/jobs": ANYBODY,
    "GET /api/v1/jobs/{jobId}": VIEW,
    "DELETE /api/v1/jobs/{jobId}": EDIT,
    "GET /api/v1/jobs/{jobId}/logs": VIEW,
    "GET /api/v1/pools": ANYBODY,
    "POST /api/v1/pools": ADMINISTRATOR,
    "GET /api/v1/pools/{poolName}": ANYBODY,
    "PUT /api/v1/pools/{poolName}": ADMINISTRATOR,
    "DELETE /api/v1/pools/{poolName}": ADMINISTRATOR,
    "GET /api/v1/nodes": ANYBODY,
    "GET /api/v1/nodes/gpu-detail": ANYBODY,
    "GET /api/v1/nodes/{nodeName}": ANYBODY,
    "POST /api/v1/nodes/{nodeName}/pools": ADMINISTRATOR,
    "DELETE /api/v1/nodes/{nodeName}/pools/{poolName}": ADMINISTRATOR,
    "GET /api/v1/labels": ANYBODY,
    "GET /api/v1/nodes/labels": ANYBODY,
    "GET /api/v1/nodes/labels/all": ANYBODY,
    "POST /api/v1/nodes/labels/batch": ADMINISTRATOR,
    "GET /api/v1/nodes/{nodeName}/labels": ANYBODY,
    "POST /api/v1/nodes/{nodeName}/labels": ADMINISTRATOR,
    "GET /api/v1/nodes/{nodeName}/labels/{key}": ANYBODY,
    "PUT /api/v1/nodes/{nodeName}/labels/{key}": ADMINISTRATOR,
    "DELETE /api/v1/nodes/{nodeName}/labels/{key}": ADMINISTRATOR,
    "POST /api/v1/quotas": ADMINISTRATOR,
    "GET /api/v1/quotas": ANYBODY,
    "GET /api/v1/quotas/{namespaceName}": VIEW,
    "DELETE /api/v1/quotas/{namespaceName}": ADMINISTRATOR,
    "GET /api/v1/namespaces": ANYBODY,
    "GET /api/v1/namespaces/{namespaceName}": VIEW,
    "DELETE /api/v1/namespaces/{namespaceName}": OWN,
    "POST /v1/jobs/submit": CHANGE_MINE,
    "GET /v1/jobs": ANYBODY,
    "GET /v1/jobs/{job_id}": SEE_BOX,
    "POST /v1/jobs/{job_id}/cancel": CHANGE_BOX,
    "POST /v1/jobs/{job_id}/extend": CHANGE_BOX,
    "POST /v1/jobs/{job_id}/jupyter/enable": CHANGE_BOX,
    "POST /v1/jobs/{job_id}/jupyter/disable": CHANGE_BOX,
    "POST /v1/jobs/{job_id}/users": CHANGE_BOX,
    "GET /v1/gpu/availability": ANYBODY,
    "GET /v1/cluster/status": ANYBODY,
    "POST /v1/disks": CHANGE_MINE,
    "GET /v1/disks": SEE_MINE,
    "GET /v1/disks/{disk_name}": SEE_DISK,
    "DELETE /v1/disks/{disk_name}": CHANGE_DISK,
    "POST /v1/disks/{disk_name}/undelete": CHANGE_DISK,
    "POST /v1/disks/{disk_name}/rename": CHANGE_DISK,
    "POST /v1/disks/{disk_name}/resize": CHANGE_DISK,
    "POST /v1/disks/{disk_name}/clone": CHANGE_DISK,
    "GET /v1/disks/{disk_name}/content": SEE_DISK,
    "GET /v1/disks/{disk_name}/operations": SEE_DISK,
    "GET /v1/disks/{disk_name}/operations/{operation_id}": SEE_DISK,
    "POST /v1/keys/rotate": ANYBODY,
    "GET /api/v1/workloads": ANYBODY,
    "GET /api/v1/workloads/count": ANYBODY,
    "GET /api/v1/workloads/telemetry": ANYBODY,
    "GET /api/v1/workloads/{workloadId}": VIEW,
    "GET /api/v1/workloads/{workloadId}/metrics": VIEW,
    "GET /api/v1/workloads/{workloadId}/endpoints": VIEW,
    "GET /api/v1/workloads/{workloadId}/elements": VIEW,
    "GET /api/v1/workloads/{workloadId}/elements/count": VIEW,
    "GET /api/v1/workload-categories": ANYBODY,
    "GET /api/v1/workload-categories/{categoryId}": ANYBODY,
    "GET /api/v1/workload-types": ANYBODY,
    "GET /api/v1/workload-types/{workloadTypeId}": ANYBODY,
    "PUT /api/v1/workload-types/{workloadTypeId}": ADMINISTRATOR,
    "GET /api/v1/workload-priorities": ANYBODY,
}
KEY_ROUTES = {"DELETE /api/v1/api-key", "DELETE /berth/v1/keys/00000000-0000-0000-0000-000000000001"}
"""Told apart by the key, not by a workspace: they have tests of their own."""

EVERYTHING = {VIEW, EDIT, OWN, ANYBODY, UNCONFINED_OWNER, ADMINISTRATOR}
SEE, CHANGE = {SEE_BOX, SEE_DISK, SEE_MINE}, {CHANGE_BOX, CHANGE_DISK, CHANGE_MINE}
MINE = {SEE_MINE, CHANGE_MINE}
MAY = {
    "administrator": {*EVERYTHING, SEE_BOX, CHANGE_BOX, *MINE},
    "owner": {VIEW, EDIT, OWN, ANYBODY, UNCONFINED_OWNER, *SEE, *CHANGE},
    "editor": {VIEW, EDIT, ANYBODY, UNCONFINED_OWNER, *MINE},
    "viewer": {VIEW, ANYBODY, UNCONFINED_OWNER, *MINE},
    "owner's editor key": {VIEW, EDIT, ANYBODY, *SEE, *CHANGE},
    "owner's viewer key": {VIEW, ANYBODY, *SEE},
    "owner's key confined here": {VIEW, EDIT, OWN, ANYBODY},
    "owner's key confined elsewhere": {ANYBODY},
    "another tenant": {ANYBODY, UNCONFINED_OWNER, *MINE},
    "administrator's viewer key": {ANYBODY},
}
SEES_NO_BOX = {"editor", "viewer", "owner's key confined here", "owner's key confined elsewhere"}
SEES_NO_BOX |= {"another tenant", "administrator's viewer key"}
SEES_NO_DISK = {"administrator", "editor", "viewer", "another tenant"}
HIDDEN_FROM = {"another tenant", "owner's key confined elsewhere", "administrator's viewer key"}


async def the_caller(api: TheApi, who: str, owner: Someone, workspace: str) -> Someone:  # noqa: PLR0911 - one per kind
    here, principal = await api.workspace_id(workspace), owner.principal
    match who:
        case "administrator":
            return await api.someone(administrator=True)
        case "owner":
            return owner
        case "editor" | "viewer":
            return await api.member(workspace, Role(who))
        case "owner's editor key" | "owner's viewer key":
            return await api.someone(principal=principal, role=Role(who.split()[1]))
        case "owner's key confined here":
            return await api.someone(principal=principal, confined_to=here)
        case "owner's key confined elsewhere":
            elsewhere = await api.workspace(owner)
            return await api.someone(principal=principal, confined_to=await api.workspace_id(elsewhere))
        case "administrator's viewer key":
            return await api.someone(administrator=True, role=Role.VIEWER)
        case _:
            return await api.someone()


def test_the_table_names_every_route() -> None:
    assert {str(asked) for asked in ROUTES} == set(NEEDS) | KEY_ROUTES


@pytest.mark.parametrize("who", MAY)
async def test_each_caller_may_exactly_what_the_table_says(api: TheApi, who: str) -> None:
    wrong = []
    owner = await api.someone()
    workspace = await api.workspace(owner)
    caller = await the_caller(api, who, owner, workspace)
    for asked in sorted(ROUTES, key=ends_the_workspace):
        if str(asked) in NEEDS:
            if ends_the_workspace(asked) and NEEDS[str(asked)] in MAY[who]:
                workspace = await api.workspace(owner)
                caller = await the_caller(api, who, owner, workspace)
            phase = Phase.ACTIVE if asked.path.endswith("/gprs/{gpr}/extend") else Phase.QUEUED
            names = {"workspace": workspace, "gpr": await api.gpr(owner, workspace, phase)}
            names |= {"pool": await api.pool("worker-1-t4-39"), "namespace": await api.quota(f"{workspace}-ns")}
            names |= {"poolName": names["pool"], "namespaceName": names["namespace"]}
            names["jobId"] = await api.job(owner, names["namespace"])
            if asked in GPUDEV_ROUTES:
                names |= await a_box_and_a_disk(api, owner, deleted=asked.path.endswith("/undelete"))
            names |= {"nodeName": "worker-1-t4-39", "key": await api.label("worker-1-t4-39")}
            names |= {"workloadId": await runai_kit.workload_of(api, names["gpr"]), **runai_kit.IDS}
            names |= await made_for(api, asked, owner, workspace)
            status = await status_of(api, asked, caller, **names)
            if (status < 300) is not (NEEDS[str(asked)] in MAY[who]) or status not in acceptable(asked, who):
                wrong.append(f"{asked}: {status}")
    assert wrong == []


async def made_for(api: TheApi, asked: Asked, owner: Someone, workspace: str) -> dict[str, str]:
    """What the path names and no other path does."""
    made: dict[str, str] = {}
    if "{gpu}" in asked.path:
        made["gpu"] = str(await api.gpu())
    if "{reservation}" in asked.path:
        made["reservation"] = await api.reservation(owner, workspace)
    if "{maintenance}" in asked.path:
        made["maintenance"] = await api.maintenance()
    if "{department}" in asked.path:
        made["department"] = await api.department("" if asked.method == "DELETE" else workspace)
    if "{override}" in asked.path:
        made["override"] = await api.quota_override(workspace)
    if "/weights/{workspace}" in asked.path:
        made["pool"] = await api.pool_with_weights(**{workspace: 3})
    if "{user}" in asked.path:
        made["user"] = await api.ceiling(owner)
    return made


def acceptable(asked: Asked, who: str) -> set[int]:
    if NEEDS[str(asked)] in MAY[who]:
        return {200, 201, 202}
    need = NEEDS[str(asked)]
    hidden = who in HIDDEN_FROM if need in {VIEW, EDIT, OWN} else False
    hidden |= who in SEES_NO_BOX if need in {SEE_BOX, CHANGE_BOX} else False
    hidden |= who in SEES_NO_DISK if need in {SEE_DISK, CHANGE_DISK} else False
    return {404} if hidden else {403}


def ends_the_workspace(asked: Asked) -> bool:
    path = asked.path.removesuffix("/weights/{workspace}")
    return asked.method == "DELETE" and ("workspace" in path or "/namespaces/" in path)


async def status_of(api: TheApi, asked: Asked, caller: Someone, **words: str) -> int:
    words["new"] = f"new-{uuid4().hex[:10]}"
    answer = await api.call(
        asked.method,
        filled(asked.path, **words),
        caller,
        json=filled(asked.body, **words),
        params=filled(asked.query, **words),
    )
    return answer.status_code


async def test_another_tenants_workspaces_gprs_and_holdings_are_not_in_any_list(api: TheApi) -> None:
    owner, stranger = await api.someone(), await api.someone()
    workspace = await api.workspace(owner)
    gpr = await api.gpr(owner, workspace)
    for path in (
        "/api/v1/slice-workspace/list",
        "/api/v1/inventory/list",
        "/api/v1/api-key/list",
        "/berth/v1/gprs",
        "/berth/v1/workspaces",
        "/berth/v1/nodes",
        "/berth/v1/gpus",
        "/berth/v1/costs",
        "/berth/v1/departments",
        "/berth/v1/workspace-quotas",
        "/berth/v1/quota-overrides",
        "/berth/v1/user-ceilings",
        "/berth/v1/idle-rules",
        "/berth/v1/plan",
        "/berth/v1/keys",
    ):
        text = (await api.call("GET", path, stranger)).text
        assert workspace not in text
        assert gpr not in text
        assert owner.principal.name not in text


async def test_a_holding_is_counted_for_everybody_and_named_for_those_who_may_know(api: TheApi) -> None:
    owner, stranger = await api.someone(), await api.someone()
    workspace = await api.workspace(owner)
    await api.gpr(owner, workspace, Phase.ACTIVE)

    def holders(answer: dict[str, object]) -> list[tuple[int, list[str]]]:
        nodes = answer["items"]
        return [
            (node["held_gpus"], [one["workspace"] for one in node["holders"]]) for node in nodes if node["held_gpus"]
        ]  # type: ignore[attr-defined, index]

    seen = holders((await api.call("GET", "/berth/v1/nodes", owner)).json())
    foreign = holders((await api.call("GET", "/berth/v1/nodes", stranger)).json())
    assert [workspace] in [names for _, names in seen]
    assert sum(held for held, _ in seen) == sum(held for held, _ in foreign)
    assert all(names == [] for _, names in foreign)


async def test_a_name_taken_by_another_tenant_is_a_conflict_and_nothing_more(api: TheApi) -> None:
    owner, stranger = await api.someone(), await api.someone()
    workspace = await api.workspace(owner)
    body = {"workspaceName": workspace, "clusters": ["worker-1"], "namespaces": ["another-ns"]}
    answer = await api.call("POST", "/api/v1/slice-workspace", stranger, json=body)
    assert (answer.status_code, answer.json()["message"]) == (409, "Already Exists")
    assert owner.principal.name not in answer.text


async def test_a_member_cannot_raise_itself_with_a_key_of_its_own(api: TheApi) -> None:
    owner = await api.someone()
    workspace = await api.workspace(owner)
    viewer = await api.member(workspace, Role.VIEWER)
    made = await api.call(
        "POST", "/berth/v1/keys", viewer, json={"name": "up", "role": "owner", "workspace": workspace}
    )
    headers = {"Authorization": f"Bearer {made.json()['key']}"}
    answer = await api.call("DELETE", f"/berth/v1/workspaces/{workspace}", headers=headers)
    assert answer.status_code == 403


@pytest.mark.parametrize("extra", [{"principal": "somebody-else"}, {"administrator": True}])
async def test_only_an_administrator_makes_keys_for_others_or_administrators(
    api: TheApi, extra: dict[str, object]
) -> None:
    answer = await api.call("POST", "/berth/v1/keys", await api.someone(), json={"name": "k", **extra})
    assert answer.status_code == 403


async def test_a_key_that_an_administrator_hands_out_for_a_workspace_works_there_and_nowhere_else(api: TheApi) -> None:
    administrator = await api.someone(administrator=True)
    inside, outside = await api.workspace(administrator), await api.workspace(administrator)
    body = {"name": "k", "principal": f"carol-{inside}", "role": "editor", "workspace": inside}
    key = (await api.call("POST", "/berth/v1/keys", administrator, json=body)).json()["key"]
    headers = {"Authorization": f"Bearer {key}"}
    assert (await api.call("GET", f"/api/v1/gpr/list?sliceName={inside}", headers=headers)).status_code == 200
    assert (await api.call("GET", f"/api/v1/gpr/list?sliceName={outside}", headers=headers)).status_code == 404


async def test_a_confined_key_lists_its_workspace_however_many_its_owner_has(api: TheApi) -> None:
    owner = await api.someone()
    names = [await api.workspace(owner) for _ in range(3)]
    key = await api.someone(principal=owner.principal, confined_to=await api.workspace_id(names[2]))
    page = (await api.call("GET", "/berth/v1/workspaces?limit=1", key)).json()
    rest = (await api.call("GET", f"/berth/v1/workspaces?limit=1&after={page['next']}", key)).json()
    assert ([one["name"] for one in page["items"]], rest) == ([names[2]], {"items": [], "next": None})


async def test_somebody_elses_key_does_not_exist(api: TheApi) -> None:
    mine, other = await api.someone(), await api.someone()
    assert (await api.call("DELETE", f"/berth/v1/keys/{other.key_id}", mine)).status_code == 404
    assert (await api.call("DELETE", "/api/v1/api-key", mine, json={"apiKey": other.key})).status_code == 404


async def test_a_viewer_key_may_revoke_itself_and_no_other(api: TheApi) -> None:
    owner = await api.someone()
    viewer = await api.someone(principal=owner.principal, role=Role.VIEWER)
    assert (await api.call("DELETE", f"/berth/v1/keys/{owner.key_id}", viewer)).status_code == 403
    assert (await api.call("DELETE", f"/berth/v1/keys/{viewer.key_id}", viewer)).status_code == 200
