"""What a tenant may and may not do with the kubeconfig that Berth issues."""

from __future__ import annotations

import pytest

from clusters.access import make_anchor
from clusters.connection import ClusterConnection
from clusters.disk_manifests import snapshot_manifest
from domain.failures import ClusterRefused
from domain.workspace import Tenancy
from tests.activities.clusters.cluster_views import AsTenant, NewWorkspace, pods_path
from tests.builders_clusters import Json, a_pod, eventually
from tests.builders_disks import MadeDisk


@pytest.fixture
def tenant(as_tenant: AsTenant, workspace: Tenancy) -> ClusterConnection:
    return as_tenant(workspace)


@pytest.fixture
def home(workspace: Tenancy) -> str:
    return f"/api/v1/namespaces/{workspace.namespaces[0]}"


def _secret(name: str, **more: object) -> Json:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, **more}


def test_a_tenant_works_with_pods_and_secrets_of_its_own(tenant: ClusterConnection, home: str) -> None:
    tenant.create(f"{home}/pods", a_pod("mine"))
    tenant.create(f"{home}/secrets", _secret("mine"))
    tenant.delete(f"{home}/secrets/mine")
    assert [pod["metadata"]["name"] for pod in tenant.items(f"{home}/pods")] == ["mine"]


def test_one_kubeconfig_reaches_every_namespace_of_the_workspace(
    as_tenant: AsTenant, new_workspace: NewWorkspace
) -> None:
    tenancy = new_workspace(namespaces=2)
    tenant = as_tenant(tenancy)
    assert [tenant.items(f"/api/v1/namespaces/{name}/pods") for name in tenancy.namespaces] == [[], []]


def test_a_tenant_may_not_mint_tokens(tenant: ClusterConnection, home: str) -> None:
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 86400}}
    with pytest.raises(ClusterRefused, match="cannot create resource"):
        tenant.create(f"{home}/serviceaccounts/berth-user/token", request)


def test_nobody_may_make_a_token_that_never_ends(
    tenant: ClusterConnection, connection: ClusterConnection, home: str
) -> None:
    kind = "kubernetes.io/service-account-token"
    secret = _secret("for-ever", type=kind)
    secret["metadata"]["annotations"] = {"kubernetes.io/service-account.name": "berth-user"}
    for who in (tenant, connection):
        with pytest.raises(ClusterRefused, match="never end"):
            who.create(f"{home}/secrets", secret)


def test_a_tenant_sees_no_nodes_and_no_other_workspace(tenant: ClusterConnection, new_workspace: NewWorkspace) -> None:
    other = new_workspace("beta")
    for path in ("/api/v1/nodes", "/api/v1/pods", "/api/v1/namespaces", pods_path(other)):
        with pytest.raises(ClusterRefused, match="cannot list"):
            tenant.items(path)


def test_a_tenant_may_not_place_pods_itself(tenant: ClusterConnection, home: str) -> None:
    tenant.create(f"{home}/pods", a_pod("mine"))
    binding = {
        "apiVersion": "v1",
        "kind": "Binding",
        "metadata": {"name": "mine"},
        "target": {"kind": "Node", "name": "n"},
    }
    with pytest.raises(ClusterRefused, match="cannot create resource"):
        tenant.create(f"{home}/pods/mine/binding", binding)
    with pytest.raises(ClusterRefused, match="nodeName"):
        tenant.create(f"{home}/pods", a_pod("pinned", nodeName="n"))


@pytest.mark.parametrize("collection", ["resourcequotas/berth-ceiling", "serviceaccounts/berth-user"])
def test_a_tenant_may_not_change_what_bounds_it(collection: str, tenant: ClusterConnection, home: str) -> None:
    with pytest.raises(ClusterRefused, match="cannot"):
        tenant.delete(f"{home}/{collection}")
    with pytest.raises(ClusterRefused, match="cannot"):
        tenant.merge(f"{home}/{collection}", {"metadata": {"labels": {"x": "y"}}})


def test_a_tenant_may_not_relabel_its_namespace(tenant: ClusterConnection, home: str) -> None:
    with pytest.raises(ClusterRefused, match="cannot patch"):
        tenant.merge(home, {"metadata": {"labels": {"berth.io/workspace": "beta"}}})


def test_a_tenant_may_not_touch_the_anchor_of_its_access(
    tenant: ClusterConnection, connection: ClusterConnection, workspace: Tenancy, home: str
) -> None:
    make_anchor(connection, workspace.namespaces[0], 7)
    anchor = f"{home}/secrets/berth-access-7"
    with pytest.raises(ClusterRefused, match="are Berth's"):
        tenant.delete(anchor)
    with pytest.raises(ClusterRefused, match="are Berth's"):
        tenant.merge(anchor, {"metadata": {"labels": {"app.kubernetes.io/managed-by": None}}})


