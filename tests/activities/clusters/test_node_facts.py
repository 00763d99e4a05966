from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from clusters import node_facts
from clusters.connection import ClusterConnection
from clusters.node_facts import has_namespace, node_use
from domain.workspace import Tenancy
from tests.activities.clusters.cluster_views import NewNodes
from tests.builders_clusters import a_pod, eventually


@pytest.mark.parametrize("named_max", [20, 0])
def test_a_node_says_what_it_has_and_how_old_it_is(
    connection: ClusterConnection, new_nodes: NewNodes, monkeypatch: pytest.MonkeyPatch, named_max: int
) -> None:
    monkeypatch.setattr(node_facts, "NAMED_MAX", named_max)
    (name,) = new_nodes(1, labels={"example.com/rack": "7"})
    found = node_facts.node_facts(connection, [name, "not-there"])
    assert found.keys() == {name}
    facts = found[name]
    assert (facts.cpu_millis, facts.memory_mib, facts.labels["example.com/rack"]) == (96_000, 30 * 1024, "7")
    assert facts.created_at is not None
    assert facts.reported_at is not None
    assert datetime.now(UTC) - facts.created_at < timedelta(minutes=2)


def test_what_pods_asked_for_is_in_use_until_they_end(connection: ClusterConnection, node: str) -> None:
    assert (node_use(connection, node).cpu_millis, node_use(connection, node).memory_mib) == (0, 0)
    pods, name = "/api/v1/namespaces/default/pods", f"on-{node}"
    pod = a_pod(name, gpus=0)
    pod["spec"]["nodeName"] = node
    pod["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "1500m", "memory": "2Gi"}}
    pod["spec"]["initContainers"] = [
        {"name": "first", "image": "i", "resources": {"requests": {"cpu": "100m", "memory": "3Gi"}}}
    ]
    connection.create(pods, pod)
    use = node_use(connection, node)
    assert (use.cpu_millis, use.memory_mib) == (1500, 3072)
    connection.delete(f"{pods}/{name}", grace_seconds=0)
    assert eventually(lambda: node_use(connection, node).cpu_millis == 0)


def test_a_namespace_is_there_whoever_made_it(connection: ClusterConnection, workspace: Tenancy) -> None:
    assert has_namespace(connection, "kube-system")
    assert has_namespace(connection, workspace.namespaces[0])
    assert not has_namespace(connection, "nowhere")
