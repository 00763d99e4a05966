from __future__ import annotations

import pytest

from clusters.capacity import read_tokens, remove_tokens, write_tokens
from clusters.connection import ClusterConnection
from domain.failures import NodeUnfit
from domain.identifiers import token_key
from domain.workspace import Tenancy
from tests.activities.clusters.cluster_views import NewNodes, NewWorkspace, create_pods, pods, running, settles
from tests.builders_clusters import eventually


@pytest.fixture
def key(workspace: Tenancy) -> str:
    return token_key(workspace.tenant)


def test_a_workspace_runs_exactly_as_many_pods_on_each_node_as_it_has_tokens_there(
    connection: ClusterConnection, workspace: Tenancy, key: str, new_nodes: NewNodes
) -> None:
    one, two = new_nodes(2)
    write_tokens(connection, key, {one: 2, two: 1})
    create_pods(connection, workspace, 5)
    assert settles(connection, workspace, run=3, wait=2)
    assert sorted(pod["spec"].get("nodeName", "") for pod in pods(connection, workspace)) == sorted(
        ["", "", one, one, two]
    )


def test_another_workspace_waits_although_the_node_has_free_gpus(
    connection: ClusterConnection, workspace: Tenancy, key: str, node: str, new_workspace: NewWorkspace
) -> None:
    beta = new_workspace("beta")
    write_tokens(connection, key, {node: 2})
    create_pods(connection, workspace, 1)
    create_pods(connection, beta, 1)
    assert settles(connection, workspace, run=1, wait=0)
    assert settles(connection, beta, run=0, wait=1)


def test_two_workspaces_share_a_node_without_taking_from_each_other(
    connection: ClusterConnection, workspace: Tenancy, key: str, node: str, new_workspace: NewWorkspace
) -> None:
    beta = new_workspace("beta")
    write_tokens(connection, key, {node: 5})
    write_tokens(connection, token_key(beta.tenant), {node: 3})
    create_pods(connection, workspace, 6)
    create_pods(connection, beta, 4)
    assert settles(connection, workspace, run=5, wait=1)
    assert settles(connection, beta, run=3, wait=1)


def test_a_pod_created_before_its_lease_starts_by_itself_when_the_tokens_come(
    connection: ClusterConnection, workspace: Tenancy, key: str, node: str
) -> None:
    create_pods(connection, workspace, 1, gpus=4)
    assert settles(connection, workspace, run=0, wait=1)
    write_tokens(connection, key, {node: 4})
    assert settles(connection, workspace, run=1, wait=0)


def test_after_the_tokens_are_gone_running_pods_stay_and_new_ones_wait(
    connection: ClusterConnection, workspace: Tenancy, key: str, node: str
) -> None:
    write_tokens(connection, key, {node: 2})
    create_pods(connection, workspace, 1, prefix="old")
    assert settles(connection, workspace, run=1, wait=0)
    remove_tokens(connection, key, [node])
    create_pods(connection, workspace, 1, prefix="new")
    assert settles(connection, workspace, run=1, wait=1)


def test_writing_and_removing_twice_is_the_same_as_once(connection: ClusterConnection, key: str, node: str) -> None:
    for _ in range(2):
        write_tokens(connection, key, {node: 4})
        assert read_tokens(connection, key, [node]) == {node: 4}
    version = connection.get(f"/api/v1/nodes/{node}")["metadata"]["resourceVersion"]
    write_tokens(connection, key, {node: 4})
    assert connection.get(f"/api/v1/nodes/{node}")["metadata"]["resourceVersion"] == version
    for _ in range(2):
        remove_tokens(connection, key, [node])
        assert key not in connection.get(f"/api/v1/nodes/{node}")["status"]["capacity"]


def test_a_half_written_token_is_completed(connection: ClusterConnection, key: str, node: str) -> None:
    connection.merge(f"/api/v1/nodes/{node}/status", {"status": {"capacity": {key: "4"}}})
    write_tokens(connection, key, {node: 4})
    assert read_tokens(connection, key, [node]) == {node: 4}


def test_a_count_is_never_lowered_below_its_use(
    connection: ClusterConnection, workspace: Tenancy, key: str, node: str
) -> None:
    write_tokens(connection, key, {node: 3})
    create_pods(connection, workspace, 3)
    assert eventually(lambda: running(connection, workspace) == 3)
    with pytest.raises(NodeUnfit, match="still hold 3 GPUs"):
        write_tokens(connection, key, {node: 2})
    assert read_tokens(connection, key, [node]) == {node: 0}, "nothing new may start, and no running pod may be killed"


def test_a_count_above_its_use_is_lowered(connection: ClusterConnection, key: str, node: str) -> None:
    write_tokens(connection, key, {node: 8})
    write_tokens(connection, key, {node: 2})
    assert read_tokens(connection, key, [node]) == {node: 2}


def test_a_zero_that_a_kubelet_wrote_is_written_again(
    connection: ClusterConnection, workspace: Tenancy, key: str, node: str
) -> None:
    write_tokens(connection, key, {node: 2})
    create_pods(connection, workspace, 2)
    assert eventually(lambda: running(connection, workspace) == 2)
    zero = {"status": {"capacity": {key: "0"}, "allocatable": {key: "0"}}}
    connection.merge(f"/api/v1/nodes/{node}/status", zero)
    write_tokens(connection, key, {node: 2})
    assert read_tokens(connection, key, [node]) == {node: 2}


def test_a_node_that_is_gone_is_unfit_to_write_on_and_free_of_tokens(connection: ClusterConnection, key: str) -> None:
    with pytest.raises(NodeUnfit, match="no longer nodes"):
        write_tokens(connection, key, {"never-there": 1})
    assert read_tokens(connection, key, ["never-there"]) == {"never-there": 0}
    remove_tokens(connection, key, ["never-there"])
