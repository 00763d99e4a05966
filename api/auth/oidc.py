"""Who somebody is for an OIDC issuer: their ID token, verified with the keys that the issuer publishes.

Only issuers that are configured are ever asked anything. Their keys are kept for an hour; a token signed with one that is
not among them makes us look again at once, but not more often than `LOOK_AGAIN_AFTER`, so that nobody can make us ask much.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import httpx
import jwt
from jwt.types import Options

from api.auth.outside import IssuerUnavailable, Outside, nonsense
from domain.failures import Forbidden, Unauthenticated
from domain.login import Subject

ALGORITHMS: Final = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"})
"""Signatures of a private key alone: with the others, whoever knows the public key could sign."""
LEEWAY_SECONDS: Final = 60
"""How far the issuer's clock may be from ours."""
KEYS_KEPT: Final = timedelta(hours=1)
LOOK_AGAIN_AFTER: Final = timedelta(seconds=10)
TRY_AGAIN_AFTER: Final = timedelta(seconds=2)
"""Those who wait while the issuer is away hear so together, not one after the other."""
ANSWER_BYTES_MAX: Final = 256 * 1024
KEYS_MAX: Final = 100
SUBJECT_LENGTH_MAX: Final = 255
"""The standard's own bound."""
DISCOVERY: Final = "/.well-known/openid-configuration"
_OK: Final = 200
_OPTIONS: Final[Options] = {
    "require": ["iss", "sub", "aud", "exp", "iat"],
    "verify_exp": False,
    "verify_iat": False,
    "verify_nbf": False,
}
"""Times are compared here, by the clock that everything else goes by."""


@dataclass(frozen=True, slots=True)
class _Keys:
    by_id: Mapping[str, Mapping[str, Any]]
    loaded_at: datetime


class OidcIssuer:
    """One issuer, for tokens that it made for one of `audiences`."""

    def __init__(self, url: str, audiences: frozenset[str], outside: Outside, clock: Callable[[], datetime]) -> None:
        self.url = url
        self._audiences = audiences
        self._outside = outside
        self._clock = clock
        self._keys: _Keys | None = None
        self._failed: tuple[datetime, IssuerUnavailable] | None = None
        self._loading = asyncio.Lock()

    async def subject_of(self, token: str, header: Mapping[str, Any]) -> Subject:
        """Whom it vouches for. Raises Unauthenticated, IssuerUnavailable."""
        algorithm = str(header.get("alg"))
        if algorithm not in ALGORITHMS:
            raise Unauthenticated("the ID token is not signed in a way that counts here")
        key = _usable(await self._key(str(header.get("kid", ""))), algorithm)
        claims = self._claims(token, key, algorithm)
        self._require_alive(claims)
        self._require_for_us(claims)
        return Subject(self.url, claims["sub"], _user_name(claims), httpx.URL(self.url).host)

    def _claims(self, token: str, key: jwt.PyJWK, algorithm: str) -> dict[str, Any]:
        try:
            claims: dict[str, Any] = jwt.decode(
                token, key, algorithms=[algorithm], issuer=self.url, audience=self._audiences, options=_OPTIONS
            )
        except (jwt.InvalidTokenError, ValueError, TypeError) as error:
            raise Unauthenticated(f"the ID token does not count here ({type(error).__name__})") from None
        subject = claims["sub"]
        if not isinstance(subject, str) or not 0 < len(subject) <= SUBJECT_LENGTH_MAX or "\0" in subject:
            raise Unauthenticated("the ID token names nobody")
        return claims

    def _require_alive(self, claims: Mapping[str, Any]) -> None:
        now = self._clock().timestamp()
        times = {name: claims.get(name, now) for name in ("exp", "iat", "nbf")}
        if any(isinstance(one, bool) or not isinstance(one, int | float) for one in times.values()):
            raise Unauthenticated("the ID token's times are none")
        if now >= times["exp"] + LEEWAY_SECONDS:
            raise Unauthenticated("the ID token has expired; log in to its issuer again")
        if now < max(times["iat"], times["nbf"]) - LEEWAY_SECONDS:
            raise Unauthenticated("the ID token is not valid yet")

    def _require_for_us(self, claims: Mapping[str, Any]) -> None:
        """A token for several is for the one that asked for it."""
        asked_by = claims.get("azp")
        if asked_by is not None and (not isinstance(asked_by, str) or asked_by not in self._audiences):
            raise Unauthenticated("the ID token was made for another client")

    async def _key(self, kid: str) -> Mapping[str, Any]:
        now = self._clock()
        keys = await self._current(now - KEYS_KEPT)
        if _chosen(keys, kid) is None:
            keys = await self._current(now - LOOK_AGAIN_AFTER)
        key = _chosen(keys, kid)
        if key is None:
            raise Unauthenticated("the ID token is signed with a key that its issuer does not publish")
        return key

    async def _current(self, loaded_since: datetime) -> _Keys:
        async with self._loading:
            if self._keys is None or self._keys.loaded_at < loaded_since:
                self._keys = await self._load_unless_failed()
            return self._keys

    async def _load_unless_failed(self) -> _Keys:
        if self._failed is not None and self._clock() < self._failed[0] + TRY_AGAIN_AFTER:
            raise IssuerUnavailable(self._failed[1].message)
        try:
            return await self._load()
        except IssuerUnavailable as failure:
            self._failed = (self._clock(), failure)
            raise

    async def _load(self) -> _Keys:
        now = self._clock()
        found = await self._document(f"{self.url.rstrip('/')}{DISCOVERY}")
        place = found.get("jwks_uri")
        if found.get("issuer") != self.url or not isinstance(place, str) or not _is_as_safe(place, self.url):
            raise nonsense(self.url)
        listed = (await self._document(place)).get("keys")
        if not isinstance(listed, list) or len(listed) > KEYS_MAX:
            raise nonsense(self.url)
        signing = [one for one in listed if isinstance(one, dict) and one.get("use", "sig") == "sig"]
        return _Keys({str(one.get("kid", "")): one for one in signing}, now)

    async def _document(self, place: str) -> dict[str, Any]:
        heard = await self._outside.ask("GET", place, who=self.url, bytes_max=ANSWER_BYTES_MAX)
        try:
            found = json.loads(heard.body)
        except (ValueError, RecursionError):
            raise nonsense(self.url) from None
        if heard.status != _OK or not isinstance(found, dict):
            raise nonsense(self.url)
        return found


