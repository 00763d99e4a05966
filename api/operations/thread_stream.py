"""Brings what a blocking iterator tells in a thread onto the event loop, and holds the thread back when nobody keeps up.

Threads here are daemons: one that waits for a line must not keep a process from ending.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import suppress
from typing import Final, Generic, TypeVar

from domain.failures import Unavailable

BATCH: Final = 50
"""Items that are handed over in one piece; between two pieces the event loop does other work."""
AHEAD_MAX: Final = 500
"""How far a thread may be ahead of whoever takes."""

_Item = TypeVar("_Item")


class NoThreadLeft(Unavailable):
    """As many streams as this process can carry are open; try again later."""

    code = "no_thread_left"


class StreamThreads:
    """At most so many threads, each telling one stream."""

    def __init__(self, name: str, most: int) -> None:
        self._name = name
        self._most = most
        self.running = 0

    async def batches(self, tell: Callable[[threading.Event], Iterator[_Item]]) -> AsyncGenerator[list[_Item], None]:
        """What `tell` tells, in pieces. NoThreadLeft, or whatever it raises. Closing this stops it, at its next item."""
        if self.running >= self._most:
            raise NoThreadLeft
        self.running += 1
        handover: _Handover[_Item] = _Handover(asyncio.get_running_loop(), self._ended)
        threading.Thread(target=handover.run, args=(tell,), name=self._name, daemon=True).start()
        try:
            while batch := await handover.take():
                yield batch
        finally:
            handover.leave()

    def _ended(self) -> None:
        self.running -= 1


class _Handover(Generic[_Item]):
    """Between one thread that puts and one task that takes."""

    def __init__(self, loop: asyncio.AbstractEventLoop, ended: Callable[[], None]) -> None:
        self._loop = loop
        self._ended = ended
        self._stop = threading.Event()
        self._changed = threading.Condition()
        self._waiting: deque[_Item] = deque()
        self._is_over = False
        self._problem: Exception | None = None
        self._news = asyncio.Event()

    def run(self, tell: Callable[[threading.Event], Iterator[_Item]]) -> None:
        """The thread."""
        try:
            for item in tell(self._stop):
                self._put(item)
        except Exception as problem:  # noqa: BLE001 - the rim of a thread; raised again where it is waited for
            self._problem = problem
        finally:
            with self._changed:
                self._is_over = True
            self._on_loop(self._ended)
            self._on_loop(self._news.set)

    async def take(self) -> list[_Item]:
        """The next items, or none at the end."""
        while True:
            self._news.clear()
            with self._changed:
                batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
                is_over = self._is_over
                self._changed.notify()
            if not batch and is_over and self._problem:
                raise self._problem
            if batch or is_over:
                return batch
            await self._news.wait()

    def leave(self) -> None:
        """Nobody takes any more."""
        self._stop.set()
        with self._changed:
            self._changed.notify()

    def _put(self, item: _Item) -> None:
        with self._changed:
            self._changed.wait_for(lambda: len(self._waiting) < AHEAD_MAX or self._stop.is_set())
            self._waiting.append(item)
            is_first = len(self._waiting) == 1
        if is_first:
            self._on_loop(self._news.set)

    def _on_loop(self, call: Callable[[], None]) -> None:
        with suppress(RuntimeError):  # the loop has ended before its thread
            self._loop.call_soon_threadsafe(call)
