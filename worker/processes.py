"""The long-running processes: opened, watched and closed in one way. A part that fails ends its process, visibly."""

from __future__ import annotations

import asyncio
import signal
import threading
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

import structlog
from temporalio.runtime import PrometheusConfig, Runtime, TelemetryConfig

from activities.jobs import ClusterJobs
from activities.reconciling import RealClusterReconciling
from clusters.connection import ClusterConnection
from clusters.job_watch import watch_jobs
from clusters.registration import install, probe
from clusters.watches import watch_nodes
from delivery.courier import Courier
from delivery.temporal import TemporalDoor
from domain.failures import Unavailable
from ledger import inventory
from ledger.connection import Ledger
from worker.observability import READY_SECONDS_MAX, Watchpost
from worker.parts import cluster_worker, core_worker, node_worker
from worker.relay import Relay
from worker.schedules import ensure_cluster_schedule, ensure_ledger_schedule, ensure_search_attributes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Collection

    from worker.settings import WorkerSettings

log = structlog.get_logger()

RETRY_SECONDS = 1.0
OBSERVE_ALL_SECONDS = 60.0
Result = TypeVar("Result")


class Doors:
    """What a process goes through to the outside: ledger, Temporal, and the courier between them."""

    def __init__(self, settings: WorkerSettings) -> None:
        self.ledger = Ledger(settings.database_url, connections_max=20)
        self.temporal = TemporalDoor(settings.temporal, runtime=_runtime(settings.berth_sdk_metrics_port))
        self.courier = Courier(self.ledger, self.temporal)

    async def ready(self) -> str:
        """Why this process cannot work now, or nothing."""
        try:
            async with asyncio.timeout(READY_SECONDS_MAX):
                await self.ledger.ping()
                await self.temporal.ping()
        except (Unavailable, TimeoutError) as failure:
            return str(failure) or "a part does not answer in time"
        return ""

    async def close(self) -> None:
        """Deliver what was handed in, and let go."""
        await self.courier.drain()
        await self.ledger.close()


async def run_core(settings: WorkerSettings) -> None:
    """Workflows, ledger steps, and the schedule that compares the ledger with Temporal."""
    async with _process(settings) as doors:
        client = await _patiently(doors.temporal.client)
        await _patiently(lambda: ensure_search_attributes(client))
        await _patiently(lambda: ensure_ledger_schedule(client))
        await _until_stopped(core_worker(client, doors.ledger, doors.courier, doors.temporal).run())


async def run_cluster(settings: WorkerSettings, cluster: str) -> None:
    """One cluster: registers it, runs its steps, watches its nodes, and schedules its reconciliation."""
    connection = ClusterConnection.from_kubeconfig(cluster, settings.kubeconfig(cluster))
    async with _process(settings) as doors:
        client = await _patiently(doors.temporal.client)
        await _patiently(lambda: _register(connection, doors.ledger))
        await _patiently(lambda: ensure_cluster_schedule(client, cluster))
        worker = cluster_worker(
            client,
            connection,
            doors.ledger,
            doors.courier,
            patience_seconds=settings.berth_teardown_patience_seconds,
        )
        reconciling = RealClusterReconciling(connection, doors.ledger, doors.courier)
        jobs = ClusterJobs(connection, doors.ledger, doors.courier)
        await _until_stopped(worker.run(), _watch(connection, reconciling), _watch_jobs(connection, jobs))


async def run_relay(settings: WorkerSettings) -> None:
    """Delivers what other processes wrote into the outbox and could not deliver."""
    async with _process(settings) as doors:
        await _until_stopped(Relay(doors.ledger, doors.courier).run())


async def run_node(settings: WorkerSettings, cluster: str) -> None:
    """The agent of one node: asks its devices."""
    async with _process(settings) as doors:
        client = await _patiently(doors.temporal.client)
        await _until_stopped(node_worker(client, cluster, settings.berth_node_name).run())


@asynccontextmanager
async def _process(settings: WorkerSettings) -> AsyncIterator[Doors]:
    doors = Doors(settings)
    post = Watchpost(settings.berth_metrics_host, settings.berth_metrics_port, doors.ready)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(doors.close)
        await post.open()
        stack.push_async_callback(post.close)
        yield doors


async def _until_stopped(*parts: Awaitable[None]) -> None:
    """Run the parts until SIGTERM or SIGINT; if one of them ends or fails, so does the process."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    running = [asyncio.ensure_future(part) for part in parts]
    stopping = asyncio.ensure_future(stop.wait())
    log.info("running")
    await asyncio.wait([*running, stopping], return_when=asyncio.FIRST_COMPLETED)
    for part in [*running, stopping]:
        part.cancel()
    for part in running:
        with suppress(asyncio.CancelledError):
            await part
    log.info("stopped")


async def _patiently(attempt: Callable[[], Awaitable[Result]]) -> Result:
    """Try until the part that is needed is there: processes may start in any order."""
    while True:
        try:
            return await attempt()
        except Unavailable as failure:
            log.warning("waiting", failure=str(failure))
            await asyncio.sleep(RETRY_SECONDS)


async def _register(connection: ClusterConnection, ledger: Ledger) -> None:
    capabilities = await asyncio.to_thread(probe, connection)
    if capabilities.sufficient:
        await asyncio.to_thread(install, connection)
    for lack in capabilities.lacks:
        log.warning("cluster lacks", cluster=connection.name, lack=lack)
    async with ledger.transaction() as ledger_connection:
        await inventory.register_cluster(ledger_connection, connection.name, capabilities, datetime.now(UTC))


async def _watch(connection: ClusterConnection, reconciling: RealClusterReconciling) -> None:
    """Observe the cluster at once when one of its nodes changes, instead of at the next reconciliation."""
    loop, changed, stop = asyncio.get_running_loop(), asyncio.Event(), threading.Event()
    changed.set()

    def tell() -> None:
        loop.call_soon_threadsafe(changed.set)

    watching = loop.run_in_executor(None, watch_nodes, connection, tell, stop)
    try:
        while True:
            await changed.wait()
            changed.clear()
            await _patiently(lambda: reconciling.observe(datetime.now(UTC)))
    finally:
        stop.set()
        watching.cancel()


async def _watch_jobs(connection: ClusterConnection, jobs: ClusterJobs) -> None:
    """Write what is seen of jobs at once when something of theirs changes, and of all of them once a minute.

    What went while nobody watched, and nodes that are lost, tell nothing by themselves.
    """
    loop, stop = asyncio.get_running_loop(), threading.Event()
    changed: asyncio.Queue[frozenset[str]] = asyncio.Queue()

    def tell(ids: frozenset[str]) -> None:
        loop.call_soon_threadsafe(changed.put_nowait, ids)

    watching = loop.run_in_executor(None, watch_jobs, connection, tell, stop)
    try:
        while True:
            try:
                async with asyncio.timeout(OBSERVE_ALL_SECONDS):
                    ids: Collection[str] = await changed.get()
            except TimeoutError:
                ids = await _patiently(jobs.running)
            await _patiently(lambda ids=ids: jobs.observe(ids, datetime.now(UTC)))  # type: ignore[misc]
    finally:
        stop.set()
        watching.cancel()


def _runtime(metrics_port: int) -> Runtime | None:
    if not metrics_port:
        return None
    return Runtime(telemetry=TelemetryConfig(metrics=PrometheusConfig(bind_address=f"127.0.0.1:{metrics_port}")))
