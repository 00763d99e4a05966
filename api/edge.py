"""The outermost layer, the rim of the process for everything that HTTP brings.

Every request gets an id, a log line and its metrics; paths and methods get one spelling; and what nobody has caught
becomes the dialect's own 500.
"""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bind_contextvars, clear_contextvars

from api.dialect import Dialect
from api.metrics import Metrics
from api.problems import internal_error

log = structlog.get_logger("api")

REQUEST_ID_HEADER: Final = "x-request-id"
CLIENT_CLOSED: Final = 499
"""The client went away before it was answered; only ever seen in logs and metrics."""
UNMATCHED: Final = "(unmatched)"
QUIET_ROUTES: Final = frozenset({"/health", "/readyz", "/metrics"})
METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)


@dataclass(slots=True)
class _Exchange:
    """One request and what became of it."""

    method: str
    path: str
    dialect: str
    request_id: str
    began: float
    status: int = 0


class Edge:
    """Wraps the application; pure ASGI, so that nothing is buffered and no task is made."""

    def __init__(self, app: ASGIApp, *, dialect_of: Callable[[str], Dialect], metrics: Metrics) -> None:
        self._app = app
        self._dialect_of = dialect_of
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection event."""
        if scope["type"] != "http":
            await self._app(_with_one_path(scope), receive, send)
            return
        inner = _in_one_spelling(scope)
        dialect = self._dialect_of(inner["path"])
        exchange = _Exchange(scope["method"], inner["path"], dialect.name, _request_id(scope), time.perf_counter())
        clear_contextvars()
        bind_contextvars(request_id=exchange.request_id)
        with self._metrics.in_flight.track_inprogress():
            await self._serve(inner, receive, _marking(send, exchange), exchange)
        self._report(exchange, inner)

    async def _serve(self, scope: Scope, receive: Receive, send: Send, exchange: _Exchange) -> None:
        try:
            await self._app(scope, receive, send)
        except ClientDisconnect:
            exchange.status = CLIENT_CLOSED
        except Exception:
            log.exception("request failed", path=exchange.path, method=exchange.method)
            if exchange.status:
                raise
            answer = self._dialect_of(scope["path"]).render(internal_error(exchange.request_id))
            await answer(scope, receive, send)

    def _report(self, exchange: _Exchange, scope: Scope) -> None:
        seconds = time.perf_counter() - exchange.began
        unmatched = exchange.status in {HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED} and "endpoint" not in scope
        route = UNMATCHED if unmatched else str(getattr(scope.get("route"), "path", UNMATCHED))
        method = exchange.method if exchange.method in METHODS else "OTHER"
        self._metrics.answered(exchange.dialect, method, route, exchange.status, seconds)
        say = log.debug if route in QUIET_ROUTES else log.info
        say(
            "request",
            method=exchange.method,
            path=exchange.path,
            route=route,
            dialect=exchange.dialect,
            code=exchange.status,
            milliseconds=round(seconds * 1000, 2),
        )


def _in_one_spelling(scope: Scope) -> Scope:
    """A trailing slash is the same path, HEAD the same handler as GET."""
    return {**_with_one_path(scope), "method": "GET" if scope["method"] == "HEAD" else scope["method"]}


def _with_one_path(scope: Scope) -> Scope:
    path: str = scope.get("path", "")
    return {**scope, "path": path[:-1]} if path.endswith("/") and len(path) > 1 else scope


def _request_id(scope: Scope) -> str:
    given = Headers(scope=scope).get(REQUEST_ID_HEADER, "")
    return given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex


def _marking(send: Send, exchange: _Exchange) -> Send:
    """Notes the status, puts the request id on the answer, and leaves out the body of an answer to HEAD."""

    async def marked(message: Message) -> None:
        if message["type"] == "http.response.start":
            exchange.status = message["status"]
            MutableHeaders(scope=message)[REQUEST_ID_HEADER] = exchange.request_id
        elif exchange.method == "HEAD":
            message = {**message, "body": b""}
        await send(message)

    return marked
