"""Calls clusters off the event loop. Each cluster has threads of its own, so that one that hangs holds up only itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Concatenate, Final, ParamSpec, TypeVar

from clusters.connection import ClusterConnection
from domain.failures import ClusterUnavailable

THREADS_PER_CLUSTER: Final = 4
DEADLINE_SECONDS: Final = 10.0

_Asked = ParamSpec("_Asked")
_Answer = TypeVar("_Answer")


class ClusterThreads:
    """Threads of one purpose, by cluster."""

    def __init__(
        self,
        connections: Mapping[str, ClusterConnection],
        purpose: str,
        *,
        deadline_seconds: float = DEADLINE_SECONDS,
    ) -> None:
        self._connections = connections
        self._deadline_seconds = deadline_seconds
        self._threads = {
            name: ThreadPoolExecutor(THREADS_PER_CLUSTER, thread_name_prefix=f"{purpose}-{name}")
            for name in connections
        }

    async def ask(
        self,
        cluster: str,
        call: Callable[Concatenate[ClusterConnection, _Asked], _Answer],
        *args: _Asked.args,
        **more: _Asked.kwargs,
    ) -> _Answer:
        """What the call answers; ClusterUnavailable when the cluster does not answer in time."""
        connection = self._connections.get(cluster)
        if connection is None:
            raise ClusterUnavailable(f"this process was given no kubeconfig for cluster {cluster!r}")
        work = asyncio.get_running_loop().run_in_executor(
            self._threads[cluster], partial(call, connection, *args, **more)
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
