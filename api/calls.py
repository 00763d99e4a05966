"""Makes a `Call` out of a request: the one thing that every operation is handed. Also the idempotency key's dependency."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Header, Request

from api.auth.current_caller import CurrentCaller
from api.backends import Backends
from api.operations.call import Call

KEY_LENGTH_MAX = 255
PRINTABLE = "^[ -~]+$"


async def current_call(request: Request, caller: CurrentCaller) -> Call:
    """A call that makes nothing."""
    backends: Backends = request.app.state.backends
    return Call(backends, caller, backends.clock())


async def creating_call(
    request: Request,
    caller: CurrentCaller,
    idempotency_key: Annotated[
        str | None,
        Header(
            description="Repeat a request under the same key, and it is done once.",
            min_length=1,
            max_length=KEY_LENGTH_MAX,
            pattern=PRINTABLE,
        ),
    ] = None,
) -> Call:
    """A call that makes something, once per idempotency key."""
    backends: Backends = request.app.state.backends
    return Call(backends, caller, backends.clock(), idempotency_key)


CurrentCall = Annotated[Call, Depends(current_call)]
CreatingCall = Annotated[Call, Depends(creating_call)]
