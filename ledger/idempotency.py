"""Remembers what a client's Idempotency-Key made, so that a repeated request makes nothing twice."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from domain.failures import IdempotencyMismatch
from ledger.sealing import KEYRING
from ledger.statements import load

if TYPE_CHECKING:
    from ledger.connection import Connection, Ledger, Row

_SQL = load("idempotency")

KEPT = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Claim:
    """One principal's key for one operation. `request` is what was asked for, in any form that JSON can tell apart."""

    principal_id: UUID
    operation: str
    key: str
    request: object

    @property
    def request_hash(self) -> bytes:
        """The same for the same request, however it was spelled."""
        return hash_of(self.request)


def hash_of(request: object) -> bytes:
    """What tells one request from another, however each was spelled. Requests hold secrets, so it is made with a key."""
    return KEYRING.mark(_spelled(request))


def is_hash_of(kept: bytes, request: object) -> bool:
    """Whether this is what was kept of the same request, also under a key that has been replaced since."""
    return KEYRING.is_mark_of(kept, _spelled(request))


async def earlier(connection: Connection, wish: Claim) -> UUID | None:
    """The subject of a request that this one repeats; None where it is the first. IdempotencyMismatch as in `claim`."""
    row = await connection.fetchrow(_SQL["earlier"], wish.principal_id, wish.operation, wish.key)
    return None if row is None else _subject(row, wish)


async def claim(connection: Connection, wish: Claim, subject_id: UUID, now: datetime) -> UUID:
    """The subject to make: the given one for a first request, the earlier one for a repeat.

    To be called in the transaction that makes the subject. Raises IdempotencyMismatch when the key stands for another request.
    """
    first = await connection.fetchval(
        _SQL["claim"], wish.principal_id, wish.operation, wish.key, wish.request_hash, subject_id, now
    )
    if first is not None:
        return subject_id
    made = await earlier(connection, wish)
    assert made is not None
    return made


async def forget_old(ledger: Ledger, now: datetime) -> None:
    """Drop what is older than a client may still repeat."""
    async with ledger.transaction() as connection:
        await connection.execute(_SQL["forget"], now - KEPT)


def _subject(row: Row, wish: Claim) -> UUID:
    if not is_hash_of(row["request_hash"], wish.request):
        raise IdempotencyMismatch
    made: UUID = row["subject_id"]
    return made


def _spelled(request: object) -> bytes:
    return json.dumps(request, sort_keys=True, default=str).encode()
