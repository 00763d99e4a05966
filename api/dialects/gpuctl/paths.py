"""What the routes of this dialect share: the prefix, their parameters, and how they may fail."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Query

from api.dialects.gpuctl import schemas

PREFIX: Final = "/api/v1"
PAGE_SIZE_MAX: Final = 100
PAGE_MAX: Final = 1_000_000
_NO_NUL: Final = r"^[^\x00]*$"

PathWord = Annotated[str, Path(max_length=253, pattern=_NO_NUL)]
PathKey = Annotated[str, Path(), schemas.LABEL_KEY]
"""A label's key, slash and all."""
QueryWord = Annotated[str | None, Query(max_length=253, pattern=_NO_NUL)]
PageNumber = Annotated[int, Query(ge=1, le=PAGE_MAX)]
PageSize = Annotated[int, Query(ge=1, le=PAGE_SIZE_MAX)]
ClusterWord = Annotated[
    str | None,
    Query(max_length=253, pattern=_NO_NUL, description="Where nodes of several clusters have the same name."),
]


def new_router() -> APIRouter:
    """A part of the dialect's routes."""
    return APIRouter(prefix=PREFIX, generate_unique_id_function=lambda route: f"gpuctl_{route.name}")


def fails(*statuses: HTTPStatus) -> dict[int | str, dict[str, Any]]:
    """What a route may answer besides its success; every route needs a login and the ledger."""
    always = (HTTPStatus.UNAUTHORIZED, HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)
    return {int(status): {"model": schemas.Failure, "description": status.phrase} for status in (*always, *statuses)}


LIST: Final = fails(HTTPStatus.BAD_REQUEST)
ASK_CLUSTERS: Final = fails(HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND, HTTPStatus.INTERNAL_SERVER_ERROR)
LOOK: Final = fails(HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND)
CHANGE: Final = fails(
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.NOT_FOUND,
    HTTPStatus.CONFLICT,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.INTERNAL_SERVER_ERROR,
)
