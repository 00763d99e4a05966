"""The paths of the EGS API: parse, call one operation, render."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import nullcontext
from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import APIRouter, Request, Response
from starlette.responses import StreamingResponse

from api.auth.current_caller import Credentials, address_of
from api.calls import CreatingCall, CurrentCall
from api.dialect import Dialect
from api.dialects.egs import envelopes, schemas
from api.dialects.egs import translation as egs
from api.operations import access, estimates, gprs, inventory, workspaces
from api.payloads import body_of, open_payload, payload, query_of
from domain.gpr import Gpr
from domain.identifiers import external_gpr_id

PREFIX: Final = "/api/v1"
KUBECONFIG_SECONDS: Final = 3600
WORKSPACES_PER_READ: Final = 500
THE_WISH: Final = "wish"
"""Name of a GPR that is only asked about."""

router = APIRouter(prefix=PREFIX, generate_unique_id_function=lambda route: f"egs_{route.name}")

WorkspaceName = Annotated[schemas.WorkspaceReference, payload(schemas.WorkspaceReference, or_query=True)]
SliceName = Annotated[schemas.SliceReference, payload(schemas.SliceReference, or_query=True)]
GprId = Annotated[schemas.GprReference, payload(schemas.GprReference, or_query=True)]
KubeConfigOf = Annotated[schemas.KubeConfigRequest, payload(schemas.KubeConfigRequest, or_query=True)]


def _fails(*statuses: HTTPStatus) -> dict[int | str, dict[str, Any]]:
    """What a route may answer besides its success; every route is counted and needs the ledger."""
    every = sorted({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE, *statuses})
    return {int(status): {"model": schemas.Failure, "description": status.phrase} for status in every}


_LOOK = _fails(
    HTTPStatus.UNAUTHORIZED, HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.REQUEST_ENTITY_TOO_LARGE
)
_LIST = _fails(HTTPStatus.UNAUTHORIZED)
_CHANGES = (
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.NOT_FOUND,
    HTTPStatus.CONFLICT,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNPROCESSABLE_ENTITY,
)
_CHANGE = _fails(*_CHANGES)
_CHANGE_OR_500 = _fails(*_CHANGES, HTTPStatus.INTERNAL_SERVER_ERROR)
_ISSUE = _fails(*_CHANGES, HTTPStatus.BAD_GATEWAY)


# --- login ------------------------------------------------------------------------------------------------------------


@router.post(
    "/auth",
    tags=["Authentication"],
    response_model=schemas.Envelope[schemas.Token],
    responses=_fails(
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        HTTPStatus.UNPROCESSABLE_ENTITY,
    ),
    openapi_extra=body_of(schemas.Login),
)
async def authenticate(request: Request, body: Annotated[schemas.Login, open_payload(schemas.Login)]) -> Response:
    """Exchange an API key for a bearer token."""
    credentials: Credentials = request.app.state.credentials
    return envelopes.success(schemas.Token(token=await credentials.login(body.apiKey, address_of(request))))


# --- slice workspaces -------------------------------------------------------------------------------------------------


@router.post(
    "/slice-workspace",
    tags=["Slice workspaces"],
    response_model=schemas.Envelope[schemas.WorkspaceCreated],
    responses=_CHANGE,
    openapi_extra=body_of(schemas.CreateWorkspace),
)
async def create_workspace(
    call: CreatingCall, body: Annotated[schemas.CreateWorkspace, payload(schemas.CreateWorkspace)]
) -> Response:
    """Make a slice workspace. Durable at once; the answer waits up to 15 s for it to be ready."""
    workspace = await workspaces.create(call, egs.workspace_request_of(body))
    return envelopes.success(schemas.WorkspaceCreated(workspaceName=workspace.request.name))


@router.delete(
    "/slice-workspace",
    tags=["Slice workspaces"],
    response_model=schemas.Envelope[schemas.Nothing],
    responses=_CHANGE,
    openapi_extra=body_of(schemas.WorkspaceReference),
)
async def delete_workspace(call: CurrentCall, body: WorkspaceName) -> Response:
    """Begin to delete a slice workspace. Refused (409) while one of its GPRs is provisioned."""
    await workspaces.delete(call, body.workspaceName)
    return envelopes.success(schemas.Nothing())


@router.get(
    "/slice-workspace/list",
    tags=["Slice workspaces"],
    response_model=schemas.Envelope[schemas.WorkspaceList],
    responses=_LIST,
)
async def list_workspaces(call: CurrentCall) -> Response:
    """Slice workspaces that the caller may see."""
    found = await workspaces.listing(call, limit=WORKSPACES_PER_READ)
    everything = list(found)
    while len(found) == WORKSPACES_PER_READ:
        found = await workspaces.listing(call, limit=WORKSPACES_PER_READ, after=found[-1].sequence)
        everything += found
    return envelopes.success(egs.workspace_list(everything))


@router.get(
    "/slice-workspace/kube-config",
    tags=["Slice workspaces"],
    response_model=schemas.Envelope[schemas.KubeConfig],
    responses=_ISSUE,
    openapi_extra=query_of(schemas.KubeConfigRequest),
)
async def get_kubeconfig(call: CurrentCall, body: KubeConfigOf) -> Response:
    """A kubeconfig for the workspace's namespaces. The fields may come as a JSON body, too."""
    return await _kubeconfig(call, body)


