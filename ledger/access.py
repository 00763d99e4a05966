"""Principals, their API keys, and the keys that sign bearer tokens.

A key's secret is 256 random bits, so its SHA-256 is as good as unguessable and one indexed look finds it; nothing
slower is needed, and login may be called before every request.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final
from uuid import UUID, uuid4

from domain.credentials import ApiKey, SigningKey
from domain.failures import AlreadyExists
from domain.identity import Principal, Role
from domain.login import Subject, principal_names
from ledger.statements import load

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ledger.connection import Connection, Ledger, Row

_SQL = load("access")

ADMINISTRATOR: Final = "administrator"
PREFIX_LENGTH: Final = 14
_KEY_TEXT: Final = re.compile(r"berth_[0-9a-f]{64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key to be written; `text` is its only copy. With `admit` its principal becomes a member of its workspace."""

    id: UUID
    text: str
    principal: Principal
    name: str
    role: Role = Role.OWNER
    workspace_id: UUID | None = None
    valid_until: datetime | None = None
    admit: bool = False
    login_at: datetime | None = None
    """When its holder last proved who they are; None: the key is no login's."""


def new_key_text() -> str:
    """The text of a new key."""
    return f"berth_{secrets.token_hex(32)}"


def is_key_text(text: str) -> bool:
    """Whether this could be a key at all, known or not."""
    return _KEY_TEXT.fullmatch(text) is not None


def secret_hash(text: str) -> bytes:
    """What the ledger keeps of a key."""
    return hashlib.sha256(text.encode()).digest()


async def ensure_principal(
    connection: Connection, name: str, now: datetime, *, administrator: bool = False
) -> Principal:
    """The principal of this name, made now if there is none."""
    row = await connection.fetchrow(_SQL["ensure_principal"], uuid4(), name, administrator, now)
    assert row is not None
    return Principal(row["id"], row["name"], row["administrator"])


async def has_principal(connection: Connection, name: str) -> bool:
    """Whether there is a principal of this name. There is one for ever then."""
    return bool(await connection.fetchval(_SQL["has_principal"], name))


async def principal_of(connection: Connection, subject: Subject, now: datetime) -> Principal:
    """Whom an issuer vouches for; the first time a principal is made, never one that is there already."""
    await connection.execute(_SQL["lock_login"], f"{subject.issuer}\n{subject.subject}")
    known = await connection.fetchrow(_SQL["principal_of_subject"], subject.issuer, subject.subject)
    if known is not None:
        return Principal(known["id"], known["name"], known["administrator"])
    principal = await _new_principal(connection, subject, now)
    await connection.execute(_SQL["add_subject"], subject.issuer, subject.subject, principal.id, now)
    return principal


async def number_of(connection: Connection, principal_id: UUID) -> int:
    """The principal's number, for dialects whose ids of people are numbers."""
    return int(await connection.fetchval(_SQL["principal_number"], principal_id))


async def forget_login_keys(connection: Connection, principal_id: UUID, expired_before: datetime) -> None:
    """Drop the keys of a principal's logins that expired before this instant: each login makes one more."""
    await connection.execute(_SQL["forget_login_keys"], principal_id, expired_before)


async def add_key(connection: Connection, key: NewKey, now: datetime) -> ApiKey:
    """Write a new key."""
    await connection.execute(
        _SQL["add_key"],
        key.id,
        key.principal.id,
        key.name,
        key.text[:PREFIX_LENGTH],
        secret_hash(key.text),
        key.role,
        key.workspace_id,
        key.valid_until,
        now,
        key.login_at,
    )
    if key.admit and key.workspace_id is not None:
        await connection.execute(_SQL["admit_member"], key.workspace_id, key.principal.id, key.role)
    written = await key_by_id(connection, key.id)
    assert written is not None
    return written


async def key_by_secret(connection: Connection, text: str) -> ApiKey | None:
    """The key with this text, also an expired or revoked one."""
    row = await connection.fetchrow(_SQL["key_by_secret"], secret_hash(text))
    return None if row is None else _key(row)


async def key_by_id(connection: Connection, key_id: UUID) -> ApiKey | None:
    """The key with this id, also an expired or revoked one."""
    row = await connection.fetchrow(_SQL["key_by_id"], key_id)
    return None if row is None else _key(row)


async def keys(connection: Connection, principal_id: UUID | None, *, limit: int) -> list[ApiKey]:
    """Keys of a principal, or all for None, oldest first."""
    if principal_id is None:
        return [_key(row) for row in await connection.fetch(_SQL["all_keys"], limit)]
    return [_key(row) for row in await connection.fetch(_SQL["keys_of"], principal_id, limit)]


async def revoke(connection: Connection, key_id: UUID, now: datetime) -> None:
    """Let a key, and every token it was exchanged for, count no more. Repeating it changes nothing."""
    await connection.execute(_SQL["revoke_key"], key_id, now)


async def signing_keys(connection: Connection, retired_since: datetime) -> Sequence[SigningKey]:
    """Keys that sign or still verify, newest first."""
    return [SigningKey(**row) for row in await connection.fetch(_SQL["signing_keys"], retired_since)]


async def rotate_signing_key(connection: Connection, key: SigningKey, older_than: datetime) -> None:
    """Make this the key that signs, unless somebody else has just made one."""
    await connection.execute(_SQL["lock_signing_keys"])
    if any(present.created_at > older_than for present in await signing_keys(connection, key.created_at)):
        return
    await connection.execute(_SQL["add_signing_key"], key.kid, key.private_pem, key.created_at)
    await connection.execute(_SQL["retire_signing_keys"], key.kid, key.created_at)


async def ensure_administrator(ledger: Ledger, now: datetime) -> str | None:
    """On the first call make the administrator and an owner key, and give the key's text; later None."""
    async with ledger.transaction() as connection:
        await connection.execute(_SQL["lock_bootstrap"])
        if await connection.fetchval(_SQL["any_administrator"]):
            return None
        principal = await ensure_principal(connection, ADMINISTRATOR, now, administrator=True)
        key = NewKey(uuid4(), new_key_text(), principal, "first administrator key")
        await add_key(connection, key, now)
    return key.text


async def _new_principal(connection: Connection, subject: Subject, now: datetime) -> Principal:
    for name in principal_names(subject):
        row = await connection.fetchrow(_SQL["new_principal"], uuid4(), name, now)
        if row is not None:
            return Principal(row["id"], row["name"])
    raise AlreadyExists(f"every name for {subject.user_name!r} is taken")


def _key(row: Row) -> ApiKey:
    return ApiKey(
        id=row["id"],
        principal=Principal(row["principal_id"], row["principal_name"], row["administrator"]),
        name=row["name"],
        prefix=row["prefix"],
        role=Role(row["role"]),
        workspace_id=row["workspace_id"],
        workspace=row["workspace"],
        valid_until=row["valid_until"],
        revoked_at=row["revoked_at"],
        created_at=row["created_at"],
        login_at=row["login_at"],
    )
