"""Who somebody is in AWS: asked of STS with their own credentials, or with a request that they have signed.

Credentials live as long as the question: they are not kept, and stand in no log line and no failure.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from io import BytesIO
from typing import Final

import httpx
from awscrt.auth import (
    AwsCredentialsProvider,
    AwsSignatureType,
    AwsSigningAlgorithm,
    AwsSigningConfig,
    aws_sign_request,
)
from awscrt.http import HttpHeaders, HttpRequest

from api.auth.aws_identity import ANSWER_BYTES_MAX, STS, AwsIdentity, AwsRules, identity_of
from api.auth.aws_signed import CALL, FORM, SignedRequest, checked
from api.auth.outside import Outside

DEFAULT_REGION: Final = "us-east-1"
DEFAULT_AUDIENCE: Final = "berth"
_SIGNING_SECONDS_MAX: Final = 1.0
"""It takes a tenth of a millisecond, and no I/O."""


@dataclass(frozen=True, slots=True)
class AwsCredentials:
    """What somebody proves themselves with. Only the id of the key may be seen."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class StsPlace:
    """Where STS is asked. `origins`: at which ones a request that was signed elsewhere may be."""

    region: str = DEFAULT_REGION
    origin: str = f"https://sts.{DEFAULT_REGION}.amazonaws.com"
    origins: frozenset[str] = frozenset()


class AwsDoor:
    """Asks STS, and lets in whom the rules allow."""

    def __init__(
        self,
        outside: Outside,
        clock: Callable[[], datetime],
        *,
        place: StsPlace | None = None,
        rules: AwsRules | None = None,
        audience: str = DEFAULT_AUDIENCE,
    ) -> None:
        self._outside = outside
        self._clock = clock
        self._place = place or StsPlace()
        self._rules = rules or AwsRules()
        self._audience = audience

    async def with_credentials(self, credentials: AwsCredentials) -> AwsIdentity:
        """Whose credentials these are. Raises Unauthenticated, Forbidden, IssuerUnavailable."""
        self._rules.require_any()
        return await self._identified("POST", f"{self._place.origin}/", self._headers(credentials), CALL)

    async def with_signed_request(self, signed: SignedRequest) -> AwsIdentity:
        """Who signed this. Raises InvalidRequest besides the same."""
        self._rules.require_any()
        origins = self._place.origins | {self._place.origin}
        request = checked(signed, origins, self._audience, self._clock())
        return await self._identified(request.method, request.url, request.headers, request.content)

    async def _identified(self, method: str, url: str, headers: object, content: str | None) -> AwsIdentity:
        heard = await self._outside.ask(
            method, url, who=STS, bytes_max=ANSWER_BYTES_MAX, headers=headers, content=content
        )
        identity = identity_of(heard)
        self._rules.require_allowed(identity)
        return identity

    def _headers(self, credentials: AwsCredentials) -> dict[str, str]:
        """Those that sign the question."""
        host = httpx.URL(self._place.origin).netloc.decode()
        headers = HttpHeaders([("host", host), ("content-type", FORM)])
        request = HttpRequest("POST", "/", headers, BytesIO(CALL.encode()))
        settings = AwsSigningConfig(
            algorithm=AwsSigningAlgorithm.V4,
            signature_type=AwsSignatureType.HTTP_REQUEST_HEADERS,
            credentials_provider=AwsCredentialsProvider.new_static(
                credentials.access_key_id, credentials.secret_access_key, credentials.session_token or None
            ),
            region=self._place.region,
            service="sts",
            date=self._clock(),
        )
        signed = aws_sign_request(request, settings).result(_SIGNING_SECONDS_MAX)
        return {name.lower(): value for name, value in signed.headers if name.lower() != "host"}
