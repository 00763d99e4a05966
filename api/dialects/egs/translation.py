"""Between the EGS document's words and Berth's own. Pure."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime, time, timedelta
from types import MappingProxyType
from typing import Final, Literal

from api.dialects.egs import schemas
from api.dialects.egs.envelopes import SUCCESS_HEAD, SUCCESS_TAIL
from api.operations.access import KeyRequest, MadeKey
from api.operations.gprs import Change, Submission
from api.operations.inventory import SeenNode
from domain.credentials import ApiKey
from domain.durations import format_duration, parse_duration
from domain.failures import InvalidRequest
from domain.gpr import HOLDING, EndCause, Gpr, GprRequest, Phase, PlannedStart, may_come_back
from domain.hardware import GpuHolder, Node, NodeState, memory_gib
from domain.identity import Role
from domain.priority import checked_priority
from domain.slices import Slicing, cut_of, host_of
from domain.workload import GPR_KIND
from domain.workspace import Workspace, WorkspaceRequest

CREATED_HERE: Final = "Created via slice workspace API"
MAX_CLUSTERS: Final = 16

Provisioning = Literal["Queued", "Provisioned", "Complete", "Error"]
Internal = Literal["", "Queued", "Reserved", "Released"]
RoleWord = Literal["Owner", "Editor", "Viewer"]

STATUS_OF: Final[Mapping[Phase, tuple[Provisioning, Internal]]] = MappingProxyType(
    {
        Phase.QUEUED: ("Queued", "Queued"),
        Phase.PROVISIONING: ("Queued", "Reserved"),
        Phase.ACTIVE: ("Provisioned", ""),
        Phase.RELEASING: ("Provisioned", ""),
        Phase.RELEASED: ("Complete", "Released"),
        Phase.EXPIRED: ("Complete", "Released"),
        Phase.CANCELLED: ("Complete", "Released"),
        Phase.FAILED: ("Error", "Released"),
    }
)
"""Our phases in the document's words. One that is torn down without ever having been active is still `Reserved`."""

ROLE_WORD: Final[Mapping[Role, RoleWord]] = MappingProxyType(
    {
        Role.OWNER: "Owner",
        Role.EDITOR: "Editor",
        Role.VIEWER: "Viewer",
    }
)
_ECHOED: Final = (
    "gpuShape",
    "instanceType",
    "gpuSharingMode",
    "multiNode",
    "dedicatedNodes",
    "enableRDMA",
    "enableSecondaryNetwork",
    "preferredClusters",
    "enableAutoClusterSelection",
    "enableAutoGpuSelection",
    "enforceIdleTimeOut",
)
"""Fields of a request that are kept as they were sent."""


# --- inward -----------------------------------------------------------------------------------------------------------


def workspace_request_of(body: schemas.CreateWorkspace) -> WorkspaceRequest:
    """The workspace that is asked for."""
    return WorkspaceRequest(
        name=body.workspaceName,
        clusters=tuple(body.clusters),
        namespaces=tuple(body.namespaces),
        username=body.username,
        email=body.email,
        description=CREATED_HERE,
    )


def submission_of(body: schemas.GprWish, *, name: str) -> Submission:
    """The Gpr that is asked for. What cannot take effect yet is checked, kept and echoed."""
    chosen_by_us, idle = body.enableAutoGpuSelection, _idle_duration(body)
    request = GprRequest(
        name=name,
        nodes=body.numberOfGPUNodes,
        gpus_per_node=body.numberOfGPUs,
        duration_seconds=parse_duration(body.exitDuration),
        priority=checked_priority(body.priority),
        shape="" if chosen_by_us else body.gpuShape,
        instance_type="" if chosen_by_us else body.instanceType,
        memory_gib=math.ceil(body.memoryPerGPU),
        clusters=tuple(dict.fromkeys([*([body.clusterName] if body.clusterName else []), *body.preferredClusters])),
        requeue_on_failure=body.requeueOnFailure,
        idle_seconds=parse_duration(idle) if idle else None,
        ends_when_idle=body.enforceIdleTimeOut,
        preemptible=body.enableEviction,
    )
    options: dict[str, object] = {name: getattr(body, name) for name in _ECHOED}
    options |= {"idleTimeOutDuration": idle, "clusterName": body.clusterName or ""}
    ranks_as = GPR_KIND if body.priority is None else ""
    return Submission(body.sliceName, request, options, any_cluster=body.enableAutoClusterSelection, ranks_as=ranks_as)


