"""Nodes are asked about off the event loop, and a cluster that hangs holds up nobody who asks for something else."""

from __future__ import annotations

import asyncio
import socket
import time

import pytest
from kubernetes.client import Configuration

from api.operations.cluster_nodes import ClusterNodes
from clusters.connection import ClusterConnection
from domain.failures import ClusterUnavailable


async def test_a_cluster_that_this_process_does_not_know_is_unavailable() -> None:
    with pytest.raises(ClusterUnavailable, match="no kubeconfig for cluster 'far'"):
        await ClusterNodes({}).facts("far", ["n"])


async def test_a_hanging_label_change_does_not_stall_the_loop_and_is_given_up() -> None:
    configuration = Configuration()
    with socket.create_server(("127.0.0.1", 0), backlog=16) as silent:
        configuration.host = f"http://127.0.0.1:{silent.getsockname()[1]}"
        connection = ClusterConnection("silent", configuration)
        nodes = ClusterNodes({"silent": connection}, deadline_seconds=0.5)
        change = asyncio.create_task(nodes.add_label("silent", "n", "a", "b", overwrite=False))
        began = time.monotonic()
        await asyncio.sleep(0.01)
        assert time.monotonic() - began < 0.3
        with pytest.raises(ClusterUnavailable, match="does not answer"):
            await change
        nodes.close()
        connection.close()
