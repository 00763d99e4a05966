"""Quotas for several namespaces at once, which are made when they are missing; their use is shown and counts for all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from domain.gpr import Phase
from domain.workspace import WorkspacePhase

if TYPE_CHECKING:
    import httpx

    from tests.api.api_kit import Someone, TheApi


def a_name() -> str:
    return f"team-{uuid4().hex[:8]}"


def yaml_of(**namespaces: str) -> str:
    lines = [f"  {name.replace('_', '-')}: {limits}" for name, limits in namespaces.items()]
    return "\n".join(["kind: quota", "version: v0.1", "quota: {name: teams, description: d}", "namespace:", *lines])


async def sent(api: TheApi, who: Someone, text: str) -> httpx.Response:
    return await api.call("POST", "/api/v1/quotas", who, json={"yamlContent": text})


async def test_a_quota_makes_the_namespaces_that_are_missing(api: TheApi) -> None:
    me, there = await api.someone(administrator=True), await api.workspace(await api.someone())
    new, old = a_name(), f"{there}-ns"
    text = yaml_of(**{new: "{cpu: 0.5, memory: 64Gi, gpu: 8}", old: "{gpu: 2}"})
    first, again = await sent(api, me, text), await sent(api, me, text)
    limits = {"cpu": "500m", "memory": "64Gi", "gpu": "8"}
    assert (first.status_code, again.status_code, first.json()["name"]) == (201, 201, "teams")
    assert first.json()["created"] == [
        {"name": "teams", "namespace": new, **limits, "status": "created"},
        {"name": "teams", "namespace": old, "cpu": "unlimited", "memory": "unlimited", "gpu": "2", "status": "created"},
    ]
    assert [one["status"] for one in again.json()["created"]] == ["updated", "updated"]
    made = (await api.call("GET", f"/berth/v1/workspaces/{new}", me)).json()
    assert (made["clusters"], made["namespaces"]) == (["worker-1", "worker-2"], [new])


async def test_a_quota_shows_what_is_in_use_and_limits_every_dialect(api: TheApi) -> None:
    me, owner = await api.someone(administrator=True), await api.someone()
    workspace = await api.workspace(owner)
    namespace = f"{workspace}-ns"
    await sent(api, me, yaml_of(**{namespace: "{gpu: 4, memory: 1500Mi}"}))
    await api.gpr(owner, workspace, Phase.ACTIVE)
    shown = (await api.call("GET", f"/api/v1/quotas/{namespace}", owner)).json()
    assert shown == {
        "name": namespace,
        "namespace": namespace,
        "hard": {"memory": "1500Mi", "nvidia.com/gpu": "4"},
        "used": {"cpu": "0", "memory": "0Mi", "nvidia.com/gpu": "1"},
        "status": "Active",
    }
    native = (await api.call("GET", f"/berth/v1/quotas/{namespace}", owner)).json()
    assert native["limit"] == {"gpus": 4, "cpu_millis": None, "memory_mib": 1500}


async def test_quotas_are_listed_and_found_by_namespace(api: TheApi) -> None:
    me, owner = await api.someone(administrator=True), await api.someone()
    namespace = await api.quota(f"{await api.workspace(owner)}-ns", gpus=1)
    listed = (await api.call("GET", "/api/v1/quotas", owner)).json()
    one = (await api.call("GET", f"/api/v1/quotas?namespace={namespace}", owner)).json()
    assert (listed["total"], listed["items"]) == (1, [one])
    assert one["namespace"] == namespace
    unknown = await api.call("GET", "/api/v1/quotas?namespace=nobodys", me)
    assert (unknown.status_code, unknown.json().keys()) == (404, {"error"})


@pytest.mark.parametrize("query", ["", "?force=true", "?force=false"])
async def test_a_quota_is_deleted_once(api: TheApi, query: str) -> None:
    me = await api.someone(administrator=True)
    namespace = await api.quota(f"{await api.workspace(me)}-ns", gpus=1)
    gone = await api.call("DELETE", f"/api/v1/quotas/{namespace}{query}", me)
    assert (gone.status_code, gone.json()["jobId"], gone.json()["status"]) == (200, namespace, "deleted")
    again = await api.call("DELETE", f"/api/v1/quotas/{namespace}{query}", me)
    assert (again.status_code, again.json().keys()) == (404, {"error"})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("kind: quota\nquota: {name: q}", "namespace: must name at least one"),
        ("kind: training\nquota: {name: q}", "Unsupported kind: training"),
        ("quota: {name: q}\nnamespace: {a: }", "kind: is required"),
        (yaml_of(a="{gpus: 1}"), "did you mean 'gpu'?"),
        (yaml_of(a="{gpu: -1}"), "gpu: must be at least 0"),
        (yaml_of(a="{gpu: 1}") + "\n  a: {gpu: 2}", "'a' is given twice"),
        (yaml_of(kube_system="{gpu: 1}"), "belongs to the cluster"),
        ("a: &a [1]\nb: *a", "aliases"),
        ("kind: quota\n---\nkind: quota", "there must be one document only"),
        ("kind: [", "not valid YAML"),
    ],
)
async def test_what_is_no_quota_is_refused(api: TheApi, text: str, said: str) -> None:
    answer = await sent(api, await api.someone(administrator=True), text)
    assert (answer.status_code, answer.json().keys()) == (400, {"error"})
    assert said in answer.json()["error"]


async def test_names_are_checked_before_anything_is_made(api: TheApi) -> None:
    me, name = await api.someone(administrator=True), a_name()
    assert (await sent(api, me, yaml_of(**{name: "{gpu: 1}", "kube_public": "{gpu: 1}"}))).status_code == 400
    assert (await api.call("GET", f"/api/v1/namespaces/{name}", me)).status_code == 404


async def test_a_namespace_that_cannot_be_made_is_named(api: TheApi) -> None:
    api.courier.workspaces_become = WorkspacePhase.FAILED
    answer = await sent(api, await api.someone(administrator=True), yaml_of(kept="{gpu: 1}"))
    assert (answer.status_code, "'kept' exists" in answer.json()["error"]) == (400, True)


async def test_a_dry_run_of_a_quota_is_refused_and_makes_nothing(api: TheApi) -> None:
    me, name = await api.someone(administrator=True), a_name()
    body: dict[str, Any] = {"yamlContent": yaml_of(**{name: "{gpu: 1}"}), "dryRun": True}
    assert (await api.call("POST", "/api/v1/quotas", me, json=body)).status_code == 400
    assert (await api.call("GET", f"/api/v1/namespaces/{name}", me)).status_code == 404


async def test_an_idempotency_key_may_come_with_several_namespaces(api: TheApi) -> None:
    me, text = await api.someone(administrator=True), yaml_of(**{a_name(): "{gpu: 1}", a_name(): "{gpu: 1}"})
    headers = {"Idempotency-Key": "once"}
    for _ in range(2):
        answer = await api.call("POST", "/api/v1/quotas", me, json={"yamlContent": text}, headers=headers)
        assert (answer.status_code, len(answer.json()["created"])) == (201, 2)


async def test_a_document_that_is_too_large_is_refused_as_such(api: TheApi) -> None:
    me, large = await api.someone(administrator=True), "#" * 70_000
    for sent_as in ({"json": {"yamlContent": large}}, {"content": large}, {"content": "#" * 300_000}):
        answer = await api.call("POST", "/api/v1/quotas", me, **sent_as)
        assert (answer.status_code, answer.json().keys()) == (413, {"error"})
