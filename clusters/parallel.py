"""The same call for many nodes, a few at a time: a gang is a round trip for each node, and they can overlap."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

CALLS_AT_ONCE: Final = 8
"""Enough to hide the way to a far API server, few enough not to be throttled by it."""

One = TypeVar("One")
Answer = TypeVar("Answer")


def for_each(call: Callable[[One], Answer], ones: Iterable[One]) -> list[Answer]:
    """Every answer, in order; or the first failure, once the calls that had begun are over."""
    with ThreadPoolExecutor(max_workers=CALLS_AT_ONCE) as threads:
        return list(threads.map(call, ones))
