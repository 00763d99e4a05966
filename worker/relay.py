"""Delivers open outbox messages: at once when one is announced, and every second in case an announcement was lost."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

import structlog
from prometheus_client import Counter, Gauge

from domain.failures import Unavailable
from ledger import outbox
from ledger.announcements import announcements

if TYPE_CHECKING:
    from delivery.courier import Courier
    from ledger.connection import Ledger

log = structlog.get_logger()

LOOK_SECONDS = 1.0
BACKLOG_SECONDS = 5.0

DELIVERED = Counter("berth_relay_delivered_total", "Messages that the relay delivered.")
WAITING = Gauge("berth_outbox_waiting", "Messages that are not delivered.")
OLDEST = Gauge("berth_outbox_oldest_seconds", "Age of the oldest message that is not delivered.")


class Relay:
    """The relay process. Any number may run; they share the work."""

    def __init__(self, ledger: Ledger, courier: Courier) -> None:
        self._ledger = ledger
        self._courier = courier
        self._announced = asyncio.Event()

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._listen())
            tasks.create_task(self._measure())
            tasks.create_task(self._deliver())

    async def _deliver(self) -> None:
        while True:
            try:
                delivered = await self._courier.deliver_open()
                DELIVERED.inc(delivered)
            except Unavailable as failure:
                log.warning("nothing delivered", failure=str(failure))
                delivered = 0
            if not delivered:
                await self._pause()

    async def _pause(self) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._announced.wait(), timeout=LOOK_SECONDS)
            # leave fresh messages to the process that wrote them
            await asyncio.sleep(0.3)
        self._announced.clear()

    async def _listen(self) -> None:
        while True:
            try:
                async for _ in announcements(self._ledger.url, "outbox"):
                    self._announced.set()
            except Unavailable as failure:
                log.warning("not listening", failure=str(failure))
                await asyncio.sleep(LOOK_SECONDS)

    async def _measure(self) -> None:
        while True:
            with suppress(Unavailable):
                backlog = await outbox.backlog(self._ledger)
                WAITING.set(backlog.waiting)
                OLDEST.set(backlog.oldest_seconds)
            await asyncio.sleep(BACKLOG_SECONDS)
