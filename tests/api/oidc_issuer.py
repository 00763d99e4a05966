"""An OIDC issuer on this machine: discovery, keys that rotate, and tokens as a test wants them."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as new_ec_key
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as new_rsa_key
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from tests.stand_in import StandIn, standing_in

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from datetime import datetime

DISCOVERY = "/.well-known/openid-configuration"
JWKS = "/keys"
CLIENT = "berth-client"


@dataclass
class Issuer:
    """What it publishes is what is in `keys`."""

    stand_in: StandIn
    clock: Callable[[], datetime]
    keys: dict[str, Any] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return self.stand_in.url

    def publish(self, *kids: str, algorithm: str | None = "RS256") -> None:
        """These keys and no others, made where they are new."""
        self.keys = {kid: self.keys.get(kid) or new_rsa_key(65537, 2048) for kid in kids}
        self.publish_as([self.jwk(kid, algorithm) for kid in kids])

    def publish_as(self, jwks: list[dict[str, Any]]) -> None:
        self.stand_in.says(DISCOVERY, json.dumps({"issuer": self.url, "jwks_uri": f"{self.url}{JWKS}"}))
        self.stand_in.says(JWKS, json.dumps({"keys": jwks}))

    def jwk(self, kid: str, algorithm: str | None = "RS256") -> dict[str, Any]:
        key = self.keys[kid]
        of = RSAAlgorithm if isinstance(key, RSAPrivateKey) else ECAlgorithm
        found = {**json.loads(of.to_jwk(key.public_key())), "kid": kid, "use": "sig"}
        return found | ({"alg": algorithm} if algorithm else {})

    def add_ec(self, kid: str) -> None:
        self.keys[kid] = new_ec_key(SECP256R1())

    def claims(self, **changes: Any) -> dict[str, Any]:
        """`...` leaves one out."""
        second = int(self.clock().timestamp())
        told = {"iss": self.url, "aud": CLIENT, "sub": "00u1", "iat": second, "exp": second + 300, **changes}
        return {name: value for name, value in told.items() if value is not ...}

    def token(self, kid: str = "one", algorithm: str = "RS256", **changes: Any) -> str:
        headers = {"kid": kid} if kid else {}
        key = self.keys[kid or next(iter(self.keys))]
        return jwt.encode(self.claims(**changes), key, algorithm, headers=headers)

    def asked(self, path: str) -> int:
        return sum(one.path == path for one in self.stand_in.asked)


@asynccontextmanager
async def an_issuer(clock: Callable[[], datetime]) -> AsyncIterator[Issuer]:
    async with standing_in() as stand_in:
        issuer = Issuer(stand_in, clock)
        issuer.publish("one")
        yield issuer
