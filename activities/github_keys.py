"""Public keys of people, as GitHub publishes them for everybody: the way into their boxes."""

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Final
from uuid import UUID

import httpx
from temporalio import activity

from activities.public_keys import RSA_BITS_MIN, usable_keys
from domain.failures import InvalidRequest, Unavailable
from domain.github import checked_user_name
from domain.messages import Standing
from ledger import boxes, lifecycle
from ledger.connection import Ledger
from workflows.signatures.jobs import KeyFetching
from workflows.signatures.leases import GprAt

KEPT_FOR: Final = timedelta(minutes=10)
"""Somebody's keys that were fetched for another box so lately are not fetched again."""
SECONDS_MAX: Final = 8.0
BYTES_MAX: Final = 64 * 1024
KEYS_MAX: Final = 50
REDIRECTS_MAX: Final = 3
CONNECTIONS_MAX: Final = 4


class GithubUnavailable(Unavailable):
    """GitHub does not answer; it is asked again."""

    code = "github_unavailable"


@dataclass(frozen=True, slots=True)
class _Found:
    """Somebody's keys, or why there are none. `is_final`: GitHub has answered, so that asking again changes nothing."""

    keys: tuple[str, ...] = ()
    failure: str = ""
    is_final: bool = True
    is_copy: bool = False


class GithubKeys(KeyFetching):
    """Keys from GitHub, or from a server at `url` that publishes them likewise."""

    def __init__(self, ledger: Ledger, url: str, *, seconds_max: float = SECONDS_MAX) -> None:
        self._ledger = ledger
        self._url = url.rstrip("/")
        self._seconds_max = seconds_max

    @activity.defn(name="fetch_keys")
    async def fetch_keys(self, at: GprAt) -> Standing:
        gpr_id = UUID(at.gpr_id)
        async with self._ledger.reading() as connection:
            names = await boxes.people_without_keys(connection, gpr_id)
        found = await self._all_found(names, at.now)
        async with self._ledger.transaction() as connection:
            for name, one in found.items():
                fetched_at = at.now - KEPT_FOR if one.is_copy else at.now  # a copy of a copy would never grow old
                await boxes.write_keys(connection, gpr_id, name, one.keys, one.failure, fetched_at)
            standing = await lifecycle.standing(connection, gpr_id)
        if any(not one.is_final for one in found.values()):
            raise GithubUnavailable
        return standing

    async def _all_found(self, names: list[str], now: datetime) -> dict[str, _Found]:
        if not names:
            return {}
        limits = httpx.Limits(max_connections=CONNECTIONS_MAX)
        headers = {"accept-encoding": "identity", "user-agent": "berth"}
        async with httpx.AsyncClient(timeout=self._seconds_max, limits=limits, headers=headers) as client:
            found = await asyncio.gather(*(self._found(client, name, now) for name in names))
        return dict(zip(names, found, strict=True))

    async def _found(self, client: httpx.AsyncClient, name: str, now: datetime) -> _Found:
        async with self._ledger.reading() as connection:
            cached = await boxes.cached_keys(connection, name, now - KEPT_FOR)
        if cached:
            return _Found(cached, is_copy=True)
        try:
            async with asyncio.timeout(self._seconds_max):
                return await self._fetched(client, checked_user_name(name))
        except InvalidRequest as failure:
            return _Found(failure=failure.message)
        except (TimeoutError, httpx.HTTPError, httpx.InvalidURL, httpx.StreamError):
            return _Found(failure="GitHub does not answer; it is asked again", is_final=False)

    async def _fetched(self, client: httpx.AsyncClient, name: str) -> _Found:
        url = httpx.URL(f"{self._url}/{name}.keys")
        for _ in range(REDIRECTS_MAX + 1):
            async with client.stream("GET", url) as answer:
                if not answer.has_redirect_location:
                    return await _read(answer, name)
                url = _here(url, answer.headers["location"])
        raise httpx.TooManyRedirects("it goes round in circles")


def _here(url: httpx.URL, location: str) -> httpx.URL:
    """Where we are sent, if it is at the same place: whoever could send us elsewhere could let themselves in."""
    there = url.join(location)
    if (there.scheme, there.host, there.port) != (url.scheme, url.host, url.port):
        raise httpx.TooManyRedirects("it leads elsewhere")
    return there


async def _read(answer: httpx.Response, name: str) -> _Found:
    if answer.status_code == httpx.codes.NOT_FOUND:
        return _Found(failure=f"GitHub knows no user {name!r}")
    if answer.status_code != httpx.codes.OK:
        raise httpx.HTTPError(f"GitHub answers {answer.status_code}")
    body = bytearray()
    async for part in answer.aiter_raw():  # as it comes: a compressed answer could unfold into any size
        body += part
        if len(body) > BYTES_MAX:
            return _Found(failure=f"GitHub publishes more than {BYTES_MAX // 1024} KiB for {name!r}: these are no keys")
    keys = tuple(islice(usable_keys(body.decode("ascii", "replace")), KEYS_MAX))
    return _Found(keys) if keys else _Found(failure=_no_keys(name, is_empty=not body.strip()))


def _no_keys(name: str, *, is_empty: bool) -> str:
    if is_empty:
        return f"{name!r} has no public keys on GitHub; add one there, then ask again"
    return f"{name!r} has no public keys on GitHub that can be used (Ed25519, ECDSA, RSA from {RSA_BITS_MIN} bits)"
