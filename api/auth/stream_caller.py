"""Who opens a WebSocket. A page's script can set no header there but the list of protocols, so a credential may stand in it.

It may not stand in the address: those are written into the logs of every server and proxy on the way.
"""

from __future__ import annotations

from typing import Final

from starlette.websockets import WebSocket
from structlog.contextvars import bind_contextvars

from api.auth.current_caller import Credentials, address_of
from domain.identity import Caller

BEARER_PROTOCOL: Final = "bearer."
"""`new WebSocket(address, ["gpuctl.logs", "bearer." + credential])`; the server answers with the first."""


async def stream_caller(websocket: WebSocket) -> Caller:
    """Who opens this WebSocket. Raises Unauthenticated, CredentialExpired, TooManyRequests."""
    credentials: Credentials = websocket.app.state.credentials
    caller = await credentials.authenticate(_bearer(websocket), address_of(websocket))
    bind_contextvars(principal=caller.principal.name)
    return caller


async def caller_again(websocket: WebSocket, caller: Caller) -> Caller:
    """The same caller as the ledger knows them now. Raises Unauthenticated, CredentialExpired."""
    credentials: Credentials = websocket.app.state.credentials
    return await credentials.keys.by_id(caller.key_id)


def _bearer(websocket: WebSocket) -> str | None:
    header = websocket.headers.get("authorization")
    if header is not None:
        scheme, _, bearer = header.partition(" ")
        return bearer.strip() if scheme.lower() == "bearer" else None
    offered: list[str] = websocket.scope.get("subprotocols", [])
    return next((word.removeprefix(BEARER_PROTOCOL) for word in offered if word.startswith(BEARER_PROTOCOL)), None)
