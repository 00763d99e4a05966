"""The paths of `/berth/v1` for maintenance."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Final

from fastapi import Path, Query, Response

from api.calls import CreatingCall, CurrentCall
from api.dialects.native import maintenance_schemas as schemas
from api.dialects.native import maintenance_translation as native
from api.dialects.native.route_parts import CHANGE, LIST, native_router
from api.dialects.native.translation import answer
from api.operations import maintenance as operations
from api.payloads import body_of, payload

TAG: Final = "Maintenance"

router = native_router()


@router.post(
    "/maintenance",
    tags=[TAG],
    status_code=HTTPStatus.CREATED,
    response_model=schemas.MaintenanceView,
    responses=CHANGE,
    openapi_extra=body_of(schemas.MaintenanceAnnouncement),
)
async def announce_maintenance(
    call: CreatingCall, body: Annotated[schemas.MaintenanceAnnouncement, payload(schemas.MaintenanceAnnouncement)]
) -> Response:
    """Announce that nodes are away. Nothing is placed whose stay would overlap; what runs stays until its end.

    Refused (409) with their names where something is promised or reserved there, unless it is forced. Administrators only.
    """
    made = await operations.announce(call, native.wish_of(body), by_force=body.force)
    return answer(native.maintenance_view(made.maintenance, call.now, made.staying), HTTPStatus.CREATED)


@router.get("/maintenance", tags=[TAG], response_model=schemas.MaintenanceList, responses=LIST)
async def list_maintenance(
    call: CurrentCall, *, past: Annotated[bool, Query(description="Also what is over.")] = False
) -> Response:
    """What is announced and not over."""
    return answer(native.maintenance_list(await operations.listing(call, with_past=past), call.now))


@router.delete("/maintenance/{maintenance}", tags=[TAG], response_model=schemas.MaintenanceView, responses=CHANGE)
async def end_maintenance(
    call: CurrentCall, maintenance: Annotated[str, Path(max_length=63, pattern=r"^[^\x00]*$")]
) -> Response:
    """End maintenance now, or call it off. Repeating it changes nothing. Administrators only."""
    return answer(native.maintenance_view(await operations.end(call, maintenance), call.now))


REQUESTS: Final = (schemas.MaintenanceAnnouncement,)
