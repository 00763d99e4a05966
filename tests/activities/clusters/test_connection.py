from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import yaml

from cli.stack.cluster import Cluster
from clusters.connection import ClusterConnection
from clusters.failures import ObjectConflict, ObjectMissing
from clusters.inventory import observe_nodes
from domain.failures import ClusterRefused, ClusterUnavailable
from domain.workspace import Tenancy
from tests.activities.clusters.cluster_views import pods_path
from tests.builders_clusters import Json, a_pod, eventually


def _kubeconfig(path: Path, server: str) -> Path:
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "it",
        "clusters": [{"name": "it", "cluster": {"server": server}}],
        "users": [{"name": "it", "user": {"token": "t"}}],
        "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
    }
    path.write_text(yaml.safe_dump(content))
    return path


@pytest.fixture
def away(tmp_path: Path) -> Iterator[ClusterConnection]:
    with closing(socket.socket()) as unheard:
        unheard.bind(("127.0.0.1", 0))  # bound, never listening: nobody else can take the port meanwhile
        path = _kubeconfig(tmp_path / "kubeconfig", f"http://127.0.0.1:{unheard.getsockname()[1]}")
        connection = ClusterConnection.from_kubeconfig("away", path)
        yield connection
        connection.close()


def test_a_cluster_that_is_away_is_known_to_be_away_at_once(away: ClusterConnection) -> None:
    began = time.monotonic()
    with pytest.raises(ClusterUnavailable, match="'away' cannot be reached") as failure:
        observe_nodes(away)
    assert time.monotonic() - began < 1
    assert failure.value.__cause__ is not None


def test_a_killed_api_server_is_away_and_the_same_connection_finds_it_again(
    kube_cluster: Cluster, connection: ClusterConnection
) -> None:
    kube_cluster.kill("kube-apiserver")
    with pytest.raises(ClusterUnavailable):
        observe_nodes(connection)
    kube_cluster.start_component("kube-apiserver")
    assert eventually(lambda: bool(observe_nodes(connection)))


@pytest.mark.parametrize("content", ["", "just text", "{unclosed", "apiVersion: v1\nkind: Config\n"])
def test_a_kubeconfig_that_is_none_is_refused_with_its_path(content: str, tmp_path: Path) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text(content)
    with pytest.raises(ClusterRefused, match="kubeconfig is not a usable kubeconfig"):
        ClusterConnection.from_kubeconfig("it", path)
    with pytest.raises(ClusterRefused, match="not a usable kubeconfig"):
        ClusterConnection.from_kubeconfig("it", tmp_path / "missing")


def test_a_name_that_is_taken_one_that_is_missing_and_a_body_that_is_wrong_are_told_apart(
    connection: ClusterConnection, workspace: Tenancy
) -> None:
    connection.create(pods_path(workspace), a_pod("one"))
    with pytest.raises(ObjectConflict):
        connection.create(pods_path(workspace), a_pod("one"))
    with pytest.raises(ObjectMissing):
        connection.get(f"{pods_path(workspace)}/two")
    with pytest.raises(ClusterRefused, match="422"):
        connection.create(pods_path(workspace), a_pod("Not A Name"))


def test_a_pod_that_has_another_uid_is_not_deleted(connection: ClusterConnection, workspace: Tenancy) -> None:
    connection.create(pods_path(workspace), a_pod("one"))
    with pytest.raises(ObjectConflict):
        connection.delete(f"{pods_path(workspace)}/one", uid="0000")


def test_a_long_list_is_read_whole(
    connection: ClusterConnection, workspace: Tenancy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clusters.connection.PAGE_SIZE", 2)
    maps = f"/api/v1/namespaces/{workspace.namespaces[0]}/configmaps"
    for number in range(5):
        connection.create(maps, _config_map(number))
    names = [one["metadata"]["name"] for one in connection.items(maps)]
    assert sorted(names) == ["kube-root-ca.crt", *(f"map-{number}" for number in range(5))]


def _config_map(number: int) -> Json:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"map-{number}"}}