def change_of(body: schemas.UpdateGpr) -> Change:
    """The change that is asked for."""
    return Change(priority=body.priority, name=body.gprName, release_early=body.earlyRelease)


def key_request_of(body: schemas.CreateApiKey) -> KeyRequest:
    """The key that is asked for."""
    if body.role != "Owner" and body.sliceName is None:
        raise InvalidRequest('"sliceName" is required for the roles Editor and Viewer')
    return KeyRequest(
        name=body.name,
        principal=body.userName,
        role=Role(body.role.lower()),
        workspace=body.sliceName,
        valid_until=None if body.validity is None else _end_of_day(body.validity),
    )


def _idle_duration(body: schemas.GprWish) -> str:
    """Normalised; a duration of nothing, as clients send it by default, means none."""
    text = body.idleTimeOutDuration.strip().lower()
    if set(text) <= set("0dhms"):
        return ""
    return format_duration(parse_duration(text))


def _end_of_day(text: str) -> datetime:
    try:
        day = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError as error:
        raise InvalidRequest('"validity" must be a day, YYYY-MM-DD') from error
    return datetime.combine(day, time.min, UTC) + timedelta(days=1)


# --- outward ----------------------------------------------------------------------------------------------------------


def workspace_list(workspaces: Sequence[Workspace]) -> schemas.WorkspaceList:
    """Slice workspaces."""
    return schemas.WorkspaceList(workspaces=[_workspace_item(workspace) for workspace in workspaces])


def inventory_list(nodes: Sequence[SeenNode]) -> schemas.InventoryList:
    """GPU nodes; of one that is cut each part is an item. Berth knows none that it does not manage."""
    cut = {(seen.node.cluster, seen.node.host) for seen in nodes if _is_part(seen.node)}
    whole_or_part = [one for one in nodes if _is_part(one.node) or (one.node.cluster, one.node.name) not in cut]
    items = [_inventory_item(seen) for seen in whole_or_part]
    return schemas.InventoryList(items=items, managedNodes=items, unmanagedNodes=[])


def workspace_inventory(nodes: Sequence[SeenNode]) -> schemas.WorkspaceInventory:
    """What a workspace holds, nodes of one kind together."""
    kinds: dict[tuple[str, str, str, int, int], list[SeenNode]] = defaultdict(list)
    for seen in nodes:
        node = seen.node
        kinds[node.cluster, node.shape, node.instance_type, node.memory_mib, _held_gpus(seen)].append(seen)
    return schemas.WorkspaceInventory(items=[_workspace_inventory_item(kind) for kind in kinds.values()])


