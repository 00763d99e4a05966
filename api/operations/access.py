"""API keys: made, listed, revoked; and who a credential stands for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final
from uuid import UUID, uuid4

from api.operations.permission import require_administrator, require_unconfined_owner, workspace_for
from domain.durations import parse_duration
from domain.failures import InvalidRequest, NotFound
from domain.identifiers import NAME_LENGTH_MAX, checked_name
from domain.identity import Principal, Role
from domain.login import LOGIN_MARK
from domain.permissions import Action
from ledger import access

if TYPE_CHECKING:
    from api.operations.call import Call
    from domain.credentials import ApiKey
    from ledger.connection import Connection

KEYS_MAX: Final = 1000
"""Keys that one listing shows."""


@dataclass(frozen=True, slots=True)
class KeyRequest:
    """A key to be made. `principal` None: for the caller itself. It ends at `valid_until`, or after `valid_for`, if given."""

    name: str
    principal: str | None = None
    administrator: bool = False
    role: Role = Role.OWNER
    workspace: str | None = None
    valid_for: str | None = None
    valid_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class MadeKey:
    """A key and its text, which is None when an idempotent request is repeated: nobody kept it."""

    key: ApiKey
    text: str | None


async def create_key(call: Call, request: KeyRequest) -> MadeKey:
    """Make a key for oneself or, as an administrator, for anybody; their principal is made on the way.

    But that of a login is made by the login alone: NotFound where there has been none of that name.
    """
    require_unconfined_owner(call, "making a key")
    checked_name(request.name, "the name of a key", NAME_LENGTH_MAX)
    async with call.backends.ledger.transaction() as connection:
        key_id, new = await call.subject(connection, "create_key", request, uuid4())
        if not new:
            return MadeKey(await _key(connection, key_id), None)
        made = await _new_key(connection, call, request, key_id)
        return MadeKey(await access.add_key(connection, made, call.now), made.text)


async def keys(call: Call) -> list[ApiKey]:
    """One's own keys; an administrator sees everybody's."""
    owner = None if call.caller.administrator else call.principal_id
    async with call.backends.ledger.reading() as connection:
        return await access.keys(connection, owner, limit=KEYS_MAX)


async def revoke_key(call: Call, key_id: UUID) -> ApiKey:
    """Let a key of one's own count no more; an administrator may revoke anybody's. A key may always revoke itself."""
    if key_id != call.caller.key_id:
        require_unconfined_owner(call, "revoking another key")
    async with call.backends.ledger.transaction() as connection:
        key = await _key(connection, key_id)
        if key.principal.id != call.principal_id and not call.caller.administrator:
            raise NotFound(f"key {key_id} not found")
        await access.revoke(connection, key_id, call.now)
        return await _key(connection, key_id)


async def revoke_key_text(call: Call, text: str) -> ApiKey:
    """The same, for somebody who knows a key by its text."""
    async with call.backends.ledger.reading() as connection:
        key = await access.key_by_secret(connection, text)
    if key is None:
        raise NotFound("there is no such key")
    return await revoke_key(call, key.id)


async def _new_key(connection: Connection, call: Call, request: KeyRequest, key_id: UUID) -> access.NewKey:
    workspace_id = None
    if request.workspace is not None:
        workspace_id = (await workspace_for(connection, call, request.workspace, Action.VIEW)).id
    return access.NewKey(
        id=key_id,
        text=access.new_key_text(),
        principal=await _holder(connection, call, request),
        name=request.name,
        role=request.role,
        workspace_id=workspace_id,
        valid_until=_end(call, request),
        admit=call.caller.administrator,
    )


def _end(call: Call, request: KeyRequest) -> datetime | None:
    if request.valid_for is not None:
        return call.now + timedelta(seconds=parse_duration(request.valid_for))
    if request.valid_until is not None and request.valid_until <= call.now:
        raise InvalidRequest("the key would have expired before it was made")
    return request.valid_until


async def _holder(connection: Connection, call: Call, request: KeyRequest) -> Principal:
    name = request.principal or call.actor
    if name == call.actor and not request.administrator:
        return call.caller.principal
    require_administrator(call)
    if LOGIN_MARK not in name:
        checked_name(name, "the name of a principal", NAME_LENGTH_MAX)
    elif not await access.has_principal(connection, name):
        raise NotFound(f"principal {name!r} not found: nobody of this name has logged in")
    return await access.ensure_principal(connection, name, call.now, administrator=request.administrator)


async def _key(connection: Connection, key_id: UUID) -> ApiKey:
    key = await access.key_by_id(connection, key_id)
    if key is None:
        raise NotFound(f"key {key_id} not found")
    return key
