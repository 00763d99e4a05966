"""Categories, types and priorities of workloads: parse, call one operation, render."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query, Response

from api.calls import CurrentCall
from api.dialects.runai import envelopes, schemas
from api.dialects.runai import translation as runai
from api.dialects.runai.paths import CHANGE, LIST, LOOK, CategoryId, TypeId, new_router
from api.operations import workloads
from api.payloads import body_of, payload

router = new_router()


@router.get("/workload-categories", tags=["Types"], response_model=schemas.Categories, responses=LIST)
async def list_categories(call: CurrentCall) -> Response:
    """What types are sorted into."""
    found = await workloads.categories(call)
    return envelopes.success(schemas.Categories(categories=[runai.category(one) for one in found]))


@router.get("/workload-categories/{categoryId}", tags=["Types"], response_model=schemas.Category, responses=LOOK)
async def get_category(call: CurrentCall, category_id: CategoryId) -> Response:
    """One of them."""
    return envelopes.success(runai.category(await workloads.find_category(call, category_id.lower())))


@router.get("/workload-types", tags=["Types"], response_model=schemas.WorkloadTypes, responses=LIST)
async def list_types(
    call: CurrentCall, *, external_only: Annotated[bool, Query(alias="externalTypesOnly")] = False
) -> Response:
    """Types of workloads. All are Berth's own."""
    found = [] if external_only else await workloads.types(call)
    return envelopes.success(schemas.WorkloadTypes(types=[runai.workload_type(one) for one in found]))


@router.get("/workload-types/{workloadTypeId}", tags=["Types"], response_model=schemas.WorkloadType, responses=LOOK)
async def get_type(call: CurrentCall, type_id: TypeId) -> Response:
    """One of them."""
    return envelopes.success(runai.workload_type(await workloads.find_type(call, type_id.lower())))


@router.put(
    "/workload-types/{workloadTypeId}",
    tags=["Types"],
    response_model=schemas.WorkloadType,
    responses=CHANGE,
    openapi_extra=body_of(schemas.TypeChange, required=False),
)
async def update_type(
    call: CurrentCall, type_id: TypeId, body: Annotated[schemas.TypeChange, payload(schemas.TypeChange)]
) -> Response:
    """Which category and priority new workloads of a type are given. For administrators."""
    category_id, priority_id = body.categoryId, body.priorityId
    changed = await workloads.set_type(
        call, type_id.lower(), category_id and category_id.lower(), priority_id and priority_id.lower()
    )
    return envelopes.success(runai.workload_type(changed))


@router.get("/workload-priorities", tags=["Types"], response_model=schemas.Priorities, responses=LIST)
async def list_priorities(call: CurrentCall) -> Response:
    """Classes of priorities, weakest first."""
    found = await workloads.priorities(call)
    return envelopes.success(schemas.Priorities(priorities=[runai.priority(one) for one in found]))