@router.post(
    "/slice-workspace/kube-config",
    tags=["Slice workspaces"],
    response_model=schemas.Envelope[schemas.KubeConfig],
    responses=_ISSUE,
    openapi_extra=body_of(schemas.KubeConfigRequest),
)
async def post_kubeconfig(call: CurrentCall, body: KubeConfigOf) -> Response:
    """The same, as clients send it."""
    return await _kubeconfig(call, body)


# --- inventory --------------------------------------------------------------------------------------------------------


@router.get(
    "/inventory/list", tags=["Inventory"], response_model=schemas.Envelope[schemas.InventoryList], responses=_LIST
)
async def list_inventory(call: CurrentCall) -> Response:
    """GPU nodes."""
    return envelopes.success(egs.inventory_list(await inventory.nodes(call)))


@router.get(
    "/inventory",
    tags=["Inventory"],
    response_model=schemas.Envelope[schemas.WorkspaceInventory],
    responses=_LOOK,
    openapi_extra=query_of(schemas.SliceReference),
)
async def list_workspace_inventory(call: CurrentCall, body: SliceName) -> Response:
    """GPU nodes that a slice workspace holds."""
    return envelopes.success(egs.workspace_inventory(await inventory.nodes_of_workspace(call, body.sliceName)))


# --- GPRs -------------------------------------------------------------------------------------------------------------


@router.post(
    "/gpr",
    tags=["GPRs"],
    response_model=schemas.Envelope[schemas.GprCreated],
    responses=_CHANGE,
    openapi_extra=body_of(schemas.CreateGpr),
)
async def create_gpr(call: CreatingCall, body: Annotated[schemas.CreateGpr, payload(schemas.CreateGpr)]) -> Response:
    """Queue a GPU provision request. Durable when answered."""
    gpr_id = await gprs.submit(call, egs.submission_of(body, name=body.gprName))
    return envelopes.success(schemas.GprCreated(gprId=external_gpr_id(gpr_id)))


@router.post(
    "/gpr/waittime",
    tags=["GPRs"],
    response_model=schemas.Envelope[schemas.WaitTime],
    responses=_LOOK,
    openapi_extra=body_of(schemas.GprWish),
)
async def estimate_gpr(call: CurrentCall, body: Annotated[schemas.GprWish, payload(schemas.GprWish)]) -> Response:
    """When a GPR would start if it were submitted now. Nothing is kept."""
    wish = egs.submission_of(body, name=THE_WISH)
    return envelopes.success(egs.wait_time(await estimates.start_of_wish(call, wish), call.now))


@router.get(
    "/gpr",
    tags=["GPRs"],
    response_model=schemas.Envelope[schemas.GprItem],
    responses=_LOOK,
    openapi_extra=query_of(schemas.GprReference),
)
async def get_gpr(call: CurrentCall, body: GprId) -> Response:
    """One GPR."""
    return envelopes.success(egs.gpr_item(await gprs.find(call, body.gprId), call.now))


