"""The agent of one node: reads its GPUs every few seconds and sends what it read, and what went wrong, to the ledger.

It keeps nothing on disk. Killed, it loses what it had not sent; sent twice, a sample is in the ledger once.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import structlog
from prometheus_client import Counter, Gauge

from devices.changes import Changes
from devices.dcgm import completed, read_exporter
from devices.nvml import DevicesUnavailable
from devices.reading import read_node
from devices.xids import XidListener
from domain.devices import GpuSample, NodeReading, slot
from domain.failures import Unavailable
from ledger import telemetry

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from domain.devices import GpuFault, GpuIdentity, GpuReading
    from ledger.connection import Ledger

log = structlog.get_logger()

BATCH_MAX: Final = 5000
"""Samples in one transaction: after an hour without a ledger there are several."""
FAULTS_MAX: Final = 10_000
SLOW_SECONDS: Final = 30.0
"""A driver may hang for long; after this it is said."""
LAST_WORDS_SECONDS_MAX: Final = 3.0
AGAIN_SECONDS: Final = 5.0
"""When faults that could not be sent are sent again; samples wait for their turn."""

READ_AT = Gauge("berth_agent_read_timestamp_seconds", "When the GPUs were last read.")
READ_FAILED = Counter("berth_agent_reads_failed_total", "Times that no GPU could be read.", ["source"])
BUFFERED = Gauge("berth_agent_samples_waiting", "Samples that are not sent.")
SENT = Counter("berth_agent_samples_sent_total", "Samples that the ledger took.")
DROPPED = Counter(
    "berth_agent_samples_dropped_total", "Samples that were dropped, for the ledger was away for too long."
)
FAULTS = Counter("berth_agent_faults_total", "What devices reported.", ["kind"])


@dataclass(frozen=True, slots=True)
class AgentOptions:
    """How an agent goes about it; seconds."""

    sample_seconds: float = 10
    send_seconds: float = 30
    buffer_seconds: float = 3600
    dcgm_url: str = ""


@dataclass(frozen=True, slots=True)
class _Taken:
    at: datetime
    reading: GpuReading


class NodeAgent:
    """Everything that happens on a node without being asked for."""

    def __init__(self, ledger: Ledger, cluster: str, node: str, options: AgentOptions) -> None:
        self._ledger = ledger
        self._cluster = cluster
        self._node = node
        self._options = options
        self._changes = Changes()
        self._present: dict[str, GpuIdentity] = {}
        """Those of the last reading."""
        self._known: dict[str, GpuIdentity] = {}
        self._waiting: deque[_Taken] = deque()
        self._faults: deque[GpuFault] = deque(maxlen=FAULTS_MAX)
        self._urgent = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="reader")
        self._troubles: dict[str, str] = {}
        self._loop: asyncio.AbstractEventLoop
        self._xids = XidListener(self._hear)

    async def run(self) -> None:
        """Until cancelled; raises DriverChanged when this process must begin anew."""
        self._loop = asyncio.get_running_loop()
        self._xids.start()
        sending = asyncio.create_task(self._send())
        try:
            await self._read()
        finally:
            self._xids.stop()
            sending.cancel()
            with suppress(asyncio.CancelledError):
                await sending
            with suppress(Unavailable, TimeoutError):
                async with asyncio.timeout(LAST_WORDS_SECONDS_MAX):
                    await self._send_all()

    def _hear(self, fault: GpuFault) -> None:
        """From the listener's thread."""
        with suppress(RuntimeError):  # the process is ending
            self._loop.call_soon_threadsafe(self._note, [fault])

    # --- reading ------------------------------------------------------------------------------------------------------

    async def _read(self) -> None:
        seconds = self._options.sample_seconds
        while True:
            await asyncio.sleep(seconds - time.time() % seconds)
            at = slot(datetime.now(UTC), seconds)
            reading = await self._reading()
            if reading is None:
                self._present = {}
            else:
                self._take(reading, at)

    def _take(self, reading: NodeReading, at: datetime) -> None:
        READ_AT.set(at.timestamp())
        present = {gpu.uuid: gpu for gpu in reading.gpus}
        if present.keys() != self._present.keys():
            self._xids.listen_anew()
            self._urgent.set()
        self._present = present
        self._known |= present
        self._waiting.extend(_Taken(at, one) for one in reading.readings if _says_something(one))
        self._note(self._changes.faults(reading, at))
        self._keep_within_bounds()

    def _note(self, faults: Sequence[GpuFault]) -> None:
        for fault in faults:
            FAULTS.labels(fault.kind).inc()
            log.warning("fault", ordinal=fault.ordinal, kind=str(fault.kind), code=fault.code, gpu=fault.uuid)
        self._faults.extend(faults)
        if faults:
            self._urgent.set()

    def _keep_within_bounds(self) -> None:
        most = max(1, len(self._known)) * self._options.buffer_seconds / self._options.sample_seconds
        over = max(0, len(self._waiting) - int(most))
        for _ in range(over):
            self._waiting.popleft()
        if over:
            DROPPED.inc(over)
            log.warning("samples dropped", oldest=over, waiting=len(self._waiting))
        BUFFERED.set(len(self._waiting))

    async def _reading(self) -> NodeReading | None:
        """What NVML says, and beside it what the exporter knows where there is one; None when neither says anything."""
        own = await self._said("NVML", self._from_nvml)
        if not self._options.dcgm_url:
            return own
        other = await self._said("DCGM", lambda: read_exporter(self._options.dcgm_url))
        return completed(own, other) if own and other else own or other

    async def _said(self, source: str, read: Callable[[], Awaitable[NodeReading]]) -> NodeReading | None:
        try:
            reading = await read()
        except DevicesUnavailable as failure:
            READ_FAILED.labels(source).inc()
            self._say(source, str(failure))
            return None
        self._say(source, "")
        return reading

    async def _from_nvml(self) -> NodeReading:
        """In a thread of its own: a device that hangs keeps it, and nothing else of this process."""
        reading = asyncio.get_running_loop().run_in_executor(self._thread, read_node)
        done, _ = await asyncio.wait({reading}, timeout=SLOW_SECONDS)
        if not done:
            self._say("NVML", f"it has not answered for {SLOW_SECONDS:.0f} s")
        return await reading

    def _say(self, part: str, trouble: str) -> None:
        """Once when something changes, not every few seconds."""
        if trouble and self._troubles.get(part, "") != trouble:
            log.warning("away", part=part, failure=trouble)
        elif not trouble and self._troubles.get(part):
            log.info("back", part=part)
        self._troubles[part] = trouble

    # --- sending ------------------------------------------------------------------------------------------------------

    async def _send(self) -> None:
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._urgent.wait(), self._options.send_seconds)
            self._urgent.clear()
            try:
                await self._send_all()
            except Unavailable as failure:
                self._say("ledger", str(failure))
                await asyncio.sleep(min(self._options.send_seconds, AGAIN_SECONDS))
                if self._faults:
                    self._urgent.set()
            else:
                self._say("ledger", "")

    async def _send_all(self) -> None:
        """Everything that waits, and that this agent is alive. What is not sent waits on."""
        is_first = True
        while is_first or self._waiting or self._faults:
            is_first = False
            batch = [self._waiting.popleft() for _ in range(min(BATCH_MAX, len(self._waiting)))]
            faults = [self._faults.popleft() for _ in range(len(self._faults))]
            try:
                await self._write(batch, faults)
            except BaseException:
                self._waiting.extendleft(reversed(batch))
                self._faults.extendleft(reversed(faults))
                self._keep_within_bounds()
                raise
            SENT.inc(len(batch))
            BUFFERED.set(len(self._waiting))

    async def _write(self, batch: Sequence[_Taken], faults: Sequence[GpuFault]) -> None:
        gpus = self._present | {one.reading.uuid: self._known[one.reading.uuid] for one in batch}
        async with self._ledger.transaction() as connection:
            ids = await telemetry.write_gpus(
                connection, self._cluster, self._node, list(gpus.values()), datetime.now(UTC)
            )
            await telemetry.write_samples(connection, [_sample(one, ids) for one in batch])
            await telemetry.write_faults(connection, self._cluster, self._node, faults)


def _says_something(reading: GpuReading) -> bool:
    """A GPU of which nothing could be read was not sampled: missing data must look like missing data."""
    return any(value is not None for value in _columns(reading))


def _sample(taken: _Taken, ids: dict[str, int]) -> GpuSample:
    return GpuSample(taken.at, ids[taken.reading.uuid], *_columns(taken.reading))


def _columns(reading: GpuReading) -> tuple[int | None, int | None, int | None, int | None, float | None, int | None]:
    return (
        reading.utilisation_percent,
        reading.memory_percent,
        reading.temperature_celsius,
        reading.memory_used_mib,
        reading.power_watts,
        reading.processes,
    )
