"""The paths of `/berth/v1` for reservations, for the order of the queue, and for what workspaces weigh in it."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Final

from fastapi import Query, Response

from api.calls import CreatingCall, CurrentCall
from api.dialects.native import reservation_schemas as schemas
from api.dialects.native import reservation_translation as native
from api.dialects.native.route_parts import CHANGE, LOOK, SEQUENCE_MAX, After, Limit, fails, native_router
from api.dialects.native.translation import answer
from api.operations import reservations, scheduling
from api.payloads import body_of, payload
from api.wording import Instant

TAG: Final = "Reservations"
ORDER_TAG: Final = "Scheduling"

router = native_router()


@router.post(
    "/reservations",
    tags=[TAG],
    status_code=HTTPStatus.CREATED,
    response_model=schemas.ReservationView,
    responses=CHANGE,
    openapi_extra=body_of(schemas.ReservationSubmission),
)
async def reserve(
    call: CreatingCall, body: Annotated[schemas.ReservationSubmission, payload(schemas.ReservationSubmission)]
) -> Response:
    """Keep room for a fixed time, once or recurring. Refused with the nearest windows when there is none."""
    made = await reservations.reserve(call, native.wanted_of(body))
    return answer(native.reservation_view(made), HTTPStatus.CREATED)


@router.get("/reservations", tags=[TAG], response_model=schemas.ReservationPage, responses=LOOK)
async def list_reservations(
    call: CurrentCall,
    workspace: Annotated[str | None, Query(max_length=253)] = None,
    limit: Limit = 100,
    after: After = None,
) -> Response:
    """Reservations of a workspace, or of all that the caller may see; newest first."""
    before = SEQUENCE_MAX if after is None else after
    found = await reservations.listing(call, workspace, limit=limit, before=before)
    return answer(native.reservation_page(found, limit))


@router.get("/reservations/{reservation}", tags=[TAG], response_model=schemas.ReservationView, responses=LOOK)
async def get_reservation(call: CurrentCall, reservation: str) -> Response:
    """One reservation."""
    return answer(native.reservation_view(await reservations.find(call, reservation)))


@router.delete("/reservations/{reservation}", tags=[TAG], response_model=schemas.ReservationView, responses=CHANGE)
async def cancel_reservation(
    call: CurrentCall,
    reservation: str,
    start: Annotated[Instant | None, Query(description="Only the time that starts then; absent: all of it.")] = None,
) -> Response:
    """Cancel one time of a reservation, or all that are to come and the one that runs. Repeating it changes nothing."""
    return answer(native.reservation_view(await reservations.cancel(call, reservation, start)))


@router.get("/scheduling", tags=[ORDER_TAG], response_model=schemas.SchedulingView, responses=fails())
async def get_scheduling(call: CurrentCall) -> Response:
    """What is decided about the order of the queue and about reservations."""
    return answer(native.scheduling_view(await scheduling.policy(call)))


@router.patch(
    "/scheduling",
    tags=[ORDER_TAG],
    response_model=schemas.SchedulingView,
    responses=CHANGE,
    openapi_extra=body_of(schemas.SchedulingSetting, required=False),
)
async def change_scheduling(
    call: CurrentCall, body: Annotated[schemas.SchedulingSetting, payload(schemas.SchedulingSetting)]
) -> Response:
    """Decide otherwise, from now on. Administrators only."""
    known = await scheduling.policy(call)
    return answer(native.scheduling_view(await scheduling.set_policy(call, native.policy_of(body, known))))


@router.get("/workspaces/{workspace}/weight", tags=[ORDER_TAG], response_model=schemas.ShareView, responses=LOOK)
async def get_weight(call: CurrentCall, workspace: str) -> Response:
    """What is due to a workspace beside others, and what it had lately."""
    return answer(native.share_view(await scheduling.share(call, workspace)))


@router.put(
    "/workspaces/{workspace}/weight",
    tags=[ORDER_TAG],
    response_model=schemas.ShareView,
    responses=CHANGE,
    openapi_extra=body_of(schemas.WeightSetting),
)
async def set_weight(
    call: CurrentCall, workspace: str, body: Annotated[schemas.WeightSetting, payload(schemas.WeightSetting)]
) -> Response:
    """Say what a workspace weighs from now on. Administrators only."""
    return answer(native.share_view(await scheduling.set_weight(call, workspace, body.weight)))


REQUESTS: Final = (schemas.ReservationSubmission, schemas.SchedulingSetting, schemas.WeightSetting)
