"""Asks clusters for kubeconfigs off the event loop.

Each cluster has threads of its own, so that one that hangs holds up only itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from clusters.access import IssuedKubeconfig, issue_kubeconfig
from clusters.connection import ClusterConnection
from domain.failures import ClusterUnavailable
from domain.workspace import Tenancy

ISSUE_SECONDS_MAX: Final = 10.0
THREADS_PER_CLUSTER: Final = 4


class ClusterKubeconfigs:
    """Issues kubeconfigs through the connections of this process."""

    def __init__(
        self, connections: Mapping[str, ClusterConnection], *, deadline_seconds: float = ISSUE_SECONDS_MAX
    ) -> None:
        self._connections = connections
        self._deadline_seconds = deadline_seconds
        self._threads = {
            name: ThreadPoolExecutor(THREADS_PER_CLUSTER, thread_name_prefix=f"kubeconfig-{name}")
            for name in connections
        }

    async def issue(
        self, cluster: str, tenancy: Tenancy, anchor: str | None, expires_in_seconds: int
    ) -> IssuedKubeconfig:
        """A kubeconfig; raises ClusterUnavailable when the cluster does not answer in time."""
        connection = self._connections.get(cluster)
        if connection is None:
            raise ClusterUnavailable(f"this process was given no kubeconfig for cluster {cluster!r}")
        work = asyncio.get_running_loop().run_in_executor(
            self._threads[cluster], issue_kubeconfig, connection, tenancy, anchor, expires_in_seconds
        )
        try:
            async with asyncio.timeout(self._deadline_seconds):
                return await work
        except TimeoutError as error:
            raise ClusterUnavailable(f"cluster {cluster!r} does not answer") from error

    def close(self) -> None:
        """Let the threads go."""
        for executor in self._threads.values():
            executor.shutdown(wait=False, cancel_futures=True)
