"""Between Berth's nouns and gpuctl's words for pools, nodes, labels, quotas and namespaces. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, Literal, TypeVar

from api.dialects.gpuctl import schemas
from api.dialects.gpuctl.default_namespace import inward, outward
from api.dialects.gpuctl.quantities import cpu_millis, memory_bytes
from api.operations.nodes import NodeQuery, PooledNode
from api.operations.pools import NO_POOL
from api.operations.pools import PoolChange as Wish
from api.operations.quotas import NewQuota
from domain.failures import InvalidRequest
from domain.hardware import NodeState, NodeUse, means_shape
from domain.identifiers import WORKSPACE_LABEL
from domain.limits import Amounts, Pool, Quota
from domain.workspace import WorkspacePhase

if TYPE_CHECKING:
    from collections.abc import Mapping

    from api.dialects.gpuctl.bodies import DocumentBody
    from api.dialects.gpuctl.limits import Limits
    from api.dialects.gpuctl.pool_document import PoolChange, PoolNode
    from api.dialects.gpuctl.quota_document import QuotaOrder
    from api.dialects.gpuctl.yaml_documents import YamlDocument
    from api.operations.namespaces import Namespace, SetQuota
    from domain.failures import BerthFailure

NAMESPACE_LABEL: Final = "runwhere.ai/namespace"
"""By this clients know the namespaces that are theirs to see."""
UNKNOWN: Final = "unknown"
UNLIMITED: Final = "unlimited"
GPU_KEY: Final = "nvidia.com/gpu"
MEBIBYTE: Final = 1024**2
GIBIBYTE_IN_MEBIBYTES: Final = 1024
NO_POOL_TEXT: Final = "Nodes that are in no pool"
_GPU_WORDS: Final = ("gpu", "mig", "cuda")
_PHASES: Final = {WorkspacePhase.CREATING: "Pending", WorkspacePhase.DELETING: "Terminating"}

_Item = TypeVar("_Item")


def page(items: Sequence[_Item], number: int, size: int) -> list[_Item]:
    """One page of a list, counted from 1; empty behind its end."""
    return list(items[(number - 1) * size : number * size])


def age(since: datetime, now: datetime) -> str:
    """How long ago, in the largest unit that has passed: `45s`, `25m`, `2h`, `3d`."""
    seconds = int(max(timedelta(0), now - since).total_seconds())
    if seconds < 60:  # noqa: PLR2004 - a minute
        return f"{seconds}s"
    minutes = seconds // 60
    hours = minutes // 60
    return f"{minutes}m" if not hours else f"{hours}h" if hours < 24 else f"{hours // 24}d"  # noqa: PLR2004 - a day


def document_of(body: DocumentBody) -> YamlDocument:
    """The document to carry out."""
    if body.dry_run:
        raise InvalidRequest("dryRun is for jobs: this would be done at once")
    return body.document


# --- pools ------------------------------------------------------------------------------------------------------------


def pool_list(pools: Sequence[Pool], nodes: Sequence[PooledNode]) -> list[schemas.PoolItem]:
    """All pools, and last the nodes of none."""
    described = [*((pool.name, pool.description) for pool in pools), (NO_POOL, NO_POOL_TEXT)]
    return [_pool_item(name, description, members_of(name, nodes)) for name, description in described]


def pool_detail(pool: Pool | None, nodes: Sequence[PooledNode]) -> schemas.PoolDetail:
    """One pool; None: the nodes of none."""
    name, description = (NO_POOL, NO_POOL_TEXT) if pool is None else (pool.name, pool.description)
    members = members_of(name, nodes)
    names = [one.node.name for one in members] if pool is None else [one.node for one in pool.nodes]
    item = _pool_item(name, description, members)
    return schemas.PoolDetail(
        name=name,
        description=description,
        nodes=names,
        gpu_total=item.gpuTotal,
        gpu_used=item.gpuUsed,
        gpu_free=item.gpuFree,
        gpu_types=item.gpuType,
        status=item.status,
    )


def members_of(pool: str, nodes: Iterable[PooledNode]) -> list[PooledNode]:
    """The nodes of a pool."""
    return [one for one in nodes if pool in (one.pools or (NO_POOL,))]


def wish_of(change: PoolChange) -> Wish:
    """What is to become of a pool."""
    nodes = None if change.nodes is None else [node.name for node in change.nodes]
    return Wish(change.description, nodes)


def check_pool(
    limits: Limits | None, wanted: Iterable[PoolNode], allowed: Sequence[str], nodes: Iterable[PooledNode]
) -> None:
    """What a document says of a pool beside its nodes: kept where it is true, refused where it could not be."""
    if limits is not None and limits.content():
        raise InvalidRequest("quota: a pool has no limits of its own; set quotas for namespaces")
    shapes: defaultdict[str, list[list[str]]] = defaultdict(list)
    for one in nodes:
        shapes[one.node.name].append(one.shapes)
    for node in wanted:
        for has in shapes[node.name]:
            if node.gpu_type and not any(means_shape(node.gpu_type, shape) for shape in has):
                raise InvalidRequest(f"node {node.name!r} has {_all(has)} GPUs, not {node.gpu_type}", node=node.name)
            if allowed and not any(means_shape(word, shape) for word in allowed for shape in has):
                sentence = f"node {node.name!r} has {_all(has)} GPUs, which gpuType does not name: {_all(allowed)}"
                raise InvalidRequest(sentence, node=node.name)


def pool_changed(name: str, status: Literal["created", "updated", "deleted"]) -> schemas.PoolChanged:
    """A pool was made, changed or deleted."""
    return schemas.PoolChanged(name=name, status=status, message=f"Resource pool {name!r} {status}")


def _pool_item(name: str, description: str, members: Sequence[PooledNode]) -> schemas.PoolItem:
    return schemas.PoolItem(
        name=name,
        description=description,
        gpuTotal=sum(one.gpus for one in members),
        gpuUsed=sum(one.used_gpus for one in members),
        gpuFree=sum(one.free_gpus for one in members),
        gpuType=sorted({shape for one in members for shape in one.shapes}),
        status="active",
    )


# --- nodes ------------------------------------------------------------------------------------------------------------


def node_query(pool: str | None, gpu_type: str | None, status: str | None) -> NodeQuery:
    """Which nodes to list."""
    return NodeQuery(pool or None, gpu_type or None, None if status is None else status == "active")


def node_item(one: PooledNode) -> schemas.NodeItem:
    """A node in the list."""
    facts = one.facts
    return schemas.NodeItem(
        nodeName=one.node.name,
        status=_status(one),
        gpuTotal=one.gpus,
        gpuUsed=one.used_gpus,
        gpuFree=one.free_gpus,
        boundPools=list(one.pools or (NO_POOL,)),
        cpu=UNKNOWN if facts is None else cpu_text(facts.cpu_millis),
        memory=UNKNOWN if facts is None else memory_text(facts.memory_mib),
        gpuType=_all(one.shapes),
        createdAt=None if facts is None else facts.created_at,
    )


def node_detail(one: PooledNode, use: NodeUse) -> schemas.NodeDetail:
    """A node by itself."""
    assert one.facts is not None
    return schemas.NodeDetail(
        nodeName=one.node.name,
        status=_status(one),
        resources=schemas.NodeResources(
            cpuTotal=cpu_text(one.facts.cpu_millis),
            cpuUsed=cpu_text(use.cpu_millis),
            memoryTotal=memory_text(one.facts.memory_mib),
            memoryUsed=memory_text(use.memory_mib),
            gpuTotal=one.gpus,
            gpuUsed=one.used_gpus,
            gpuFree=one.free_gpus,
        ),
        labels=_labels(one.facts.labels),
        boundPools=list(one.pools or (NO_POOL,)),
        createdAt=one.facts.created_at,
        lastUpdatedAt=one.facts.reported_at,
    )


def gpu_detail(one: PooledNode) -> schemas.GpuDetail:
    """The GPUs of a node. Which of them are held Berth counts and does not know, so the first ones are said to be.

    Instances and shared GPUs are GPUs of a type of their own.
    """
    told = [
        (piece.node.shape, _gpu_status(place, piece.used_gpus, piece.node.free_gpus))
        for piece in one.pieces
        for place in range(piece.node.gpus)
    ]
    gpus = [_gpu(place, shape, status) for place, (shape, status) in enumerate(told)]
    return schemas.GpuDetail(nodeName=one.node.name, gpuCount=one.gpus, gpus=gpus)


def node_pool_changed(node: str, pool: str, what: str) -> schemas.NodePoolChanged:
    """A node came into a pool, or left it."""
    return schemas.NodePoolChanged(node=node, pool=pool, message=f"Node {node!r} {what} the pool {pool!r}")


def _all(words: Iterable[str]) -> str:
    return ", ".join(words)


def _status(one: PooledNode) -> Literal["active", "not_ready"]:
    return "active" if one.node.state is NodeState.READY else "not_ready"


def _gpu_status(place: int, used: int, free: int) -> str:
    return "used" if place < used else "free" if place < used + free else "unavailable"


def _gpu(place: int, shape: str, status: str) -> schemas.GpuItem:
    return schemas.GpuItem(gpuId=f"gpu-{place}", type=shape, status=status, utilization=None, memoryUsage=None)


# --- labels -----------------------------------------------------------------------------------------------------------


def node_labels(one: PooledNode) -> schemas.NodeLabels:
    """All labels of a node."""
    assert one.facts is not None
    return schemas.NodeLabels(node=one.node.name, labels=dict(one.facts.labels))


def label_values(nodes: Iterable[PooledNode]) -> dict[str, list[str]]:
    """Every label's values, by key."""
    values: defaultdict[str, set[str]] = defaultdict(set)
    for one in nodes:
        for key, value in (one.facts.labels if one.facts else {}).items():
            values[key].add(value)
    return {key: sorted(values[key]) for key in sorted(values)}


