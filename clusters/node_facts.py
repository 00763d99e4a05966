"""What a cluster says of nodes beside their GPUs: labels, size, age, and what the pods on them asked for."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from kubernetes.utils.quantity import parse_quantity

from clusters.connection import ClusterConnection
from clusters.holders import has_ended
from clusters.parallel import for_each
from clusters.pods import bound_pods
from clusters.taints import node_path
from domain.hardware import NodeFacts, NodeUse

Json = dict[str, Any]

NAMED_MAX: Final = 20
"""More nodes than this are found in the list of all."""
_NODES: Final = "/api/v1/nodes"
_FROM_MEMORY: Final = {"resourceVersion": "0"}
"""A moment old, and cheap for the API server."""
_MEBIBYTE: Final = 1024 * 1024


def node_facts(connection: ClusterConnection, names: Collection[str]) -> dict[str, NodeFacts]:
    """Each of these nodes as it is now; one that is gone is left out."""
    if len(names) <= NAMED_MAX:
        found = for_each(lambda name: connection.find(node_path(name)), names) if names else []
    else:
        wanted = frozenset(names)
        nodes = connection.get(_NODES, **_FROM_MEMORY)["items"] or []
        found = [node for node in nodes if node["metadata"]["name"] in wanted]
    return {node["metadata"]["name"]: _facts(node) for node in found if node is not None}


def node_use(connection: ClusterConnection, name: str) -> NodeUse:
    """What the pods on a node have asked for."""
    pods = [pod["spec"] for pod in bound_pods(connection, [name])[name] if not has_ended(pod)]
    cpu, memory = (sum((_asked(spec, what) for spec in pods), Decimal(0)) for what in ("cpu", "memory"))
    return NodeUse(int(cpu * 1000), int(memory) // _MEBIBYTE)


def has_namespace(connection: ClusterConnection, name: str) -> bool:
    """Whether the cluster has a namespace of this name, whoever made it."""
    return connection.find(f"/api/v1/namespaces/{name}") is not None


def _facts(node: Json) -> NodeFacts:
    capacity = node.get("status", {}).get("capacity") or {}
    return NodeFacts(
        labels=dict(sorted((node["metadata"].get("labels") or {}).items())),
        cpu_millis=int(_amount(capacity.get("cpu")) * 1000),
        memory_mib=int(_amount(capacity.get("memory"))) // _MEBIBYTE,
        created_at=_instant(node["metadata"].get("creationTimestamp")),
        reported_at=_last(node.get("status", {}).get("conditions") or []),
    )


def _asked(spec: Json, what: str) -> Decimal:
    """As the scheduler counts: containers and sidecars together, or the largest step before them; and the overhead."""
    before = spec.get("initContainers") or []
    sidecars = [one for one in before if one.get("restartPolicy") == "Always"]
    together = sum((_request(one, what) for one in [*(spec.get("containers") or []), *sidecars]), Decimal(0))
    largest = max((_request(one, what) for one in before), default=Decimal(0))
    return max(together, largest) + _amount((spec.get("overhead") or {}).get(what))


def _request(container: Json, what: str) -> Decimal:
    return _amount(((container.get("resources") or {}).get("requests") or {}).get(what))


def _amount(quantity: object) -> Decimal:
    return Decimal(parse_quantity(quantity)) if quantity else Decimal(0)  # type: ignore[no-untyped-call]


def _last(conditions: Iterable[Json]) -> datetime | None:
    return max(filter(None, (_instant(one.get("lastHeartbeatTime")) for one in conditions)), default=None)


def _instant(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
