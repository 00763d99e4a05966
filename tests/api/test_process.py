"""The API as a process of its own: it starts whatever is away, accepts durably, and stops without dropping anything."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from uuid import uuid4

import httpx
import pytest

from cli.stack.ports import free_anywhere
from cli.stack.testing import running_postgres
from ledger import inventory
from ledger.access import ensure_administrator
from ledger.connection import Ledger
from ledger.migrate import migrate
from tests.api.api_kit import CAPABILITIES, Clock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from cli.stack.testing import Postgres

START_SECONDS_MAX = 60


@pytest.fixture
def own_postgres() -> Iterator[Postgres]:
    """One that a test may kill."""
    with running_postgres() as part:
        yield part


@asynccontextmanager
async def served(database_url: str) -> AsyncIterator[tuple[httpx.AsyncClient, asyncio.subprocess.Process]]:
    port, nobody = free_anywhere(2)
    environment = {
        **os.environ,
        "DATABASE_URL": database_url,
        "TEMPORAL_ADDRESS": f"127.0.0.1:{nobody}",
        "BERTH_API_PORT": str(port),
        "BERTH_API_READY_SECONDS": "3",
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "api", env=environment, stderr=asyncio.subprocess.PIPE
    )
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
        try:
            await answering(client)
            yield client, process
        finally:
            if process.returncode is None:
                process.kill()
                await process.communicate()


async def answering(client: httpx.AsyncClient) -> None:
    async with asyncio.timeout(START_SECONDS_MAX):
        while True:
            try:
                await client.get("/")
            except httpx.ConnectError:
                await asyncio.sleep(0.1)
            else:
                return


async def test_with_temporal_away_a_request_is_accepted_and_kept_in_the_outbox(database_url: str) -> None:
    ledger, clock = Ledger(database_url), Clock()
    key = await ensure_administrator(ledger, clock())
    async with ledger.transaction() as connection:
        await inventory.register_cluster(connection, "worker-1", CAPABILITIES, clock())
    async with served(database_url) as (client, process):
        client.headers["Authorization"] = f"Bearer {key}"
        name = f"ws-{uuid4().hex[:8]}"
        body = {"name": name, "clusters": ["worker-1"], "namespaces": [name]}
        making = asyncio.create_task(client.post("/berth/v1/workspaces", json=body))
        while (await client.get(f"/berth/v1/workspaces/{name}")).status_code != 200:
            await asyncio.sleep(0.05)
        gpr = {"workspace": name, "name": "g", "duration": "5m"}
        assert (await client.post("/berth/v1/gprs", json=gpr)).status_code == 201
        assert (await client.get("/health")).json()["queue"] == "unhealthy"
        process.send_signal(signal.SIGTERM)
        made = await making
        _, log = await process.communicate()
    assert (made.status_code, made.json()["phase"]) == (201, "creating")
    assert process.returncode == 0
    lines = [json.loads(line) for line in log.decode().splitlines()]
    assert {"api starts", "api stopped"} <= {line["event"] for line in lines}
    submitted = next(line for line in lines if line.get("route") == "/berth/v1/gprs")
    assert {"gpr_id", "request_id", "principal", "milliseconds"} <= submitted.keys()
    async with ledger.reading() as connection:
        waiting = await connection.fetchval("select count(*) from outbox where delivered_at is null")
    assert waiting >= 3
    await ledger.close()


async def test_a_ledger_that_is_away_is_said_and_found_again_when_it_is_back(own_postgres: Postgres) -> None:
    ledger = Ledger(own_postgres.url)
    await migrate(ledger)
    key = await ensure_administrator(ledger, Clock()())
    await ledger.close()
    async with served(own_postgres.url) as (client, _):
        client.headers["Authorization"] = f"Bearer {key}"
        assert (await client.get("/berth/v1/gprs")).status_code == 200
        own_postgres.kill()
        try:
            assert (await client.get("/berth/v1/gprs")).status_code == 503
            await asyncio.sleep(1.1)
            assert (await client.get("/readyz")).status_code == 503
        finally:
            own_postgres.start()
        await asyncio.sleep(1.1)
        assert (await client.get("/berth/v1/gprs")).status_code == 200
        assert (await client.get("/readyz")).status_code == 200


async def test_an_environment_that_is_not_complete_is_said_in_a_sentence() -> None:
    environment = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "api", env=environment, stderr=asyncio.subprocess.PIPE
    )
    _, text = await process.communicate()
    assert process.returncode == 2
    assert "DATABASE_URL" in text.decode()