class OidcDoor:
    """Lets in whom one of the configured issuers vouches for. Without any, nobody."""

    def __init__(
        self, outside: Outside, clock: Callable[[], datetime], audiences: Mapping[str, frozenset[str]] | None = None
    ) -> None:
        self._issuers = {url: OidcIssuer(url, names, outside, clock) for url, names in (audiences or {}).items()}

    async def subject_of(self, token: str) -> Subject:
        """Whose ID token this is. Raises Unauthenticated, Forbidden, IssuerUnavailable."""
        if not self._issuers:
            raise Forbidden("logging in with OIDC is not set up here")
        try:
            unverified = jwt.decode_complete(token, options={"verify_signature": False})
        except (jwt.InvalidTokenError, ValueError, RecursionError):
            raise Unauthenticated("this is no ID token") from None
        issuer = self._issuers.get(str(unverified["payload"].get("iss")))
        if issuer is None:
            raise Unauthenticated("the ID token is from an issuer that does not count here")
        return await issuer.subject_of(token, unverified["header"])


def _chosen(keys: _Keys, kid: str) -> Mapping[str, Any] | None:
    """The key of this id; where a token names none, the only one that there is."""
    if not kid and len(keys.by_id) == 1:
        return next(iter(keys.by_id.values()))
    return keys.by_id.get(kid)


def _usable(key: Mapping[str, Any], algorithm: str) -> jwt.PyJWK:
    if key.get("alg", algorithm) != algorithm:
        raise Unauthenticated("the ID token's key is for another kind of signature")
    try:
        return jwt.PyJWK(dict(key), algorithm)
    except (jwt.PyJWTError, ValueError, TypeError):
        raise Unauthenticated("the ID token's key cannot be used") from None


def _is_as_safe(place: str, issuer: str) -> bool:
    """Its keys may be anywhere, but not on a worse road than the issuer itself."""
    try:
        url = httpx.URL(place)
    except (httpx.InvalidURL, ValueError):
        return False
    return bool(url.host) and (url.scheme == "https" or httpx.URL(issuer).scheme == url.scheme == "http")


def _user_name(claims: Mapping[str, Any]) -> str:
    """An address that the issuer has verified, else what people call themselves there, else what the issuer calls them."""
    if isinstance(claims.get("email"), str) and claims.get("email_verified") is True:
        return str(claims["email"])
    preferred = claims.get("preferred_username")
    name = preferred if isinstance(preferred, str) and preferred.strip() else str(claims["sub"])
    return name.partition("@")[0]
