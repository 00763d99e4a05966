"""Every failure under this API's paths is `{"code": status, "message": …, "details"?: …}`, whatever went wrong."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import Final

from starlette.responses import Response

from api.auth.keys import MalformedKey
from api.dialects.runai import schemas
from api.problems import InvalidFields, Problem
from domain.failures import CredentialExpired

JSON: Final = "application/json"
STATUS_OF: Final[Mapping[HTTPStatus, HTTPStatus]] = MappingProxyType(
    {
        HTTPStatus.UNPROCESSABLE_ENTITY: HTTPStatus.BAD_REQUEST,
        HTTPStatus.BAD_GATEWAY: HTTPStatus.INTERNAL_SERVER_ERROR,
    }
)
"""Where this API says it otherwise."""


def success(answer: schemas.Answer, status: HTTPStatus = HTTPStatus.OK) -> Response:
    """An answer to what went well: what is not known was not set, and is left out."""
    return Response(answer.model_dump_json(exclude_unset=True), status, media_type=JSON)


def failure(problem: Problem) -> Response:
    """An answer to everything else."""
    status = HTTPStatus.UNAUTHORIZED if isinstance(problem.cause, MalformedKey) else problem.status
    status = STATUS_OF.get(status, status)
    body = schemas.Failure(code=int(status), message=_sentence(problem, status))
    if isinstance(problem.cause, InvalidFields):
        body = body.model_copy(update={"details": problem.message})
    text = body.model_dump_json(exclude_none=True)
    return Response(text, status, headers=_headers(problem, status), media_type=JSON)


def _sentence(problem: Problem, status: HTTPStatus) -> str:
    if status is HTTPStatus.UNAUTHORIZED:
        return "the credential has expired" if isinstance(problem.cause, CredentialExpired) else "Unauthorized"
    if isinstance(problem.cause, InvalidFields):
        fields = ", ".join(one.field.partition(".")[2] or one.field for one in problem.cause.fields)
        return f"not valid: {fields}"
    return problem.message


def _headers(problem: Problem, status: HTTPStatus) -> dict[str, str]:
    return {**problem.headers, **({"WWW-Authenticate": "Bearer"} if status is HTTPStatus.UNAUTHORIZED else {})}