def test_a_tenant_may_not_forge_what_is_berths(tenant: ClusterConnection, home: str) -> None:
    labelled = _secret("mine")
    labelled["metadata"]["labels"] = {"app.kubernetes.io/managed-by": "berth"}
    for secret in (_secret("berth-access-8"), labelled):
        with pytest.raises(ClusterRefused, match="are Berth's"):
            tenant.create(f"{home}/secrets", secret)


def test_a_tenant_may_open_its_network_but_not_drop_the_default(tenant: ClusterConnection, workspace: Tenancy) -> None:
    policies = f"/apis/networking.k8s.io/v1/namespaces/{workspace.namespaces[0]}/networkpolicies"
    own = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "mine"},
        "spec": {"podSelector": {}},
    }
    tenant.create(policies, own)
    with pytest.raises(ClusterRefused, match="are Berth's"):
        tenant.delete(f"{policies}/berth-default-deny-ingress")


def test_a_tenant_may_not_touch_the_volume_of_a_disk(
    tenant: ClusterConnection, connection: ClusterConnection, workspace: Tenancy
) -> None:
    disk = MadeDisk(connection, workspace.namespaces[0])
    volume = disk.make()
    assert [claim["metadata"]["name"] for claim in tenant.items(disk.claims)] == [volume]
    with pytest.raises(ClusterRefused, match="are Berth's"):
        tenant.delete(f"{disk.claims}/{volume}")
    with pytest.raises(ClusterRefused, match="are Berth's"):
        tenant.merge(f"{disk.claims}/{volume}", {"metadata": {"labels": {"app.kubernetes.io/managed-by": None}}})


def test_a_tenant_may_not_handle_snapshots(
    tenant: ClusterConnection, connection: ClusterConnection, workspace: Tenancy
) -> None:
    disk = MadeDisk(connection, workspace.namespaces[0])
    volume = disk.make()
    snapshot = disk.ready_copy()
    own = snapshot_manifest(disk.namespace, "mine", volume, "simulated", {})
    del own["metadata"]["labels"]
    with pytest.raises(ClusterRefused, match="cannot delete"):
        tenant.delete(f"{disk.snapshots}/{snapshot}")
    with pytest.raises(ClusterRefused, match="cannot create"):
        tenant.create(disk.snapshots, own)
    _give_role(connection, workspace, "cluster-admin", tenant)
    with pytest.raises(ClusterRefused, match="are Berth's"):
        tenant.delete(f"{disk.snapshots}/{snapshot}")
    with pytest.raises(ClusterRefused, match="Berth's to copy"):
        tenant.create(disk.snapshots, own)


def _give_role(connection: ClusterConnection, workspace: Tenancy, role: str, tenant: ClusterConnection) -> None:
    """What an administrator may have given the tenant's account besides; on return it counts."""
    namespace, rbac = workspace.namespaces[0], "rbac.authorization.k8s.io"
    binding = {
        "apiVersion": f"{rbac}/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "more"},
        "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": role},
        "subjects": [{"kind": "ServiceAccount", "name": "berth-user", "namespace": namespace}],
    }
    connection.create(f"/apis/{rbac}/v1/namespaces/{namespace}/rolebindings", binding)
    assert eventually(lambda: _may_mint_tokens(tenant, namespace))


def _may_mint_tokens(tenant: ClusterConnection, namespace: str) -> bool:
    what = {"namespace": namespace, "verb": "create", "resource": "serviceaccounts", "subresource": "token"}
    group = "authorization.k8s.io"
    review = {"apiVersion": f"{group}/v1", "kind": "SelfSubjectAccessReview", "spec": {"resourceAttributes": what}}
    return bool(tenant.create(f"/apis/{group}/v1/selfsubjectaccessreviews", review)["status"]["allowed"])


def test_further_rights_do_not_let_a_tenant_at_what_is_berths(
    tenant: ClusterConnection, connection: ClusterConnection, workspace: Tenancy, home: str
) -> None:
    namespace = workspace.namespaces[0]
    rbac = "rbac.authorization.k8s.io"
    _give_role(connection, workspace, "admin", tenant)
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 86400}}
    with pytest.raises(ClusterRefused, match=r"may not be minted|are Berth's"):
        tenant.create(f"{home}/serviceaccounts/berth-user/token", request)
    with pytest.raises(ClusterRefused, match="are Berth's"):
        tenant.delete(f"/apis/{rbac}/v1/namespaces/{namespace}/rolebindings/berth-tenant")