def label_matches(nodes: Iterable[PooledNode], key: str) -> list[schemas.LabelMatch]:
    """The nodes that have a label, and its value on each."""
    return [
        schemas.LabelMatch(nodeName=one.node.name, labelKey=key, labelValue=one.facts.labels[key])
        for one in nodes
        if one.facts is not None and key in one.facts.labels
    ]


def gpu_labels(one: PooledNode) -> schemas.GpuLabels:
    """The labels of a node that speak of GPUs."""
    labels = {} if one.facts is None else one.facts.labels
    told = {key: value for key, value in labels.items() if _speaks_of_gpus(key)}
    return schemas.GpuLabels(nodeName=one.node.name, gpuLabels=_labels(told), boundPools=list(one.pools or (NO_POOL,)))


def label_of_node(node: str, key: str, value: str) -> schemas.NodeLabel:
    """One label. Kubernetes keeps no instants of labels."""
    label = schemas.LabelOfNode(key=key, value=value, createdAt=None, lastUpdatedAt=None)
    return schemas.NodeLabel(nodeName=node, label=label)


def label_batch(outcome: Mapping[str, BerthFailure | None]) -> schemas.LabelBatchResult:
    """What became of a label for several nodes."""
    failed = [schemas.LabelFailure(nodeName=name, error=one.message) for name, one in outcome.items() if one]
    success = [name for name, failure in outcome.items() if failure is None]
    message = f"Label put on {len(success)} of {len(outcome)} nodes"
    return schemas.LabelBatchResult(success=success, failed=failed, message=message)


