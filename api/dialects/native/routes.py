"""The paths of `/berth/v1`: parse, call one operation, render."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Final
from uuid import UUID

from fastapi import Query, Response
from pydantic import Field

from api.auth.current_caller import CurrentCaller
from api.calls import CreatingCall, CurrentCall
from api.dialect import Dialect
from api.dialects.native import (
    hardware_routes,
    maintenance_routes,
    plan_routes,
    pool_routes,
    reservation_routes,
    schemas,
    share_routes,
)
from api.dialects.native import translation as native
from api.dialects.native.route_parts import (
    CHANGE,
    LIST,
    LOOK,
    PREFIX,
    SEQUENCE_MAX,
    After,
    Limit,
    PathName,
    fails,
    native_router,
)
from api.operations import access, gprs, inventory, prices, quotas, workspaces
from api.payloads import body_of, payload
from domain.gpr import Phase

router = native_router()

PhaseWords = Annotated[str, Field(pattern=f"^({'|'.join(Phase)})(,({'|'.join(Phase)}))*$")]
ClusterName = Annotated[str | None, Query(max_length=253, pattern=r"^[^\x00]*$")]


# --- Gprs -------------------------------------------------------------------------------------------------------------


@router.post(
    "/gprs",
    tags=["Gprs"],
    status_code=HTTPStatus.CREATED,
    response_model=schemas.GprView,
    responses=CHANGE,
    openapi_extra=body_of(schemas.GprSubmission),
)
async def submit_gpr(
    call: CreatingCall, body: Annotated[schemas.GprSubmission, payload(schemas.GprSubmission)]
) -> Response:
    """Queue a request for GPUs. Durable when answered."""
    gpr_id = await gprs.submit(call, native.submission_of(body))
    return native.answer(native.gpr_view(await gprs.find(call, str(gpr_id))), HTTPStatus.CREATED)


@router.get("/gprs", tags=["Gprs"], response_model=schemas.GprPage, responses=LOOK)
async def list_gprs(
    call: CurrentCall,
    workspace: Annotated[str | None, Query(max_length=253)] = None,
    phase: Annotated[list[PhaseWords] | None, Query(description="Repeated, or one comma-joined list.")] = None,
    limit: Limit = 100,
    after: After = None,
) -> Response:
    """Gprs of a workspace, or of all that the caller may see; newest first."""
    query = gprs.GprQuery(workspace, _phases(phase), limit, SEQUENCE_MAX if after is None else after)
    return native.answer(native.gpr_page(await gprs.listing(call, query), limit))


@router.get("/gprs/{gpr}", tags=["Gprs"], response_model=schemas.GprView, responses=LOOK)
async def get_gpr(call: CurrentCall, gpr: str) -> Response:
    """One Gpr, by its id or the id that EGS clients see."""
    return native.answer(native.gpr_view(await gprs.find(call, gpr)))


@router.patch(
    "/gprs/{gpr}",
    tags=["Gprs"],
    response_model=schemas.GprView,
    responses=CHANGE,
    openapi_extra=body_of(schemas.GprChange, required=False),
)
async def change_gpr(
    call: CurrentCall, gpr: str, body: Annotated[schemas.GprChange, payload(schemas.GprChange)]
) -> Response:
    """Change the priority of a queued Gpr, or the name of any."""
    return native.answer(native.gpr_view(await gprs.change(call, gpr, native.change_of(body))))


@router.post("/gprs/{gpr}/release", tags=["Gprs"], response_model=schemas.GprView, responses=CHANGE)
async def release_gpr(call: CurrentCall, gpr: str) -> Response:
    """End a Gpr: a queued one is cancelled, an active one torn down. Repeating it changes nothing."""
    return native.answer(native.gpr_view(await gprs.release(call, gpr)))


@router.post("/jobs/{gpr}/suspend", tags=["Gprs"], response_model=schemas.GprView, responses=CHANGE)
async def suspend_job(call: CurrentCall, gpr: str) -> Response:
    """Let a job, or any Gpr, wait without GPUs until it is resumed. Its duration begins anew then. May be repeated."""
    return native.answer(native.gpr_view(await gprs.suspend(call, gpr)))


@router.post("/jobs/{gpr}/resume", tags=["Gprs"], response_model=schemas.GprView, responses=CHANGE)
async def resume_job(call: CurrentCall, gpr: str) -> Response:
    """Let what is suspended wait for GPUs again, at its old place in the queue. May be repeated."""
    return native.answer(native.gpr_view(await gprs.resume(call, gpr)))


@router.get("/gprs/{gpr}/events", tags=["Gprs"], response_model=schemas.EventPage, responses=LOOK)
async def list_gpr_events(call: CurrentCall, gpr: str, limit: Limit = 100, after: After = None) -> Response:
    """What was decided about a Gpr, oldest first."""
    return native.answer(native.event_page(await gprs.events(call, gpr, limit=limit, after=after or 0)))


@router.get("/gprs/{gpr}/notices", tags=["Gprs"], response_model=schemas.NoticeList, responses=LOOK)
async def list_gpr_notices(call: CurrentCall, gpr: str) -> Response:
    """What the people of a Gpr are told before it happens."""
    return native.answer(native.notice_list(await gprs.notices(call, gpr)))


# --- workspaces -------------------------------------------------------------------------------------------------------


@router.post(
    "/workspaces",
    tags=["Workspaces"],
    status_code=HTTPStatus.CREATED,
    response_model=schemas.WorkspaceView,
    responses=CHANGE,
    openapi_extra=body_of(schemas.WorkspaceSubmission),
)
async def create_workspace(
    call: CreatingCall, body: Annotated[schemas.WorkspaceSubmission, payload(schemas.WorkspaceSubmission)]
) -> Response:
    """Make a workspace. Durable at once; the answer waits up to 15 s for it to be ready, and says so if it is not yet."""
    workspace = await workspaces.create(call, native.workspace_request_of(body))
    return native.answer(native.workspace_view(workspace), HTTPStatus.CREATED)


@router.get("/workspaces", tags=["Workspaces"], response_model=schemas.WorkspacePage, responses=LIST)
async def list_workspaces(call: CurrentCall, limit: Limit = 100, after: After = None) -> Response:
    """Workspaces that the caller may see, oldest first."""
    return native.answer(native.workspace_page(await workspaces.listing(call, limit=limit, after=after or 0), limit))


@router.get("/workspaces/{workspace}", tags=["Workspaces"], response_model=schemas.WorkspaceView, responses=LOOK)
async def get_workspace(call: CurrentCall, workspace: str) -> Response:
    """One workspace."""
    return native.answer(native.workspace_view(await workspaces.find(call, workspace)))


@router.delete(
    "/workspaces/{workspace}",
    tags=["Workspaces"],
    status_code=HTTPStatus.ACCEPTED,
    response_model=schemas.WorkspaceView,
    responses=CHANGE,
)
async def delete_workspace(call: CurrentCall, workspace: str) -> Response:
    """Begin to delete a workspace. Refused while one of its Gprs holds GPUs; repeating it changes nothing."""
    return native.answer(native.workspace_view(await workspaces.delete(call, workspace)), HTTPStatus.ACCEPTED)


@router.get(
    "/workspaces/{workspace}/kubeconfig",
    tags=["Workspaces"],
    response_model=schemas.KubeconfigView,
    responses=fails(
        HTTPStatus.FORBIDDEN,
        HTTPStatus.NOT_FOUND,
        HTTPStatus.CONFLICT,
        HTTPStatus.UNPROCESSABLE_ENTITY,
        HTTPStatus.BAD_GATEWAY,
    ),
)
async def get_kubeconfig(
    call: CurrentCall,
    workspace: str,
    cluster: ClusterName = None,
    expires_in_seconds: Annotated[int, Query(ge=600, le=3600)] = 3600,
) -> Response:
    """A kubeconfig for one cluster of the workspace, or for all of them."""
    return native.answer(
        native.kubeconfig_view(await workspaces.kubeconfig(call, workspace, cluster, expires_in_seconds))
    )


# --- hardware ---------------------------------------------------------------------------------------------------------


@router.get("/nodes", tags=["Hardware"], response_model=schemas.NodeList, responses=LIST)
async def list_nodes(call: CurrentCall, cluster: ClusterName = None) -> Response:
    """GPU nodes, with the holders that the caller may know of."""
    return native.answer(native.node_list(await inventory.nodes(call, cluster)))


@router.get("/clusters", tags=["Hardware"], response_model=schemas.ClusterList, responses=fails())
async def list_clusters(call: CurrentCall) -> Response:
    """Registered clusters, and what they lack."""
    return native.answer(native.cluster_list(await inventory.clusters(call)))


# --- quotas -----------------------------------------------------------------------------------------------------------


@router.get("/quotas", tags=["Pools and quotas"], response_model=schemas.QuotaList, responses=fails())
async def list_quotas(call: CurrentCall) -> Response:
    """Quotas of the namespaces that the caller may see, and what is in use of them."""
    return native.answer(native.quota_list(await quotas.listing(call)))


@router.get("/quotas/{namespace}", tags=["Pools and quotas"], response_model=schemas.QuotaView, responses=LOOK)
async def get_quota(call: CurrentCall, namespace: PathName) -> Response:
    """The quota of one namespace."""
    return native.answer(native.quota_view(await quotas.find(call, namespace)))


@router.put(
    "/quotas/{namespace}",
    tags=["Pools and quotas"],
    response_model=schemas.QuotaView,
    responses=CHANGE,
    openapi_extra=body_of(schemas.QuotaSetting, required=False),
)
async def set_quota(
    call: CurrentCall, namespace: PathName, body: Annotated[schemas.QuotaSetting, payload(schemas.QuotaSetting)]
) -> Response:
    """Limit what may be in use at once of a namespace. What is in use goes on. Administrators only."""
    return native.answer(native.quota_view(await quotas.set_quota(call, native.new_quota_of(namespace, body))))


@router.delete("/quotas/{namespace}", tags=["Pools and quotas"], response_model=schemas.QuotaView, responses=CHANGE)
async def delete_quota(call: CurrentCall, namespace: PathName) -> Response:
    """Let a namespace's quota count no more. Administrators only."""
    return native.answer(native.quota_view(await quotas.delete(call, namespace)))


