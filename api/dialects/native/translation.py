"""Between the native dialect's words and Berth's own. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from starlette.responses import Response

from api.dialects.native import schemas
from api.operations.access import KeyRequest, MadeKey
from api.operations.gprs import Change, Submission
from api.operations.inventory import SeenNode
from api.operations.prices import NewPrice
from api.operations.quotas import NewQuota
from api.operations.workspaces import Kubeconfig
from api.problems import Problem
from domain.credentials import ApiKey
from domain.durations import format_duration, parse_duration
from domain.failures import InvalidRequest
from domain.gpr import HOLDING, EndCause, Estimate, Gpr, GprRequest, Phase
from domain.hardware import Cluster, memory_gib
from domain.history import Event, Notice
from domain.identity import Caller
from domain.limits import Amounts, Quota
from domain.prices import Price
from domain.priority import band_of, checked_priority
from domain.workload import GPR_KIND
from domain.workspace import Workspace, WorkspaceRequest

JSON = "application/json"


def answer(body: schemas.Answer, status: int = 200) -> Response:
    """A success."""
    return Response(body.model_dump_json(), status, media_type=JSON)


def failure(problem: Problem) -> Response:
    """Everything else."""
    view = schemas.FailureView(code=problem.code, message=problem.message, details=dict(problem.details))
    body = schemas.FailureAnswer(error=view).model_dump_json()
    return Response(body, problem.status, headers=dict(problem.headers), media_type=JSON)


# --- inward -----------------------------------------------------------------------------------------------------------


def submission_of(body: schemas.GprSubmission) -> Submission:
    """The Gpr that is asked for."""
    if body.release_when_idle and body.idle_timeout is None:
        raise InvalidRequest('"release_when_idle" needs "idle_timeout"')
    request = GprRequest(
        name=body.name,
        nodes=body.nodes,
        gpus_per_node=body.gpus_per_node,
        duration_seconds=parse_duration(body.duration),
        priority=checked_priority(body.priority),
        shape=body.shape,
        instance_type=body.instance_type,
        memory_gib=body.memory_gib,
        clusters=tuple(dict.fromkeys(body.clusters)),
        requeue_on_failure=body.requeue_on_failure,
        preemptible=body.preemptible,
        idle_seconds=None if body.idle_timeout is None else parse_duration(body.idle_timeout),
        ends_when_idle=body.release_when_idle,
        pool=body.pool,
    )
    return Submission(body.workspace, request, ranks_as=GPR_KIND if body.priority is None else "")


def change_of(body: schemas.GprChange) -> Change:
    """The change that is asked for."""
    return Change(priority=body.priority, name=body.name)


def workspace_request_of(body: schemas.WorkspaceSubmission) -> WorkspaceRequest:
    """The workspace that is asked for."""
    return WorkspaceRequest(
        name=body.name,
        clusters=tuple(body.clusters),
        namespaces=tuple(body.namespaces),
        username=body.username,
        email=body.email,
        description=body.description,
        pool=body.pool,
    )


def new_quota_of(namespace: str, body: schemas.QuotaSetting) -> NewQuota:
    """The quota that is to count."""
    return NewQuota(namespace, Amounts(body.gpus, body.cpu_millis, body.memory_mib), body.description)


def key_request_of(body: schemas.KeySubmission) -> KeyRequest:
    """The key that is asked for."""
    return KeyRequest(
        name=body.name,
        principal=body.principal,
        administrator=body.administrator,
        role=body.role,
        workspace=body.workspace,
        valid_for=body.valid_for,
    )


def new_price_of(body: schemas.PriceSetting) -> NewPrice:
    """The price that is to count."""
    return NewPrice(body.shape, body.per_gpu_hour, body.starts_at)


# --- outward ----------------------------------------------------------------------------------------------------------


def gpr_view(gpr: Gpr) -> schemas.GprView:
    """A Gpr."""
    request = gpr.request
    return schemas.GprView(
        id=gpr.id,
        external_id=gpr.external_id,
        name=request.name,
        workspace=gpr.workspace,
        phase=gpr.phase,
        nodes=request.nodes,
        gpus_per_node=request.gpus_per_node,
        gpus=request.gpus,
        shape=request.shape,
        instance_type=request.instance_type,
        memory_gib=request.memory_gib,
        clusters=list(request.clusters),
        pool=request.pool,
        duration="" if request.duration_seconds is None else format_duration(request.duration_seconds),
        duration_seconds=request.duration_seconds,
        priority=request.priority,
        band=band_of(request.priority),
        requeue_on_failure=request.requeue_on_failure,
        preemptible=request.preemptible,
        preemptions=gpr.preemptions,
        submitted_by=gpr.submitted_by,
        submitted_at=gpr.submitted_at,
        active_at=gpr.active_at,
        end_at=gpr.end_at,
        finished_at=gpr.finished_at,
        end_cause=EndCause(gpr.end_cause) if gpr.end_cause else None,
        failure=gpr.failure,
        retries=gpr.retries,
        cost=gpr.cost,
        delays=gpr.delays,
        suspended_at=gpr.suspended_at,
        estimate=estimate_view(gpr.estimate) if gpr.phase is Phase.QUEUED else None,
        promise=promise_view(gpr),
        lease=_lease_view(gpr),
        version=gpr.version,
    )


def gpr_page(gprs: Sequence[Gpr], limit: int) -> schemas.GprPage:
    """A page of Gprs."""
    further = str(gprs[-1].sequence) if len(gprs) == limit else None
    return schemas.GprPage(items=[gpr_view(gpr) for gpr in gprs], next=further)


def event_page(events: Sequence[Event]) -> schemas.EventPage:
    """A page of events; whoever follows them comes back with `next`."""
    views = [
        schemas.EventView(
            id=event.id,
            at=event.at,
            kind=event.kind,
            gpr_id=event.gpr_id,
            workspace_id=event.workspace_id,
            fence=event.fence,
            actor=event.actor,
            detail=event.detail,
        )
        for event in events
    ]
    return schemas.EventPage(items=views, next=str(events[-1].id) if events else None)


def notice_list(notices: Sequence[Notice]) -> schemas.NoticeList:
    """Notices."""
    views = [
        schemas.NoticeView(
            kind=notice.kind,
            due_at=notice.due_at,
            message=notice.message,
            delivered_at=notice.delivered_at,
            withdrawn_at=notice.withdrawn_at,
        )
        for notice in notices
    ]
    return schemas.NoticeList(items=views)


def workspace_view(workspace: Workspace) -> schemas.WorkspaceView:
    """A workspace."""
    request = workspace.request
    return schemas.WorkspaceView(
        id=workspace.id,
        name=request.name,
        phase=workspace.phase,
        failure=workspace.failure,
        clusters=list(request.clusters),
        namespaces=list(request.namespaces),
        username=request.username,
        email=request.email,
        description=request.description,
        pool=request.pool,
        role=workspace.role,
        created_at=workspace.created_at,
    )


def workspace_page(workspaces: Sequence[Workspace], limit: int) -> schemas.WorkspacePage:
    """A page of workspaces."""
    further = str(workspaces[-1].sequence) if len(workspaces) == limit else None
    return schemas.WorkspacePage(items=[workspace_view(one) for one in workspaces], next=further)


def kubeconfig_view(issued: Kubeconfig) -> schemas.KubeconfigView:
    """A kubeconfig."""
    return schemas.KubeconfigView(kubeconfig=issued.text, expires_at=issued.expires_at, clusters=list(issued.clusters))


def node_list(nodes: Sequence[SeenNode]) -> schemas.NodeList:
    """Nodes."""
    return schemas.NodeList(items=[_node_view(seen) for seen in nodes])


def cluster_list(clusters: Sequence[Cluster]) -> schemas.ClusterList:
    """Clusters."""
    views = [
        schemas.ClusterView(
            name=cluster.name,
            server=cluster.server,
            version=cluster.version,
            sufficient=cluster.sufficient,
            lacks=list(cluster.lacks),
            seen_at=cluster.seen_at,
            away_since=cluster.away_since,
        )
        for cluster in clusters
    ]
    return schemas.ClusterList(items=views)


def key_view(key: ApiKey) -> schemas.KeyView:
    """A key without its text."""
    return schemas.KeyView(
        id=key.id,
        name=key.name,
        prefix=key.prefix,
        principal=key.principal.name,
        role=key.role,
        workspace=key.workspace,
        created_at=key.created_at,
        valid_until=key.valid_until,
        revoked_at=key.revoked_at,
    )


def key_created(made: MadeKey) -> schemas.KeyCreated:
    """A new key with its text."""
    return schemas.KeyCreated(**key_view(made.key).model_dump(), key=made.text)


def key_list(keys: Sequence[ApiKey]) -> schemas.KeyList:
    """Keys."""
    return schemas.KeyList(items=[key_view(key) for key in keys])


def quota_view(quota: Quota) -> schemas.QuotaView:
    """A quota."""
    return schemas.QuotaView(
        namespace=quota.namespace,
        workspace=quota.workspace,
        limit=_amounts(quota.limit),
        gpus_now=quota.gpus_now,
        used=_amounts(quota.used),
        description=quota.description,
        set_by=quota.set_by,
        set_at=quota.set_at,
    )


def quota_list(found: Sequence[Quota]) -> schemas.QuotaList:
    """Quotas."""
    return schemas.QuotaList(items=[quota_view(quota) for quota in found])


def _amounts(amounts: Amounts) -> schemas.AmountsView:
    return schemas.AmountsView(gpus=amounts.gpus, cpu_millis=amounts.cpu_millis, memory_mib=amounts.memory_mib)


def price_view(price: Price) -> schemas.PriceView:
    """A price."""
    return schemas.PriceView(
        shape=price.shape,
        starts_at=price.starts_at,
        per_gpu_hour=price.per_gpu_hour,
        set_by=price.set_by,
        set_at=price.set_at,
    )


def price_list(found: Sequence[Price]) -> schemas.PriceList:
    """Prices."""
    return schemas.PriceList(items=[price_view(price) for price in found])


def caller_view(caller: Caller) -> schemas.CallerView:
    """Who asks."""
    return schemas.CallerView(
        principal=caller.principal.name,
        principal_id=caller.principal.id,
        administrator=caller.administrator,
        role=caller.role_limit,
        workspace=caller.workspace_name,
        key_id=caller.key_id,
        expires_at=caller.expires_at,
    )


def estimate_view(estimate: Estimate) -> schemas.EstimateView:
    """When, between when and when, and why not now."""
    return schemas.EstimateView(
        starts_at=estimate.starts_at,
        position=estimate.position,
        reason_code=estimate.reason_code,
        reason=estimate.reason,
        earliest=estimate.earliest if estimate.starts_at else None,
        latest=estimate.latest if estimate.starts_at else None,
    )


def promise_view(gpr: Gpr) -> schemas.PromiseView | None:
    """What it was promised."""
    promise = gpr.promise
    if promise is None:
        return None
    return schemas.PromiseView(
        made_at=promise.made_at,
        starts_at=promise.starts_at,
        cluster=promise.cluster,
        nodes=list(promise.nodes),
        moves=promise.moves,
    )


def _lease_view(gpr: Gpr) -> schemas.LeaseView | None:
    if not gpr.gpus:
        return None
    by_node = groupby(sorted(gpr.gpus), key=lambda gpu: gpu.node)
    nodes = [schemas.NodeGpusView(node=node, gpus=[gpu.ordinal for gpu in gpus]) for node, gpus in by_node]
    return schemas.LeaseView(cluster=gpr.cluster, fence=gpr.fence, held=gpr.phase in HOLDING, nodes=nodes)


def _node_view(seen: SeenNode) -> schemas.NodeView:
    node = seen.node
    holders = [
        schemas.HolderView(
            gpr=holder.gpr_name, workspace=holder.workspace, gpus=holder.gpus, granted_at=holder.granted_at
        )
        for holder in node.holders
    ]
    return schemas.NodeView(
        cluster=node.cluster,
        name=node.name,
        shape=node.shape,
        instance_type=node.instance_type,
        gpus=node.gpus,
        free_gpus=node.free_gpus,
        held_gpus=seen.held_gpus,
        foreign_gpus=node.foreign_gpus,
        resource=node.resource,
        slicing=node.slicing,
        memory_mib=node.memory_mib,
        memory_gib=memory_gib(node.memory_mib),
        region=node.region,
        cloud_provider=node.cloud_provider,
        state=node.state,
        condition=node.condition,
        holders=holders,
    )
