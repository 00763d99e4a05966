"""How often one may ask: requests of one key, and requests with bad credentials from one address.

Counted in this process alone, so several API processes allow that many each. Written as in `6000/minute`; empty: no limit.
"""

from __future__ import annotations

import math
import time
from typing import Final
from uuid import UUID

from limits import RateLimitItem, parse
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter

from domain.failures import BerthFailure

PER_KEY: Final = "6000/minute"
BAD_PER_ADDRESS: Final = "600/minute"


class TooManyRequests(BerthFailure):
    """Asked too often; `retry_after_seconds` says when there is room again."""

    code = "too_many_requests"

    def __init__(self, message: str, retry_after_seconds: int) -> None:
        super().__init__(message, retry_after_seconds=retry_after_seconds)
        self.retry_after_seconds = retry_after_seconds


class Rates:
    """Counts requests, and refuses those above the limits."""

    def __init__(self, per_key: str = "", bad_per_address: str = "") -> None:
        """Raises ValueError for a limit that is not written as in `6000/minute`."""
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._per_key = parsed(per_key)
        self._bad_per_address = parsed(bad_per_address)

    async def take(self, key_id: UUID) -> None:
        """Count a request of this key. Raises TooManyRequests."""
        await self._take(self._per_key, "key", str(key_id), "this API key")

    async def take_bad(self, address: str) -> None:
        """Count a request with bad credentials from this address. Raises TooManyRequests."""
        await self._take(self._bad_per_address, "bad", address, "bad credentials from this address")

    async def take_login(self, address: str) -> None:
        """Count an attempt to log in from this address: each one makes us ask somebody else. Raises TooManyRequests."""
        await self._take(self._bad_per_address, "login", address, "attempts to log in from this address")

    async def _take(self, limit: RateLimitItem | None, kind: str, whose: str, what: str) -> None:
        if limit is None or await self._limiter.hit(limit, kind, whose):
            return
        stats = await self._limiter.get_window_stats(limit, kind, whose)
        seconds = max(1, math.ceil(stats.reset_time - time.time()))
        raise TooManyRequests(f"more than {limit} requests with {what}; try again in {seconds} s", seconds)


def parsed(text: str) -> RateLimitItem | None:
    """A limit as in `6000/minute`, or none. Raises ValueError."""
    return parse(text) if text.strip() else None
