"""Asks those who vouch for people, and trusts no answer with more time, size or redirects than it may take."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import Any, Final

import httpx
import structlog

from domain.failures import Unavailable

log = structlog.get_logger("api")
logging.getLogger("httpx").setLevel(logging.WARNING)  # at INFO it writes addresses, and a signed one is a credential

SECONDS_MAX: Final = 5.0
CONNECTIONS_MAX: Final = 16
"""At once, from one process: strangers may cause these questions."""
HEADERS: Final = {"accept-encoding": "identity", "user-agent": "berth"}


class IssuerUnavailable(Unavailable):
    """Whoever vouches for these credentials does not answer; try again later."""

    code = "issuer_unavailable"


@dataclass(frozen=True, slots=True)
class Heard:
    """An answer."""

    status: int
    body: bytes


class Outside:
    """A client that is opened with the first question."""

    def __init__(self, seconds_max: float = SECONDS_MAX) -> None:
        self._seconds_max = seconds_max
        self._client: httpx.AsyncClient | None = None

    async def ask(self, method: str, url: str, *, who: str, bytes_max: int, **more: Any) -> Heard:
        """The answer; IssuerUnavailable, which names only `who`, if there is none in time, or one that is too large."""
        try:
            async with asyncio.timeout(self._seconds_max):
                return await self._heard(method, url, who, bytes_max, more)
        except TimeoutError as error:
            raise IssuerUnavailable(f"{who} did not answer within {self._seconds_max:g} s; try again later") from error
        except (httpx.HTTPError, httpx.StreamError) as error:
            log.warning("issuer away", issuer=who, failure=type(error).__name__)
            raise IssuerUnavailable(f"{who} does not answer; try again later") from None

    async def close(self) -> None:
        """Let go."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    async def _heard(self, method: str, url: str, who: str, bytes_max: int, more: dict[str, Any]) -> Heard:
        headers = {**HEADERS, **more.pop("headers", {})}
        async with self._opened().stream(method, url, headers=headers, **more) as answer:
            body = bytearray()
            async for part in answer.aiter_raw():  # as it comes: a compressed answer could unfold into any size
                body += part
                if len(body) > bytes_max:
                    raise nonsense(who)
            return Heard(answer.status_code, bytes(body))

    def _opened(self) -> httpx.AsyncClient:
        if self._client is None:
            limits = httpx.Limits(max_connections=CONNECTIONS_MAX, max_keepalive_connections=CONNECTIONS_MAX)
            self._client = httpx.AsyncClient(timeout=self._seconds_max, limits=limits, follow_redirects=False)
        return self._client


def nonsense(who: str) -> IssuerUnavailable:
    """The failure for an answer that no such issuer gives."""
    return IssuerUnavailable(f"{who} answered something that cannot be understood; try again later")
