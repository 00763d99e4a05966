"""Reads logs and events of jobs off the event loop, through the connections of this process.

A log that is followed takes a thread for as long as that lasts, so those have threads of their own.
"""

from __future__ import annotations

import threading
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import aclosing
from typing import TYPE_CHECKING, Final

from api.operations.cluster_threads import ClusterThreads
from api.operations.thread_stream import StreamThreads
from clusters.failures import ObjectMissing
from clusters.job_logs import log_tail, stream_log
from clusters.job_views import job_events
from domain.failures import ClusterUnavailable, NotFound

if TYPE_CHECKING:
    from api.operations.log_streams import PodAddress
    from clusters.connection import ClusterConnection
    from domain.job import JobEvent, LogLine, LogPlace

FOLLOWED_MAX: Final = 256
"""Pods of one cluster that a process follows at the same time, and threads that it spends on that."""


class ClusterLogs:
    """Logs and events on real clusters."""

    def __init__(self, connections: Mapping[str, ClusterConnection]) -> None:
        self._connections = connections
        self._threads = ClusterThreads(connections, "logs")
        self._followers = {name: StreamThreads(f"follow-{name}", FOLLOWED_MAX) for name in connections}

    async def tail(self, cluster: str, namespace: str, pod: str, lines: int) -> list[str]:
        """The last lines, each with its time; NotFound when the pod is gone."""
        try:
            return await self._threads.ask(cluster, log_tail, namespace, pod, lines, timestamps=True)
        except ObjectMissing as missing:
            raise NotFound(f"pod {pod!r} not found", pod=pod) from missing

    async def follow(self, address: PodAddress, after: LogPlace | None) -> AsyncGenerator[list[LogLine], None]:
        """Lines after a place, None being the beginning, as they come; NoThreadLeft, ClusterUnavailable."""
        connection = self._connections.get(address.cluster)
        if connection is None:
            raise ClusterUnavailable(f"this process was given no kubeconfig for cluster {address.cluster!r}")

        def tell(stop: threading.Event) -> Iterator[LogLine]:
            return stream_log(connection, address.namespace, address.pod, stop, after=after)

        async with aclosing(self._followers[address.cluster].batches(tell)) as batches:
            async for batch in batches:
                yield batch

    async def events(self, cluster: str, namespace: str, job_id: str) -> list[JobEvent]:
        """What the cluster says about a job and its pods."""
        return await self._threads.ask(cluster, job_events, namespace, job_id)

    def close(self) -> None:
        """Let the threads go."""
        self._threads.close()
