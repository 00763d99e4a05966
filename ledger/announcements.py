"""Announcements of PostgreSQL (`LISTEN`) as a stream. They only hurry: whoever misses one looks again soon anyway."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

import asyncpg

from domain.failures import LedgerUnavailable
from ledger.connection import AWAY

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

CONNECT_SECONDS_MAX = 5.0
_LOST = (*AWAY, asyncpg.InterfaceError)
"""A connection that nobody else uses: whatever is wrong with it is that it has ended."""


async def announcements(url: str, channel: str) -> AsyncIterator[None]:
    """One item per announcement, those that arrive together counted once; LedgerUnavailable when the connection is lost."""
    try:
        connection = await asyncpg.connect(url, timeout=CONNECT_SECONDS_MAX)
    except AWAY as error:
        raise LedgerUnavailable(f"the ledger does not answer: {error}") from error
    announced = asyncio.Event()
    lost = asyncio.Event()

    def wake(*_: object) -> None:
        announced.set()

    def lose(_: object) -> None:
        lost.set()
        announced.set()

    try:
        connection.add_termination_listener(lose)
        await connection.add_listener(channel, wake)
        while True:
            await announced.wait()
            if lost.is_set():
                raise LedgerUnavailable("the ledger closed the connection")
            announced.clear()
            yield None
    except _LOST as error:
        raise LedgerUnavailable(f"the ledger went away: {error}") from error
    finally:
        with suppress(*_LOST):  # closing what is dead already may say so
            await connection.close(timeout=1)
