"""Log streams of the API as a process of its own: it says goodbye when it stops, and tells its log no secrets."""

from __future__ import annotations

import asyncio
import signal
import time
from typing import TYPE_CHECKING

from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from tests.api.api_kit import opened
from tests.api.stream_kit import to_the_end
from tests.api.test_gpuctl_jobs import made
from tests.api.test_process import served

if TYPE_CHECKING:
    from cli.stack.testing import Postgres

STOP_SECONDS_MAX = 15


async def test_a_process_that_stops_closes_its_streams_and_ends_at_once(
    postgres: Postgres, migrated_template: str
) -> None:
    url = postgres.create_database(template=migrated_template)
    async with opened(url) as api:
        await api.register_clusters("worker-1")
        owner = await api.someone()
        name = await made(api, owner, await api.workspace(owner))
    async with served(url) as (http, process):
        address = f"{http.base_url}/api/v1/jobs/{name}/logs/ws?token={owner.key}".replace("http", "ws", 1)
        offered = [Subprotocol(word) for word in ("gpuctl.logs", f"bearer.{owner.key}")]
        async with connect(address, subprotocols=offered) as client:
            began = time.monotonic()
            process.send_signal(signal.SIGTERM)
            assert await to_the_end(client) == ([], 1001, "this process stops; connect again")
        async with asyncio.timeout(STOP_SECONDS_MAX):
            _, log = await process.communicate()
    assert (process.returncode, time.monotonic() - began < STOP_SECONDS_MAX) == (0, True)
    assert "log stream" in log.decode()
    assert owner.key not in log.decode()