@router.get(
    "/gpr/list",
    tags=["GPRs"],
    response_model=schemas.Envelope[schemas.GprList],
    responses=_LOOK,
    openapi_extra=query_of(schemas.SliceReference),
)
async def list_gprs(call: CurrentCall, body: SliceName) -> Response:
    """GPRs of a slice workspace, all of them, newest first."""
    pages = gprs.pages(call, body.sliceName)
    with envelopes.listing_gprs(body.sliceName):
        first = await anext(pages)
    if len(first) < gprs.PAGE:
        return envelopes.success(egs.gpr_list(first, call.now))
    return StreamingResponse(egs.gpr_stream(_after(first, pages), call.now), media_type=envelopes.JSON)


@router.put(
    "/gpr",
    tags=["GPRs"],
    response_model=schemas.Envelope[schemas.Nothing],
    responses=_CHANGE_OR_500,
    openapi_extra=body_of(schemas.UpdateGpr),
)
async def update_gpr(call: CurrentCall, body: Annotated[schemas.UpdateGpr, payload(schemas.UpdateGpr)]) -> Response:
    """Change the priority of a queued GPR or the name of any, or release a provisioned one early."""
    with envelopes.releasing_early() if body.earlyRelease else nullcontext():
        await gprs.change(call, body.gprId, egs.change_of(body))
    return envelopes.success(schemas.Nothing())


@router.delete(
    "/gpr",
    tags=["GPRs"],
    response_model=schemas.Envelope[schemas.Nothing],
    responses=_CHANGE_OR_500,
    openapi_extra=body_of(schemas.GprReference),
)
async def delete_gpr(call: CurrentCall, body: GprId) -> Response:
    """Withdraw a GPR that is not provisioned yet."""
    with envelopes.deleting_gpr():
        await gprs.withdraw(call, body.gprId)
    return envelopes.success(schemas.Nothing())


# --- API keys ---------------------------------------------------------------------------------------------------------


@router.post(
    "/api-key",
    tags=["API keys"],
    response_model=schemas.Envelope[schemas.ApiKeyCreated],
    responses=_CHANGE,
    openapi_extra=body_of(schemas.CreateApiKey),
)
async def create_api_key(
    call: CreatingCall, body: Annotated[schemas.CreateApiKey, payload(schemas.CreateApiKey)]
) -> Response:
    """Make an API key; its text is in this answer and nowhere else."""
    return envelopes.success(egs.key_created(await access.create_key(call, egs.key_request_of(body))))


@router.get("/api-key/list", tags=["API keys"], response_model=schemas.Envelope[schemas.ApiKeyList], responses=_LIST)
async def list_api_keys(call: CurrentCall) -> Response:
    """One's own keys; an administrator sees everybody's."""
    return envelopes.success(egs.key_list(await access.keys(call)))


@router.delete(
    "/api-key",
    tags=["API keys"],
    response_model=schemas.Envelope[schemas.Nothing],
    responses=_CHANGE,
    openapi_extra=body_of(schemas.ApiKeyReference),
)
async def delete_api_key(
    call: CurrentCall, body: Annotated[schemas.ApiKeyReference, payload(schemas.ApiKeyReference)]
) -> Response:
    """Revoke an API key."""
    await access.revoke_key_text(call, body.apiKey)
    return envelopes.success(schemas.Nothing())


async def _kubeconfig(call: CurrentCall, body: schemas.KubeConfigRequest) -> Response:
    issued = await workspaces.kubeconfig(call, body.workspaceName, body.clusterName, KUBECONFIG_SECONDS)
    return envelopes.success(schemas.KubeConfig(kubeConfig=issued.text))


async def _after(first: list[Gpr], pages: AsyncIterator[list[Gpr]]) -> AsyncIterator[list[Gpr]]:
    yield first
    async for page in pages:
        yield page


EGS: Final = Dialect(
    name="egs",
    title="Elastic GPU Service",
    prefix=PREFIX,
    router=router,
    render=envelopes.failure,
    requests=(
        schemas.Login,
        schemas.CreateWorkspace,
        schemas.WorkspaceReference,
        schemas.KubeConfigRequest,
        schemas.CreateGpr,
        schemas.GprWish,
        schemas.UpdateGpr,
        schemas.GprReference,
        schemas.CreateApiKey,
        schemas.ApiKeyReference,
    ),
    open_paths=frozenset({f"{PREFIX}/auth"}),
)
