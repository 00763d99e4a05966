"""Kubeconfigs are asked for off the event loop, and a cluster that does not answer holds up only itself."""

from __future__ import annotations

import asyncio
import socket
import time
from typing import TYPE_CHECKING

import pytest
from kubernetes.client import Configuration

from api.operations.cluster_threads import THREADS_PER_CLUSTER
from api.operations.kubeconfigs import ClusterKubeconfigs
from clusters.connection import ClusterConnection
from domain.failures import ClusterUnavailable
from domain.workspace import Tenancy

if TYPE_CHECKING:
    from collections.abc import Iterator

A_TENANCY = Tenancy("00000000-0000-0000-0000-000000000001", "ws", "ws-1", ("ws-ns",))


def a_connection(name: str, port: int) -> ClusterConnection:
    configuration = Configuration()
    configuration.host = f"http://127.0.0.1:{port}"
    return ClusterConnection(name, configuration)


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        yield server.getsockname()[1]


@pytest.fixture
def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


async def test_a_cluster_that_this_process_does_not_know_is_unavailable() -> None:
    with pytest.raises(ClusterUnavailable, match="no kubeconfig for cluster 'far'"):
        await ClusterKubeconfigs({}).issue("far", A_TENANCY, None, 600)


async def test_a_silent_cluster_is_given_up_after_the_deadline_and_holds_up_no_other(
    silent_port: int, closed_port: int
) -> None:
    connections = {"silent": a_connection("silent", silent_port), "closed": a_connection("closed", closed_port)}
    issuer = ClusterKubeconfigs(connections, deadline_seconds=0.5)
    waiting = [
        asyncio.create_task(issuer.issue("silent", A_TENANCY, None, 600)) for _ in range(2 * THREADS_PER_CLUSTER)
    ]
    began = time.monotonic()
    with pytest.raises(ClusterUnavailable):
        await issuer.issue("closed", A_TENANCY, None, 600)
    assert time.monotonic() - began < 0.45
    failures = await asyncio.gather(*waiting, return_exceptions=True)
    assert {type(failure) for failure in failures} == {ClusterUnavailable}
    issuer.close()
    for connection in connections.values():
        connection.close()
