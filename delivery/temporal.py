"""One client of Temporal per process, made when it is first needed, with the data converter that all of Berth uses."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.service import RPCError

from domain.failures import Unavailable

if TYPE_CHECKING:
    from temporalio.runtime import Runtime

PING_SECONDS_MAX = 2.0


class TemporalUnavailable(Unavailable):
    """Temporal is away; what was accepted is kept in the ledger and delivered when it is back."""

    code = "temporal_unavailable"


@dataclass(frozen=True, slots=True)
class TemporalAddress:
    """Where Temporal is: host:port and namespace."""

    target: str
    namespace: str = "default"


class TemporalDoor:
    """Connects lazily, so that a process starts, and says that it is not ready, while Temporal is away."""

    def __init__(self, address: TemporalAddress, *, runtime: Runtime | None = None) -> None:
        self._address = address
        self._runtime = runtime
        self._client: Client | None = None
        self._connecting = asyncio.Lock()

    async def client(self) -> Client:
        """The client, or TemporalUnavailable."""
        async with self._connecting:
            if self._client is None:
                self._client = await self._connect()
            return self._client

    async def ping(self) -> None:
        """Return if Temporal serves, else raise TemporalUnavailable."""
        try:
            async with asyncio.timeout(PING_SECONDS_MAX):
                client = await self.client()
                serving = await client.service_client.check_health(retry=False)
        except (RPCError, TimeoutError) as error:
            raise TemporalUnavailable(f"Temporal at {self._address.target} does not answer: {error}") from error
        if not serving:
            raise TemporalUnavailable(f"Temporal at {self._address.target} does not serve yet")

    async def _connect(self) -> Client:
        try:
            return await Client.connect(
                self._address.target,
                namespace=self._address.namespace,
                data_converter=pydantic_data_converter,
                runtime=self._runtime,
            )
        except (RPCError, RuntimeError) as error:
            raise TemporalUnavailable(f"Temporal at {self._address.target} does not answer: {error}") from error
