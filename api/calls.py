"""Makes a `Call` out of a request: the one thing that every operation is handed. Also the idempotency key's dependency."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Header, Request

from api.auth.current_caller import CurrentCaller
from api.backends import Backends
from api.operations.call import Call
from domain.failures import InvalidRequest

KEY_LENGTH_MAX = 255


async def current_call(request: Request, caller: CurrentCaller) -> Call:
    """A call that makes nothing."""
    backends: Backends = request.app.state.backends
    return Call(backends, caller, backends.clock())


async def creating_call(
    request: Request,
    caller: CurrentCaller,
    idempotency_key: Annotated[
        str | None,
        Header(description="Repeat a request under the same key, and it is done once. 1 to 255 printable characters."),
    ] = None,
) -> Call:
    """A call that makes something, once per idempotency key."""
    backends: Backends = request.app.state.backends
    return Call(backends, caller, backends.clock(), _checked(idempotency_key))


def _checked(key: str | None) -> str | None:
    if key is not None and not (1 <= len(key) <= KEY_LENGTH_MAX and key.isascii() and key.isprintable()):
        raise InvalidRequest(f"Idempotency-Key must be 1 to {KEY_LENGTH_MAX} printable ASCII characters")
    return key


CurrentCall = Annotated[Call, Depends(current_call)]
CreatingCall = Annotated[Call, Depends(creating_call)]
