from __future__ import annotations

import subprocess
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cli.stack.cluster import Cluster
from clusters.access import anchors, issue_kubeconfig, make_anchor, revoke_anchor
from clusters.capacity import write_tokens
from clusters.connection import ClusterConnection
from domain.failures import ClusterUnavailable, FenceLost, NotReadyYet
from domain.identifiers import access_anchor_name, token_key
from domain.workspace import Tenancy
from tests.activities.clusters.cluster_views import AsTenant, pods_path
from tests.builders_clusters import a_tenancy, eventually

REVOKED_SECONDS_MAX = 12.0


@pytest.fixture
def namespace(workspace: Tenancy) -> str:
    return workspace.namespaces[0]


def test_kubectl_starts_a_gpu_pod_on_the_lease_with_the_issued_kubeconfig(
    connection: ClusterConnection, workspace: Tenancy, node: str, kube_cluster: Cluster, tmp_path: Path
) -> None:
    write_tokens(connection, token_key(workspace.tenant), {node: 1})
    path = tmp_path / "kubeconfig"
    path.write_text(issue_kubeconfig(connection, workspace, None, 600).text)
    overrides = (
        '{"spec":{"containers":[{"name":"train","image":"busybox","resources":{"limits":{"nvidia.com/gpu":"1"}}}]}}'
    )

    def kubectl(*words: str) -> str:
        command = [str(kube_cluster.kubectl), "--kubeconfig", str(path), *words]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    assert kubectl("config", "current-context") == f"alpha@{connection.name}"
    kubectl("run", "train", "--image=busybox", f"--overrides={overrides}")
    kubectl("wait", "--for=condition=Ready", "pod/train", "--timeout=20s")
    assert kubectl("get", "pod", "train", "-o", "jsonpath={.spec.nodeName}") == node


def test_access_ends_within_twelve_seconds_of_the_lease(
    connection: ClusterConnection, workspace: Tenancy, namespace: str, as_tenant: AsTenant
) -> None:
    make_anchor(connection, namespace, 41)
    tenant = as_tenant(workspace, access_anchor_name(41))
    assert tenant.items(pods_path(workspace)) == []
    revoke_anchor(connection, namespace, 41)
    began = time.monotonic()
    assert eventually(lambda: _is_shut_out(tenant, workspace), REVOKED_SECONDS_MAX), "still let in"
    assert time.monotonic() - began < REVOKED_SECONDS_MAX


def _is_shut_out(tenant: ClusterConnection, workspace: Tenancy) -> bool:
    try:
        tenant.items(pods_path(workspace))
    except ClusterUnavailable as unavailable:
        return unavailable.details["status"] == 401
    return False


def test_access_that_is_bound_to_no_lease_outlives_one(
    connection: ClusterConnection, workspace: Tenancy, namespace: str, as_tenant: AsTenant
) -> None:
    tenant = as_tenant(workspace)
    make_anchor(connection, namespace, 42)
    revoke_anchor(connection, namespace, 42)
    assert tenant.items(pods_path(workspace)) == []


def test_anchors_are_made_listed_and_revoked_as_often_as_one_likes(
    connection: ClusterConnection, namespace: str
) -> None:
    for _ in range(2):
        make_anchor(connection, namespace, 43)
        assert anchors(connection, namespace) == [43]
    for _ in range(2):
        revoke_anchor(connection, namespace, 43)
        assert anchors(connection, namespace) == []


def test_no_access_is_issued_for_a_lease_that_has_ended(connection: ClusterConnection, workspace: Tenancy) -> None:
    with pytest.raises(FenceLost, match="berth-access-44 is gone"):
        issue_kubeconfig(connection, workspace, access_anchor_name(44), 600)


def test_access_to_a_workspace_that_is_not_there_yet_is_worth_asking_for_again(connection: ClusterConnection) -> None:
    with pytest.raises(NotReadyYet, match="not complete"):
        issue_kubeconfig(connection, a_tenancy(), None, 600)


@pytest.mark.parametrize(("asked", "given"), [(1, 600), (900, 900), (7 * 86400, 3600)])
def test_access_lasts_from_ten_minutes_to_an_hour(
    asked: int, given: int, connection: ClusterConnection, workspace: Tenancy
) -> None:
    lasts = issue_kubeconfig(connection, workspace, None, asked).expires_at - datetime.now(UTC)
    assert timedelta(seconds=given - 5) < lasts <= timedelta(seconds=given)
