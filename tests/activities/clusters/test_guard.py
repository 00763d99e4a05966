"""What admission makes of pods in a workspace, whoever sends them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from clusters.connection import ClusterConnection
from clusters.failures import ObjectMissing
from domain.failures import ClusterRefused
from domain.identifiers import token_key
from domain.workspace import Tenancy
from tests.activities.clusters.cluster_views import AsTenant, pods_path
from tests.builders_clusters import GPU, Json, a_container, a_pod

Dry = Callable[[Json], Json]


@pytest.fixture
def admitted(connection: ClusterConnection, workspace: Tenancy) -> Dry:
    """The pod as the cluster would keep it."""
    return lambda pod: connection.create(pods_path(workspace), pod, dryRun="All")


def _with_limits(**limits: str) -> Json:
    return a_pod(containers=[{"name": "main", "image": "busybox", "resources": {"limits": limits}}])


def test_each_container_asks_for_as_many_tokens_as_gpus(admitted: Dry, workspace: Tenancy) -> None:
    containers = [a_container("one", gpus=2), a_container("two", gpus=1), a_container("side", gpus=0)]
    kept = admitted(a_pod(containers=containers))["spec"]["containers"]
    key = token_key(workspace.tenant)
    assert [one["resources"].get("limits", {}).get(key) for one in kept] == ["2", "1", None]
    assert [one["resources"].get("requests", {}).get(key) for one in kept] == ["2", "1", None]


def test_a_pod_that_asks_for_gpus_may_stand_on_managed_nodes_and_keeps_its_own_tolerations(admitted: Dry) -> None:
    own = {"key": "spot", "operator": "Exists"}
    kept = [toleration["key"] for toleration in admitted(a_pod(tolerations=[own]))["spec"]["tolerations"]]
    assert {"spot", "berth.io/managed", GPU} <= set(kept)


def test_a_forged_count_is_rewritten(admitted: Dry, workspace: Tenancy) -> None:
    key = token_key(workspace.tenant)
    kept = admitted(_with_limits(**{GPU: "2", key: "1"}))
    assert kept["spec"]["containers"][0]["resources"]["limits"][key] == "2"


def test_a_pod_without_gpus_is_left_as_it_is(admitted: Dry) -> None:
    kept = [toleration["key"] for toleration in admitted(a_pod(gpus=0))["spec"]["tolerations"]]
    assert "berth.io/managed" not in kept


def _requesting(resource: str) -> Json:
    return a_pod(containers=[{"name": "main", "image": "busybox", "resources": {"requests": {resource: "1"}}}])


REFUSED: dict[str, tuple[Json, str]] = {
    "a token of another workspace": (_with_limits(**{GPU: "1", "beta-1.berth.io/gpu": "1"}), "another workspace"),
    "a token without a GPU": (_with_limits(**{"beta-1.berth.io/gpu": "1"}), "another workspace"),
    "a GPU without a limit": (_requesting(GPU), "Limit must be set"),
    "a token without a limit": (_requesting("beta-1.berth.io/gpu"), "Limit must be set"),
    "a GPU in an init container": (a_pod(initContainers=[a_container("before")]), "init containers"),
    "a part of a GPU by the token of a whole one": (
        _with_limits(**{"nvidia.com/mig-1g.10gb": "1", "beta-1.berth.io/gpu": "1"}),
        "another workspace",
    ),
    "a part of a GPU in an init container": (
        a_pod(
            initContainers=[{**a_container("before", gpus=0), "resources": {"limits": {"nvidia.com/mig-1g.10gb": "1"}}}]
        ),
        "init containers",
    ),
    "GPUs of two kinds for one container": (
        _with_limits(**{GPU: "1", "nvidia.com/mig-1g.10gb": "1"}),
        "one kind of GPU",
    ),
    "a node of its own choice": (a_pod(nodeName="node-1"), "nodeName"),
    "every GPU by environment": (
        a_pod(containers=[a_container(env=[{"name": "NVIDIA_VISIBLE_DEVICES", "value": "all"}])]),
        "NVIDIA_VISIBLE_DEVICES",
    ),
    "every GPU by environment, put together": (
        a_pod(containers=[a_container(envFrom=[{"prefix": "NVIDIA_", "configMapRef": {"name": "mine"}}])]),
        "NVIDIA_VISIBLE_DEVICES",
    ),
    "every GPU by annotation": (a_pod(annotations={"cdi.k8s.io/x": "nvidia.com/gpu=all"}), "cdi.k8s.io"),
    "managed nodes without a GPU": (
        a_pod(gpus=0, tolerations=[{"key": "berth.io/managed", "operator": "Exists"}]),
        "only pods",
    ),
    "managed nodes for zero GPUs": (
        a_pod(tolerations=[{"key": "berth.io/managed", "operator": "Exists"}], containers=[a_container(gpus=0)]),
        "only pods",
    ),
    "every node": (a_pod(gpus=0, tolerations=[{"operator": "Exists"}]), "tolerations of everything"),
    "quarantined nodes": (a_pod(tolerations=[{"key": "berth.io/quarantine", "operator": "Exists"}]), "quarantine"),
    "the tenant's account": (a_pod(serviceAccountName="berth-user"), "may not run as berth-user"),
    "the system's priority": (a_pod(priorityClassName="system-node-critical"), "system priority"),
    "privilege": (a_pod(containers=[a_container(securityContext={"privileged": True})]), "privileged"),
    "a volume of Berth's": (
        a_pod(volumes=[{"name": "disk", "persistentVolumeClaim": {"claimName": "berth-disk-1"}}]),
        "Berth's own jobs and boxes",
    ),
    "the host's devices": (a_pod(volumes=[{"name": "dev", "hostPath": {"path": "/dev"}}]), "hostPath"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_pod_may_not_take(what: str, admitted: Dry) -> None:
    pod, message = REFUSED[what]
    with pytest.raises(ClusterRefused, match=message):
        admitted(pod)


def test_a_zero_of_gpus_opens_no_managed_node(admitted: Dry) -> None:
    kept = admitted(_with_limits(**{GPU: "0"}))
    assert "berth.io/managed" not in [toleration["key"] for toleration in kept["spec"]["tolerations"]]


def test_a_live_pod_may_not_be_given_tolerations_but_may_be_let_go(
    connection: ClusterConnection, workspace: Tenancy
) -> None:
    path = f"{pods_path(workspace)}/idle"
    connection.create(pods_path(workspace), a_pod("idle", gpus=0))
    tolerations = connection.get(path)["spec"]["tolerations"]
    more: list[Any] = [*tolerations, {"key": "berth.io/managed", "operator": "Exists"}]
    with pytest.raises(ClusterRefused, match="only pods that ask for GPUs"):
        connection.merge(path, {"spec": {"tolerations": more}})
    connection.merge(path, {"metadata": {"labels": {"any": "label"}, "finalizers": ["example.org/held"]}})
    connection.merge(path, {"metadata": {"finalizers": []}})


def test_pods_outside_workspaces_may_not_use_tokens_and_are_otherwise_let_in(
    connection: ClusterConnection, workspace: Tenancy
) -> None:
    outside = "/api/v1/namespaces/default/pods"
    with pytest.raises(ClusterRefused, match="belong to workspaces"):
        connection.create(outside, _with_limits(**{token_key(workspace.tenant): "1"}), dryRun="All")
    connection.create(outside, a_pod(tolerations=[{"operator": "Exists"}]), dryRun="All")


@pytest.mark.parametrize(("kind", "entries"), [("configmaps", "data"), ("secrets", "data"), ("secrets", "stringData")])
def test_a_tenant_may_not_keep_what_would_become_a_variable_that_says_which_gpus_it_sees(
    workspace: Tenancy, as_tenant: AsTenant, kind: str, entries: str
) -> None:
    path, tenant = f"/api/v1/namespaces/{workspace.namespaces[0]}/{kind}", as_tenant(workspace)
    with pytest.raises(ClusterRefused, match="NVIDIA_VISIBLE_DEVICES"):
        tenant.create(path, {"metadata": {"name": "seen"}, entries: {"NVIDIA_VISIBLE_DEVICES": "YWxs"}})
    tenant.create(path, {"metadata": {"name": f"mine-{entries.lower()}"}, entries: {"ANYTHING": "YWxs"}})


def test_a_probe_leaves_no_pod_behind(connection: ClusterConnection, workspace: Tenancy) -> None:
    with pytest.raises(ObjectMissing):
        connection.get(f"{pods_path(workspace)}/berth-probe")
