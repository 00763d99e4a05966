"""Reads logs and events of jobs off the event loop, through the connections of this process."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from api.operations.cluster_threads import ClusterThreads
from clusters.failures import ObjectMissing
from clusters.job_logs import log_tail
from clusters.job_views import job_events
from domain.failures import NotFound

if TYPE_CHECKING:
    from clusters.connection import ClusterConnection
    from domain.job import JobEvent


class ClusterLogs:
    """Logs and events on real clusters."""

    def __init__(self, connections: Mapping[str, ClusterConnection]) -> None:
        self._threads = ClusterThreads(connections, "logs")

    async def tail(self, cluster: str, namespace: str, pod: str, lines: int) -> list[str]:
        """The last lines, each with its time; NotFound when the pod is gone."""
        try:
            return await self._threads.ask(cluster, log_tail, namespace, pod, lines, timestamps=True)
        except ObjectMissing as missing:
            raise NotFound(f"pod {pod!r} not found", pod=pod) from missing

    async def events(self, cluster: str, namespace: str, job_id: str) -> list[JobEvent]:
        """What the cluster says about a job and its pods."""
        return await self._threads.ask(cluster, job_events, namespace, job_id)

    def close(self) -> None:
        """Let the threads go."""
        self._threads.close()
