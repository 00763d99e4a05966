from __future__ import annotations

import pytest

from clusters.connection import ClusterConnection
from clusters.registration import install
from clusters.tenancy import apply_tenancy, delete_tenancy, namespaces_left
from domain.failures import NamespaceNotOurs, NotReadyYet
from domain.workspace import Tenancy
from tests.activities.clusters.cluster_views import NewWorkspace, pods_path
from tests.builders_clusters import Json, a_pod, a_tenancy, eventually


def _namespace(connection: ClusterConnection, name: str) -> Json:
    return connection.get(f"/api/v1/namespaces/{name}")


def _make_foreign(connection: ClusterConnection, name: str, labels: Json) -> None:
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
    connection.create("/api/v1/namespaces", body)


def test_a_workspace_is_whole_in_each_of_its_namespaces(
    connection: ClusterConnection, new_workspace: NewWorkspace
) -> None:
    tenancy = new_workspace(namespaces=2)
    for name in tenancy.namespaces:
        labels = _namespace(connection, name)["metadata"]["labels"]
        assert labels["berth.io/workspace"] == tenancy.tenant
        assert labels["pod-security.kubernetes.io/enforce"] == "baseline"
        quota = connection.get(f"/api/v1/namespaces/{name}/resourcequotas/berth-ceiling")
        assert quota["spec"]["hard"] == {"requests.nvidia.com/gpu": "4096"}
        connection.get(f"/apis/networking.k8s.io/v1/namespaces/{name}/networkpolicies/berth-default-deny-ingress")


def test_pods_can_be_created_at_once_when_a_workspace_is_ready(
    connection: ClusterConnection, workspace: Tenancy
) -> None:
    connection.create(pods_path(workspace), a_pod())


def test_no_workspace_is_ready_while_the_policies_are_not_in_effect(
    connection: ClusterConnection, workspace: Tenancy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clusters.tenancy.EFFECT_SECONDS_MAX", 0.5)
    connection.delete("/apis/admissionregistration.k8s.io/v1/mutatingadmissionpolicybindings/berth-pod-token")
    assert eventually(lambda: not _is_applied(connection, workspace))
    install(connection)
    assert eventually(lambda: _is_applied(connection, workspace))


def _is_applied(connection: ClusterConnection, tenancy: Tenancy) -> bool:
    try:
        apply_tenancy(connection, tenancy)
    except NotReadyYet:
        return False
    return True


def test_making_a_workspace_twice_writes_nothing_the_second_time(
    connection: ClusterConnection, workspace: Tenancy
) -> None:
    name = workspace.namespaces[0]
    paths = [
        f"/api/v1/namespaces/{name}",
        f"/apis/rbac.authorization.k8s.io/v1/namespaces/{name}/rolebindings/berth-tenant",
    ]
    before = [connection.get(path)["metadata"]["resourceVersion"] for path in paths]
    apply_tenancy(connection, workspace)
    assert [connection.get(path)["metadata"]["resourceVersion"] for path in paths] == before


def test_a_half_made_workspace_is_completed(connection: ClusterConnection, workspace: Tenancy) -> None:
    quota = f"/api/v1/namespaces/{workspace.namespaces[0]}/resourcequotas/berth-ceiling"
    connection.delete(quota)
    apply_tenancy(connection, workspace)
    assert connection.get(quota)


@pytest.mark.parametrize("labels", [{}, {"berth.io/workspace": "somebody-else"}])
def test_somebody_elses_namespace_is_neither_taken_nor_deleted(connection: ClusterConnection, labels: Json) -> None:
    tenancy = a_tenancy()
    _make_foreign(connection, tenancy.namespaces[0], labels)
    with pytest.raises(NamespaceNotOurs, match="was not made for workspace alpha"):
        apply_tenancy(connection, tenancy)
    delete_tenancy(connection, tenancy.tenant, tenancy.namespaces)
    assert _namespace(connection, tenancy.namespaces[0])["status"]["phase"] == "Active"
    connection.delete(f"/api/v1/namespaces/{tenancy.namespaces[0]}")


def test_a_deleted_workspace_is_gone_and_deleting_it_again_is_nothing(
    connection: ClusterConnection, workspace: Tenancy
) -> None:
    for _ in range(2):
        delete_tenancy(connection, workspace.tenant, workspace.namespaces)
    assert eventually(lambda: not namespaces_left(connection, workspace.tenant))
    delete_tenancy(connection, workspace.tenant, workspace.namespaces)


def test_a_namespace_that_is_stuck_says_why_and_is_not_made_again(
    connection: ClusterConnection, workspace: Tenancy
) -> None:
    maps = f"/api/v1/namespaces/{workspace.namespaces[0]}/configmaps"
    held = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "held", "finalizers": ["example.org/held"]}}
    connection.create(maps, held)
    delete_tenancy(connection, workspace.tenant, workspace.namespaces)
    assert eventually(lambda: "example.org/held" in namespaces_left(connection, workspace.tenant)[0].why)
    with pytest.raises(NotReadyYet, match="still being deleted"):
        apply_tenancy(connection, workspace)
    connection.merge(f"{maps}/held", {"metadata": {"finalizers": []}})
    assert eventually(lambda: not namespaces_left(connection, workspace.tenant))


def test_a_namespace_whose_deletion_was_not_begun_says_so(connection: ClusterConnection, workspace: Tenancy) -> None:
    assert [left.why for left in namespaces_left(connection, workspace.tenant)] == ["its deletion has not begun"]
