"""Bearer tokens: JWTs signed with RS256, alive for fifteen minutes, each standing for the API key it was exchanged for.

The signing keys are the ledger's, shared by all API processes. Whoever notices that the newest is old makes the next one;
the old one goes on verifying until what it signed has expired. Signing costs most, and a token says nothing finer than the
second: so logins with one key within one second share one token. A signature is looked at once per process.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey, generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from jwt.algorithms import RSAAlgorithm

from domain.credentials import SigningKey
from domain.failures import CredentialExpired, Unauthenticated
from domain.identity import Caller
from ledger import access
from ledger.connection import Ledger

TOKEN_SECONDS: Final = 900
LEEWAY_SECONDS: Final = 5
"""How far the clocks of two API processes may be apart."""
ISSUER: Final = "berth"
SIGNING_KEY_AGE_MAX: Final = timedelta(days=30)
RELOAD_AFTER: Final = timedelta(seconds=60)
RELOAD_UNKNOWN_AFTER: Final = timedelta(seconds=1)
"""A token of a key not seen yet makes us look at once, but not more often than this."""
VERIFY_RETIRED: Final = RELOAD_AFTER + timedelta(seconds=TOKEN_SECONDS + LEEWAY_SECONDS)
"""A process may sign with a retired key until it has reloaded; what it signed then lives on."""
RSA_BITS: Final = 2048
SHARED_MAX: Final = 10_000
"""Tokens of the current second that are kept for further logins."""
VERIFIED_MAX: Final = 20_000
"""Tokens whose signature needs no second look: a signature does not change, only the time and the key's state do."""


@dataclass(frozen=True, slots=True)
class _Keys:
    signing: tuple[str, RSAPrivateKey]
    verifying: dict[str, RSAPublicKey]
    loaded_at: datetime


@dataclass(frozen=True, slots=True)
class _Verified:
    """What a token said, once its signature was seen to be ours."""

    key_id: UUID
    issued: float
    expires: float


class Tokens:
    """Issues and verifies bearer tokens."""

    def __init__(self, ledger: Ledger, clock: Callable[[], datetime]) -> None:
        self._ledger = ledger
        self._clock = clock
        self._keys: _Keys | None = None
        self._loading = asyncio.Lock()
        self._shared: dict[UUID, str] = {}
        self._shared_second = 0
        self._verified: dict[str, _Verified] = {}

    async def issue(self, caller: Caller) -> str:
        """A token for the caller's key."""
        now = self._clock()
        keys = await self._current(now - RELOAD_AFTER)
        second = int(now.timestamp())
        if second != self._shared_second or len(self._shared) >= SHARED_MAX:
            self._shared, self._shared_second = {}, second
        token = self._shared.get(caller.key_id)
        if token is None:
            token = self._shared[caller.key_id] = _signed(keys, caller, second)
        return token

    async def key_id_of(self, token: str) -> UUID:
        """The key that the token stands for. Raises Unauthenticated, CredentialExpired."""
        seen = self._verified.get(token) or await self._verify(token)
        self._require_alive(seen)
        if token not in self._verified:
            self._remember(token, seen)
        return seen.key_id

    async def _verify(self, token: str) -> _Verified:
        try:
            kid = str(jwt.get_unverified_header(token).get("kid", ""))
            public_key = await self._public_key(kid)
            claims = jwt.decode(
                token,
                public_key,
                algorithms=["RS256"],
                issuer=ISSUER,
                audience=ISSUER,
                leeway=LEEWAY_SECONDS,
                options={
                    "require": ["exp", "iat", "key"],
                    "verify_exp": False,
                    "verify_iat": False,
                    "verify_nbf": False,
                },
            )
            return _Verified(UUID(claims["key"]), float(claims["iat"]), float(claims["exp"]))
        except (jwt.InvalidTokenError, ValueError) as error:
            raise Unauthenticated from error

    async def jwks(self) -> dict[str, Any]:
        """The public keys, so that others can verify our tokens, also those that another process has just begun to sign."""
        keys = await self._current(self._clock() - RELOAD_UNKNOWN_AFTER)
        return {
            "keys": [
                {**json.loads(RSAAlgorithm.to_jwk(public_key)), "kid": kid, "use": "sig", "alg": "RS256"}
                for kid, public_key in keys.verifying.items()
            ]
        }

    def _require_alive(self, seen: _Verified) -> None:
        now = self._clock().timestamp()
        if now >= seen.expires + LEEWAY_SECONDS:
            raise CredentialExpired("the token has expired")
        if now < seen.issued - LEEWAY_SECONDS:
            raise Unauthenticated

    def _remember(self, token: str, seen: _Verified) -> None:
        if len(self._verified) >= VERIFIED_MAX:
            self._verified.clear()
        self._verified[token] = seen

    async def _public_key(self, kid: str) -> RSAPublicKey:
        now = self._clock()
        keys = await self._current(now - RELOAD_AFTER)
        if kid not in keys.verifying:
            keys = await self._current(now - RELOAD_UNKNOWN_AFTER)
        if kid not in keys.verifying:
            raise Unauthenticated
        return keys.verifying[kid]

    async def _current(self, loaded_since: datetime) -> _Keys:
        if self._keys is not None and self._keys.loaded_at >= loaded_since:
            return self._keys
        async with self._loading:
            if self._keys is None or self._keys.loaded_at < loaded_since:
                self._keys = await self._load()
            return self._keys

    async def _load(self) -> _Keys:
        now = self._clock()
        stored = await self._stored(now)
        if not stored or stored[0].retired_at is not None or stored[0].created_at <= now - SIGNING_KEY_AGE_MAX:
            made = await asyncio.to_thread(_new_signing_key, now)
            async with self._ledger.transaction() as connection:
                await access.rotate_signing_key(connection, made, now - SIGNING_KEY_AGE_MAX)
            stored = await self._stored(now)
        private = {key.kid: _private(key) for key in stored}
        return _Keys(
            signing=(stored[0].kid, private[stored[0].kid]),
            verifying={kid: key.public_key() for kid, key in private.items()},
            loaded_at=now,
        )

    async def _stored(self, now: datetime) -> list[SigningKey]:
        async with self._ledger.reading() as connection:
            return list(await access.signing_keys(connection, now - VERIFY_RETIRED))


def _signed(keys: _Keys, caller: Caller, second: int) -> str:
    kid, private_key = keys.signing
    claims = {
        "iss": ISSUER,
        "aud": ISSUER,
        "sub": str(caller.principal.id),
        "name": caller.principal.name,
        "key": str(caller.key_id),
        "iat": second,
        "nbf": second,
        "exp": second + TOKEN_SECONDS,
    }
    return jwt.encode(claims, private_key, algorithm="RS256", headers={"kid": kid})


def _new_signing_key(now: datetime) -> SigningKey:
    private_key = generate_private_key(public_exponent=65537, key_size=RSA_BITS)
    pem = private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return SigningKey(secrets.token_hex(8), pem, now, None)


def _private(key: SigningKey) -> RSAPrivateKey:
    private_key = load_pem_private_key(key.private_pem.encode(), password=None)
    if not isinstance(private_key, RSAPrivateKey):
        raise TypeError(f"signing key {key.kid} is not an RSA key")
    return private_key
