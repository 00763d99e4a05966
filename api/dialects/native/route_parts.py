"""What the native routes share: the prefix, paging, and what a route may answer besides its success."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Query

from api.dialects.native.schemas import FailureAnswer

PREFIX: Final = "/berth/v1"
PAGE_MAX: Final = 500
SEQUENCE_MAX: Final = 2**62

Limit = Annotated[int, Query(ge=1, le=PAGE_MAX)]
PathName = Annotated[str, Path(max_length=63, pattern=r"^[^\x00]*$")]
After = Annotated[int | None, Query(ge=0, le=SEQUENCE_MAX, description="`next` of the page before.")]


def native_router() -> APIRouter:
    """For the routes of one module; `routes` takes them all in."""
    return APIRouter(prefix=PREFIX, generate_unique_id_function=lambda route: f"native_{route.name}")


def fails(*statuses: HTTPStatus) -> dict[int | str, dict[str, Any]]:
    """What a route may answer besides its success; every route needs a login and the ledger."""
    always = (HTTPStatus.UNAUTHORIZED, HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)
    return {int(status): {"model": FailureAnswer, "description": status.phrase} for status in (*always, *statuses)}


LOOK: Final = fails(HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.NOT_FOUND)
LIST: Final = fails(HTTPStatus.UNPROCESSABLE_ENTITY)
CHANGE: Final = fails(
    HTTPStatus.FORBIDDEN,
    HTTPStatus.NOT_FOUND,
    HTTPStatus.CONFLICT,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNPROCESSABLE_ENTITY,
)
