"""Logging in: an API key of Berth for a bearer token. Nobody is known before."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Annotated, Any, Final
from urllib.parse import parse_qsl

from fastapi import Request, Response

from api.auth.current_caller import Credentials, address_of
from api.auth.tokens import TOKEN_SECONDS
from api.dialects.runai import envelopes, schemas
from api.dialects.runai.paths import PREFIX, PREFIX_2, fails, new_router
from api.payloads import NotJson, open_content, parsed, validated

OPEN_PATHS: Final = frozenset({f"{PREFIX}/token", f"{PREFIX_2}/token"})
REQUESTS: Final = (schemas.AppToken, schemas.ClientCredentials, schemas.FormCredentials)
FORM: Final = "application/x-www-form-urlencoded"

router = new_router()
router_2 = new_router(PREFIX_2)

_LOGIN: Final = fails(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
_NO_STORE: Final = {"Cache-Control": "no-store"}

Grant = schemas.AppToken | schemas.ClientCredentials


def _sent_as(media_type: str, *models: type[schemas.Request]) -> dict[str, Any]:
    references = [{"$ref": f"#/components/schemas/{model.__name__}"} for model in models]
    schema = references[0] if len(references) == 1 else {"anyOf": references}
    return {"requestBody": {"required": True, "content": {media_type: {"schema": schema}}}}


def grant_of(body: bytes) -> Grant:
    """Either of the documented shapes, by what it says that it is."""
    return parsed(body, _shape_of)


def form_of(body: bytes) -> schemas.FormCredentials:
    """A form; each field once."""
    try:
        text = body.decode("ascii")
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=20)
    except ValueError as error:
        raise NotJson(f"the body is not a form: {error}") from error
    return validated(dict(pairs), schemas.FormCredentials)


def _shape_of(content: Any) -> type[Grant]:
    is_application = isinstance(content, Mapping) and content.get("grantType") == "app_token"
    return schemas.AppToken if is_application else schemas.ClientCredentials


@router.post(
    "/token",
    tags=["Tokens"],
    response_model=schemas.AccessToken,
    responses=_LOGIN,
    openapi_extra=_sent_as("application/json", schemas.AppToken, schemas.ClientCredentials),
)
async def create_token(request: Request, grant: Annotated[Grant, open_content(grant_of)]) -> Response:
    """Exchange an API key for a bearer token: the key is the secret, its id or its principal's name the application."""
    if isinstance(grant, schemas.AppToken):
        token = await _exchanged(request, grant.AppId, grant.AppSecret)
    else:
        token = await _exchanged(request, grant.clientID, grant.clientSecret)
    return _told(schemas.AccessToken(accessToken=token))


@router_2.post(
    "/token",
    tags=["Tokens"],
    response_model=schemas.BearerToken,
    responses=_LOGIN,
    openapi_extra=_sent_as(FORM, schemas.FormCredentials),
)
async def create_token_from_form(
    request: Request, form: Annotated[schemas.FormCredentials, open_content(form_of)]
) -> Response:
    """The same as a form."""
    token = await _exchanged(request, form.client_id, form.client_secret)
    return _told(schemas.BearerToken(access_token=token, token_type="bearer", expires_in=TOKEN_SECONDS))  # noqa: S106


async def _exchanged(request: Request, owner: str, key_text: str) -> str:
    credentials: Credentials = request.app.state.credentials
    return await credentials.exchange(owner, key_text, address_of(request))


def _told(answer: schemas.Answer) -> Response:
    response = envelopes.success(answer)
    response.headers.update(_NO_STORE)
    return response
