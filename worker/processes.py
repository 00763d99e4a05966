"""The long-running processes: opened, watched and closed in one way. A part that fails ends its process, visibly."""

from __future__ import annotations

import asyncio
import signal
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import structlog
from temporalio.runtime import PrometheusConfig, Runtime, TelemetryConfig

from activities.jobs import ClusterJobs
from activities.reconciling import RealClusterReconciling
from clusters.connection import ClusterConnection
from clusters.registration import install, probe
from delivery.courier import Courier
from delivery.temporal import TemporalDoor
from domain.failures import InvalidRequest, Unavailable
from ledger import inventory
from ledger.connection import Ledger
from worker.agent import AgentOptions, NodeAgent
from worker.lookouts import JobLookout, NodeLookout
from worker.observability import READY_SECONDS_MAX, Watchpost
from worker.parts import ClusterOptions, cluster_worker, core_worker, node_worker
from worker.patience import patiently
from worker.relay import Relay
from worker.schedules import (
    ensure_cluster_schedule,
    ensure_hardware_schedule,
    ensure_ledger_schedule,
    ensure_samples_schedule,
    ensure_search_attributes,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable

    from worker.settings import WorkerSettings

log = structlog.get_logger()

NODE_CONNECTIONS_MAX = 2
"""An agent writes one batch at a time, and there is one on every node."""


class Doors:
    """What a process goes through to the outside: ledger, Temporal, and the courier between them."""

    def __init__(self, settings: WorkerSettings, connections_max: int) -> None:
        self.ledger = Ledger(settings.database_url, connections_max=connections_max)
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
        client = await patiently(doors.temporal.client)
        await patiently(lambda: ensure_search_attributes(client))
        await patiently(lambda: ensure_ledger_schedule(client))
        await patiently(lambda: ensure_hardware_schedule(client))
        await patiently(lambda: ensure_samples_schedule(client))
        url = settings.berth_github_url
        clean_seconds = settings.berth_recovery_clean_seconds
        worker = core_worker(
            client, doors.ledger, doors.courier, doors.temporal, github_url=url, clean_seconds=clean_seconds
        )
        await _until_stopped(worker.run())


async def run_cluster(settings: WorkerSettings, cluster: str) -> None:
    """One cluster: registers it, runs its steps, watches its nodes, and schedules its reconciliation."""
    connection = ClusterConnection.from_kubeconfig(cluster, settings.kubeconfig(cluster))
    async with _process(settings) as doors:
        client = await patiently(doors.temporal.client)
        await patiently(lambda: _register(connection, doors.ledger))
        await patiently(lambda: ensure_cluster_schedule(client, cluster))
        worker = cluster_worker(
            client,
            connection,
            doors.ledger,
            doors.courier,
            options=ClusterOptions(
                teardown_patience_seconds=settings.berth_teardown_patience_seconds,
                storage_class=settings.berth_storage_class,
            ),
        )
        reconciling = RealClusterReconciling(connection, doors.ledger, doors.courier)
        jobs = JobLookout(connection, ClusterJobs(connection, doors.ledger, doors.courier))
        nodes = NodeLookout(connection, reconciling, jobs.look_at_all)
        await _until_stopped(worker.run(), nodes.run(), jobs.run())


async def run_relay(settings: WorkerSettings) -> None:
    """Delivers what other processes wrote into the outbox and could not deliver."""
    async with _process(settings) as doors:
        await _until_stopped(Relay(doors.ledger, doors.courier).run())


async def run_node(settings: WorkerSettings, cluster: str) -> None:
    """The agent of one node: reads its devices, and asks them when it is told to; neither waits for the other."""
    node = settings.berth_node_name
    if not cluster or not node:
        raise InvalidRequest("a node's agent is told its cluster (--cluster) and its node (BERTH_NODE_NAME)")
    options = AgentOptions(
        sample_seconds=settings.berth_sample_seconds,
        send_seconds=settings.berth_send_seconds,
        buffer_seconds=settings.berth_buffer_seconds,
        dcgm_url=settings.berth_dcgm_url,
    )
    async with _process(settings, connections_max=NODE_CONNECTIONS_MAX) as doors:
        agent = NodeAgent(doors.ledger, cluster, node, options)
        await _until_stopped(agent.run(), _serve_node(doors, cluster, node))


async def _serve_node(doors: Doors, cluster: str, node: str) -> None:
    client = await patiently(doors.temporal.client)
    await node_worker(client, cluster, node).run()


@asynccontextmanager
async def _process(settings: WorkerSettings, *, connections_max: int = 20) -> AsyncIterator[Doors]:
    doors = Doors(settings, connections_max)
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


async def _register(connection: ClusterConnection, ledger: Ledger) -> None:
    capabilities = await asyncio.to_thread(probe, connection)
    if capabilities.sufficient:
        await asyncio.to_thread(install, connection)
    for lack in capabilities.lacks:
        log.warning("cluster lacks", cluster=connection.name, lack=lack)
    async with ledger.transaction() as ledger_connection:
        await inventory.register_cluster(ledger_connection, connection.name, capabilities, datetime.now(UTC))


def _runtime(metrics_port: int) -> Runtime | None:
    if not metrics_port:
        return None
    return Runtime(telemetry=TelemetryConfig(metrics=PrometheusConfig(bind_address=f"127.0.0.1:{metrics_port}")))
