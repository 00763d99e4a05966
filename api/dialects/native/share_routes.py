"""The paths of `/berth/v1` for who may hold how many GPUs: departments, workspaces, people, and for a while."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Final

from fastapi import Path, Query, Response

from api.calls import CreatingCall, CurrentCall
from api.dialects.native import share_schemas as schemas
from api.dialects.native import share_translation as native
from api.dialects.native.route_parts import CHANGE, LIST, LOOK, fails, native_router
from api.dialects.native.translation import answer
from api.operations import overrides, shares
from api.payloads import body_of, payload

TAG: Final = "Departments and shares"

router = native_router()

PathName = Annotated[str, Path(max_length=253, pattern=r"^[^\x00]*$")]


# --- departments ------------------------------------------------------------------------------------------------------


@router.get("/departments", tags=[TAG], response_model=schemas.DepartmentList, responses=fails())
async def list_departments(call: CurrentCall) -> Response:
    """Departments of the workspaces that the caller may see, and what they hold."""
    return answer(native.department_list(await shares.departments(call)))


@router.post(
    "/departments",
    tags=[TAG],
    status_code=HTTPStatus.CREATED,
    response_model=schemas.DepartmentView,
    responses=CHANGE,
    openapi_extra=body_of(schemas.DepartmentSubmission),
)
async def create_department(
    call: CurrentCall, body: Annotated[schemas.DepartmentSubmission, payload(schemas.DepartmentSubmission)]
) -> Response:
    """Make a department; workspaces are assigned to it. Administrators only."""
    made = await shares.create_department(call, native.department_of(body.name, body))
    return answer(native.department_view(made), HTTPStatus.CREATED)


@router.get("/departments/{department}", tags=[TAG], response_model=schemas.DepartmentView, responses=LOOK)
async def get_department(call: CurrentCall, department: PathName) -> Response:
    """One department."""
    return answer(native.department_view(await shares.department(call, department)))


@router.put(
    "/departments/{department}",
    tags=[TAG],
    response_model=schemas.DepartmentView,
    responses=CHANGE,
    openapi_extra=body_of(schemas.DepartmentSetting, required=False),
)
async def set_department(
    call: CurrentCall,
    department: PathName,
    body: Annotated[schemas.DepartmentSetting, payload(schemas.DepartmentSetting)],
) -> Response:
    """Limit what the workspaces of a department may hold. What runs goes on. Administrators only."""
    return answer(native.department_view(await shares.change_department(call, native.department_of(department, body))))


@router.delete("/departments/{department}", tags=[TAG], response_model=schemas.DepartmentView, responses=CHANGE)
async def delete_department(call: CurrentCall, department: PathName) -> Response:
    """Forget a department. Refused while a workspace is in it. Administrators only."""
    return answer(native.department_view(await shares.delete_department(call, department)))


@router.put(
    "/workspaces/{workspace}/department",
    tags=[TAG],
    response_model=schemas.WorkspaceQuotaView,
    responses=CHANGE,
    openapi_extra=body_of(schemas.Assignment),
)
async def assign_workspace(
    call: CurrentCall, workspace: PathName, body: Annotated[schemas.Assignment, payload(schemas.Assignment)]
) -> Response:
    """Put a workspace, with all that it has, into a department. Administrators only."""
    return answer(native.workspace_quota_view(await shares.assign(call, workspace, body.department)))


# --- workspaces -------------------------------------------------------------------------------------------------------


@router.get("/workspace-quotas", tags=[TAG], response_model=schemas.WorkspaceQuotaList, responses=fails())
async def list_workspace_quotas(call: CurrentCall) -> Response:
    """Quotas of the workspaces that the caller may see."""
    return answer(native.workspace_quota_list(await shares.workspace_quotas(call)))


@router.get("/workspaces/{workspace}/quota", tags=[TAG], response_model=schemas.WorkspaceQuotaView, responses=LOOK)
async def get_workspace_quota(call: CurrentCall, workspace: PathName) -> Response:
    """What a workspace may hold, and what it holds."""
    return answer(native.workspace_quota_view(await shares.workspace_quota(call, workspace)))


@router.put(
    "/workspaces/{workspace}/quota",
    tags=[TAG],
    response_model=schemas.WorkspaceQuotaView,
    responses=CHANGE,
    openapi_extra=body_of(schemas.WorkspaceQuotaSetting, required=False),
)
async def set_workspace_quota(
    call: CurrentCall,
    workspace: PathName,
    body: Annotated[schemas.WorkspaceQuotaSetting, payload(schemas.WorkspaceQuotaSetting)],
) -> Response:
    """Limit what a workspace may hold. What runs goes on. Administrators only."""
    found = await shares.set_workspace_quota(call, workspace, native.allowance_of(body))
    return answer(native.workspace_quota_view(found))


# --- for a while ------------------------------------------------------------------------------------------------------


@router.get("/quota-overrides", tags=[TAG], response_model=schemas.OverrideList, responses=LIST)
async def list_quota_overrides(
    call: CurrentCall, *, past: Annotated[bool, Query(description="Also those that are over.")] = False
) -> Response:
    """Overrides that count now or will, of what the caller may see."""
    return answer(native.override_list(await overrides.listing(call, with_past=past)))


@router.post(
    "/quota-overrides",
    tags=[TAG],
    status_code=HTTPStatus.CREATED,
    response_model=schemas.OverrideView,
    responses=CHANGE,
    openapi_extra=body_of(schemas.OverrideSubmission),
)
async def set_quota_override(
    call: CreatingCall, body: Annotated[schemas.OverrideSubmission, payload(schemas.OverrideSubmission)]
) -> Response:
    """Let something else count from an instant until another. What runs goes on. Administrators only."""
    made = await overrides.set_override(call, native.override_of(body))
    return answer(native.override_view(made), HTTPStatus.CREATED)


@router.delete("/quota-overrides/{override}", tags=[TAG], response_model=schemas.OverrideView, responses=CHANGE)
async def withdraw_quota_override(call: CurrentCall, override: PathName) -> Response:
    """End an override now, or let it never begin. Repeating it changes nothing. Administrators only."""
    return answer(native.override_view(await overrides.withdraw(call, override)))


# --- people -----------------------------------------------------------------------------------------------------------


@router.get("/user-ceilings", tags=[TAG], response_model=schemas.UserCeilingList, responses=fails())
async def list_user_ceilings(call: CurrentCall) -> Response:
    """How many GPUs a person may hold at once: everybody's, and one's own; all for administrators."""
    return answer(native.user_ceiling_list(await shares.user_ceilings(call)))


@router.put(
    "/user-ceilings",
    tags=[TAG],
    response_model=schemas.UserCeilingList,
    responses=CHANGE,
    openapi_extra=body_of(schemas.CeilingSetting),
)
async def set_everybodys_ceiling(
    call: CurrentCall, body: Annotated[schemas.CeilingSetting, payload(schemas.CeilingSetting)]
) -> Response:
    """Limit what each person may hold at once, unless something else is set for them. Administrators only."""
    return answer(native.user_ceiling_list(await shares.set_user_ceiling(call, "", body.gpus)))


@router.put(
    "/user-ceilings/{user}",
    tags=[TAG],
    response_model=schemas.UserCeilingList,
    responses=CHANGE,
    openapi_extra=body_of(schemas.CeilingSetting),
)
async def set_user_ceiling(
    call: CurrentCall, user: PathName, body: Annotated[schemas.CeilingSetting, payload(schemas.CeilingSetting)]
) -> Response:
    """Limit what one person may hold at once, or not at all. Administrators only."""
    return answer(native.user_ceiling_list(await shares.set_user_ceiling(call, user, body.gpus)))


@router.delete("/user-ceilings/{user}", tags=[TAG], response_model=schemas.UserCeilingList, responses=CHANGE)
async def delete_user_ceiling(call: CurrentCall, user: PathName) -> Response:
    """Let what counts for everybody count for this person too. Administrators only."""
    return answer(native.user_ceiling_list(await shares.delete_user_ceiling(call, user)))


REQUESTS: Final = (
    schemas.DepartmentSubmission,
    schemas.DepartmentSetting,
    schemas.Assignment,
    schemas.WorkspaceQuotaSetting,
    schemas.OverrideSubmission,
    schemas.CeilingSetting,
)
