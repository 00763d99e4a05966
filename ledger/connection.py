"""The pool of connections to the ledger, and transactions on it. Driver errors become Berth's failures here."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import asyncpg

from domain.failures import LedgerUnavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record] | asyncpg.pool.PoolConnectionProxy[asyncpg.Record]
    Row = asyncpg.Record

CONNECT_SECONDS_MAX = 5.0
TURN_SECONDS_MAX = 15.0
"""How long a caller waits for its turn at a connection. Many at once are served one after the other, not refused."""
STATEMENT_SECONDS_MAX = 15.0

LOST_RACE = (asyncpg.DeadlockDetectedError, asyncpg.SerializationError)
AWAY = (
    OSError,
    asyncio.TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
    asyncpg.InternalClientError,  # its server has just died, and the driver noticed half of it
)


class Ledger:
    """One pool per process. `async with ledger.transaction() as connection` is the only way in."""

    def __init__(self, url: str, *, connections_max: int = 10) -> None:
        self.url = url
        self._connections_max = connections_max
        self._pool: asyncpg.Pool[asyncpg.Record] | None = None
        self._opening = asyncio.Lock()
        self._is_closed = False

    async def ping(self) -> None:
        """Return if PostgreSQL answers, else raise LedgerUnavailable."""
        async with self.reading() as connection:
            await connection.execute("select 1")

    async def close(self) -> None:
        """Close every connection. Who asks afterwards, as a task that was left over may, is told that it is away."""
        async with self._opening:
            self._is_closed = True
            if self._pool is not None:
                await self._pool.close()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """A connection inside a transaction; committed on a clean exit, rolled back otherwise.

        Raises LedgerUnavailable when PostgreSQL is away, also when it goes away in the middle.
        """
        async with self.reading() as connection, connection.transaction():
            yield connection

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Connection]:
        """A connection for single reads, without the round trips of a transaction."""
        try:
            pool = await self._opened()
            async with pool.acquire(timeout=TURN_SECONDS_MAX) as connection:
                yield connection
        except LOST_RACE as error:
            raise LedgerUnavailable(f"the ledger chose another transaction first; try again: {error}") from error
        except AWAY as error:
            raise LedgerUnavailable(f"the ledger does not answer: {error}") from error
        except asyncpg.InterfaceError as error:
            if "clos" not in str(error):  # a closed or closing connection; anything else is our mistake
                raise
            raise LedgerUnavailable(f"the ledger does not answer: {error}") from error

    async def _opened(self) -> asyncpg.Pool[asyncpg.Record]:
        if self._pool is not None:
            return self._pool
        async with self._opening:
            if self._is_closed:
                raise LedgerUnavailable("this process has closed the ledger")
            if self._pool is None:
                self._pool = await asyncpg.create_pool(
                    self.url,
                    min_size=1,
                    max_size=self._connections_max,
                    command_timeout=STATEMENT_SECONDS_MAX,
                    timeout=CONNECT_SECONDS_MAX,
                    init=_prepare,
                    reset=_keep,
                )
            return self._pool


async def _prepare(connection: Connection) -> None:
    """JSON columns hold Python values."""
    await connection.set_type_codec("jsonb", encoder=json.dumps, decoder=json.loads, schema="pg_catalog")


async def _keep(_connection: Connection) -> None:
    """A connection goes back as it is, without the driver's round trip: nothing here changes a session's state.

    Locks are those of transactions, and one that is still open is rolled back by the pool all the same.
    """
