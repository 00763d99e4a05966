"""What the routes of this dialect share: the prefix, their parameters, and how they may fail."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Path, Query, Request

from api.dialects.gpudev import schemas
from api.operations.availability import AvailabilityBoard

PREFIX: Final = "/v1"
LIMIT_MAX: Final = 500
OFFSET_MAX: Final = 1_000_000

PathWord = Annotated[str, Path(max_length=253)]
Limit = Annotated[int, Query(ge=1, le=LIMIT_MAX)]
Offset = Annotated[int, Query(ge=0, le=OFFSET_MAX)]
StatusWords = Annotated[
    list[str] | None,
    Query(
        description="Comma-joined, as in `active,queued`, or repeated.", json_schema_extra={"items": schemas.STATUSES}
    ),
]


def new_router() -> APIRouter:
    """A part of the dialect's routes."""
    return APIRouter(prefix=PREFIX, generate_unique_id_function=lambda route: f"gpudev_{route.name}")


def _board(request: Request) -> AvailabilityBoard:
    board: AvailabilityBoard = request.app.state.availability
    return board


Board = Annotated[AvailabilityBoard, Depends(_board)]


def fails(*statuses: HTTPStatus) -> dict[int | str, dict[str, Any]]:
    """What a route may answer besides its success; every route needs a login and the ledger."""
    always = (HTTPStatus.UNAUTHORIZED, HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)
    told: dict[int | str, dict[str, Any]] = {
        int(status): {"model": schemas.Failure, "description": status.phrase} for status in (*always, *statuses)
    }
    shape = HTTPStatus.UNPROCESSABLE_ENTITY
    return {**told, int(shape): {"model": schemas.ValidationFailure, "description": shape.phrase}}


LIST: Final = fails(HTTPStatus.BAD_REQUEST, HTTPStatus.FORBIDDEN)
LOOK: Final = fails(HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND, HTTPStatus.GONE)
CHANGE: Final = fails(
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.NOT_FOUND,
    HTTPStatus.CONFLICT,
    HTTPStatus.GONE,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
)
