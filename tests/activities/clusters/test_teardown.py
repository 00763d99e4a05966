from __future__ import annotations

from datetime import datetime

import pytest

from activities.teardown import ClusterTeardown
from clusters.capacity import remove_tokens, write_tokens
from clusters.connection import ClusterConnection
from clusters.teardown import delete_gpu_pods, gpu_holders, lift_quarantine, quarantine_nodes
from domain.gpr import Phase
from domain.identifiers import token_key
from domain.messages import NodeGpus, Standing
from domain.workspace import Tenancy
from tests.activities.clusters.cluster_views import (
    NewNodes,
    NewWorkspace,
    create_pods,
    pods,
    pods_path,
    running,
    settles,
)
from tests.builders_clusters import Json, a_pod, eventually


@pytest.fixture
def key(workspace: Tenancy) -> str:
    return token_key(workspace.tenant)


def _lease(connection: ClusterConnection, tenancy: Tenancy, node: str, gpus: int) -> None:
    write_tokens(connection, token_key(tenancy.tenant), {node: gpus})
    create_pods(connection, tenancy, gpus)
    assert eventually(lambda: running(connection, tenancy) == gpus)


def _one_pod(connection: ClusterConnection, tenancy: Tenancy, node: str, pod: Json) -> None:
    write_tokens(connection, token_key(tenancy.tenant), {node: 1})
    connection.create(pods_path(tenancy), pod)
    assert eventually(lambda: running(connection, tenancy) == 1)


def test_every_pod_of_the_lease_goes_and_the_node_is_free_of_them(
    connection: ClusterConnection, workspace: Tenancy, key: str, node: str
) -> None:
    _lease(connection, workspace, node, 3)
    assert len(gpu_holders(connection, key, [node])[node]) == 3
    remove_tokens(connection, key, [node])
    for _ in range(2):
        delete_gpu_pods(connection, key, [node], 30)
    assert eventually(lambda: gpu_holders(connection, key, [node]) == {})
    delete_gpu_pods(connection, key, [node], 30)


def test_pods_of_others_on_the_same_node_stay(
    connection: ClusterConnection, workspace: Tenancy, key: str, node: str, new_workspace: NewWorkspace
) -> None:
    beta = new_workspace("beta")
    _lease(connection, workspace, node, 2)
    _lease(connection, beta, node, 2)
    delete_gpu_pods(connection, key, [node], 30)
    assert eventually(lambda: gpu_holders(connection, key, [node]) == {})
    assert running(connection, beta) == 2


def test_only_the_named_nodes_are_cleared(
    connection: ClusterConnection, workspace: Tenancy, key: str, new_nodes: NewNodes
) -> None:
    one, two = new_nodes(2)
    write_tokens(connection, key, {one: 1, two: 1})
    create_pods(connection, workspace, 2)
    assert eventually(lambda: running(connection, workspace) == 2)
    delete_gpu_pods(connection, key, [one], 30)
    assert eventually(lambda: list(gpu_holders(connection, key, [one, two])) == [two])


def test_a_pod_that_was_never_placed_holds_nothing_and_waits_for_the_next_lease(
    connection: ClusterConnection, workspace: Tenancy, key: str, node: str
) -> None:
    create_pods(connection, workspace, 1)
    assert settles(connection, workspace, run=0, wait=1)
    assert gpu_holders(connection, key, [node]) == {}
    delete_gpu_pods(connection, key, [node], 30)
    assert len(pods(connection, workspace)) == 1


def test_a_pod_that_does_not_go_is_reported_until_it_has_gone(
    connection: ClusterConnection, workspace: Tenancy, key: str, node: str
) -> None:
    _one_pod(connection, workspace, node, a_pod(annotations={"kwok.berth.io/hold-delete": "true"}))
    for _ in range(2):
        delete_gpu_pods(connection, key, [node], 5)
    (held,) = gpu_holders(connection, key, [node])[node]
    assert (held.name, held.phase) == ("worker", "Running")
    path = f"{pods_path(workspace)}/worker"
    connection.merge(path, {"metadata": {"annotations": {"kwok.berth.io/hold-delete": None}}})
    assert eventually(lambda: gpu_holders(connection, key, [node]) == {})


def test_a_pod_goes_within_the_shorter_of_its_own_grace_and_the_budget(
    connection: ClusterConnection, workspace: Tenancy, key: str, node: str
) -> None:
    slow = a_pod(annotations={"kwok.berth.io/hold-delete": "true"}, terminationGracePeriodSeconds=3600)
    _one_pod(connection, workspace, node, slow)
    path = f"{pods_path(workspace)}/worker"
    connection.delete(path)
    late = _goes_at(connection, path)
    delete_gpu_pods(connection, key, [node], 20)
    assert connection.get(path)["metadata"]["deletionGracePeriodSeconds"] == 20
    assert _goes_at(connection, path) < late
    connection.merge(path, {"metadata": {"annotations": {"kwok.berth.io/hold-delete": None}}})


def _goes_at(connection: ClusterConnection, path: str) -> datetime:
    return datetime.fromisoformat(connection.get(path)["metadata"]["deletionTimestamp"])


def test_a_pod_that_has_ended_holds_nothing_and_is_kept(
    connection: ClusterConnection, workspace: Tenancy, key: str, node: str
) -> None:
    write_tokens(connection, key, {node: 1})
    connection.create(pods_path(workspace), a_pod(annotations={"kwok.berth.io/run": "0s"}, restartPolicy="Never"))
    assert eventually(lambda: pods(connection, workspace)[0]["status"]["phase"] == "Succeeded")
    assert gpu_holders(connection, key, [node]) == {}
    delete_gpu_pods(connection, key, [node], 1)
    assert len(pods(connection, workspace)) == 1


def test_a_quarantined_node_takes_nothing_new_until_it_is_lifted(
    connection: ClusterConnection, workspace: Tenancy, key: str, node: str
) -> None:
    for _ in range(2):
        quarantine_nodes(connection, [node, "never-there"], "worker does not go")
    write_tokens(connection, key, {node: 1})
    create_pods(connection, workspace, 1)
    assert settles(connection, workspace, run=0, wait=1)
    for _ in range(2):
        lift_quarantine(connection, [node, "never-there"])
    assert settles(connection, workspace, run=1, wait=0)


def test_quarantine_leaves_everybody_elses_taints(connection: ClusterConnection, node: str) -> None:
    path = f"/api/v1/nodes/{node}"
    theirs = [{"key": "their/own", "value": "x", "effect": "PreferNoSchedule"}]
    connection.merge(path, {"spec": {"taints": theirs}})
    quarantine_nodes(connection, [node], "a reason")
    assert connection.get(path)["metadata"]["annotations"]["berth.io/quarantine"] == "a reason"
    lift_quarantine(connection, [node])
    assert connection.get(path)["spec"]["taints"] == theirs
    assert "berth.io/quarantine" not in connection.get(path)["metadata"]["annotations"]


def test_a_pod_that_was_bound_by_tokens_already_taken_goes_with_the_last_step(
    connection: ClusterConnection, workspace: Tenancy, key: str, node: str
) -> None:
    _lease(connection, workspace, node, 1)  # as a scheduler that was cut off would bind it, after all others had gone
    part = NodeGpus(node=node, ordinals=[0])
    standing = Standing(
        "a-gpr", 1, Phase.RELEASING, workspace.workspace_name, "train", 101, tenant=workspace.tenant, gpus=[part]
    )
    for _ in range(2):
        ClusterTeardown(connection).take_tokens(standing)
        assert gpu_holders(connection, key, [node]) == {}
