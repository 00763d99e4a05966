"""`python -m api`: serves the API until it is told to stop, then lets what is under way come to its end."""

from __future__ import annotations

import asyncio
import gc
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import structlog
import uvicorn
import uvloop
from pydantic import ValidationError

from api import logs
from api.app import build_app
from api.auth import development
from api.auth.login_doors import LoginDoors
from api.auth.rates import Rates
from api.backends import Backends, utc_now
from api.operations.cluster_nodes import ClusterNodes
from api.operations.job_logs import ClusterLogs
from api.operations.kubeconfigs import ClusterKubeconfigs
from api.operations.log_streams import LogStreams
from api.settings import Settings
from api.websockets import MESSAGE_BYTES_MAX, PING_SECONDS, WebSocketProtocol
from clusters.connection import ClusterConnection
from delivery.courier import Courier
from delivery.temporal import TemporalAddress, TemporalDoor
from domain.failures import ClusterRefused, InvalidRequest
from ledger.connection import Ledger
from ledger.sealing import KEYRING

log = structlog.get_logger("api")

DRAIN_SECONDS_MAX = 5
"""How long messages that were just committed may take to leave; the relay takes what is left."""
KEEP_ALIVE_SECONDS = 75
"""An idle connection is kept longer than clients and balancers usually do (60): who closes first must not be us, or a
request that is just being sent is lost."""
GARBAGE_BEFORE_PASS = 20_000
"""Objects that a list of a few hundred rows is made of; Python's own 700 are for programs that make few."""


def main() -> int:
    """Read the environment and serve."""
    try:
        settings = Settings()
    except ValidationError as error:
        sys.stderr.write(f"the environment is not complete: {error}\n")
        return 2
    logs.configure(settings.log_format)
    try:
        KEYRING.use(settings.secrets_keys)
        uvloop.run(serve(settings))
    except (ClusterRefused, InvalidRequest) as failure:
        sys.stderr.write(f"{failure.message}\n")
        return 2
    return 0


class Server(uvicorn.Server):
    """Ends like a function when it is told to stop; the original raises the signal again, and nothing is closed."""

    def __init__(self, config: uvicorn.Config, streams: LogStreams) -> None:
        super().__init__(config)
        self._streams = streams

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Say goodbye to those who follow logs, which would never end by themselves; then to all."""
        await self._streams.close()
        await super().shutdown(sockets)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Let SIGTERM and SIGINT end the serving."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        yield


async def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT. Starts also while the parts behind it are away, and says so."""
    ledger = Ledger(settings.database_url, connections_max=settings.ledger_connections_max)
    temporal = TemporalDoor(TemporalAddress(settings.temporal_address, settings.temporal_namespace))
    courier = Courier(ledger, temporal)
    connections = {name: ClusterConnection.from_kubeconfig(name, path) for name, path in settings.kubeconfigs.items()}
    kubeconfigs = ClusterKubeconfigs(connections)
    nodes, logs = ClusterNodes(connections), ClusterLogs(connections)
    logins = LoginDoors(settings.logins, utc_now)
    backends = Backends(
        ledger,
        courier,
        kubeconfigs,
        ready_seconds=settings.ready_seconds,
        nodes=nodes,
        logs=logs,
        host_path_prefixes=settings.host_path_prefixes,
        box_image=settings.box_image,
        logins=logins,
        time_rules=settings.time_rules,
    )
    rates = Rates(settings.requests_per_key, settings.bad_requests_per_address)
    app = build_app(backends, settings.cors_origins, rates)
    _settle_memory()
    if settings.development_login:
        development.warn()
    log.info("api starts", host=settings.host, port=settings.port, clusters=sorted(connections))
    try:
        await Server(server_config(app, settings), app.state.log_doors.streams).serve()
    finally:
        nodes.close()
        logs.close()
        await logins.close()
        await _close(courier, kubeconfigs, ledger)


def _settle_memory() -> None:
    """Let the collector leave alone what stays until the end, and look less often: a pass is a pause for every caller."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE_BEFORE_PASS, 10, 50)


def server_config(app: object, settings: Settings) -> uvicorn.Config:
    """How it is served."""
    return uvicorn.Config(
        app,  # type: ignore[arg-type]
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=settings.shutdown_seconds,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        http="httptools",
        ws=WebSocketProtocol,
        ws_ping_interval=PING_SECONDS,
        ws_ping_timeout=PING_SECONDS,
        ws_max_size=MESSAGE_BYTES_MAX,
        ws_per_message_deflate=False,  # it would be done once per client, on the event loop
    )


async def _close(courier: Courier, kubeconfigs: ClusterKubeconfigs, ledger: Ledger) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(DRAIN_SECONDS_MAX):
            await courier.drain()
    kubeconfigs.close()
    await ledger.close()
    log.info("api stopped")


if __name__ == "__main__":
    sys.exit(main())
