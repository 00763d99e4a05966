"""Each test makes its own nodes and its own workspaces on the shared cluster, and takes them away again."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import pytest

from cli.stack.nodes import GpuNode
from clusters.access import issue_kubeconfig
from clusters.connection import ClusterConnection
from clusters.tenancy import delete_tenancy
from domain.workspace import Tenancy
from tests.activities.clusters.cluster_views import AsTenant, NewNodes, NewWorkspace
from tests.builders_clusters import Json, a_tenancy, eventually, make_tenancy


@pytest.fixture(scope="session")
def connection(cluster: ClusterConnection) -> ClusterConnection:
    return cluster


@pytest.fixture
def new_nodes(connection: ClusterConnection) -> Iterator[NewNodes]:
    made: list[str] = []

    def make(count: int = 1, *, gpus: int = 8, labels: Json | None = None, devices: Json | None = None) -> list[str]:
        names = [f"node-{uuid4().hex[:8]}" for _ in range(count)]
        made.extend(names)
        for name in names:
            node = GpuNode(name, gpus=gpus, product="NVIDIA-H100-80GB-HBM3", gpu_memory_mib=81_559, cpu="96").manifest
            node["metadata"]["labels"] |= labels or {}
            node["status"]["capacity"] |= devices or {}
            node["status"]["allocatable"] |= devices or {}
            connection.create("/api/v1/nodes", node)
        assert eventually(lambda: all(_takes_pods(connection, name) for name in names))
        return names

    yield make
    with ThreadPoolExecutor() as threads:
        list(threads.map(lambda name: connection.delete(f"/api/v1/nodes/{name}"), made))


@pytest.fixture
def new_workspace(connection: ClusterConnection) -> Iterator[NewWorkspace]:
    made: list[Tenancy] = []

    def make(name: str = "alpha", *, namespaces: int = 1) -> Tenancy:
        tenancy = a_tenancy(name, namespaces=namespaces)
        made.append(tenancy)
        make_tenancy(connection, tenancy)
        return tenancy

    yield make
    for tenancy in made:
        delete_tenancy(connection, tenancy.tenant, tenancy.namespaces)


@pytest.fixture
def workspace(new_workspace: NewWorkspace) -> Tenancy:
    return new_workspace()


@pytest.fixture
def node(new_nodes: NewNodes) -> str:
    return new_nodes(1)[0]


@pytest.fixture
def as_tenant(connection: ClusterConnection, tmp_path: Path) -> Iterator[AsTenant]:
    """What a tenant's own client may do, by the kubeconfig that Berth gives it."""
    opened: list[ClusterConnection] = []
    numbers = itertools.count()

    def open_as(tenancy: Tenancy, anchor: str | None = None) -> ClusterConnection:
        path = tmp_path / f"kubeconfig-{next(numbers)}"
        path.write_text(issue_kubeconfig(connection, tenancy, anchor, 600).text)
        opened.append(ClusterConnection.from_kubeconfig(tenancy.workspace_name, path))
        return opened[-1]

    yield open_as
    for one in opened:
        one.close()


def _takes_pods(connection: ClusterConnection, name: str) -> bool:
    """A new node is Ready a moment before Kubernetes takes its own not-ready taint off it."""
    node = connection.get(f"/api/v1/nodes/{name}")
    conditions = node["status"].get("conditions", [])
    ready = any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
    return ready and not node["spec"].get("taints")
