"""Asks clusters for kubeconfigs off the event loop."""

from __future__ import annotations

from collections.abc import Mapping

from api.operations.cluster_threads import DEADLINE_SECONDS, ClusterThreads
from clusters.access import IssuedKubeconfig, issue_kubeconfig
from clusters.connection import ClusterConnection
from domain.workspace import Tenancy


class ClusterKubeconfigs:
    """Issues kubeconfigs through the connections of this process."""

    def __init__(
        self, connections: Mapping[str, ClusterConnection], *, deadline_seconds: float = DEADLINE_SECONDS
    ) -> None:
        self._threads = ClusterThreads(connections, "kubeconfig", deadline_seconds=deadline_seconds)

    async def issue(
        self, cluster: str, tenancy: Tenancy, anchor: str | None, expires_in_seconds: int
    ) -> IssuedKubeconfig:
        """A kubeconfig; raises ClusterUnavailable when the cluster does not answer in time."""
        return await self._threads.ask(cluster, issue_kubeconfig, tenancy, anchor, expires_in_seconds)

    def close(self) -> None:
        """Let the threads go."""
        self._threads.close()
