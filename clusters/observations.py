"""What nodes and namespaces say about themselves, in Berth's words. Pure: no calls."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final

from clusters.holders import asked_count, has_ended, quantity_count
from clusters.manifests import QUARANTINE_ANNOTATION, UNMANAGED_LABEL
from clusters.parts import contradiction, device_counts, is_cut, is_device, parts_of
from domain.hardware import ObservedNode
from domain.identifiers import MANAGED_TAINT, QUARANTINE_TAINT, is_token
from domain.slices import GPU_RESOURCE

Json = dict[str, Any]

_TOLERATED_TAINTS: Final = frozenset({MANAGED_TAINT, GPU_RESOURCE})
"""GPU pods of workspaces are made to tolerate these (`policies/pod-token.yaml`)."""
_HARD_EFFECTS: Final = frozenset({"NoSchedule", "NoExecute"})


def left_out_because(node: Json) -> str:
    """Why a node with GPUs is not Berth's to lease, or "" where it is."""
    labels = node["metadata"].get("labels") or {}
    if labels.get(UNMANAGED_LABEL) == "true":
        return f"labelled {UNMANAGED_LABEL}=true"
    return contradiction(node)


def has_gpus(node: Json) -> bool:
    """Whether the node has GPUs, whole or cut, healthy or not."""
    return bool(device_counts(node))


def observed_node(node: Json, foreign: Mapping[str, int] | None = None) -> ObservedNode:
    """A GPU node as Berth sees it. `foreign`: how many devices pods outside Berth use there, by resource."""
    labels = node["metadata"].get("labels") or {}
    parts = parts_of(node, foreign or {})
    whole = () if is_cut(parts) else parts
    troubles = [*_troubles(node), *_sick_gpus(node)] if whole else _troubles(node)
    return ObservedNode(
        name=node["metadata"]["name"],
        shape=labels.get("nvidia.com/gpu.product", "unknown"),
        instance_type=labels.get("node.kubernetes.io/instance-type", ""),
        gpus=sum(part.count for part in whole),
        memory_mib=_whole_number(labels.get("nvidia.com/gpu.memory")),
        ready=not why_not_ready(node),
        schedulable=not troubles,
        condition="; ".join(filter(None, [why_not_ready(node), *troubles])),
        region=labels.get("topology.kubernetes.io/region", ""),
        cloud_provider=str(node.get("spec", {}).get("providerID", "")).partition(":")[0],
        foreign_gpus=sum(part.foreign for part in whole),
        tokens=node_tokens(node),
        parts=() if whole else parts,
    )


def node_tokens(node: Json) -> dict[str, int]:
    """Every capacity token on the node. Allocatable is what the scheduler goes by; a key in capacity alone counts 0."""
    allocatable = _status(node, "allocatable")
    keys = [key for key in {**_status(node, "capacity"), **allocatable} if is_token(key)]
    return {key: quantity_count(allocatable.get(key)) for key in sorted(keys)}


def node_fingerprint(node: Json) -> tuple[object, ...]:
    """What of a node matters for placing leases; heartbeats and Berth's own tokens leave it as it is."""
    seen = observed_node(node)
    hardware = (seen.shape, seen.instance_type, seen.gpus, seen.memory_mib, left_out_because(node))
    return (*hardware, seen.parts, seen.ready, seen.schedulable, seen.condition)


def foreign_gpus(pods: Iterable[Json], workspace_namespaces: frozenset[str]) -> Mapping[str, Counter[str]]:
    """GPUs used on each node by pods that are not a workspace's, by the resource that counts them."""
    used = defaultdict[str, Counter[str]](Counter)
    for pod in pods:
        if pod["metadata"]["namespace"] not in workspace_namespaces and not has_ended(pod):
            spec = pod["spec"]
            asked = {resource: asked_count(spec, resource) for resource in _devices(spec)}
            used[spec.get("nodeName", "")] += Counter(asked)
    return used


