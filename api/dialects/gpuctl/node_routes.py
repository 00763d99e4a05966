# ruff: noqa: N803 - parameters have the document's names
"""The paths of nodes and their labels: parse, call one operation, render. Literal paths stand before parameters."""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal

from fastapi import Query, Response
from pydantic import AfterValidator, Field

from api.calls import CurrentCall
from api.dialects.gpuctl import envelopes, schemas
from api.dialects.gpuctl import translation as gpuctl
from api.dialects.gpuctl.paths import (
    ASK_CLUSTERS,
    CHANGE,
    LIST,
    ClusterWord,
    PageNumber,
    PageSize,
    PathKey,
    PathWord,
    QueryWord,
    new_router,
)
from api.operations import labels, nodes
from api.payloads import body_of, payload

router = new_router()

NODES_AT_ONCE: Final = 500
REPEATED_MAX: Final = 200
"""A server reads no address of more than 64 KiB."""
NODE_NAME_MAX: Final = 253
_NODE: Final = r"[A-Za-z0-9._-]+"


def _names(parts: list[str]) -> list[str]:
    """Repeated, or one comma-joined list."""
    names = [name for part in parts for name in part.split(",")]
    if len(names) > NODES_AT_ONCE:
        raise ValueError(f"must be at most {NODES_AT_ONCE} nodes")
    for name in names:
        if len(name) > NODE_NAME_MAX or not re.fullmatch(_NODE, name, re.ASCII):
            raise ValueError(f"{name[:80]!r} is no name of a node")
    return names


_Name = Annotated[str, Field(json_schema_extra={"pattern": f"^{_NODE}(,{_NODE})*$", "maxLength": NODE_NAME_MAX})]
Names = Annotated[
    list[_Name],
    AfterValidator(_names),
    Query(min_length=1, max_length=REPEATED_MAX, description="Repeated, or one comma-joined list."),
]
LabelKey = Annotated[str, Query(), schemas.LABEL_KEY]


# --- nodes ------------------------------------------------------------------------------------------------------------


@router.get("/nodes", tags=["Nodes"], response_model=schemas.NodePage, responses=ASK_CLUSTERS)
async def list_nodes(
    call: CurrentCall,
    pool: QueryWord = None,
    gpuType: QueryWord = None,
    status: Literal["active", "not_ready"] | None = None,
    page: PageNumber = 1,
    pageSize: PageSize = 20,
) -> Response:
    """GPU nodes. The pool `default` means those of no pool."""
    found = await nodes.listing(call, gpuctl.node_query(pool, gpuType, status))
    shown = await nodes.described(call, gpuctl.page(found, page, pageSize))
    return envelopes.success(schemas.NodePage(total=len(found), items=[gpuctl.node_item(one) for one in shown]))


@router.get("/nodes/gpu-detail", tags=["Nodes"], response_model=schemas.GpuDetailPage, responses=LIST)
async def list_gpus(call: CurrentCall, page: PageNumber = 1, pageSize: PageSize = 20) -> Response:
    """The GPUs of all nodes."""
    found = await nodes.listing(call)
    shown = [gpuctl.gpu_detail(one) for one in gpuctl.page(found, page, pageSize)]
    return envelopes.success(schemas.GpuDetailPage(total=len(found), items=shown))


# --- labels of all nodes ----------------------------------------------------------------------------------------------


@router.get("/labels", tags=["Labels"], response_model=dict[str, list[str]], responses=ASK_CLUSTERS)
async def list_labels(call: CurrentCall) -> Response:
    """The labels of all nodes whose clusters answer: each key with its values."""
    return envelopes.bare(gpuctl.label_values(await labels.all_nodes(call)))


@router.get("/nodes/labels", tags=["Labels"], response_model=schemas.LabelPage, responses=ASK_CLUSTERS)
async def find_label(call: CurrentCall, key: LabelKey, page: PageNumber = 1, pageSize: PageSize = 20) -> Response:
    """The nodes that have a label."""
    found = gpuctl.label_matches(await labels.nodes_with(call, key), key)
    return envelopes.success(schemas.LabelPage(total=len(found), items=gpuctl.page(found, page, pageSize)))


@router.get("/nodes/labels/all", tags=["Labels"], response_model=schemas.GpuLabelsPage, responses=ASK_CLUSTERS)
async def list_gpu_labels(call: CurrentCall, page: PageNumber = 1, pageSize: PageSize = 20) -> Response:
    """The labels of all nodes that speak of GPUs, and the nodes' pools."""
    found = await nodes.listing(call)
    shown = await nodes.described(call, gpuctl.page(found, page, pageSize))
    return envelopes.success(schemas.GpuLabelsPage(total=len(found), items=[gpuctl.gpu_labels(one) for one in shown]))


@router.post("/nodes/labels/batch", tags=["Labels"], response_model=schemas.LabelBatchResult, responses=CHANGE)
async def add_label_to_nodes(
    call: CurrentCall,
    nodeNames: Names,
    key: LabelKey,
    value: Annotated[str, Query(), schemas.LABEL_VALUE],
    *,
    overwrite: bool = False,
) -> Response:
    """Put a label on several nodes, each for itself. Administrators only."""
    outcome = await labels.add_to_all(call, nodeNames, labels.NewLabel(key, value, overwrite))
    return envelopes.success(gpuctl.label_batch(outcome))


