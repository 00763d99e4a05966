"""Puts every failure into the shape of the dialect whose path was asked for.

Whoever raised it: an operation, the validator, or the router that found nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from api.auth.current_caller import caller_of
from api.dialect import Dialect
from api.payloads import fields_of
from api.problems import Problem, problem_of, unknown_route, wrong_method
from domain.failures import BerthFailure, Unavailable

log = structlog.get_logger("api")


def install(app: FastAPI, dialect_of: Callable[[str], Dialect]) -> None:
    """Let the application answer failures in its dialects' words."""

    async def berth_failure(request: Request, failure: Exception) -> Response:
        assert isinstance(failure, BerthFailure)
        return _rendered(dialect_of(request.scope["path"]), failure)

    async def invalid_parameters(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return _rendered(dialect_of(request.scope["path"]), fields_of(list(error.errors())))

    async def no_route(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return await _unrouted(request, dialect_of(request.scope["path"]), error)

    app.add_exception_handler(BerthFailure, berth_failure)
    app.add_exception_handler(RequestValidationError, invalid_parameters)
    app.add_exception_handler(HTTPException, no_route)


async def _unrouted(request: Request, dialect: Dialect, error: HTTPException) -> Response:
    path = request.scope["path"]
    allowed = dialect.allowed_methods(path)
    asks_options = request.method == "OPTIONS"
    if asks_options and allowed:
        return Response(status_code=HTTPStatus.NO_CONTENT, headers={"Allow": ", ".join(allowed)})
    if dialect.needs_login(path) and not asks_options:
        try:
            await caller_of(request)
        except BerthFailure as failure:
            return _rendered(dialect, failure)
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED or allowed:
        return dialect.render(wrong_method(request.method, allowed))
    if error.status_code == HTTPStatus.NOT_FOUND:
        return dialect.render(unknown_route(path))
    return dialect.render(Problem(HTTPStatus(error.status_code), "http_error", str(error.detail)))


def _rendered(dialect: Dialect, failure: BerthFailure) -> Response:
    if isinstance(failure, Unavailable):
        log.warning("unavailable", failure=failure.code, message=failure.message)
    return dialect.render(problem_of(failure))
