"""A job's GPUs are used by that job's pods alone: every road by which somebody else could come to them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cli.stack.cluster import Cluster
from clusters.capacity import write_tokens
from clusters.connection import ClusterConnection
from clusters.job_manifests import manifests
from domain.failures import ClusterRefused
from domain.identifiers import lease_token_key, token_key
from domain.job import EnvironmentVariable, JobKind, JobState
from domain.workspace import Tenancy
from tests.activities.clusters.cluster_views import AsTenant, pods_path, settles
from tests.activities.clusters.job_kit import make_job
from tests.builders_clusters import GPU, Json, a_container, a_pod, a_template, eventually
from tests.builders_jobs import a_job

AsUser = Callable[..., ClusterConnection]

RBAC = "rbac.authorization.k8s.io"
LABELS = ("berth.io/lease", "berth.io/job")
BERTHS = "are Berth's"
GROUPS = {"Job": "batch", "CronJob": "batch"}
KINDS = ("Job", "CronJob", "Deployment", "ReplicaSet", "StatefulSet")


@pytest.fixture
def tenant(as_tenant: AsTenant, workspace: Tenancy) -> ClusterConnection:
    return as_tenant(workspace)


@pytest.fixture
def as_user(
    kube_cluster: Cluster, connection: ClusterConnection, workspace: Tenancy, tmp_path: Path
) -> Iterator[AsUser]:
    """Somebody else with these rights in the workspace's namespace, or those that Kubernetes itself gives."""
    opened: list[ClusterConnection] = []
    base = f"/apis/{RBAC}/v1/namespaces/{workspace.namespaces[0]}"

    def open_as(user: str, *rules: Json) -> ClusterConnection:
        name = f"user-{len(opened)}"
        connection.create(f"{base}/roles", {"metadata": {"name": name}, "rules": list(rules)})
        subject = {"kind": "User", "apiGroup": RBAC, "name": user}
        role = {"apiGroup": RBAC, "kind": "Role", "name": name}
        connection.create(f"{base}/rolebindings", {"metadata": {"name": name}, "roleRef": role, "subjects": [subject]})
        path = tmp_path / f"{name}.kubeconfig"  # the library reads a path with colons as several
        path.write_text(kube_cluster.kubeconfig_as(user).read_text())
        opened.append(ClusterConnection.from_kubeconfig(user, path))
        return opened[-1]

    yield open_as
    for one in opened:
        one.close()


def _labelled(thing: Json, label: str = "berth.io/lease", value: str = "7") -> Json:
    metadata = thing["metadata"]
    return {**thing, "metadata": {**metadata, "labels": {**metadata.get("labels", {}), label: value}}}


def _maker(kind: str, template: Json) -> tuple[str, Json]:
    """What makes pods of this template, and the collection that it belongs in."""
    group = GROUPS.get(kind, "apps")
    spec: Json = {"template": template}
    if kind == "CronJob":
        spec = {"schedule": "0 0 1 1 *", "jobTemplate": {"spec": spec}}
    elif kind != "Job":
        spec |= {"replicas": 1, "selector": {"matchLabels": {"app": "it"}}}
    body = {"apiVersion": f"{group}/v1", "kind": kind, "metadata": {"name": "it"}, "spec": spec}
    return f"/apis/{group}/v1/namespaces/{{}}/{kind.lower()}s", body


def _template(kind: str) -> Json:
    return a_template(gpus=1, restart="Never" if kind in GROUPS else "Always")


@pytest.mark.parametrize("label", LABELS)
def test_a_tenants_pod_may_not_say_that_it_is_a_jobs(label: str, tenant: ClusterConnection, workspace: Tenancy) -> None:
    with pytest.raises(ClusterRefused, match=BERTHS):
        tenant.create(pods_path(workspace), _labelled(a_pod(), label))


