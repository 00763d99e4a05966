"""Lists of workloads, how many there are, and each of them: parse, call one operation, render."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Query, Response

from api.calls import CurrentCall
from api.dialects.runai import envelopes, schemas
from api.dialects.runai import translation as runai
from api.dialects.runai.filters import filter_of
from api.dialects.runai.paths import LIST, LOOK, Deleted, FilterBy, Limit, Offset, Search, WorkloadId, new_router
from api.dialects.runai.words import FIELDS, SortWord
from api.operations import workloads
from domain.workload import WorkloadPage

router = new_router()

SortOrder = Annotated[Literal["asc", "desc"], Query(alias="sortOrder")]
SortBy = Annotated[SortWord | None, Query(alias="sortBy", description="Absent: the order of submission.")]


@router.get("/workloads", tags=["Workloads"], response_model=schemas.WorkloadList, responses=LIST)
async def list_workloads(  # noqa: PLR0913 - one for each parameter of the document
    call: CurrentCall,
    *,
    filter_by: FilterBy = None,
    search: Search = None,
    sort_by: SortBy = None,
    sort_order: SortOrder = "asc",
    deleted: Deleted = False,
    offset: Offset = 0,
    limit: Limit = 50,
) -> Response:
    """Everything that Berth runs and the caller may see, whichever dialect it came by."""
    wanted = filter_of(filter_by, search, is_deleted=deleted)
    sort = None if sort_by is None else FIELDS[sort_by]
    part = WorkloadPage(sort, is_descending=sort_order == "desc", limit=limit, offset=offset)
    found, has_more = await workloads.listing(call, wanted, part)
    told = [runai.workload(one) for one in found]
    if has_more:
        return envelopes.success(schemas.WorkloadList(workloads=told, next=offset + limit))
    return envelopes.success(schemas.WorkloadList(workloads=told))


@router.get("/workloads/count", tags=["Workloads"], response_model=schemas.Count, responses=LIST)
async def count_workloads(
    call: CurrentCall, *, filter_by: FilterBy = None, search: Search = None, deleted: Deleted = False
) -> Response:
    """How many the list would have."""
    wanted = filter_of(filter_by, search, is_deleted=deleted)
    return envelopes.success(schemas.Count(count=await workloads.count(call, wanted)))


@router.get("/workloads/{workloadId}", tags=["Workloads"], response_model=schemas.WorkloadDetailed, responses=LOOK)
async def get_workload(call: CurrentCall, workload_id: WorkloadId) -> Response:
    """One workload, and why it waits where it does."""
    return envelopes.success(runai.detailed(await workloads.find(call, workload_id)))


@router.get("/workloads/{workloadId}/endpoints", tags=["Workloads"], response_model=schemas.Endpoints, responses=LOOK)
async def get_endpoints(call: CurrentCall, workload_id: WorkloadId) -> Response:
    """Where people reach it, as long as they can."""
    found = await workloads.entrances(call, workload_id)
    return envelopes.success(schemas.Endpoints(endpoints=[runai.endpoint(one) for one in found]))


@router.get("/workloads/{workloadId}/elements", tags=["Workloads"], response_model=schemas.Elements, responses=LOOK)
async def get_elements(call: CurrentCall, workload_id: WorkloadId, offset: Offset = 0, limit: Limit = 50) -> Response:
    """What it is made of: its lease, the nodes of that, its pods on them."""
    return envelopes.success(runai.elements(await workloads.elements(call, workload_id), offset, limit))


@router.get(
    "/workloads/{workloadId}/elements/count", tags=["Workloads"], response_model=schemas.ElementCount, responses=LOOK
)
async def count_elements(call: CurrentCall, workload_id: WorkloadId) -> Response:
    """How many parts that are."""
    number = len(await workloads.elements(call, workload_id))
    return envelopes.success(schemas.ElementCount(storedElementsCount=number, totalElementsCount=number))
