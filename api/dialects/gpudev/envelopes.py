"""Every failure under this API's paths is `{"detail": …}`: a sentence, or a list of fields where the shape is not right."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import Final

from starlette.responses import Response

from api.auth.current_caller import NoCredential
from api.dialects.gpudev import schemas
from api.payloads import NotJson
from api.problems import FieldProblem, InvalidFields, Problem
from domain.failures import CredentialExpired, Unauthenticated

JSON: Final = "application/json"
STATUS_OF: Final[Mapping[HTTPStatus, HTTPStatus]] = MappingProxyType(
    {
        HTTPStatus.UNPROCESSABLE_ENTITY: HTTPStatus.BAD_REQUEST,
        HTTPStatus.BAD_GATEWAY: HTTPStatus.INTERNAL_SERVER_ERROR,
    }
)
"""Where this API says it otherwise: what has the right shape and makes no sense is 400, and a cluster that refuses 500."""
NOT_FOUND: Final = "not found"
"""In every 404: clients then look for what a short id may mean."""
_UNKNOWN: Final = Unauthenticated().message
_NOT_OF_THE_BODY: Final = frozenset({"query", "path", "header", "cookie"})


def success(answer: schemas.Answer, *, exclude_none: bool = False) -> Response:
    """An answer to what went well: the thing itself."""
    return Response(answer.model_dump_json(exclude_none=exclude_none), media_type=JSON)


def failure(problem: Problem) -> Response:
    """An answer to everything else."""
    cause = problem.cause
    if isinstance(cause, InvalidFields):
        return _validation(problem, [_field(one) for one in cause.fields])
    if isinstance(cause, NotJson):
        return _validation(problem, [schemas.FieldFailure(type="json_invalid", loc=["body"], msg=problem.message)])
    body = schemas.Failure(detail=_sentence(problem)).model_dump_json()
    status = STATUS_OF.get(problem.status, problem.status)
    return Response(body, status, headers=dict(problem.headers), media_type=JSON)


def _validation(problem: Problem, fields: list[schemas.FieldFailure]) -> Response:
    body = schemas.ValidationFailure(detail=fields).model_dump_json()
    return Response(body, HTTPStatus.UNPROCESSABLE_ENTITY, headers=dict(problem.headers), media_type=JSON)


def _field(problem: FieldProblem) -> schemas.FieldFailure:
    place = [int(part) if part.isdigit() else part for part in problem.field.split(".")]
    loc = place if place[0] in {*_NOT_OF_THE_BODY, "body"} else ["body", *place]
    return schemas.FieldFailure(type=problem.kind, loc=loc, msg=problem.message)


def _sentence(problem: Problem) -> str:
    if isinstance(problem.cause, NoCredential):
        return "Not authenticated"
    if isinstance(problem.cause, CredentialExpired):
        return "API key has expired"
    if problem.status is HTTPStatus.NOT_FOUND and NOT_FOUND not in problem.message:
        return f"{problem.message}: {NOT_FOUND}"
    return "Invalid API key" if problem.message == _UNKNOWN else problem.message
