"""Paths of `/berth/v1` about single GPUs, idle rules and costs."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import Path, Query, Response
from pydantic import BaseModel

from api.calls import CurrentCall
from api.dialects.native import hardware_schemas as schemas
from api.dialects.native import hardware_translation as hardware_words
from api.dialects.native import translation as native
from api.dialects.native.route_parts import CHANGE, LIST, LOOK, After, Limit, fails, native_router
from api.operations import costs, hardware, idle_rules
from api.payloads import body_of, payload
from api.wording import Instant
from domain.costs import CostsBy

router = native_router()

ClusterName = Annotated[str | None, Query(max_length=253, pattern=r"^[^\x00]*$")]
WorkspaceName = Annotated[str | None, Query(max_length=253)]
GPU_ID_MAX: Final = 2**31 - 1
GpuId = Annotated[int, Path(ge=1, le=GPU_ID_MAX, description="As `GET /gpus` names it.")]


@router.get("/gpus", tags=["Hardware"], response_model=schemas.GpuList, responses=LIST)
async def list_gpus(call: CurrentCall, cluster: ClusterName = None, node: ClusterName = None) -> Response:
    """GPUs that node agents know, with their newest reading, what keeps them out of use, and who holds them."""
    return native.answer(hardware_words.gpu_list(await hardware.gpus(call, cluster, node)))


@router.get("/gpus/{gpu}/faults", tags=["Hardware"], response_model=schemas.GpuHistory, responses=LOOK)
async def list_gpu_faults(call: CurrentCall, gpu: GpuId, limit: Limit = 100, after: After = None) -> Response:
    """What a GPU has reported, and when it was set aside; newest first."""
    return native.answer(
        hardware_words.gpu_history(await hardware.history(call, gpu, limit=limit, before=after), limit)
    )


@router.post(
    "/gpus/{gpu}/quarantine",
    tags=["Hardware"],
    response_model=schemas.GpuView,
    responses=CHANGE,
    openapi_extra=body_of(schemas.QuarantineOrder, required=False),
)
async def quarantine_gpu(
    call: CurrentCall, gpu: GpuId, body: Annotated[schemas.QuarantineOrder, payload(schemas.QuarantineOrder)]
) -> Response:
    """Place nothing more on a GPU, or its node, until it is released. What runs there goes on. Administrators only."""
    after = await hardware.quarantine(call, gpu, body.reason, whole_node=body.whole_node)
    return native.answer(hardware_words.gpu_view(after))


@router.post("/gpus/{gpu}/release", tags=["Hardware"], response_model=schemas.GpuView, responses=CHANGE)
async def release_gpu(call: CurrentCall, gpu: GpuId) -> Response:
    """Let a GPU, and its node if that is set aside, be used again. Repeating it changes nothing. Administrators only."""
    return native.answer(hardware_words.gpu_view(await hardware.release(call, gpu)))


@router.get("/idle-rules", tags=["Idle GPUs"], response_model=schemas.IdleRuleList, responses=fails())
async def list_idle_rules(call: CurrentCall) -> Response:
    """When idle GPUs are told of and taken back: for all workspaces, and for those that the caller may see."""
    return native.answer(hardware_words.idle_rule_list(await idle_rules.listing(call)))


@router.put(
    "/idle-rules",
    tags=["Idle GPUs"],
    response_model=schemas.IdleRuleView,
    responses=CHANGE,
    openapi_extra=body_of(schemas.IdleRuleSetting),
)
async def set_idle_rule(
    call: CurrentCall, body: Annotated[schemas.IdleRuleSetting, payload(schemas.IdleRuleSetting)]
) -> Response:
    """Set the rule of all workspaces, or of one in its place. Owners may ask for more, never for less. Administrators only."""
    return native.answer(
        hardware_words.idle_rule_view(await idle_rules.set_rule(call, hardware_words.new_idle_rule_of(body)))
    )


@router.delete("/idle-rules", tags=["Idle GPUs"], response_model=schemas.IdleRuleView, responses=CHANGE)
async def delete_idle_rule(call: CurrentCall, workspace: WorkspaceName = None) -> Response:
    """Let the rule of all workspaces, or of one, count no more. Administrators only."""
    return native.answer(hardware_words.idle_rule_view(await idle_rules.delete(call, workspace)))


@router.get("/costs", tags=["Hardware"], response_model=schemas.CostReport, responses=LOOK)
async def report_costs(
    call: CurrentCall,
    begin: Annotated[Instant | None, Query(alias="from", description="30 days before `to` by default.")] = None,
    end: Annotated[Instant | None, Query(alias="to", description="Now by default.")] = None,
    by: CostsBy = CostsBy.WORKSPACE,
    workspace: WorkspaceName = None,
    limit: Limit = 100,
) -> Response:
    """What GPUs cost, and which part of it nobody used; the most expensive first."""
    found = await costs.report(call, by, begin, end, workspace=workspace, limit=limit)
    return native.answer(hardware_words.cost_report(found))


REQUESTS: Final[tuple[type[BaseModel], ...]] = (schemas.QuarantineOrder, schemas.IdleRuleSetting)
