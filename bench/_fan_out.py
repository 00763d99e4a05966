"""What one pod says, to many readers at once: by the API's WebSocket, and by the pod's own log without the API."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from bench._asker import asked
from bench._figures import Cell, Samples, milliseconds
from bench._http import Caller
from bench._job_world import CLUSTER, NAMESPACE, SPEAKER
from bench._load import processor_seconds
from bench._log_readers import Heard, open_reader
from cli.stack.folders import REPOSITORY
from cli.stack.ports import LOOPBACK, free_anywhere
from cli.stack.probe import Endpoint
from cli.stack.processes import Program

if TYPE_CHECKING:
    from pathlib import Path

    from bench._figures import Report
    from bench._job_world import JobTown
    from cli.stack.roster import Roster

LOOKS_INSIDE: Final = 25
"""One reader in so many."""
SETTLE_SECONDS: Final = 1.0
STEADY, FLOOD = 50, 0
"""Lines a second of the pod; 0: as many as are taken."""
LOG: Final = f"/api/v1/namespaces/{NAMESPACE}/pods/{SPEAKER}/log?follow=true"
WEBSOCKET: Final = f"/api/v1/jobs/{SPEAKER}/logs/ws?tail=0"


@dataclass(slots=True)
class Told:
    """What readers of one sort were told within some seconds."""

    per_second: float
    lags: Samples
    left_behind: int
    """Readers who were closed because lines came faster than they took them."""
    cores: float = 0.0
    """Of which the API's process had the use."""
    health: Samples = field(default_factory=Samples)
    echo: Samples = field(default_factory=Samples)
    """Of a server that only echoes: what the machine itself does to an answer."""


def start_speaker(roster: Roster, folder: Path) -> tuple[str, Path]:
    """A cluster of one pod that speaks: its URL, and its kubeconfig."""
    (port,) = free_anywhere(1)
    url = f"http://{LOOPBACK}:{port}"
    argv = [sys.executable, "-m", "bench._speaker", str(port)]
    roster.start(Program(CLUSTER, argv, ready=lambda: Endpoint(url).answers("/readyz"), folder=REPOSITORY))
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": CLUSTER,
        "clusters": [{"name": CLUSTER, "cluster": {"server": url}}],
        "users": [{"name": CLUSTER, "user": {}}],
        "contexts": [{"name": CLUSTER, "context": {"cluster": CLUSTER, "user": CLUSTER}}],
    }
    file = folder / "speaker.kubeconfig"
    file.write_text(json.dumps(config))
    return url, file


@dataclass(frozen=True, slots=True)
class Place:
    """Whom to ask, and how long."""

    town: JobTown
    speaker: str
    echo: str
    readers: int
    seconds: float

    @property
    def health(self) -> str:
        """Of the API."""
        return f"{self.town.url}/health"


async def fan_out(report: Report, place: Place) -> None:
    """Steady, then as fast as it goes."""
    readers, idle = place.readers, Told(0, Samples(), 0)
    async with asked(place.health, place.echo) as answers:
        await asyncio.sleep(place.seconds)
    idle.health, idle.echo = answers[place.health], answers[place.echo]
    bare = await _bare(place.speaker, readers, place.seconds)
    steady = await _by_websocket(place, STEADY)
    flood = await _by_websocket(place, FLOOD)
    rows = [
        _row(f"{STEADY} lines a second", steady, idle),
        _row("as many as are taken", flood, idle),
        _row("the pod's own log, no API, as many as are taken", bare, None),
    ]
    asks = ["/health p99 ms", "to idle", "echo to idle", "API's cores"]
    columns = ["", "lines/s told", "late ms p50", "p99", "left behind", *asks]
    report.table(f"one pod, {readers} readers", columns, rows)
    report.ratio(f"lines told of those written, {STEADY} a second", steady.per_second / (STEADY * readers), "1")
    report.ratio("lines per second, to the pod's own log", flood.per_second / bare.per_second, "told at most 50000/s")
    report.ratio(f"/health p99 at {STEADY} lines a second, to idle", steady.health.p99 / idle.health.p99, "at most 3")
    report.ratio("/health p99 while all are told, to idle", flood.health.p99 / idle.health.p99, "at most 3")


async def _by_websocket(place: Place, rate: int) -> Told:
    town, heard = place.town, Heard()
    following = [
        await open_reader(town.url, town.key, WEBSOCKET, heard, looks_inside=number % LOOKS_INSIDE == 0)
        for number in range(place.readers)
    ]
    told = await _measured(place, heard, rate)
    told.left_behind = sum(reader.ended.done() for reader in following)
    await _set_rate(place.speaker, 1)
    for reader in following:
        reader.go()
    return told


async def _measured(place: Place, heard: Heard, rate: int) -> Told:
    await _set_rate(place.speaker, rate)
    await asyncio.sleep(SETTLE_SECONDS)
    heard.lags.seconds.clear()
    before, began, used = heard.frames, time.perf_counter(), processor_seconds(place.town.server)
    async with asked(place.health, place.echo) as answers:
        await asyncio.sleep(place.seconds)
        lasted = time.perf_counter() - began
        per_second = (heard.frames - before) / lasted
        cores = (processor_seconds(place.town.server) - used) / lasted
    return Told(per_second, heard.lags, 0, cores, answers[place.health], answers[place.echo])


async def _bare(speaker: str, readers: int, seconds: float) -> Told:
    """Each with a stream of its own, straight from the pod."""
    await _set_rate(speaker, FLOOD)
    lines = _Lines()
    address, loop = urlsplit(speaker), asyncio.get_running_loop()
    opened = [
        await loop.create_connection(lambda: _Listener(lines), address.hostname or "", address.port or 0)
        for _ in range(readers)
    ]
    await asyncio.sleep(SETTLE_SECONDS)
    before, began = lines.count, time.perf_counter()
    await asyncio.sleep(seconds)
    per_second = (lines.count - before) / (time.perf_counter() - began)
    for transport, _ in opened:
        transport.abort()
    return Told(per_second, Samples(), 0)


@dataclass(slots=True)
class _Lines:
    count: int = 0


class _Listener(asyncio.Protocol):
    """Counts lines; chunks are one line more each, which is nothing beside their fifty."""

    def __init__(self, lines: _Lines) -> None:
        self._lines = lines

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        transport.write(f"GET {LOG} HTTP/1.1\r\nHost: pod\r\n\r\n".encode())

    def data_received(self, data: bytes) -> None:
        self._lines.count += data.count(b" step ")


async def _set_rate(speaker: str, rate: int) -> None:
    with suppress(OSError):
        await Caller(speaker).fetch("POST", f"/rate/{rate}")


def _row(name: str, told: Told, idle: Told | None) -> list[Cell]:
    late = [milliseconds(told.lags.p50), milliseconds(told.lags.p99)] if told.lags.seconds else ["", ""]
    asks: list[Cell] = ["", "", "", ""]
    if idle:
        to_idle = [told.health.p99 / idle.health.p99, told.echo.p99 / idle.echo.p99]
        asks = [milliseconds(told.health.p99), *to_idle, told.cores]
    return [name, told.per_second, *late, told.left_behind, *asks]