def gpr_item(gpr: Gpr, now: datetime) -> schemas.GprItem:
    """A GPR with all its keys."""
    request, options = gpr.request, gpr.options
    return schemas.GprItem(
        gprId=gpr.external_id,
        sliceName=gpr.workspace,
        clusterName=gpr.cluster or _word(options, "clusterName") or next(iter(request.clusters), ""),
        numberOfGPUs=request.gpus_per_node,
        numberOfGPUNodes=request.nodes,
        instanceType=_word(options, "instanceType") or request.instance_type,
        memoryPerGPU=request.memory_gib,
        priority=request.priority,
        gpuSharingMode=_word(options, "gpuSharingMode") or "Virtual Machine",
        estimatedStartTime=_instant(gpr.estimate.starts_at),
        estimatedWaitTime=_wait(gpr, now),
        exitDuration="" if request.duration_seconds is None else format_duration(request.duration_seconds),
        earlyRelease=gpr.end_cause == EndCause.EARLY_RELEASE,
        gprName=request.name,
        gpuShape=_word(options, "gpuShape") or request.shape,
        multiNode=bool(options.get("multiNode")) or request.nodes > 1,
        dedicatedNodes=bool(options.get("dedicatedNodes")),
        enableRDMA=bool(options.get("enableRDMA")),
        enableSecondaryNetwork=bool(options.get("enableSecondaryNetwork")),
        idleTimeOutDuration=_word(options, "idleTimeOutDuration"),
        enforceIdleTimeOut=bool(options.get("enforceIdleTimeOut")),
        preferredClusters=_words(options, "preferredClusters"),
        enableAutoClusterSelection=bool(options.get("enableAutoClusterSelection")),
        enableAutoGpuSelection=bool(options.get("enableAutoGpuSelection")),
        enableEviction=request.preemptible,
        requeueOnFailure=request.requeue_on_failure,
        status=_status(gpr),
    )


def gpr_list(gprs: Sequence[Gpr], now: datetime) -> schemas.GprList:
    """GPRs."""
    return schemas.GprList(items=[gpr_item(gpr, now) for gpr in gprs])


def wait_time(start: PlannedStart, now: datetime) -> schemas.WaitTime:
    """When a GPR would start."""
    starts_at = start.estimate.starts_at
    return schemas.WaitTime(
        estimatedStartTime=_instant(starts_at),
        estimatedWaitTime="" if starts_at is None else format_duration((starts_at - now).total_seconds()),
        clusterName=start.cluster,
        nodes=list(dict.fromkeys(map(host_of, start.nodes))),
        position=start.estimate.position,
        reason=start.estimate.reason,
    )


async def gpr_stream(pages: AsyncIterator[Sequence[Gpr]], now: datetime) -> AsyncIterator[str]:
    """The same list, page by page, so that a very long one neither fills the memory nor holds up others."""
    before = f'{SUCCESS_HEAD}{{"items":['
    async for page in pages:
        items = ",".join(gpr_item(gpr, now).model_dump_json() for gpr in page)
        yield f"{before}{items}"
        before = ","
    yield f"]}}{SUCCESS_TAIL}"


def key_created(made: MadeKey) -> schemas.ApiKeyCreated:
    """A new key."""
    return schemas.ApiKeyCreated(apiKey=made.text)


def key_list(keys: Sequence[ApiKey]) -> schemas.ApiKeyList:
    """Keys without their texts."""
    return schemas.ApiKeyList(items=[_key_item(key) for key in keys])


def _workspace_item(workspace: Workspace) -> schemas.WorkspaceItem:
    clusters = list(workspace.request.clusters)
    namespaces = [schemas.NamespaceItem(namespace=one, clusters=clusters) for one in workspace.request.namespaces]
    return schemas.WorkspaceItem(
        name=workspace.request.name,
        overlayNetworkDeploymentMode="no-network",
        maxClusters=MAX_CLUSTERS,
        sliceDescription=workspace.request.description,
        clusters=clusters,
        namespaces=namespaces,
    )


def _inventory_item(seen: SeenNode) -> schemas.InventoryItem:
    node = seen.node
    state: Literal["NODE_AVAILABLE", "NODE_RESERVED"] = "NODE_RESERVED" if seen.held_gpus else "NODE_AVAILABLE"
    return schemas.InventoryItem(
        gpuNodeName=node.host,
        gpuShape=node.shape if cut_of(node.shape) else node.instance_type,  # what a request copies from here is served
        gpuModelName=node.shape,
        instanceType=node.instance_type,
        clusterName=node.cluster,
        memory=node.memory_mib,
        gpuCount=node.gpus,
        availableGPUs=node.free_gpus,
        gpuTempThreshold="",
        gpuPowerThreshold="",
        gpuNodeState=state,
        gpuNodeStatus=state,
        cloudProvider=node.cloud_provider,
        cloud=node.cloud_provider,
        region=node.region,
        nodeHealth="Healthy" if node.state is NodeState.READY else "Unhealthy",
        gpuSlicingProfile=[cut_of(node.shape)] if node.slicing is not Slicing.NONE else [],
        allocation=[_allocation(holder) for holder in node.holders],
    )


