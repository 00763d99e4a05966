from __future__ import annotations

import pytest

from clusters.capacity import write_tokens
from clusters.connection import ClusterConnection
from clusters.inventory import adopt_nodes, observe_nodes
from domain.hardware import ObservedNode
from domain.identifiers import token_key
from domain.workspace import Tenancy
from tests.activities.clusters.cluster_views import NewNodes, create_pods, running
from tests.builders_clusters import Json, a_pod, eventually


def _seen(connection: ClusterConnection, name: str) -> ObservedNode:
    return next(node for node in observe_nodes(connection) if node.name == name)


def test_a_node_is_seen_with_its_hardware(connection: ClusterConnection, node: str) -> None:
    seen = _seen(connection, node)
    assert (seen.shape, seen.gpus, seen.memory_mib) == ("NVIDIA-H100-80GB-HBM3", 8, 81_559)
    assert (seen.instance_type, seen.region) == ("n1-standard-8", "us-east-1")
    assert (seen.ready, seen.schedulable, seen.condition) == (True, True, "")


@pytest.mark.parametrize("labels", [{"nvidia.com/gpu.count": "4"}, {"berth.io/unmanaged": "true"}])
def test_nodes_that_cannot_or_may_not_be_leased_are_left_out(
    labels: Json, connection: ClusterConnection, new_nodes: NewNodes
) -> None:
    (name,) = new_nodes(1, labels=labels)
    assert name not in [node.name for node in observe_nodes(connection)]
    assert adopt_nodes(connection, [name]) == []
    assert not connection.get(f"/api/v1/nodes/{name}")["spec"].get("taints")


def test_gpus_used_outside_workspaces_are_foreign_and_a_workspaces_are_not(
    connection: ClusterConnection, workspace: Tenancy, node: str
) -> None:
    key = token_key(workspace.tenant)
    write_tokens(connection, key, {node: 2})
    create_pods(connection, workspace, 2)
    stranger = a_pod(f"stranger-{node}", gpus=3, nodeName=node)
    connection.create("/api/v1/namespaces/default/pods", stranger)
    assert eventually(lambda: running(connection, workspace) == 2)
    seen = _seen(connection, node)
    assert (seen.foreign_gpus, seen.tokens) == (3, {key: 2})
    connection.delete(f"/api/v1/namespaces/default/pods/stranger-{node}")
    assert eventually(lambda: _seen(connection, node).foreign_gpus == 0)


def test_a_cordoned_node_and_one_that_failed_say_so(connection: ClusterConnection, node: str) -> None:
    path = f"/api/v1/nodes/{node}"
    connection.merge(path, {"spec": {"unschedulable": True}})
    assert _seen(connection, node).condition == "cordoned"
    connection.merge(path, {"metadata": {"annotations": {"kwok.berth.io/not-ready": "power supply"}}})
    assert eventually(lambda: not _seen(connection, node).ready)
    assert not _seen(connection, node).schedulable


def test_an_adopted_node_is_kept_for_leases_and_adopting_twice_is_once(
    connection: ClusterConnection, node: str
) -> None:
    theirs = {"key": "their/own", "effect": "PreferNoSchedule"}
    connection.merge(f"/api/v1/nodes/{node}", {"spec": {"taints": [theirs]}})
    assert adopt_nodes(connection, [node]) == [node]
    assert adopt_nodes(connection, [node, "never-there"]) == []
    taints = connection.get(f"/api/v1/nodes/{node}")["spec"]["taints"]
    assert taints == [theirs, {"key": "berth.io/managed", "value": "true", "effect": "NoSchedule"}]
    assert _seen(connection, node).schedulable


def test_pods_of_a_lease_stand_on_adopted_nodes(connection: ClusterConnection, workspace: Tenancy, node: str) -> None:
    adopt_nodes(connection, [node])
    write_tokens(connection, token_key(workspace.tenant), {node: 1})
    create_pods(connection, workspace, 1)
    assert eventually(lambda: running(connection, workspace) == 1)
