"""Who asks, as a typed dependency.

Every route that needs a login names `CurrentCaller`, and gets it before anything of the request's body is read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request
from starlette.requests import HTTPConnection
from structlog.contextvars import bind_contextvars

from api.auth.keys import KeyRing
from api.auth.tokens import Tokens
from domain.failures import Unauthenticated
from domain.identity import Caller

BEARER_MAX = 8192
"""Characters of a bearer; ours are far shorter."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """What turns a bearer into a caller."""

    keys: KeyRing
    tokens: Tokens

    async def caller_of(self, bearer: str) -> Caller:
        """The caller behind an API key or a token. Raises Unauthenticated, CredentialExpired."""
        if not bearer or len(bearer) > BEARER_MAX or not bearer.isascii():
            raise Unauthenticated
        if "." in bearer:
            return await self.keys.by_id(await self.tokens.key_id_of(bearer))
        return await self.keys.by_text(bearer)


async def caller_of(request: HTTPConnection) -> Caller:
    """Who sends this request. Raises Unauthenticated, CredentialExpired."""
    scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        raise Unauthenticated
    credentials: Credentials = request.app.state.credentials
    caller = await credentials.caller_of(bearer.strip())
    bind_contextvars(principal=caller.principal.name)
    return caller


async def current_caller(request: Request) -> Caller:
    """Who sends this request."""
    return await caller_of(request)


CurrentCaller = Annotated[Caller, Depends(current_caller)]
