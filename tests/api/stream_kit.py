"""What the tests of log streams share: the application behind a real server, and clients that follow a job."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from api.__main__ import Server, server_config
from api.operations.job_following import LogDoors
from api.operations.job_news import JobNews
from api.operations.log_streams import LogStreams
from api.settings import Settings
from cli.stack.ports import free_anywhere

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from tests.api.api_kit import Someone, TheApi

SECONDS_MAX = 20


class QuietServer(Server):
    """Leaves signals to the tests."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@dataclass
class Served:
    """The application, listening."""

    api: TheApi
    server: QuietServer
    port: int

    def follow(self, job: str, who: Someone | None = None, *, client: Any = None, **query: Any) -> connect:
        """A client of this job's log, to be entered."""
        options = {"ping_interval": None, **(client or {})}
        headers = {**(who.headers if who else {}), **options.pop("headers", {})}
        address = f"ws://127.0.0.1:{self.port}/api/v1/jobs/{job}/logs/ws?{urlencode(query)}"
        return connect(address, additional_headers=headers, **options)

    async def refusal(self, job: str, who: Someone | None = None, /, **query: Any) -> tuple[int, dict[str, str]]:
        """Status and body with which the handshake is answered."""
        try:
            async with self.follow(job, who, **query):
                raise AssertionError("this was to be refused")
        except InvalidStatus as refused:
            return refused.response.status_code, json.loads(refused.response.body or b"{}")


@asynccontextmanager
async def served(api: TheApi, **changes: Any) -> AsyncIterator[Served]:
    (port,) = free_anywhere(1)
    config = server_config(api.app, Settings(database_url="not read", port=port))
    for name, value in changes.items():
        setattr(config, name, value)
    usual = api.app.state.log_doors
    api.app.state.log_doors = LogDoors(LogStreams(api.logs), JobNews(api.ledger, 0.05), check_seconds=0.2)
    server = QuietServer(config, api.app.state.log_doors.streams)
    task = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    try:
        yield Served(api, server, port)
    finally:
        server.should_exit = True
        await task
        api.app.state.log_doors = usual


async def heard(client: ClientConnection, count: int) -> list[str]:
    """The next so many lines."""
    async with asyncio.timeout(SECONDS_MAX):
        return [json.loads(await client.recv())["data"] for _ in range(count)]


async def to_the_end(client: ClientConnection) -> tuple[list[str], int | None, str | None]:
    """All lines that still come, and with which code and reason it is closed."""
    lines: list[str] = []
    async with asyncio.timeout(SECONDS_MAX):
        with suppress(ConnectionClosed):
            while True:
                lines.append(json.loads(await client.recv())["data"])
    return lines, client.close_code, client.close_reason
