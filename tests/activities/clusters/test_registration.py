from __future__ import annotations

from cli.stack.cluster import Cluster
from clusters.connection import ClusterConnection
from clusters.manifests import cluster_manifests, path_of
from clusters.registration import install, probe


def test_a_cluster_that_can_do_everything_lacks_nothing(connection: ClusterConnection) -> None:
    found = probe(connection)
    assert found.sufficient
    assert found.lacks == ()
    assert found.version.startswith("v1.36")
    assert found.server == connection.server


def test_credentials_without_rights_are_told_what_follows(kube_cluster: Cluster) -> None:
    stranger = ClusterConnection.from_kubeconfig("west", kube_cluster.kubeconfig_as("stranger"))
    found = probe(stranger)
    stranger.close()
    assert (found.admission_policies, found.node_status_writable, found.token_requests) == (True, False, False)
    assert not found.sufficient
    assert "its credentials may not create serviceaccounts/token: no kubeconfigs can be issued" in found.lacks


def test_a_cluster_whose_volumes_cannot_be_copied_is_told_what_follows(second_cluster: ClusterConnection) -> None:
    classes = "/apis/snapshot.storage.k8s.io/v1/volumesnapshotclasses"
    kept = second_cluster.get(f"{classes}/simulated")
    second_cluster.delete(f"{classes}/simulated")
    found = probe(second_cluster)
    second_cluster.create(
        classes, {**kept, "metadata": {"name": "simulated", "annotations": kept["metadata"]["annotations"]}}
    )
    assert found.sufficient
    assert [lack for lack in found.lacks if "disks are not copied" in lack]


def test_installing_again_writes_nothing(connection: ClusterConnection) -> None:
    paths = [path_of(manifest) for manifest in cluster_manifests()]
    before = [connection.get(path)["metadata"]["resourceVersion"] for path in paths]
    install(connection)
    assert [connection.get(path)["metadata"]["resourceVersion"] for path in paths] == before


def test_installing_mends_what_somebody_changed(connection: ClusterConnection) -> None:
    path = "/apis/rbac.authorization.k8s.io/v1/clusterroles/berth-tenant"
    rules = connection.get(path)["rules"]
    connection.merge(path, {"rules": []})
    install(connection)
    assert connection.get(path)["rules"] == rules
