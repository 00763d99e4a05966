"""Writing down what changes on a cluster when it changes, instead of at the next reconciliation: its nodes, and its jobs."""

from __future__ import annotations

import asyncio
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from clusters.job_watch import watch_jobs
from clusters.watches import watch_nodes
from worker.patience import patiently

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from activities.jobs import ClusterJobs
    from activities.reconciling import RealClusterReconciling
    from clusters.connection import ClusterConnection

LOOK_AT_ALL_SECONDS = 60.0


class NodeLookout:
    """Observes the cluster when one of its nodes changed, and then says so."""

    def __init__(
        self, connection: ClusterConnection, reconciling: RealClusterReconciling, on_change: Callable[[], None]
    ) -> None:
        self._connection = connection
        self._reconciling = reconciling
        self._on_change = on_change

    async def run(self) -> None:
        """Look out until cancelled."""
        loop, changed, stop = asyncio.get_running_loop(), asyncio.Event(), threading.Event()
        changed.set()

        def tell() -> None:
            loop.call_soon_threadsafe(changed.set)

        watching = loop.run_in_executor(None, watch_nodes, self._connection, tell, stop)
        try:
            while True:
                await changed.wait()
                changed.clear()
                self._on_change()
                await patiently(lambda: self._reconciling.observe(datetime.now(UTC)))
        finally:
            stop.set()
            watching.cancel()


class JobLookout:
    """Writes what is seen of jobs when something of theirs changed; of all of them when told to, and once a minute.

    What went while nobody watched tells nothing by itself, and neither do the pods of a node that is lost, or back.
    """

    def __init__(self, connection: ClusterConnection, jobs: ClusterJobs) -> None:
        self._connection = connection
        self._jobs = jobs
        self._changed: set[str] = set()
        self._all_at = time.monotonic()
        self._news = asyncio.Event()

    def look_at_all(self) -> None:
        """Something changed that may matter to any of them."""
        self._all_at = time.monotonic()
        self._news.set()

    async def run(self) -> None:
        """Look out until cancelled."""
        loop, stop = asyncio.get_running_loop(), threading.Event()

        def tell(ids: frozenset[str]) -> None:
            loop.call_soon_threadsafe(self._note, ids)

        watching = loop.run_in_executor(None, watch_jobs, self._connection, tell, stop)
        try:
            while True:
                ids = await self._due()
                await patiently(lambda ids=ids: self._jobs.observe(ids, datetime.now(UTC)))  # type: ignore[misc]
        finally:
            stop.set()
            watching.cancel()

    def _note(self, ids: frozenset[str]) -> None:
        self._changed |= ids
        self._news.set()

    async def _due(self) -> Collection[str]:
        """Whom to look at, as soon as there is anybody."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._all_at - time.monotonic()):
                await self._news.wait()
        self._news.clear()
        changed, self._changed = self._changed, set()
        if time.monotonic() < self._all_at:
            return changed
        self._all_at = time.monotonic() + LOOK_AT_ALL_SECONDS
        return await patiently(self._jobs.running)
