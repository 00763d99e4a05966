from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from itertools import pairwise

import pytest

from cli.stack.cluster import Cluster
from clusters.capacity import write_tokens
from clusters.connection import ClusterConnection
from clusters.inventory import adopt_nodes
from clusters.watches import GATHER_SECONDS, watch_nodes
from tests.activities.clusters.cluster_views import NewNodes
from tests.builders_clusters import eventually


class _Calls:
    """Counts what a watch tells, and can wait until there is no more to tell."""

    def __init__(self) -> None:
        self.at: list[float] = []

    def __call__(self) -> None:
        self.at.append(time.monotonic())

    @property
    def count(self) -> int:
        return len(self.at)

    def settled(self) -> int:
        while self._is_told_more(self.count):
            continue
        return self.count

    def _is_told_more(self, before: int) -> bool:
        return eventually(lambda: self.count != before, seconds=1.2)


@pytest.fixture
def told(connection: ClusterConnection, node: str) -> Iterator[_Calls]:
    calls, stop = _Calls(), threading.Event()
    watch = threading.Thread(target=watch_nodes, args=(connection, calls, stop))
    watch.start()
    assert eventually(lambda: calls.count > 0)
    yield calls
    stop.set()
    watch.join(timeout=10)
    assert not watch.is_alive()


def _cordon(connection: ClusterConnection, node: str) -> None:
    connection.merge(f"/api/v1/nodes/{node}", {"spec": {"unschedulable": True}})


def _is_told(calls: _Calls, of: Callable[[], object], *, seconds: float) -> bool:
    before = calls.settled()
    of()
    return eventually(lambda: calls.count > before, seconds)


def test_a_change_of_a_node_is_told_within_a_second(connection: ClusterConnection, told: _Calls, node: str) -> None:
    assert _is_told(told, lambda: _cordon(connection, node), seconds=1)


def test_a_node_that_fails_is_told(connection: ClusterConnection, told: _Calls, node: str) -> None:
    sick = {"metadata": {"annotations": {"kwok.berth.io/not-ready": "power supply"}}}
    assert _is_told(told, lambda: connection.merge(f"/api/v1/nodes/{node}", sick), seconds=5)


def test_berths_own_writes_and_heartbeats_are_not_told(connection: ClusterConnection, told: _Calls, node: str) -> None:
    def write() -> None:
        write_tokens(connection, "alpha-1.berth.io/gpu", {node: 2})
        adopt_nodes(connection, [node])
        connection.merge(f"/api/v1/nodes/{node}", {"metadata": {"annotations": {"any": "thing"}}})

    assert not _is_told(told, write, seconds=1.5)


def test_many_changes_are_gathered_into_calls_with_time_between_them(told: _Calls, new_nodes: NewNodes) -> None:
    before = told.settled()
    new_nodes(10)
    assert told.settled() > before
    assert all(later - earlier >= GATHER_SECONDS for earlier, later in pairwise(told.at))


def test_a_watch_outlives_the_api_server(
    kube_cluster: Cluster, connection: ClusterConnection, told: _Calls, node: str
) -> None:
    kube_cluster.kill("kube-apiserver")
    kube_cluster.start_component("kube-apiserver")
    assert _is_told(told, lambda: _cordon(connection, node), seconds=15)
