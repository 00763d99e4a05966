"""Logging in and new keys: parse, call one operation, render. The logins need no key, so nobody is known before."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import Request, Response

from api.auth.aws import AwsCredentials
from api.auth.aws_signed import SignedRequest
from api.auth.current_caller import Credentials, address_of
from api.backends import Backends
from api.calls import CurrentCall
from api.dialects.gpudev import envelopes, login_schemas
from api.dialects.gpudev.paths import PREFIX, fails, new_router
from api.operations import logins
from api.payloads import body_of, open_content, open_payload, parsed

OPEN_PATHS: Final = frozenset({f"{PREFIX}/auth/aws-login", f"{PREFIX}/auth/oidc-login"})
REQUESTS: Final = (login_schemas.AwsCredentials, login_schemas.SignedLogin, login_schemas.OidcLogin)

router = new_router()

_LOGIN: Final = fails(HTTPStatus.BAD_REQUEST, HTTPStatus.FORBIDDEN, HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
_EITHER: Final = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "anyOf": [
                        {"$ref": f"#/components/schemas/{model.__name__}"}
                        for model in (login_schemas.AwsCredentials, login_schemas.SignedLogin)
                    ]
                }
            }
        },
    }
}

AwsProof = login_schemas.AwsCredentials | login_schemas.SignedLogin


def aws_proof_of(body: bytes) -> AwsProof:
    """Either form, whichever the body holds."""
    return parsed(body, _form_of)


def _form_of(content: Any) -> type[AwsProof]:
    is_signed = isinstance(content, Mapping) and login_schemas.SIGNED_REQUEST in content
    return login_schemas.SignedLogin if is_signed else login_schemas.AwsCredentials


@router.post(
    "/auth/aws-login",
    tags=["Authentication"],
    response_model=login_schemas.AwsLoginAnswer,
    responses=_LOGIN,
    openapi_extra=_EITHER,
)
async def aws_login(request: Request, proof: Annotated[AwsProof, open_content(aws_proof_of)]) -> Response:
    """Exchange AWS credentials, or a request signed with them, for an API key."""
    backends = await _counted(request)
    if isinstance(proof, login_schemas.SignedLogin):
        made = await logins.with_signed_aws_request(backends, _signed(proof.signed_request))
    else:
        made = await logins.with_aws_credentials(backends, _credentials(proof))
    answer = login_schemas.AwsLoginAnswer(**_words(made), ttl_hours=made.hours, aws_arn=made.arn)
    return envelopes.success(answer)


@router.post(
    "/auth/oidc-login",
    tags=["Authentication"],
    response_model=login_schemas.LoginAnswer,
    responses=_LOGIN,
    openapi_extra=body_of(login_schemas.OidcLogin),
)
async def oidc_login(
    request: Request, body: Annotated[login_schemas.OidcLogin, open_payload(login_schemas.OidcLogin)]
) -> Response:
    """Exchange an ID token for an API key."""
    backends = await _counted(request)
    made = await logins.with_id_token(backends, body.id_token.get_secret_value())
    return envelopes.success(login_schemas.LoginAnswer(**_words(made), ttl_hours=made.hours))


@router.post("/keys/rotate", tags=["API keys"], response_model=login_schemas.RotatedKey, responses=fails())
async def rotate_key(call: CurrentCall) -> Response:
    """A new API key with a fresh time to live. The one that asks lives on until its own end."""
    return envelopes.success(login_schemas.RotatedKey(**_words(await logins.rotate(call))))


async def _counted(request: Request) -> Backends:
    """What the login stands on, unless its address tries too often: each attempt makes us ask somebody else."""
    credentials: Credentials = request.app.state.credentials
    await credentials.rates.take_login(address_of(request))
    backends: Backends = request.app.state.backends
    return backends


def _credentials(proof: login_schemas.AwsCredentials) -> AwsCredentials:
    token = proof.aws_session_token
    return AwsCredentials(
        proof.aws_access_key_id,
        proof.aws_secret_access_key.get_secret_value(),
        token.get_secret_value() if token is not None else "",
    )


def _signed(wish: login_schemas.SignedRequest) -> SignedRequest:
    return SignedRequest(wish.method, wish.url, {name.lower(): value for name, value in wish.headers.items()})


def _words(made: logins.MadeLogin) -> dict[str, Any]:
    return {
        "api_key": made.text,
        "key_prefix": made.prefix,
        "user_id": made.number,
        "username": made.user_name,
        "expires_at": made.key.valid_until,
    }