def _labels(labels: Mapping[str, str]) -> list[schemas.Label]:
    return [schemas.Label(key=key, value=value) for key, value in labels.items()]


def _speaks_of_gpus(key: str) -> bool:
    prefix, _, name = key.rpartition("/")
    return prefix == "nvidia.com" or any(word in name for word in _GPU_WORDS)


# --- quotas and namespaces --------------------------------------------------------------------------------------------


def quotas_of(order: QuotaOrder) -> list[NewQuota]:
    """The quotas that a document asks for."""
    return [NewQuota(inward(one.namespace), _amounts(one.limits), order.description) for one in order.namespaces]


def quotas_created(order: QuotaOrder, made: Iterable[SetQuota]) -> schemas.QuotasCreated:
    """A quota was taken."""
    created = [
        schemas.QuotaCreated(
            name=order.name,
            namespace=outward(one.quota.namespace),
            status="created" if one.new else "updated",
            **_amount_words(one.quota.limit),
        )
        for one in made
    ]
    return schemas.QuotasCreated(
        message=f"Quota {order.name!r} set for {len(created)} namespaces", name=order.name, created=created
    )


def quota(one: Quota) -> schemas.Quota:
    """A quota, and what of it is in use."""
    return schemas.Quota(
        name=outward(one.namespace),
        namespace=outward(one.namespace),
        hard=_by_key(one.limit),
        used=_by_key(one.used),
        status="Active",
    )


