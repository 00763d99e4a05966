"""Waiting for a part that is away: processes may start in any order, and outlive each other."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

import structlog

from domain.failures import Unavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

log = structlog.get_logger()

RETRY_SECONDS = 1.0
Result = TypeVar("Result")


async def patiently(attempt: Callable[[], Awaitable[Result]]) -> Result:
    """Try until the part that is needed is there."""
    while True:
        try:
            return await attempt()
        except Unavailable as failure:
            log.warning("waiting", failure=str(failure))
            await asyncio.sleep(RETRY_SECONDS)
