"""Who asks, as a typed dependency.

Every route that needs a login names `CurrentCaller`, and gets it before anything of the request's body is read.
"""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request
from starlette.requests import HTTPConnection
from structlog.contextvars import bind_contextvars

from api.auth.keys import KeyRing, MalformedKey
from api.auth.rates import Rates
from api.auth.tokens import Tokens
from domain.failures import Unauthenticated
from domain.identity import Caller

BEARER_MAX = 8192
"""Characters of a bearer; ours are far shorter."""


class NoCredential(Unauthenticated):
    """The request carries no bearer credential."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """What turns a bearer into a caller."""

    keys: KeyRing
    tokens: Tokens
    rates: Rates

    async def login(self, key_text: str, address: str) -> str:
        """A token for a key's text. Raises MalformedKey, Unauthenticated, CredentialExpired, TooManyRequests."""
        caller = await self._counted(self.keys.login(key_text), address)
        return await self.tokens.issue(caller)

    async def exchange(self, owner: str, key_text: str, address: str) -> str:
        """The same for a pair: the key's text with its id, or its principal's name; "" where nobody said whose it is."""
        caller = await self._counted(self._owned(owner, key_text), address)
        return await self.tokens.issue(caller)

    async def authenticate(self, bearer: str | None, address: str) -> Caller:
        """The caller behind an API key or a token. Raises Unauthenticated, CredentialExpired, TooManyRequests."""
        return await self._counted(self._caller_of(bearer), address)

    async def _owned(self, owner: str, key_text: str) -> Caller:
        caller = await self.keys.login(key_text)
        if owner.lower() not in {"", str(caller.key_id), caller.principal.name.lower()}:
            raise Unauthenticated
        return caller

    async def _counted(self, looked_up: Awaitable[Caller], address: str) -> Caller:
        try:
            caller = await looked_up
        except (Unauthenticated, MalformedKey):
            await self.rates.take_bad(address)
            raise
        await self.rates.take(caller.key_id)
        return caller

    async def _caller_of(self, bearer: str | None) -> Caller:
        if not bearer:
            raise NoCredential
        if len(bearer) > BEARER_MAX or not bearer.isascii():
            raise Unauthenticated
        if "." in bearer:
            return await self.keys.by_id(await self.tokens.key_id_of(bearer))
        return await self.keys.by_text(bearer)


async def caller_of(request: HTTPConnection) -> Caller:
    """Who sends this request. Raises Unauthenticated, CredentialExpired, TooManyRequests."""
    scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
    credentials: Credentials = request.app.state.credentials
    caller = await credentials.authenticate(bearer.strip() if scheme.lower() == "bearer" else None, address_of(request))
    bind_contextvars(principal=caller.principal.name)
    return caller


def address_of(request: HTTPConnection) -> str:
    """Where the request comes from, as far as the server, or a proxy that it trusts, can tell."""
    return request.client.host if request.client else ""


async def current_caller(request: Request) -> Caller:
    """Who sends this request."""
    return await caller_of(request)


CurrentCaller = Annotated[Caller, Depends(current_caller)]