# --- one node ---------------------------------------------------------------------------------------------------------


@router.get("/nodes/{nodeName}", tags=["Nodes"], response_model=schemas.NodeDetail, responses=ASK_CLUSTERS)
async def get_node(call: CurrentCall, nodeName: PathWord, cluster: ClusterWord = None) -> Response:
    """One node, its labels, and what of it is in use."""
    found, use = await nodes.detail(call, nodeName, cluster)
    return envelopes.success(gpuctl.node_detail(found, use))


@router.post(
    "/nodes/{nodeName}/pools",
    tags=["Nodes"],
    response_model=schemas.NodePoolChanged,
    responses=CHANGE,
    openapi_extra=body_of(schemas.NodeToPool),
)
async def add_node_to_pool(
    call: CurrentCall,
    nodeName: PathWord,
    body: Annotated[schemas.NodeToPool, payload(schemas.NodeToPool)],
    cluster: ClusterWord = None,
) -> Response:
    """Put a node into a pool; it may be in several. Administrators only."""
    await nodes.join_pool(call, nodeName, cluster, body.pool)
    return envelopes.success(gpuctl.node_pool_changed(nodeName, body.pool, "is in"))


@router.delete(
    "/nodes/{nodeName}/pools/{poolName}", tags=["Nodes"], response_model=schemas.NodePoolChanged, responses=CHANGE
)
async def remove_node_from_pool(
    call: CurrentCall, nodeName: PathWord, poolName: PathWord, cluster: ClusterWord = None
) -> Response:
    """Take a node out of a pool. What runs on it goes on. Administrators only."""
    await nodes.leave_pool(call, nodeName, cluster, poolName)
    return envelopes.success(gpuctl.node_pool_changed(nodeName, poolName, "has left"))


@router.get("/nodes/{nodeName}/labels", tags=["Labels"], response_model=schemas.NodeLabels, responses=ASK_CLUSTERS)
async def list_node_labels(call: CurrentCall, nodeName: PathWord, cluster: ClusterWord = None) -> Response:
    """All labels of a node."""
    return envelopes.success(gpuctl.node_labels(await nodes.with_facts(call, nodeName, cluster)))


@router.post(
    "/nodes/{nodeName}/labels",
    tags=["Labels"],
    response_model=schemas.LabelAdded,
    responses=CHANGE,
    openapi_extra=body_of(schemas.AddLabel),
)
async def add_node_label(
    call: CurrentCall,
    nodeName: PathWord,
    body: Annotated[schemas.AddLabel, payload(schemas.AddLabel)],
    cluster: ClusterWord = None,
) -> Response:
    """Put a label on a node. One that is there stays, unless `overwrite`. Administrators only."""
    await labels.add(call, nodeName, cluster, labels.NewLabel(body.key, body.value, body.overwrite))
    message = f"Label {body.key!r} put on node {nodeName!r}"
    return envelopes.success(schemas.LabelAdded(nodeName=nodeName, label={body.key: body.value}, message=message))


@router.get(
    "/nodes/{nodeName}/labels/{key:path}", tags=["Labels"], response_model=schemas.NodeLabel, responses=ASK_CLUSTERS
)
async def get_node_label(call: CurrentCall, nodeName: PathWord, key: PathKey, cluster: ClusterWord = None) -> Response:
    """One label of a node. Keys may hold slashes."""
    value = await labels.value_of(call, nodeName, cluster, key)
    return envelopes.success(gpuctl.label_of_node(nodeName, key, value))


@router.put(
    "/nodes/{nodeName}/labels/{key:path}",
    tags=["Labels"],
    response_model=schemas.LabelChanged,
    responses=CHANGE,
    openapi_extra=body_of(schemas.UpdateLabel),
)
async def update_node_label(
    call: CurrentCall,
    nodeName: PathWord,
    key: PathKey,
    body: Annotated[schemas.UpdateLabel, payload(schemas.UpdateLabel)],
    cluster: ClusterWord = None,
) -> Response:
    """Give a label that is there another value. Administrators only."""
    await labels.change(call, nodeName, cluster, key, body.value)
    message = f"Label {key!r} of node {nodeName!r} updated"
    return envelopes.success(schemas.LabelChanged(node=nodeName, label=f"{key}={body.value}", message=message))


@router.delete(
    "/nodes/{nodeName}/labels/{key:path}", tags=["Labels"], response_model=schemas.LabelChanged, responses=CHANGE
)
async def delete_node_label(
    call: CurrentCall, nodeName: PathWord, key: PathKey, cluster: ClusterWord = None
) -> Response:
    """Take a label off a node. Administrators only."""
    await labels.remove(call, nodeName, cluster, key)
    message = f"Label {key!r} taken off node {nodeName!r}"
    return envelopes.success(schemas.LabelChanged(node=nodeName, label=key, message=message))
