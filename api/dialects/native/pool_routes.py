"""The paths of `/berth/v1` for pools, and for what workspaces weigh in them."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Final

from fastapi import Response

from api.calls import CurrentCall
from api.dialects.native import pool_schemas as schemas
from api.dialects.native import pool_translation as native
from api.dialects.native.reservation_schemas import WeightSetting
from api.dialects.native.route_parts import CHANGE, LOOK, PathName, fails, native_router
from api.dialects.native.translation import answer
from api.operations import pool_weights, pools
from api.payloads import body_of, payload

TAG: Final = "Pools and quotas"

router = native_router()


@router.get("/pools", tags=[TAG], response_model=schemas.PoolList, responses=fails())
async def list_pools(call: CurrentCall) -> Response:
    """Pools, and the nodes that they set aside."""
    return answer(native.pool_list(await pools.listing(call)))


@router.post(
    "/pools",
    tags=[TAG],
    status_code=HTTPStatus.CREATED,
    response_model=schemas.PoolView,
    responses=CHANGE,
    openapi_extra=body_of(schemas.PoolSubmission),
)
async def create_pool(
    call: CurrentCall, body: Annotated[schemas.PoolSubmission, payload(schemas.PoolSubmission)]
) -> Response:
    """Set nodes aside for those who name the pool. Administrators only."""
    pool = await pools.create(call, body.name, body.description, body.nodes)
    return answer(native.pool_view(pool), HTTPStatus.CREATED)


@router.get("/pools/{pool}", tags=[TAG], response_model=schemas.PoolView, responses=LOOK)
async def get_pool(call: CurrentCall, pool: PathName) -> Response:
    """One pool."""
    return answer(native.pool_view(await pools.find(call, pool)))


@router.patch(
    "/pools/{pool}",
    tags=[TAG],
    response_model=schemas.PoolView,
    responses=CHANGE,
    openapi_extra=body_of(schemas.PoolChange, required=False),
)
async def change_pool(
    call: CurrentCall, pool: PathName, body: Annotated[schemas.PoolChange, payload(schemas.PoolChange)]
) -> Response:
    """Change a pool's nodes or what is said of it. What runs on a node goes on. Administrators only."""
    return answer(native.pool_view(await pools.change(call, pool, native.pool_change_of(body))))


@router.delete("/pools/{pool}", tags=[TAG], response_model=schemas.PoolView, responses=CHANGE)
async def delete_pool(call: CurrentCall, pool: PathName) -> Response:
    """Let its nodes serve those who name no pool. Refused while it is used. Administrators only."""
    return answer(native.pool_view(await pools.delete(call, pool)))


@router.get("/pools/{pool}/weights", tags=[TAG], response_model=schemas.PoolWeightList, responses=LOOK)
async def list_pool_weights(call: CurrentCall, pool: PathName) -> Response:
    """What workspaces weigh among those who ask for the pool: those that the caller may see."""
    return answer(native.weight_list(await pool_weights.listing(call, pool)))


@router.put(
    "/pools/{pool}/weights/{workspace}",
    tags=[TAG],
    response_model=schemas.PoolWeightView,
    responses=CHANGE,
    openapi_extra=body_of(WeightSetting),
)
async def set_pool_weight(
    call: CurrentCall, pool: PathName, workspace: PathName, body: Annotated[WeightSetting, payload(WeightSetting)]
) -> Response:
    """Say what a workspace weighs in the pool, instead of what it weighs in general. Administrators only."""
    return answer(native.weight_view(await pool_weights.set_weight(call, pool, workspace, body.weight)))


@router.delete("/pools/{pool}/weights/{workspace}", tags=[TAG], response_model=schemas.PoolWeightView, responses=CHANGE)
async def remove_pool_weight(call: CurrentCall, pool: PathName, workspace: PathName) -> Response:
    """Let what a workspace weighs in general count in the pool too. Administrators only."""
    return answer(native.weight_view(await pool_weights.remove(call, pool, workspace)))


REQUESTS: Final = (schemas.PoolSubmission, schemas.PoolChange)