def quota_page(quotas: Sequence[Quota]) -> schemas.QuotaPage:
    """All quotas; this list has no pages."""
    return schemas.QuotaPage(total=len(quotas), items=[quota(one) for one in quotas])


def quota_deleted(namespace: str) -> schemas.QuotaDeleted:
    """A quota is gone."""
    return schemas.QuotaDeleted(jobId=outward(namespace), message=f"Quota of namespace {outward(namespace)!r} deleted")


def namespace_page(namespaces: Sequence[Namespace], now: datetime) -> schemas.NamespacePage:
    """All namespaces; this list has no pages."""
    items = [
        schemas.NamespaceItem(name=outward(one.name), status=_phase(one), age=age(one.workspace.created_at, now))
        for one in namespaces
    ]
    return schemas.NamespacePage(total=len(items), items=items)


def namespace_detail(one: Namespace, now: datetime) -> schemas.NamespaceDetail:
    """A namespace by itself."""
    return schemas.NamespaceDetail(
        name=outward(one.name),
        status=_phase(one),
        age=age(one.workspace.created_at, now),
        labels={NAMESPACE_LABEL: "true", WORKSPACE_LABEL: one.workspace.tenant},
        quota=None if one.quota is None else quota(one.quota),
    )


def namespace_deleted(name: str) -> schemas.NamespaceDeleted:
    """A namespace goes, with all that is in it."""
    return schemas.NamespaceDeleted(name=name, message=f"Namespace {name!r} is being deleted")


def cpu_text(millis: int) -> str:
    """CPU in its one spelling: `8`, `500m`."""
    return f"{millis}m" if millis % 1000 else str(millis // 1000)


def memory_text(mebibytes: int) -> str:
    """Memory in the larger unit where it is whole: `32Gi`, `1500Mi`."""
    whole = mebibytes and mebibytes % GIBIBYTE_IN_MEBIBYTES == 0
    return f"{mebibytes // GIBIBYTE_IN_MEBIBYTES}Gi" if whole else f"{mebibytes}Mi"


def _amounts(limits: Limits) -> Amounts:
    return Amounts(
        gpus=limits.gpus,
        cpu_millis=cpu_millis(limits.cpu) if limits.cpu else None,
        memory_mib=memory_bytes(limits.memory) // MEBIBYTE if limits.memory else None,
    )


def _amount_words(amounts: Amounts) -> dict[str, str]:
    return {
        "cpu": UNLIMITED if amounts.cpu_millis is None else cpu_text(amounts.cpu_millis),
        "memory": UNLIMITED if amounts.memory_mib is None else memory_text(amounts.memory_mib),
        "gpu": UNLIMITED if amounts.gpus is None else str(amounts.gpus),
    }


def _by_key(amounts: Amounts) -> dict[str, str]:
    """Under Kubernetes' names; what is not limited is left out."""
    words = _amount_words(amounts)
    named = {"cpu": words["cpu"], "memory": words["memory"], GPU_KEY: words["gpu"]}
    return {key: word for key, word in named.items() if word != UNLIMITED}


def _phase(one: Namespace) -> str:
    return _PHASES.get(one.workspace.phase, "Active")
