from __future__ import annotations

import pytest

from clusters.capacity import write_tokens
from clusters.connection import ClusterConnection
from clusters.precheck import unfit_nodes
from clusters.teardown import quarantine_nodes
from domain.identifiers import token_key
from domain.workspace import Tenancy
from tests.activities.clusters.cluster_views import create_pods, running
from tests.builders_clusters import eventually


@pytest.fixture
def key(workspace: Tenancy) -> str:
    return token_key(workspace.tenant)


def test_a_free_node_is_fit(connection: ClusterConnection, key: str, node: str) -> None:
    assert unfit_nodes(connection, key, {node: 8}) == {}


def test_a_node_on_which_the_lease_already_runs_is_fit_for_it(
    connection: ClusterConnection, workspace: Tenancy, key: str, node: str
) -> None:
    write_tokens(connection, key, {node: 8})
    create_pods(connection, workspace, 2, gpus=4)
    assert eventually(lambda: running(connection, workspace) == 2)
    assert unfit_nodes(connection, key, {node: 8}) == {}


def test_gpus_of_another_lease_make_a_node_unfit(connection: ClusterConnection, key: str, node: str) -> None:
    write_tokens(connection, "beta-1.berth.io/gpu", {node: 3})
    assert unfit_nodes(connection, key, {node: 5}) == {}
    assert unfit_nodes(connection, key, {node: 6}) == {node: "5 of its 8 GPUs are free, not 6"}


def test_a_node_that_is_gone_set_aside_or_too_small_is_unfit(
    connection: ClusterConnection, key: str, node: str
) -> None:
    assert unfit_nodes(connection, key, {"never-there": 1}) == {"never-there": "it is no longer a node of the cluster"}
    assert unfit_nodes(connection, key, {node: 9}) == {node: "8 of its 8 GPUs are free, not 9"}
    quarantine_nodes(connection, [node], "worker does not go")
    assert unfit_nodes(connection, key, {node: 1}) == {node: "quarantined: worker does not go"}