@pytest.mark.parametrize("label", LABELS)
def test_a_tenants_pod_may_not_become_a_jobs_nor_a_jobs_pod_a_tenants(
    label: str, tenant: ClusterConnection, connection: ClusterConnection, workspace: Tenancy
) -> None:
    tenant.create(pods_path(workspace), a_pod("mine"))
    connection.create(pods_path(workspace), _labelled(a_pod("berths"), label))
    for name, value in (("mine", "7"), ("berths", None), ("berths", "8")):
        with pytest.raises(ClusterRefused, match=BERTHS):
            tenant.merge(f"{pods_path(workspace)}/{name}", {"metadata": {"labels": {label: value}}})


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_of_a_tenants_makes_pods_of_a_job(kind: str, tenant: ClusterConnection, workspace: Tenancy) -> None:
    path, body = _maker(kind, _labelled(_template(kind)))
    with pytest.raises(ClusterRefused, match=BERTHS):
        tenant.create(path.format(workspace.namespaces[0]), body)
    path, body = _maker(kind, _template(kind))
    with pytest.raises(ClusterRefused, match=BERTHS):
        tenant.create(path.format(workspace.namespaces[0]), _labelled(body))


@pytest.mark.parametrize("kind", ["CronJob", "Deployment", "ReplicaSet", "StatefulSet"])
def test_nothing_of_a_tenants_comes_to_make_pods_of_a_job(
    kind: str, tenant: ClusterConnection, workspace: Tenancy
) -> None:
    path, body = _maker(kind, _template(kind))
    collection = path.format(workspace.namespaces[0])
    tenant.create(collection, body)
    patch = {"template": {"metadata": {"labels": {"berth.io/lease": "7"}}}}
    with pytest.raises(ClusterRefused, match=BERTHS):
        tenant.merge(f"{collection}/it", {"spec": {"jobTemplate": {"spec": patch}} if kind == "CronJob" else patch})


def test_further_rights_in_the_namespace_make_nobody_berth(
    tenant: ClusterConnection, connection: ClusterConnection, workspace: Tenancy
) -> None:
    namespace = workspace.namespaces[0]
    binding = {
        "metadata": {"name": "more"},
        "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": "admin"},
        "subjects": [{"kind": "ServiceAccount", "name": "berth-user", "namespace": namespace}],
    }
    connection.create(f"/apis/{RBAC}/v1/namespaces/{namespace}/rolebindings", binding)
    with pytest.raises(ClusterRefused, match=BERTHS):
        tenant.create(pods_path(workspace), _labelled(a_pod()))


PODS: Json = {"apiGroups": [""], "resources": ["pods"], "verbs": ["create"]}
ASSIGN: Json = {"apiGroups": ["berth.io"], "resources": ["leases"], "verbs": ["assign"]}


def test_an_operators_account_is_not_berth_and_whoever_may_assign_leases_is(
    as_user: AsUser, workspace: Tenancy
) -> None:
    with pytest.raises(ClusterRefused, match=BERTHS):
        as_user("system:serviceaccount:tools:operator", PODS).create(pods_path(workspace), _labelled(a_pod()))
    as_user("berth", PODS, ASSIGN).create(pods_path(workspace), _labelled(a_pod()), dryRun="All")


@pytest.mark.parametrize("controller", ["job-controller", "replicaset-controller", "statefulset-controller"])
def test_the_controllers_of_berths_workloads_make_their_pods(
    controller: str, as_user: AsUser, workspace: Tenancy
) -> None:
    user = as_user(f"system:serviceaccount:kube-system:{controller}", PODS)
    user.create(pods_path(workspace), _labelled(a_pod()), dryRun="All")


@pytest.mark.parametrize("controller", ["daemon-set-controller", "replication-controller", "cronjob-controller"])
def test_controllers_that_berth_has_no_use_for_do_not(controller: str, as_user: AsUser, workspace: Tenancy) -> None:
    user = as_user(f"system:serviceaccount:kube-system:{controller}", PODS)
    with pytest.raises(ClusterRefused, match=BERTHS):
        user.create(pods_path(workspace), _labelled(a_pod()), dryRun="All")


def _with(limits: Json, label: str = "") -> Json:
    pod = a_pod(containers=[{"name": "main", "image": "busybox", "resources": {"limits": limits}}])
    return _labelled(pod, value=label) if label else pod


def test_a_jobs_pod_asks_for_its_own_leases_tokens_and_may_stand_on_managed_nodes(
    connection: ClusterConnection, workspace: Tenancy
) -> None:
    kept = connection.create(pods_path(workspace), _with({GPU: "2"}, "7"), dryRun="All")["spec"]
    assert kept["containers"][0]["resources"]["limits"] == {GPU: "2", lease_token_key(7): "2"}
    assert "berth.io/managed" in [toleration["key"] for toleration in kept["tolerations"]]


