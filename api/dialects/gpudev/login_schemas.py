"""The words of logging in, and of the keys that a login hands out."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, SecretStr, StringConstraints

from api.dialects.gpudev.schemas import Answer, Request

_PRINTABLE: Final = r"^[!-~]+$"
SIGNED_REQUEST: Final = "signed_request"


def _printable(secret: SecretStr) -> SecretStr:
    if not re.fullmatch(_PRINTABLE, secret.get_secret_value()):
        raise ValueError("must be printable ASCII without spaces")
    return secret


_Secret = Annotated[SecretStr, AfterValidator(_printable), Field(json_schema_extra={"pattern": _PRINTABLE})]
AccessKeyId = Annotated[
    str, Field(strict=True), StringConstraints(pattern=r"^[A-Za-z0-9_]+$", min_length=16, max_length=128)
]
SecretKey = Annotated[_Secret, Field(min_length=40, max_length=128)]
SessionToken = Annotated[_Secret, Field(min_length=100, max_length=2048)]
IdToken = Annotated[_Secret, Field(min_length=1, max_length=16384)]
HeaderName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9-]+$", max_length=100)]
HeaderValue = Annotated[str, Field(strict=True), StringConstraints(pattern=r"^[ -~]*$", max_length=4096)]


class AwsCredentials(Request):
    """AWS credentials; used once, and not kept."""

    aws_access_key_id: AccessKeyId
    aws_secret_access_key: SecretKey
    aws_session_token: SessionToken | None = Field(None, description="Of credentials that end by themselves.")


class SignedRequest(Request):
    """A request to AWS STS that the caller has signed. A POST's body is `Action=GetCallerIdentity&Version=2011-06-15`."""

    method: Literal["GET", "POST"] = "POST"
    url: Annotated[str, Field(strict=True), StringConstraints(max_length=8192)]
    headers: Annotated[dict[HeaderName, HeaderValue], Field(max_length=20)]


class SignedLogin(Request):
    """Instead of credentials: proof of having them. Among what is signed is the header `X-Berth-Audience`."""

    signed_request: SignedRequest


class OidcLogin(Request):
    """An ID token of one of the configured issuers."""

    id_token: IdToken


class RotatedKey(Answer):
    """A new key. `api_key` is its only copy."""

    api_key: str
    key_prefix: str
    user_id: int
    username: str
    expires_at: datetime


class LoginAnswer(RotatedKey):
    """The same after a login, and how long keys live here."""

    ttl_hours: int


class AwsLoginAnswer(LoginAnswer):
    """The same for somebody whom AWS vouches for."""

    aws_arn: str
