"""What the routes of this dialect share: the prefixes, their parameters, and how they may fail."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Query

from api.dialects.runai import schemas
from api.dialects.runai.filters import TERM_PATTERN
from domain.failures import InvalidRequest

PREFIX: Final = "/api/v1"
PREFIX_2: Final = "/api/v2"
LIMIT_MAX: Final = 500
OFFSET_MAX: Final = 2**31 - 1 - LIMIT_MAX

_UUID: Final = {"pattern": schemas.UUID_PATTERN, "json_schema_extra": {"format": "uuid"}}
WorkloadId = Annotated[str, Path(alias="workloadId", **_UUID)]
CategoryId = Annotated[str, Path(alias="categoryId", **_UUID)]
TypeId = Annotated[str, Path(alias="workloadTypeId", **_UUID)]
Limit = Annotated[int, Query(ge=1, le=LIMIT_MAX, description="How many at most.")]
Offset = Annotated[int, Query(ge=0, le=OFFSET_MAX, description="How many to leave out at the beginning.")]
FilterBy = Annotated[
    list[str] | None,
    Query(
        alias="filterBy",
        description="`field operator value`, comma-joined or repeated; see docs/runai.md.",
        json_schema_extra={"items": {"type": "string", "pattern": TERM_PATTERN}},
    ),
]
Search = Annotated[str | None, Query(max_length=500, description="Words that all occur.")]
Deleted = Annotated[bool, Query(description="What somebody ended, rather than what is there.")]


def new_router(prefix: str = PREFIX) -> APIRouter:
    """A part of the dialect's routes."""
    return APIRouter(prefix=prefix, generate_unique_id_function=lambda route: f"runai_{route.name}")


def fails(*statuses: HTTPStatus) -> dict[int | str, dict[str, Any]]:
    """What a route may answer besides its success; every route is counted, checks what it is sent and needs the ledger."""
    always = (
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.INTERNAL_SERVER_ERROR,
        HTTPStatus.SERVICE_UNAVAILABLE,
    )
    every = sorted({*always, *statuses})
    return {int(status): {"model": schemas.Failure, "description": status.phrase} for status in every}


LIST: Final = fails(HTTPStatus.FORBIDDEN)
LOOK: Final = fails(HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND)
CHANGE: Final = fails(HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND, HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
TABLE: Final[dict[str, Any]] = {"text/csv": {"schema": {"type": "string"}}}


def at_most(found: list[Any], most: int, what: str) -> list[Any]:
    """The list itself, or InvalidRequest."""
    if len(found) > most:
        raise InvalidRequest(f"{what} has {len(found)} values, and {most} are the most")
    return found