@router.get("/prices", tags=["Hardware"], response_model=schemas.PriceList, responses=fails())
async def list_prices(call: CurrentCall) -> Response:
    """What GPUs cost, and from when on."""
    return native.answer(native.price_list(await prices.listing(call)))


@router.put(
    "/prices",
    tags=["Hardware"],
    response_model=schemas.PriceView,
    responses=CHANGE,
    openapi_extra=body_of(schemas.PriceSetting),
)
async def set_price(
    call: CurrentCall, body: Annotated[schemas.PriceSetting, payload(schemas.PriceSetting)]
) -> Response:
    """Set what a GPU of a shape costs. Administrators only; a price of the same shape and instant is replaced."""
    return native.answer(native.price_view(await prices.set_price(call, native.new_price_of(body))))


# --- access and history -----------------------------------------------------------------------------------------------


@router.get("/whoami", tags=["Access"], response_model=schemas.CallerView, responses=fails())
async def whoami(caller: CurrentCaller) -> Response:
    """Who the credential stands for."""
    return native.answer(native.caller_view(caller))


@router.post(
    "/keys",
    tags=["Access"],
    status_code=HTTPStatus.CREATED,
    response_model=schemas.KeyCreated,
    responses=CHANGE,
    openapi_extra=body_of(schemas.KeySubmission),
)
async def create_key(
    call: CreatingCall, body: Annotated[schemas.KeySubmission, payload(schemas.KeySubmission)]
) -> Response:
    """Make an API key. Its text is in this answer and nowhere else."""
    made = await access.create_key(call, native.key_request_of(body))
    return native.answer(native.key_created(made), HTTPStatus.CREATED)


