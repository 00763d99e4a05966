"""From an API key to the caller it stands for.

A login always looks into the ledger, so a revoked key is dead at once. For the requests in between, what was found is
kept for two seconds per process: long enough to spare the ledger, short enough that nobody notices a revoked key live on.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from domain.credentials import ApiKey
from domain.failures import CredentialExpired, InvalidRequest, Unauthenticated
from domain.identity import Caller
from ledger import access
from ledger.connection import Ledger

KEPT: Final = timedelta(seconds=2)
KEPT_MAX: Final = 10_000


class MalformedKey(InvalidRequest):
    """The text cannot be an API key of this installation."""

    code = "malformed_key"


@dataclass(frozen=True, slots=True)
class _Known:
    key: ApiKey
    until: datetime


class KeyRing:
    """Finds keys by their text or id."""

    def __init__(self, ledger: Ledger, clock: Callable[[], datetime]) -> None:
        self._ledger = ledger
        self._clock = clock
        self._known: OrderedDict[UUID | bytes, _Known] = OrderedDict()

    async def login(self, text: str) -> Caller:
        """The caller behind a key's text, fresh from the ledger. Raises MalformedKey, Unauthenticated, CredentialExpired."""
        if not access.is_key_text(text):
            raise MalformedKey
        async with self._ledger.reading() as connection:
            key = await access.key_by_secret(connection, text)
        return self._caller(key)

    async def by_text(self, text: str) -> Caller:
        """The caller behind a key sent as a bearer. Raises Unauthenticated, CredentialExpired."""
        if not access.is_key_text(text):
            raise Unauthenticated
        secret = access.secret_hash(text)
        key = self._remembered(secret)
        if key is None:
            async with self._ledger.reading() as connection:
                key = self._remember(secret, await access.key_by_secret(connection, text))
        return self._caller(key)

    async def by_id(self, key_id: UUID) -> Caller:
        """The caller behind a token's key. Raises Unauthenticated, CredentialExpired."""
        key = self._remembered(key_id)
        if key is None:
            async with self._ledger.reading() as connection:
                key = self._remember(key_id, await access.key_by_id(connection, key_id))
        return self._caller(key)

    def _remembered(self, place: UUID | bytes) -> ApiKey | None:
        known = self._known.get(place)
        return known.key if known is not None and known.until > self._clock() else None

    def _remember(self, place: UUID | bytes, key: ApiKey | None) -> ApiKey | None:
        if key is not None:
            self._known[place] = _Known(key, self._clock() + KEPT)
            self._known.move_to_end(place)
            while len(self._known) > KEPT_MAX:
                self._known.popitem(last=False)
        return key

    def _caller(self, key: ApiKey | None) -> Caller:
        if key is None or key.revoked_at is not None:
            raise Unauthenticated
        if key.valid_until is not None and key.valid_until <= self._clock():
            raise CredentialExpired("Api Key has expired")
        return Caller(
            principal=key.principal,
            key_id=key.id,
            role_limit=key.role,
            workspace_id=key.workspace_id,
            workspace_name=key.workspace,
            expires_at=key.valid_until,
        )
