"""Puts the API together: dialects, failures, the edge. Everything it stands on is handed in."""

from __future__ import annotations

from typing import Final

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from api import failing
from api.auth.current_caller import Credentials
from api.auth.keys import KeyRing
from api.auth.rates import Rates
from api.auth.tokens import Tokens
from api.backends import Backends
from api.dialect import Dialect
from api.dialects.egs.routes import EGS
from api.dialects.gpuctl.routes import GPUCTL
from api.dialects.gpudev.gpu_types import KINDS
from api.dialects.gpudev.routes import GPUDEV
from api.dialects.native.routes import NATIVE
from api.dialects.runai.routes import RUNAI
from api.edge import REQUEST_ID_HEADER, Edge
from api.metrics import Metrics
from api.open_routes import OPEN, serve_documents
from api.operations.availability import AvailabilityBoard
from api.operations.health import Checkup
from api.operations.job_following import LogDoors
from api.operations.job_news import JobNews
from api.operations.log_streams import LogStreams

DIALECTS: Final = (GPUCTL, RUNAI, EGS, NATIVE, GPUDEV)
"""In this order they are asked whose a path is: GPUCTL and RUNAI claim some of the paths under EGS's prefix."""
CORS_METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE")
CORS_HEADERS: Final = ("authorization", "content-type", "idempotency-key", REQUEST_ID_HEADER)


def dialect_of(path: str) -> Dialect:
    """The dialect that claims a path."""
    return next((dialect for dialect in DIALECTS if dialect.claims(path)), OPEN)


def build_app(backends: Backends, cors_origins: tuple[str, ...] = (), rates: Rates | None = None) -> FastAPI:
    """The application on these backends. Opens nothing by itself. Without `rates` one may ask as often as one likes."""
    app = FastAPI(title="Berth", openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    app.state.backends = backends
    app.state.credentials = Credentials(
        KeyRing(backends.ledger, backends.clock), Tokens(backends.ledger, backends.clock), rates or Rates()
    )
    app.state.metrics = Metrics()
    app.state.checkup = Checkup(backends)
    app.state.availability = AvailabilityBoard(backends, tuple(KINDS.values()))
    app.state.log_doors = LogDoors(LogStreams(backends.logs), JobNews(backends.ledger))
    app.state.metrics.watch_streams(lambda: app.state.log_doors.streams)
    app.state.dialects = DIALECTS
    for dialect in (*DIALECTS, OPEN):
        app.include_router(dialect.router)
    serve_documents(app, DIALECTS)
    failing.install(app, dialect_of)
    if cors_origins:
        app.add_middleware(
            CORSMiddleware, allow_origins=list(cors_origins), allow_methods=CORS_METHODS, allow_headers=CORS_HEADERS
        )
    app.add_middleware(Edge, dialect_of=dialect_of, metrics=app.state.metrics)
    return app