@router.get("/keys", tags=["Access"], response_model=schemas.KeyList, responses=fails())
async def list_keys(call: CurrentCall) -> Response:
    """One's own keys; an administrator sees everybody's."""
    return native.answer(native.key_list(await access.keys(call)))


@router.delete("/keys/{key}", tags=["Access"], response_model=schemas.KeyView, responses=CHANGE)
async def revoke_key(call: CurrentCall, key: UUID) -> Response:
    """Revoke a key; logins with it fail at once, its tokens within two seconds. Repeating it changes nothing."""
    return native.answer(native.key_view(await access.revoke_key(call, key)))


@router.get(
    "/events",
    tags=["History"],
    response_model=schemas.EventPage,
    responses=fails(HTTPStatus.FORBIDDEN, HTTPStatus.UNPROCESSABLE_ENTITY),
)
async def list_events(call: CurrentCall, limit: Limit = 100, after: After = None) -> Response:
    """What was decided about anything, oldest first. Administrators only."""
    return native.answer(native.event_page(await gprs.all_events(call, limit=limit, after=after or 0)))


def _phases(words: list[str] | None) -> frozenset[Phase]:
    return frozenset(Phase(word) for part in words or Phase for word in part.split(","))


for part in (plan_routes, pool_routes, hardware_routes, reservation_routes, maintenance_routes, share_routes):
    router.routes.extend(part.router.routes)

NATIVE: Final = Dialect(
    name="native",
    title="Berth",
    prefix=PREFIX,
    router=router,
    render=native.failure,
    requests=(
        schemas.GprSubmission,
        schemas.GprChange,
        schemas.WorkspaceSubmission,
        schemas.QuotaSetting,
        schemas.PriceSetting,
        schemas.KeySubmission,
        *plan_routes.REQUESTS,
        *pool_routes.REQUESTS,
        *hardware_routes.REQUESTS,
        *reservation_routes.REQUESTS,
        *maintenance_routes.REQUESTS,
        *share_routes.REQUESTS,
    ),
)