def test_a_jobs_pod_may_use_neither_the_workspaces_tokens_nor_another_leases(
    connection: ClusterConnection, workspace: Tenancy
) -> None:
    for key in (token_key(workspace.tenant), lease_token_key(8)):
        with pytest.raises(ClusterRefused, match="another lease"):
            connection.create(pods_path(workspace), _with({GPU: "1", key: "1"}, "7"), dryRun="All")


def test_a_tenants_pod_may_not_use_a_leases_tokens(tenant: ClusterConnection, workspace: Tenancy) -> None:
    with pytest.raises(ClusterRefused, match="another lease"):
        tenant.create(pods_path(workspace), _with({GPU: "1", lease_token_key(7): "1"}))


def test_gpus_of_a_job_and_of_its_workspace_are_kept_apart_on_one_node(
    connection: ClusterConnection, tenant: ClusterConnection, workspace: Tenancy, node: str
) -> None:
    job = make_job(connection, workspace, a_job(gpus_per_replica=2), node, {"kwok.berth.io/start": "2s"})
    tenant.create(pods_path(workspace), a_pod("theirs"))
    assert job.comes_to(JobState.RUNNING)
    assert settles(connection, workspace, run=1, wait=1)
    write_tokens(connection, token_key(workspace.tenant), {node: 1})
    assert settles(connection, workspace, run=2, wait=0)
    second = make_job(connection, workspace, a_job(gpus_per_replica=1), fence=job.place.fence, name="late")
    assert second.comes_to(JobState.PENDING, "Unschedulable")


def test_a_tenant_may_neither_change_nor_take_away_what_a_job_is_made_of(
    connection: ClusterConnection, tenant: ClusterConnection, workspace: Tenancy
) -> None:
    variables = (EnvironmentVariable("A", "b"),)
    spec = a_job(JobKind.INFERENCE, port=80, environment=variables, host_paths=("/srv",))
    job = make_job(connection, workspace, spec)
    for manifest in manifests(spec, job.place):
        if manifest["kind"] == "PersistentVolume":
            continue
        path = _path(manifest)
        with pytest.raises(ClusterRefused, match=BERTHS):
            tenant.merge(path, {"metadata": {"labels": {"app.kubernetes.io/managed-by": "me"}}})
        with pytest.raises(ClusterRefused, match=BERTHS):
            tenant.delete(path)


def _path(manifest: Json) -> str:
    version, metadata = manifest["apiVersion"], manifest["metadata"]
    group = f"/apis/{version}" if "/" in version else f"/api/{version}"
    return f"{group}/namespaces/{metadata['namespace']}/{manifest['kind'].lower()}s/{metadata['name']}"


def test_a_tenant_may_let_a_pod_of_a_job_be_replaced(
    connection: ClusterConnection, tenant: ClusterConnection, workspace: Tenancy, node: str
) -> None:
    job = make_job(connection, workspace, a_job(JobKind.INFERENCE, gpus_per_replica=1), node)
    assert job.comes_to(JobState.RUNNING)
    (before,) = job.seen.pods
    tenant.delete(f"{pods_path(workspace)}/{before.name}")
    assert eventually(lambda: [pod.name for pod in job.seen.pods if pod.is_ready] not in ([], [before.name]))


def test_scaling_a_job_takes_no_more_gpus_than_its_lease_has(
    connection: ClusterConnection, tenant: ClusterConnection, workspace: Tenancy, node: str
) -> None:
    job = make_job(connection, workspace, a_job(JobKind.INFERENCE, gpus_per_replica=1), node)
    assert job.comes_to(JobState.RUNNING)
    scale = f"/apis/apps/v1/namespaces/{job.namespace}/deployments/it/scale"
    tenant.merge(scale, {"spec": {"replicas": 3}})
    assert job.comes_to(JobState.DEGRADED, "Unschedulable", ready=1)


def test_a_zero_of_gpus_does_not_open_managed_nodes_to_a_job(connection: ClusterConnection, workspace: Tenancy) -> None:
    pod = _labelled(a_pod(containers=[a_container(gpus=0)]))
    kept = connection.create(pods_path(workspace), pod, dryRun="All")["spec"]
    assert "berth.io/managed" not in [toleration["key"] for toleration in kept["tolerations"]]


def test_the_labels_are_free_outside_workspaces(connection: ClusterConnection, as_user: AsUser) -> None:
    connection.create("/api/v1/namespaces/default/pods", _labelled(a_pod(gpus=0)), dryRun="All")
