# ruff: noqa: N803 - parameters have the document's names
"""The paths of quotas and namespaces: parse, call one operation, render."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import Query, Response

from api.calls import CurrentCall
from api.dialects.gpuctl import envelopes, schemas
from api.dialects.gpuctl import translation as gpuctl
from api.dialects.gpuctl.bodies import DocumentBody, document_body_of
from api.dialects.gpuctl.default_namespace import inward
from api.dialects.gpuctl.paths import CHANGE, LOOK, PathWord, QueryWord, fails, new_router
from api.dialects.gpuctl.quota_document import read_quota
from api.operations import namespaces, quotas
from api.payloads import body_of, content

router = new_router()

Force = Annotated[bool, Query()]


@router.post(
    "/quotas",
    tags=["Quotas"],
    status_code=HTTPStatus.CREATED,
    response_model=schemas.QuotasCreated,
    responses=CHANGE,
    openapi_extra=body_of(schemas.QuotaSubmission),
)
async def create_quota(call: CurrentCall, body: Annotated[DocumentBody, content(document_body_of)]) -> Response:
    """Limit namespaces; those that are missing are made. What is in use goes on. Administrators only."""
    order = read_quota(gpuctl.document_of(body))
    made = await namespaces.set_quotas(call, gpuctl.quotas_of(order))
    return envelopes.success(gpuctl.quotas_created(order, made), HTTPStatus.CREATED)


@router.get("/quotas", tags=["Quotas"], response_model=schemas.QuotaPage | schemas.Quota, responses=LOOK)
async def list_quotas(call: CurrentCall, namespace: QueryWord = None) -> Response:
    """Quotas of the namespaces that the caller may see; with `namespace` that one by itself."""
    if namespace:
        return envelopes.success(gpuctl.quota(await quotas.find(call, inward(namespace))))
    return envelopes.success(gpuctl.quota_page(await quotas.listing(call)))


@router.get("/quotas/{namespaceName}", tags=["Quotas"], response_model=schemas.Quota, responses=LOOK)
async def get_quota(call: CurrentCall, namespaceName: PathWord) -> Response:
    """The quota of a namespace, and what of it is in use."""
    return envelopes.success(gpuctl.quota(await quotas.find(call, inward(namespaceName))))


@router.delete("/quotas/{namespaceName}", tags=["Quotas"], response_model=schemas.QuotaDeleted, responses=CHANGE)
async def delete_quota(
    call: CurrentCall,
    namespaceName: PathWord,
    *,
    force: Force = False,  # noqa: ARG001 - clients send it; a quota is never in the way
) -> Response:
    """Let a namespace's quota count no more; what runs goes on, with or without `force`. Administrators only."""
    gone = await quotas.delete(call, inward(namespaceName))
    return envelopes.success(gpuctl.quota_deleted(gone.namespace))


@router.get("/namespaces", tags=["Namespaces"], response_model=schemas.NamespacePage, responses=fails())
async def list_namespaces(call: CurrentCall) -> Response:
    """Namespaces of the workspaces that the caller may see."""
    return envelopes.success(gpuctl.namespace_page(await namespaces.listing(call), call.now))


@router.get("/namespaces/{namespaceName}", tags=["Namespaces"], response_model=schemas.NamespaceDetail, responses=LOOK)
async def get_namespace(call: CurrentCall, namespaceName: PathWord) -> Response:
    """One namespace, and its quota."""
    return envelopes.success(gpuctl.namespace_detail(await namespaces.find(call, inward(namespaceName)), call.now))


@router.delete(
    "/namespaces/{namespaceName}", tags=["Namespaces"], response_model=schemas.NamespaceDeleted, responses=CHANGE
)
async def delete_namespace(call: CurrentCall, namespaceName: PathWord, *, force: Force = False) -> Response:
    """Delete a namespace and its workspace. Refused while something holds GPUs in it, unless `force` ends that first."""
    await namespaces.delete(call, inward(namespaceName), force=force)
    return envelopes.success(gpuctl.namespace_deleted(namespaceName))
