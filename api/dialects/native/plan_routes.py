"""The paths of `/berth/v1` about time: parse, call one operation, render."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Final

from fastapi import Query, Response

from api.calls import CreatingCall, CurrentCall
from api.dialects.native import plan_schemas as schemas
from api.dialects.native import plan_translation as plans
from api.dialects.native import translation as native
from api.dialects.native.route_parts import CHANGE, LIST, LOOK, fails, native_router
from api.dialects.native.schemas import GprView
from api.operations import extensions, foresight, promises
from api.payloads import body_of, payload
from api.wording import Duration
from domain.durations import parse_duration

HOURS_MAX: Final = 24 * 14
DAYS_MAX: Final = 30
GPUS_MAX: Final = 4096
TAG: Final = "Time"

router = native_router()

ShapeWords = Annotated[str, Query(max_length=253, pattern=r"^[^\x00]*$", description="A kind of GPU; empty: each.")]
PoolWord = Annotated[str, Query(max_length=63, pattern=r"^[^\x00]*$", description="Empty: nodes of no pool.")]
ClusterWord = Annotated[str | None, Query(max_length=253, pattern=r"^[^\x00]*$")]


@router.post("/gprs/{gpr}/promise", tags=[TAG], response_model=GprView, responses=CHANGE)
async def promise_start(call: CurrentCall, gpr: str) -> Response:
    """Promise a queued Gpr the start that is planned for it, or a few seconds later.

    Nobody who comes later moves it; only lost hardware does, and then a notice says so. May be repeated. Refused (409)
    where nobody can know a start, and beyond as many promises as a workspace may have at once.
    """
    return native.answer(native.gpr_view(await promises.make(call, gpr)))


@router.delete("/gprs/{gpr}/promise", tags=[TAG], response_model=GprView, responses=CHANGE)
async def withdraw_promise(call: CurrentCall, gpr: str) -> Response:
    """Give a promise up; the Gpr waits as before it. May be repeated."""
    return native.answer(native.gpr_view(await promises.withdraw(call, gpr)))


@router.post(
    "/gprs/{gpr}/extend",
    tags=[TAG],
    response_model=schemas.ExtensionView,
    responses=CHANGE,
    openapi_extra=body_of(schemas.ExtensionWish),
)
async def extend_lease(
    call: CreatingCall, gpr: str, body: Annotated[schemas.ExtensionWish, payload(schemas.ExtensionWish)]
) -> Response:
    """Let a lease last longer, decided and done at once, where no promise and no reservation slips.

    Otherwise it is refused (409) with the longest that fits (`longest_seconds`) and what stands in the way. Under an
    Idempotency-Key a repeat is answered with what the first one got.
    """
    extended = await extensions.extend(call, gpr, body.seconds, or_longest=body.or_longest)
    return native.answer(plans.extension_view(extended))


@router.get("/gprs/{gpr}/why", tags=[TAG], response_model=schemas.WhyView, responses=LOOK)
async def explain_wait(call: CurrentCall, gpr: str) -> Response:
    """Why a Gpr does not start yet, and what would start sooner: other GPUs, fewer of them, a shorter time."""
    return native.answer(plans.why_view(await foresight.why(call, gpr)))


@router.post(
    "/what-if",
    tags=[TAG],
    response_model=schemas.ForeseenList,
    responses=fails(HTTPStatus.NOT_FOUND, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNPROCESSABLE_ENTITY),
    openapi_extra=body_of(schemas.WhatIfs),
)
async def what_if(call: CurrentCall, body: Annotated[schemas.WhatIfs, payload(schemas.WhatIfs)]) -> Response:
    """When and where requests would start if they were submitted now, each after the former. Nothing is kept."""
    return native.answer(plans.foreseen_list(await foresight.what_if(call, plans.submissions_of(body))))


@router.get("/openings", tags=[TAG], response_model=schemas.OpeningList, responses=LIST)
async def list_openings(
    call: CurrentCall,
    shape: ShapeWords = "",
    gpus: Annotated[int | None, Query(ge=1, le=GPUS_MAX, description="Absent: every number.")] = None,
    duration: Annotated[Duration, Query(description="How long they would be kept.")] = "1h",
    pool: PoolWord = "",
) -> Response:
    """When so many GPUs are free, for every number of each kind, behind all that is queued already."""
    question = foresight.Question(shape, gpus, parse_duration(duration), pool)
    return native.answer(plans.opening_list(await foresight.openings(call, question)))


@router.get("/plan", tags=[TAG], response_model=schemas.PlanView, responses=LIST)
async def get_plan(
    call: CurrentCall, hours: Annotated[int, Query(ge=1, le=HOURS_MAX)] = 24, cluster: ClusterWord = None
) -> Response:
    """Who has which GPUs when: leases, promises, reservations and forecasts by node, for so many hours."""
    return native.answer(plans.plan_view(await foresight.plan(call, hours, cluster)))


@router.get("/honesty", tags=[TAG], response_model=schemas.HonestyView, responses=LIST)
async def get_honesty(call: CurrentCall, days: Annotated[int, Query(ge=1, le=DAYS_MAX)] = 7) -> Response:
    """How far off the starts were that people were shown, of what has started within so many days."""
    return native.answer(plans.honesty_view(days, *await foresight.accuracy(call, days)))


REQUESTS: Final = (schemas.ExtensionWish, schemas.WhatIf, schemas.WhatIfs)