def _devices(pod_spec: Json) -> set[str]:
    containers = [*(pod_spec.get("containers") or []), *(pod_spec.get("initContainers") or [])]
    limits = [(container.get("resources") or {}).get("limits") or {} for container in containers]
    return {resource for limit in limits for resource in limit if is_device(resource)}


def kept_off_daemon_sets(daemon_sets: Iterable[Json], nodes: Collection[Json]) -> list[str]:
    """DaemonSets that belong on these nodes and would not start there again under Berth's standing taint."""
    pods = {_full_name(daemon_set): daemon_set["spec"]["template"]["spec"] for daemon_set in daemon_sets}
    return [name for name, spec in pods.items() if not _tolerates_berth(spec) and _belongs_on_any(spec, nodes)]


def _full_name(thing: Json) -> str:
    return f"{thing['metadata']['namespace']}/{thing['metadata']['name']}"


def _tolerates_berth(pod_spec: Json) -> bool:
    tolerations = pod_spec.get("tolerations") or []
    effects = [one.get("effect") for one in tolerations if one.get("key") in {None, "", MANAGED_TAINT}]
    return any(effect in {None, "", "NoSchedule"} for effect in effects)


def _belongs_on_any(pod_spec: Json, nodes: Collection[Json]) -> bool:
    """By its node selector; affinities are not read, so that a warning is given rather than missed."""
    wanted = (pod_spec.get("nodeSelector") or {}).items()
    return any(wanted <= (node["metadata"].get("labels") or {}).items() for node in nodes)


def why_not_ready(node: Json) -> str:
    """What a node says about why it is not ready, or "" where it is."""
    conditions = node.get("status", {}).get("conditions") or []
    ready: Json = next((condition for condition in conditions if condition["type"] == "Ready"), {})
    if ready.get("status") == "True":
        return ""
    return f"not ready: {ready.get('message') or ready.get('reason') or 'no report from the node'}"


def _troubles(node: Json) -> list[str]:
    """Why nothing new may be placed here although the node may be running."""
    spec, annotations = node.get("spec", {}), node["metadata"].get("annotations") or {}
    hard = [taint for taint in spec.get("taints") or [] if taint["effect"] in _HARD_EFFECTS]
    cordoned = ["cordoned"] if spec.get("unschedulable") else []
    quarantined = [f"quarantined: {annotations.get(QUARANTINE_ANNOTATION, 'no reason kept')}"]
    ours = quarantined if any(taint["key"] == QUARANTINE_TAINT for taint in hard) else []
    kept_off = [
        f"taint {taint['key']}:{taint['effect']}" for taint in hard if _keeps_off(taint, cordoned=bool(cordoned))
    ]
    return [*cordoned, *ours, *kept_off]


def _keeps_off(taint: Json, *, cordoned: bool) -> bool:
    said_already = taint["key"] == QUARANTINE_TAINT or (cordoned and taint["key"] == "node.kubernetes.io/unschedulable")
    tolerated = taint["key"] in _TOLERATED_TAINTS and taint["effect"] == "NoSchedule"
    return not said_already and not tolerated


def _sick_gpus(node: Json) -> list[str]:
    """A device plugin takes GPUs that fail out of allocatable; which ones they are it does not say."""
    capacity, allocatable = (
        quantity_count(_status(node, part).get(GPU_RESOURCE)) for part in ("capacity", "allocatable")
    )
    return [f"{capacity - allocatable} of {capacity} GPUs are not healthy"] if allocatable < capacity else []


def _status(node: Json, part: str) -> Json:
    values: Json = node.get("status", {}).get(part) or {}
    return values


def _whole_number(text: object) -> int:
    return int(str(text)) if str(text).isdecimal() else 0


def why_namespace_stays(namespace: Json) -> str:
    """What a namespace says about why it is still there."""
    status = namespace.get("status") or {}
    if status.get("phase") != "Terminating":
        return "its deletion has not begun"
    said = [
        condition.get("message", "")
        for condition in status.get("conditions") or []
        if condition.get("status") == "True"
    ]
    return "; ".join(filter(None, said)) or "its contents are being deleted"
