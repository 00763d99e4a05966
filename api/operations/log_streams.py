"""One stream per pod in this process, however many follow it; and how many may follow at all.

A pod is read as long as anybody reads it, and a moment longer, because people reload. What a reader is told in which
order is left to `job_following.py`.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import aclosing, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Final, Protocol
from uuid import UUID

import structlog

from api.operations.pod_stream import LINES_KEPT, PodStream, place_after
from domain.failures import BerthFailure, NotFound, Unavailable
from domain.job import LogLine, LogPlace

log = structlog.get_logger("api")

READERS_MAX: Final = 2_000
"""Of all callers together."""
READERS_PER_KEY_MAX: Final = 128
"""So that one caller leaves room, and threads, for others."""
LINGER_SECONDS: Final = 5.0
LINES_PER_SECOND: Final = 50_000
"""Told to all readers together: more would leave the event loop no time for anything else. Pods are read that much slower."""
CLOSING_SECONDS_MAX: Final = 3.0


class TooManyReaders(Unavailable):
    """As many log streams as this process, or one key, may have are open; close some, or try again later."""

    code = "too_many_readers"


class Stopping(Unavailable):
    """This process stops; connect again, and another one answers."""

    code = "stopping"


class Broken(Unavailable):
    """Reading the pod's log broke; the log of this process says how."""

    code = "stream_broke"


@dataclass(frozen=True, slots=True)
class PodAddress:
    """Where a pod is."""

    cluster: str
    namespace: str
    pod: str


class LogSource(Protocol):
    """Where lines come from."""

    async def tail(self, cluster: str, namespace: str, pod: str, lines: int) -> list[str]:
        """The last lines, each with its time; raises NotFound, ClusterUnavailable."""

    def follow(self, address: PodAddress, after: LogPlace | None) -> AsyncGenerator[list[LogLine], None]:
        """Lines after a place, None being the beginning, as they come, until the pod has ended or is gone."""


@dataclass(eq=False, slots=True)
class _Read:
    """One pod that is being read."""

    address: PodAddress
    stream: PodStream = field(default_factory=PodStream)
    began: asyncio.Event = field(default_factory=asyncio.Event)
    readers: int = 0
    task: asyncio.Task[None] | None = None


class LogStreams:
    """The streams of this process. Belongs to one event loop."""

    def __init__(self, source: LogSource, linger_seconds: float = LINGER_SECONDS) -> None:
        self._source = source
        self._linger_seconds = linger_seconds
        self._reads: dict[PodAddress, _Read] = {}
        self._readers: Counter[UUID] = Counter()
        self._pace = _Pace()
        self._nobody = asyncio.Event()
        self._nobody.set()
        self.stopping = asyncio.Event()
        """Set when the process begins to stop."""

    @property
    def readers(self) -> int:
        """How many follow a log now."""
        return self._readers.total()

    @property
    def open_streams(self) -> int:
        """How many pods are read now."""
        return len(self._reads)

    @contextmanager
    def admitted(self, key_id: UUID) -> Iterator[None]:
        """Count somebody who follows a log with this key. Stopping, TooManyReaders."""
        if self.stopping.is_set():
            raise Stopping
        if self.readers >= READERS_MAX or self._readers[key_id] >= READERS_PER_KEY_MAX:
            raise TooManyReaders
        self._readers[key_id] += 1
        self._nobody.clear()
        try:
            yield
        finally:
            self._readers -= Counter((key_id,))
            if not self._readers:
                self._nobody.set()

    @asynccontextmanager
    async def of_pod(self, address: PodAddress) -> AsyncIterator[PodStream]:
        """A pod's stream, begun."""
        read = self._reads.get(address) or self._begin(address)
        read.readers += 1
        try:
            await read.began.wait()
            yield read.stream
        finally:
            read.readers -= 1
            if not read.readers:
                asyncio.get_running_loop().call_later(self._linger_seconds, self._let_go, read)

    def alone(self, address: PodAddress, after: LogPlace | None) -> AsyncGenerator[list[LogLine], None]:
        """Lines for one reader only, who is too far back for the shared stream."""
        return self._source.follow(address, after)

    async def close(self) -> None:
        """Tell everybody that it is over, and wait a moment for them to go."""
        self.stopping.set()
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSING_SECONDS_MAX):
                await self._nobody.wait()
        tasks = [read.task for read in self._reads.values() if read.task]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _begin(self, address: PodAddress) -> _Read:
        read = self._reads[address] = _Read(address)
        read.task = asyncio.create_task(self._pump(read))
        read.task.add_done_callback(partial(self._ended, read))
        return read

    async def _pump(self, read: _Read) -> None:
        try:
            place = await self._begin_with_tail(read)
            read.began.set()
            async with aclosing(self._source.follow(read.address, place)) as batches:
                async for batch in batches:
                    read.stream.add(batch)
                    await self._pace.told(len(batch) * max(1, read.readers))
        except NotFound:
            read.stream.end()
        except BerthFailure as failure:
            read.stream.end(failure)

    async def _begin_with_tail(self, read: _Read) -> LogPlace | None:
        address = read.address
        said = await self._source.tail(address.cluster, address.namespace, address.pod, LINES_KEPT)
        lines = as_lines(said)
        read.stream.begin(lines, is_whole=len(lines) < LINES_KEPT)
        return place_after(None, lines)

    def _ended(self, read: _Read, task: asyncio.Task[None]) -> None:
        problem = None if task.cancelled() else task.exception()
        if problem is not None:
            log.error("log stream broke", pod=read.address.pod, cluster=read.address.cluster, exc_info=problem)
        if not read.stream.has_ended:
            read.stream.end(Broken() if problem else None)
        read.began.set()
        self._forget(read)

    def _let_go(self, read: _Read) -> None:
        if not read.readers and read.task:
            self._forget(read)  # first, so that nobody joins what is going to end
            read.task.cancel()

    def _forget(self, read: _Read) -> None:
        if self._reads.get(read.address) is read:
            del self._reads[read.address]


class _Pace:
    """Lets nobody tell more lines in a second than there is time for."""

    def __init__(self) -> None:
        self._busy_until = 0.0

    async def told(self, lines: int) -> None:
        now = asyncio.get_running_loop().time()
        self._busy_until = max(now, self._busy_until) + lines / LINES_PER_SECOND
        await asyncio.sleep(self._busy_until - now)


def as_lines(said: Sequence[str]) -> list[LogLine]:
    """Lines that have their time before them."""
    parts = (line.partition(" ") for line in said)
    return [LogLine(at, text) for at, _, text in parts]
