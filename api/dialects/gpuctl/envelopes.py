"""Every failure under gpuctl's paths is `{"error": …}`, with the few statuses that its clients know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from types import MappingProxyType
from typing import Final

from pydantic_core import to_json
from starlette.responses import Response

from api.dialects.gpuctl import schemas
from api.problems import Problem
from domain.failures import NamespaceNotOurs

JSON: Final = "application/json"
STATUS_OF: Final[Mapping[HTTPStatus, HTTPStatus]] = MappingProxyType(
    {
        HTTPStatus.UNPROCESSABLE_ENTITY: HTTPStatus.BAD_REQUEST,
        HTTPStatus.BAD_GATEWAY: HTTPStatus.INTERNAL_SERVER_ERROR,
    }
)
"""Where gpuctl says it otherwise: what is not valid is 400, and a cluster that refuses is 500."""


def success(answer: schemas.Answer, status: HTTPStatus = HTTPStatus.OK) -> Response:
    """An answer to what went well: the thing itself."""
    return Response(answer.model_dump_json(), status, media_type=JSON)


def bare(content: Sequence[schemas.Answer] | Mapping[str, Sequence[str]]) -> Response:
    """The few answers that are a list, or words by words."""
    return Response(to_json(content), media_type=JSON)


def failure(problem: Problem) -> Response:
    """An answer to everything else."""
    body = schemas.Failure(error=problem.message).model_dump_json()
    return Response(body, status_of(problem), headers=dict(problem.headers), media_type=JSON)


def status_of(problem: Problem) -> HTTPStatus:
    """Gpuctl's status. A namespace that others made is forbidden ground."""
    if isinstance(problem.cause, NamespaceNotOurs):
        return HTTPStatus.FORBIDDEN
    return STATUS_OF.get(problem.status, problem.status)
