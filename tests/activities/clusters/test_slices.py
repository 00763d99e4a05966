"""MIG instances and shared GPUs on a real API server and scheduler: by their own tokens alone, and never as whole GPUs."""

from __future__ import annotations

import pytest

from clusters.capacity import read_tokens, remove_tokens, write_tokens
from clusters.connection import ClusterConnection
from clusters.inventory import observe_nodes
from clusters.precheck import unfit_nodes
from clusters.teardown import delete_gpu_pods, gpu_holders
from domain.failures import ClusterRefused
from domain.hardware import ObservedNode
from domain.identifiers import token_key
from domain.slices import Slicing
from domain.workspace import Tenancy
from tests.activities.clusters.cluster_views import NewNodes, pods, pods_path, running, settles, waiting
from tests.activities.clusters.job_kit import make_job
from tests.builders_clusters import GPU, Json, a_pod, eventually
from tests.builders_jobs import a_job

MIG = "nvidia.com/mig-1g.10gb"
ONE_G = {f"{MIG}.product": "NVIDIA-H100-80GB-HBM3-MIG-1g.10gb", f"{MIG}.memory": "9728"}


@pytest.fixture
def cut(new_nodes: NewNodes) -> str:
    """A node with two whole GPUs and seven instances of a third."""
    return new_nodes(1, gpus=2, labels=ONE_G, devices={MIG: "7"})[0]


def _seen(connection: ClusterConnection, name: str) -> ObservedNode:
    return next(node for node in observe_nodes(connection) if node.name == name)


def _asking(limits: Json, name: str = "worker") -> Json:
    return a_pod(name, containers=[{"name": "main", "image": "busybox", "resources": {"limits": limits}}])


def test_a_cut_node_is_seen_in_its_parts(connection: ClusterConnection, cut: str) -> None:
    seen = _seen(connection, cut)
    assert (seen.gpus, seen.schedulable) == (0, True)
    assert [(part.label, part.count, part.slicing) for part in seen.parts] == [
        ("gpu", 2, Slicing.NONE),
        ("mig-1g.10gb", 7, Slicing.MIG),
    ]


def test_a_pod_that_asks_for_instances_asks_for_as_many_tokens_of_their_kind(
    connection: ClusterConnection, workspace: Tenancy
) -> None:
    kept = connection.create(pods_path(workspace), _asking({MIG: "2"}), dryRun="All")["spec"]
    assert kept["containers"][0]["resources"]["limits"] == {MIG: "2", token_key(workspace.tenant, MIG): "2"}
    assert "berth.io/managed" in [toleration["key"] for toleration in kept["tolerations"]]


def test_instances_and_whole_gpus_of_one_node_are_leased_apart(
    connection: ClusterConnection, workspace: Tenancy, cut: str
) -> None:
    key = token_key(workspace.tenant, MIG)
    connection.create(pods_path(workspace), _asking({GPU: "1"}, "whole"))
    for number in range(3):
        connection.create(pods_path(workspace), _asking({MIG: "1"}, f"instance-{number}"))
    assert settles(connection, workspace, run=0, wait=4)
    write_tokens(connection, key, {cut: 2})
    assert settles(connection, workspace, run=2, wait=2)
    assert any(token_key(workspace.tenant) in message for message in waiting(connection, workspace))
    assert read_tokens(connection, key, [cut]) == {cut: 2}
    assert _seen(connection, cut).tokens == {key: 2}


def test_a_lease_of_instances_is_torn_down_by_its_own_token(
    connection: ClusterConnection, workspace: Tenancy, cut: str
) -> None:
    whole, key = token_key(workspace.tenant), token_key(workspace.tenant, MIG)
    write_tokens(connection, whole, {cut: 1})
    write_tokens(connection, key, {cut: 1})
    connection.create(pods_path(workspace), _asking({GPU: "1"}, "whole"))
    connection.create(pods_path(workspace), _asking({MIG: "1"}, "instance"))
    assert eventually(lambda: running(connection, workspace) == 2)
    remove_tokens(connection, key, [cut])
    delete_gpu_pods(connection, key, [cut], 1)
    assert eventually(lambda: not gpu_holders(connection, key, [cut]))
    assert [pod["metadata"]["name"] for pod in pods(connection, workspace)] == ["whole"]


def test_a_jobs_pods_ask_for_the_instances_of_its_lease(
    connection: ClusterConnection, workspace: Tenancy, cut: str
) -> None:
    job = make_job(connection, workspace, a_job(gpus_per_replica=2), cut, resource=MIG)
    assert eventually(lambda: running(connection, workspace) == 1)
    (pod,) = job.pods()
    assert pod["spec"]["containers"][0]["resources"]["limits"] == {MIG: "2", job.key: "2"}


def test_parts_of_a_node_are_checked_apart(connection: ClusterConnection, workspace: Tenancy, cut: str) -> None:
    part, key = f"{cut}/mig-1g.10gb", token_key(workspace.tenant, MIG)
    write_tokens(connection, token_key("beta-1", MIG), {cut: 5})
    assert unfit_nodes(connection, key, {part: 2}) == {}
    assert unfit_nodes(connection, key, {part: 3}) == {part: "2 of its 7 GPUs are free, not 3"}
    assert unfit_nodes(connection, token_key(workspace.tenant), {f"{cut}/gpu": 2}) == {}


def test_a_node_that_is_shared_after_it_was_granted_is_unfit_for_whole_gpus(
    connection: ClusterConnection, workspace: Tenancy, node: str
) -> None:
    connection.merge(f"/api/v1/nodes/{node}", {"metadata": {"labels": {f"{GPU}.replicas": "4"}}})
    assert unfit_nodes(connection, token_key(workspace.tenant), {node: 1}) == {node: "its GPUs are cut or shared now"}
    seen = _seen(connection, node)
    assert (seen.gpus, [part.slicing for part in seen.parts]) == (0, [Slicing.SHARED])


def test_pods_outside_workspaces_may_not_use_tokens_of_any_kind(
    connection: ClusterConnection, workspace: Tenancy
) -> None:
    for resource in (GPU, MIG, f"{GPU}.shared"):
        pod = _asking({token_key(workspace.tenant, resource): "1"})
        with pytest.raises(ClusterRefused, match="belong to workspaces"):
            connection.create("/api/v1/namespaces/default/pods", pod, dryRun="All")
