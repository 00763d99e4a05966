"""The paths of pools: parse, call one operation, render."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import Response

from api.calls import CurrentCall
from api.dialects.gpuctl import envelopes, schemas
from api.dialects.gpuctl import translation as gpuctl
from api.dialects.gpuctl.bodies import DocumentBody, document_body_of
from api.dialects.gpuctl.paths import CHANGE, LOOK, PathWord, fails, new_router
from api.dialects.gpuctl.pool_document import PoolNode, read_pool, read_pool_change
from api.operations import nodes, pools
from api.payloads import body_of, content
from domain.failures import InvalidRequest

router = new_router()

Document = Annotated[DocumentBody, content(document_body_of)]


@router.get("/pools", tags=["Pools"], response_model=list[schemas.PoolItem], responses=fails())
async def list_pools(call: CurrentCall) -> Response:
    """Pools, and last, as `default`, the nodes of none."""
    return envelopes.bare(gpuctl.pool_list(await pools.listing(call), await nodes.listing(call)))


@router.post(
    "/pools",
    tags=["Pools"],
    status_code=HTTPStatus.CREATED,
    response_model=schemas.PoolChanged,
    responses=CHANGE,
    openapi_extra=body_of(schemas.NewPool),
)
async def create_pool(call: CurrentCall, body: Document) -> Response:
    """Set nodes aside for those who name the pool. Administrators only."""
    order = read_pool(gpuctl.document_of(body))
    gpuctl.check_pool(order.limits, order.nodes, order.gpu_types, await nodes.listing(call))
    made = await pools.create(call, order.name, order.description, [node.name for node in order.nodes])
    return envelopes.success(gpuctl.pool_changed(made.name, "created"), HTTPStatus.CREATED)


@router.get("/pools/{poolName}", tags=["Pools"], response_model=schemas.PoolDetail, responses=LOOK)
async def get_pool(call: CurrentCall, poolName: PathWord) -> Response:  # noqa: N803 - the document's word
    """One pool."""
    pool = None if poolName == pools.NO_POOL else await pools.find(call, poolName)
    return envelopes.success(gpuctl.pool_detail(pool, await nodes.listing(call)))


@router.put(
    "/pools/{poolName}",
    tags=["Pools"],
    response_model=schemas.PoolChanged,
    responses=CHANGE,
    openapi_extra=body_of(schemas.ChangedPool),
)
async def update_pool(call: CurrentCall, poolName: PathWord, body: Document) -> Response:  # noqa: N803
    """Change what is said of a pool, or its nodes. What runs on them goes on. Administrators only."""
    name, change = read_pool_change(gpuctl.document_of(body))
    if name not in {None, poolName}:
        raise InvalidRequest(f"the name of a pool cannot be changed: {poolName!r} in the path, {name!r} in the body")
    seen = await nodes.listing(call)
    members = [PoolNode(one.node.name) for one in gpuctl.members_of(poolName, seen)]
    wanted = members if change.nodes is None else change.nodes
    gpuctl.check_pool(change.limits, wanted, change.gpu_types or (), seen)
    changed = await pools.change(call, poolName, gpuctl.wish_of(change))
    return envelopes.success(gpuctl.pool_changed(changed.name, "updated"))


@router.delete("/pools/{poolName}", tags=["Pools"], response_model=schemas.PoolChanged, responses=CHANGE)
async def delete_pool(call: CurrentCall, poolName: PathWord) -> Response:  # noqa: N803
    """Let its nodes serve those who name no pool. Refused while it is used. Administrators only."""
    gone = await pools.delete(call, poolName)
    return envelopes.success(gpuctl.pool_changed(gone.name, "deleted"))
