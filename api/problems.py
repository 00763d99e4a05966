"""How a failure looks over HTTP: its status, and whatever every dialect needs to say it in its own shape."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from types import MappingProxyType
from typing import Final

from api.auth.rates import TooManyRequests
from domain import failures

RETRY_AFTER_SECONDS: Final = 2
_NOTHING: Final[Mapping[str, str]] = MappingProxyType({})


class TooLarge(failures.InvalidRequest):
    """The body is larger than any valid request."""

    code = "too_large"


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """What is wrong with one field of a request. `kind` is the validator's word for it."""

    field: str
    kind: str
    message: str


class InvalidFields(failures.InvalidRequest):
    """Fields of the request are missing, unknown, or not what they should be."""

    def __init__(self, fields: Sequence[FieldProblem]) -> None:
        self.fields = tuple(fields)
        message = "; ".join(f"{problem.field}: {problem.message}" for problem in fields)
        super().__init__(message, fields=[{"field": one.field, "message": one.message} for one in fields])


@dataclass(frozen=True, slots=True)
class Problem:
    """An answer that is not a success, before a dialect has put it in its words."""

    status: HTTPStatus
    code: str
    message: str
    details: Mapping[str, object] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    cause: failures.BerthFailure | None = None


STATUS_OF: Final[Mapping[type[failures.BerthFailure], HTTPStatus]] = MappingProxyType(
    {
        TooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        failures.InvalidRequest: HTTPStatus.UNPROCESSABLE_ENTITY,
        TooManyRequests: HTTPStatus.TOO_MANY_REQUESTS,
        failures.Unauthenticated: HTTPStatus.UNAUTHORIZED,
        failures.Forbidden: HTTPStatus.FORBIDDEN,
        failures.NotFound: HTTPStatus.NOT_FOUND,
        failures.AlreadyExists: HTTPStatus.CONFLICT,
        failures.WrongPhase: HTTPStatus.CONFLICT,
        failures.IdempotencyMismatch: HTTPStatus.CONFLICT,
        failures.InUse: HTTPStatus.CONFLICT,
        failures.Gone: HTTPStatus.GONE,
        failures.FenceLost: HTTPStatus.CONFLICT,
        failures.Unavailable: HTTPStatus.SERVICE_UNAVAILABLE,
        failures.ClusterRefused: HTTPStatus.BAD_GATEWAY,
        failures.NodeUnfit: HTTPStatus.BAD_GATEWAY,
        failures.DataMissing: HTTPStatus.BAD_GATEWAY,
        failures.BerthFailure: HTTPStatus.INTERNAL_SERVER_ERROR,
    }
)


def problem_of(failure: failures.BerthFailure) -> Problem:
    """The nearest class in the table decides the status."""
    status = next(STATUS_OF[kind] for kind in type(failure).__mro__ if kind in STATUS_OF)
    return Problem(status, failure.code, failure.message, failure.details, _headers_of(status, failure), failure)


def unknown_route(path: str) -> Problem:
    """Nothing is served under this path."""
    return Problem(HTTPStatus.NOT_FOUND, "not_found", f"there is nothing at {path}")


def wrong_method(method: str, allowed: Sequence[str]) -> Problem:
    """The path is served, but not with this method."""
    message = f"{method} is not allowed here; allowed: {', '.join(allowed)}"
    return Problem(HTTPStatus.METHOD_NOT_ALLOWED, "method_not_allowed", message, headers={"Allow": ", ".join(allowed)})


def internal_error(request_id: str) -> Problem:
    """Something broke in Berth; the log says what, under this request id."""
    message = f"internal error; the log has it under request id {request_id}"
    return Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "internal_error", message, {"request_id": request_id})


def _headers_of(status: HTTPStatus, failure: failures.BerthFailure) -> Mapping[str, str]:
    if isinstance(failure, TooManyRequests):
        return {"Retry-After": str(failure.retry_after_seconds)}
    if status is HTTPStatus.UNAUTHORIZED:
        return {"WWW-Authenticate": "Bearer"}
    if status is HTTPStatus.SERVICE_UNAVAILABLE:
        return {"Retry-After": str(RETRY_AFTER_SECONDS)}
    return _NOTHING
