"""A blocking iterator on the event loop: in order, held back by whoever is slow, and let go when nobody listens."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Iterator
from contextlib import aclosing

import pytest

from api.operations.thread_stream import AHEAD_MAX, NoThreadLeft, StreamThreads


def counting(stop: threading.Event) -> Iterator[int]:
    for number in itertools.count():
        if stop.is_set():
            return
        yield number


async def stopped(threads: StreamThreads) -> None:
    async with asyncio.timeout(5):
        while threads.running:
            await asyncio.sleep(0.01)


async def test_everything_comes_in_order_and_then_the_end() -> None:
    threads = StreamThreads("t", 1)
    told = [item async for batch in threads.batches(lambda _stop: iter(range(2000))) for item in batch]
    assert told == list(range(2000))
    await stopped(threads)


async def test_a_thread_waits_for_whoever_takes_and_ends_when_he_goes() -> None:
    told: list[int] = []

    def noting(stop: threading.Event) -> Iterator[int]:
        for number in counting(stop):
            told.append(number)
            yield number

    threads = StreamThreads("t", 1)
    async with aclosing(threads.batches(noting)) as batches:
        taken = len(await anext(batches))
        await asyncio.sleep(0.2)
        assert len(told) <= AHEAD_MAX + taken + 1
    await stopped(threads)


async def test_what_the_iterator_raises_comes_after_what_it_told() -> None:
    def breaking(_stop: threading.Event) -> Iterator[int]:
        yield 1
        raise KeyError("why")

    batches = StreamThreads("t", 1).batches(breaking)
    assert await anext(batches) == [1]
    with pytest.raises(KeyError, match="why"):
        await anext(batches)


async def test_there_are_no_more_threads_than_allowed_until_one_has_ended() -> None:
    threads, release = StreamThreads("t", 1), threading.Event()

    def waiting(stop: threading.Event) -> Iterator[int]:
        yield 1
        release.wait()
        assert stop.is_set()

    async with aclosing(threads.batches(waiting)) as batches:
        assert await anext(batches) == [1]
        with pytest.raises(NoThreadLeft):
            await anext(threads.batches(waiting))
    with pytest.raises(NoThreadLeft):
        await anext(threads.batches(waiting))
    release.set()
    await stopped(threads)
    assert [batch async for batch in threads.batches(lambda _stop: iter([1]))] == [[1]]