def _is_part(node: Node) -> bool:
    return node.name != node.host


def _allocation(holder: GpuHolder) -> schemas.Allocation:
    seconds = int(holder.granted_at.timestamp())
    return schemas.Allocation(
        gprName=holder.gpr_name,
        sliceName=holder.workspace,
        totalGPUsAllocated=holder.gpus,
        allocationTimeStamp=schemas.AllocationTime(seconds=str(seconds), nanos=holder.granted_at.microsecond * 1000),
    )


def _workspace_inventory_item(kind: Sequence[SeenNode]) -> schemas.WorkspaceInventoryItem:
    node = kind[0].node
    return schemas.WorkspaceInventoryItem(
        nodeName=[seen.node.host for seen in kind],
        instanceType=node.instance_type,
        memory=node.memory_mib,
        totalGpus=sum(_held_gpus(seen) for seen in kind),
        gpuShape=node.shape,
        memoryPerGpu=memory_gib(node.memory_mib),
        gpuPerNode=_held_gpus(kind[0]),
        totalGpuNodes=len(kind),
        clusterName=node.cluster,
    )


def _held_gpus(seen: SeenNode) -> int:
    return sum(holder.gpus for holder in seen.node.holders)


def _status(gpr: Gpr) -> schemas.GprStatus:
    provisioning, internal = STATUS_OF[gpr.phase]
    if gpr.phase is Phase.RELEASING and (gpr.active_at is None or may_come_back(gpr.phase, gpr.end_cause)):
        provisioning, internal = STATUS_OF[Phase.PROVISIONING]
    nodes = sorted({host_of(gpu.node) for gpu in gpr.gpus}) if gpr.phase is not Phase.QUEUED else []
    return schemas.GprStatus(
        provisioningStatus=provisioning,
        failureReason=gpr.failure,
        numGpusAllocated=len(gpr.gpus) if gpr.phase in HOLDING else 0,
        startTimestamp=_instant(gpr.active_at),
        completionTimestamp=_instant(gpr.finished_at),
        cost="" if gpr.cost is None else f"{gpr.cost:.2f}",
        nodes=nodes or None,
        internalState=internal,
        retryCount=gpr.retries,
        delayedCount=gpr.delays,
    )


def _wait(gpr: Gpr, now: datetime) -> str:
    """What is left of the estimate while queued; afterwards how long it waited."""
    starts_at = gpr.estimate.starts_at
    if starts_at is None:
        return ""
    return format_duration((starts_at - (now if gpr.phase is Phase.QUEUED else gpr.submitted_at)).total_seconds())


def _instant(at: datetime | None) -> str:
    return "" if at is None else at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _word(options: Mapping[str, object], name: str) -> str:
    return str(options.get(name, ""))


def _words(options: Mapping[str, object], name: str) -> list[str]:
    words = options.get(name)
    return [str(word) for word in words] if isinstance(words, list) else []


def _key_item(key: ApiKey) -> schemas.ApiKeyItem:
    last_day = "" if key.valid_until is None else f"{key.valid_until - timedelta(seconds=1):%Y-%m-%d}"
    return schemas.ApiKeyItem(
        name=key.name,
        userName=key.principal.name,
        role=ROLE_WORD[key.role],
        validity=last_day,
        sliceName=key.workspace or "",
        workspaceName=key.workspace or "",
        apiKeyPrefix=key.prefix,
        createdAt=_instant(key.created_at),
        revoked=key.revoked_at is not None,
    )
