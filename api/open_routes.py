"""The paths that need no login: what this is, how it is, its metrics, its public keys, its documents."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

import fastapi_offline
from fastapi import APIRouter, FastAPI, Request
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.staticfiles import StaticFiles

from api.auth.current_caller import Credentials
from api.dialect import Dialect
from api.metrics import Metrics
from api.openapi import document
from api.operations.health import Checkup, Health, Part, State
from api.problems import Problem

SERVICE: Final = "berth"
VERSION: Final = "0.1.0"
ASSETS: Final = "/docs/assets"
DOCUMENT: Final = "/openapi.json"

AUTH: Final = {
    "aws_login": "/v1/auth/aws-login",
    "oidc_login": "/v1/auth/oidc-login",
    "token": "/api/v1/auth",
    "description": "Bearer: an API key, as a login gives one for AWS credentials, or a token that is given for a key",
}
ENDPOINTS: Final = {
    "jobs": "/v1/jobs",
    "disks": "/v1/disks",
    "gpu_availability": "/v1/gpu/availability",
    "cluster_status": "/v1/cluster/status",
}
"""Under these names clients of GPU Dev look for them; dialects stand beside them under their own."""
HEALTH_WORD: Final = {State.OK: "healthy", State.DEGRADED: "degraded", State.AWAY: "unhealthy"}

router = APIRouter(generate_unique_id_function=lambda route: route.name)


@router.get("/", tags=["Open"])
async def index(request: Request) -> dict[str, Any]:
    """What this is, and where to go on."""
    return {
        "service": SERVICE,
        "message": "Berth: GPUs on request, with a start time. See /docs.",
        "version": VERSION,
        "docs": "/docs",
        "health": "/health",
        "auth": AUTH,
        "endpoints": {**{dialect.name: dialect.prefix for dialect in request.app.state.dialects}, **ENDPOINTS},
    }


@router.get("/health", tags=["Open"])
async def health(request: Request) -> dict[str, Any]:
    """How each part is. Always 200: whoever wants a verdict asks /readyz."""
    checkup: Checkup = request.app.state.checkup
    return _health_words(await checkup.health())


@router.get("/readyz", tags=["Open"], responses={503: {"description": "The ledger does not answer."}})
async def ready(request: Request) -> Response:
    """Whether this process can serve requests."""
    checkup: Checkup = request.app.state.checkup
    is_ready = await checkup.ready()
    status = HTTPStatus.OK if is_ready else HTTPStatus.SERVICE_UNAVAILABLE
    return JSONResponse({"ready": is_ready}, status)


@router.get("/metrics", tags=["Open"], response_class=Response)
async def metrics(request: Request) -> Response:
    """For Prometheus."""
    found: Metrics = request.app.state.metrics
    return Response(found.text(), media_type=Metrics.content_type)


@router.get("/.well-known/jwks.json", tags=["Open"])
async def jwks(request: Request) -> dict[str, Any]:
    """Public keys of the bearer tokens."""
    credentials: Credentials = request.app.state.credentials
    return await credentials.tokens.jwks()


def failure(problem: Problem) -> Response:
    """The shape of failures outside every dialect."""
    body = {"detail": problem.message, "error": problem.code}
    return JSONResponse(body, problem.status, headers=dict(problem.headers))


OPEN: Final = Dialect(name="open", title="Open paths", prefix="", router=router, render=failure)


def serve_documents(app: FastAPI, dialects: Sequence[Dialect]) -> None:
    """OpenAPI of everything and of each dialect, and pages that show them without reaching out to the internet."""
    together = "Berth"
    documents = {DOCUMENT: document(together, [*dialects, OPEN])}
    documents |= {f"/openapi/{one.name}.json": document(f"{together}: {one.title}", [one]) for one in dialects}
    pages = {"/docs": DOCUMENT, **{f"/docs/{one.name}": f"/openapi/{one.name}.json" for one in dialects}}
    for path, content in documents.items():
        app.add_api_route(path, _answering(JSONResponse(content)), include_in_schema=False)
    for path, url in pages.items():
        app.add_api_route(path, _answering(_page(url)), include_in_schema=False)
    app.mount(ASSETS, StaticFiles(directory=Path(fastapi_offline.__file__).parent / "static"))


def _page(url: str) -> HTMLResponse:
    return get_swagger_ui_html(
        openapi_url=url,
        title="Berth API",
        swagger_js_url=f"{ASSETS}/swagger-ui-bundle.js",
        swagger_css_url=f"{ASSETS}/swagger-ui.css",
        swagger_favicon_url=f"{ASSETS}/favicon.png",
    )


def _answering(response: Response) -> Any:
    body, media_type = response.body, response.media_type

    async def answer() -> Response:
        return Response(bytes(body), media_type=media_type)

    return answer


def _health_words(found: Health) -> dict[str, Any]:
    return {
        "status": HEALTH_WORD[found.state],
        "timestamp": found.at.isoformat(),
        "database": HEALTH_WORD[found.ledger.state],
        "queue": HEALTH_WORD[found.temporal.state],
        "parts": {
            "ledger": _part_words(found.ledger),
            "temporal": _part_words(found.temporal),
            "outbox": _outbox_words(found),
            "clusters": {name: _part_words(part) for name, part in found.clusters.items()},
        },
    }


def _outbox_words(found: Health) -> dict[str, Any]:
    backlog = found.backlog
    waiting, oldest_seconds = (None, None) if backlog is None else (backlog.waiting, backlog.oldest_seconds)
    return {**_part_words(found.undelivered), "waiting": waiting, "oldest_seconds": oldest_seconds}


def _part_words(part: Part) -> dict[str, str]:
    return {"state": part.state, "detail": part.detail}
