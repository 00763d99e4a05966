"""Every state that a credential can be in, made for somebody: those that count, and those that count for nothing."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

import jwt

from api.auth import tokens
from ledger import access

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime

    from domain.credentials import SigningKey
    from tests.api.api_kit import Someone, TheApi

ROTATED_AWAY: Final = tokens.VERIFY_RETIRED + timedelta(minutes=1)


@dataclass(frozen=True)
class Signers:
    """Signing keys of one ledger: the one that signs, the one before it, and one whose tokens are long dead."""

    current: SigningKey
    previous: SigningKey
    gone: SigningKey

    @classmethod
    async def of(cls, api: TheApi) -> Signers:
        """Written into the ledger, before the application has seen any."""
        now = api.clock()
        made = [tokens._new_signing_key(now - age) for age in (ROTATED_AWAY * 2, ROTATED_AWAY, timedelta(0))]
        async with api.ledger.transaction() as connection:
            for key in made:
                await access.rotate_signing_key(connection, key, key.created_at)
            retire = "update signing_key set retired_at = $2 where kid = $1"
            await connection.execute(retire, made[0].kid, now - ROTATED_AWAY)
        gone, previous, current = made
        return cls(current, previous, gone)


def token_of(api: TheApi, who: Someone, signer: SigningKey, **changes: Any) -> str:
    """A token as the API would sign it now, with other claims where a test says so; `...` leaves one out."""
    second = int(api.clock().timestamp())
    claims = {"iss": "berth", "aud": "berth", "sub": str(who.principal.id), "key": str(who.key_id)}
    claims |= {"iat": second, "nbf": second, "exp": second + tokens.TOKEN_SECONDS, **changes}
    told = {name: value for name, value in claims.items() if value is not ...}
    return jwt.encode(told, signer.private_pem, "RS256", headers={"kid": signer.kid})


def at(api: TheApi, seconds: int) -> dict[str, int]:
    """The claims of a token that was issued so many seconds from now."""
    second = int(api.clock().timestamp()) + seconds
    return {"iat": second, "nbf": second, "exp": second + tokens.TOKEN_SECONDS}


async def key_of(api: TheApi, who: Someone, valid_until: datetime | None = None) -> Someone:
    """Another key of the same principal."""
    return await api.someone(principal=who.principal, valid_until=valid_until)


async def revoked_key_of(api: TheApi, who: Someone) -> Someone:
    """The same, revoked."""
    other = await key_of(api, who)
    async with api.ledger.transaction() as connection:
        await access.revoke(connection, other.key_id, api.clock())
    return other


async def login_key_of(api: TheApi, who: Someone, end: timedelta) -> access.NewKey:
    """A key as a login hands out, which ends so much later than now."""
    now = api.clock()
    key = access.NewKey(
        uuid4(), access.new_key_text(), who.principal, "login", valid_until=now + end, login_at=now - timedelta(hours=2)
    )
    async with api.ledger.transaction() as connection:
        await access.add_key(connection, key, now)
    return key


async def _key(_api: TheApi, who: Someone, _signers: Signers) -> str:
    return who.key


async def _revoked_key(api: TheApi, who: Someone, _signers: Signers) -> str:
    return (await revoked_key_of(api, who)).key


async def _expired_key(api: TheApi, who: Someone, _signers: Signers) -> str:
    return (await key_of(api, who, api.clock() - timedelta(seconds=1))).key


async def _rotated_key(api: TheApi, who: Someone, _signers: Signers) -> str:
    answer = await api.call("POST", "/v1/keys/rotate", who)
    assert answer.status_code == 200, answer.text
    key: str = answer.json()["api_key"]
    return key


def _login_key(end: timedelta) -> Callable[[TheApi, Someone, Signers], Awaitable[str]]:
    async def made(api: TheApi, who: Someone, _signers: Signers) -> str:
        return (await login_key_of(api, who, end)).text

    return made


async def _token_of_an_expired_login(api: TheApi, who: Someone, signers: Signers) -> str:
    key = await login_key_of(api, who, timedelta(seconds=-1))
    return token_of(api, who, signers.current, key=str(key.id))


async def _token_of_a_revoked_key(api: TheApi, who: Someone, signers: Signers) -> str:
    return token_of(api, await revoked_key_of(api, who), signers.current)


async def _token_of_an_expired_key(api: TheApi, who: Someone, signers: Signers) -> str:
    return token_of(api, await key_of(api, who, api.clock() - timedelta(seconds=1)), signers.current)


async def _unsigned_token(api: TheApi, who: Someone, signers: Signers) -> str:
    head = base64.urlsafe_b64encode(json.dumps({"alg": "none", "kid": signers.current.kid}).encode()).decode()
    return f"{head.rstrip('=')}.{token_of(api, who, signers.current).split('.')[1]}."


def _signed_by(which: str) -> Callable[[TheApi, Someone, Signers], Awaitable[str]]:
    async def made(api: TheApi, who: Someone, signers: Signers) -> str:
        return token_of(api, who, getattr(signers, which))

    return made


def _issued(seconds: int) -> Callable[[TheApi, Someone, Signers], Awaitable[str]]:
    async def made(api: TheApi, who: Someone, signers: Signers) -> str:
        return token_of(api, who, signers.current, **at(api, seconds))

    return made


def _claiming(**changes: Any) -> Callable[[TheApi, Someone, Signers], Awaitable[str]]:
    async def made(api: TheApi, who: Someone, signers: Signers) -> str:
        return token_of(api, who, signers.current, **changes)

    return made


def _altered(change: Callable[[str], str]) -> Callable[[TheApi, Someone, Signers], Awaitable[str]]:
    async def made(api: TheApi, who: Someone, signers: Signers) -> str:
        return change(token_of(api, who, signers.current))

    return made


COUNTS: Final = {
    "key": _key,
    "key of a login": _login_key(timedelta(hours=1)),
    "rotated key": _rotated_key,
    "token": _signed_by("current"),
    "token of the signing key before": _signed_by("previous"),
    "token from the clock of another process, a little ahead": _issued(2),
    "token that ended by the clock of another process, a little ahead": _issued(-tokens.TOKEN_SECONDS - 1),
}
COUNTS_FOR_NOTHING: Final = {
    "revoked key": _revoked_key,
    "expired key": _expired_key,
    "key of a login that is too long ago": _login_key(timedelta(seconds=-1)),
    "token of a login that is too long ago": _token_of_an_expired_login,
    "token of a revoked key": _token_of_a_revoked_key,
    "token of an expired key": _token_of_an_expired_key,
    "expired token": _issued(-tokens.TOKEN_SECONDS - 60),
    "token from the future": _issued(300),
    "token of a signing key rotated away": _signed_by("gone"),
    "unsigned token": _unsigned_token,
    "token for another issuer": _claiming(iss="elsewhere"),
    "token for another audience": _claiming(aud="elsewhere"),
    "token without an audience": _claiming(aud=...),
    "token without an end": _claiming(exp=...),
    "token without a beginning": _claiming(iat=...),
    "token without a key": _claiming(key=...),
    "token of a key that is not there": _claiming(key=str(uuid4())),
    "token of something that is no key": _claiming(key="everything"),
    "token with half a signature": _altered(lambda token: token[: -len(token.rpartition(".")[2]) // 2]),
    "token without a signature": _altered(lambda token: token.rpartition(".")[0]),
    "token that is no JWT": _altered(lambda token: token.replace(".", "~", 1)),
}
