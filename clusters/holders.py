"""What pods ask for, and which of them still hold GPUs. Pure: no calls, and the time is given."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from domain.identifiers import is_lease_token, is_token, resource_of

Json = dict[str, Any]

STUCK_AFTER: Final = timedelta(seconds=10)
"""How long after its grace a pod that is being deleted is called stuck."""

_STRANGERS: Final = ""
_OVER: Final = frozenset({"Succeeded", "Failed"})


@dataclass(frozen=True, slots=True)
class HolderPod:
    """A pod that still holds GPUs of a node. `stuck_reason` says why it does not go, where it should have."""

    namespace: str
    name: str
    phase: str
    stuck_reason: str = ""

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name} ({self.phase}) {self.stuck_reason or 'has not gone yet'}"


def quantity_count(quantity: object) -> int:
    """An extended resource's count. Kubernetes writes 1000 as `1k`."""
    text = str(quantity or 0)
    return int(text[:-1]) * 1000 if text.endswith("k") else int(text)


def asked_count(pod_spec: Json, resource: str) -> int:
    """How many of a resource a pod takes from its node: its containers and sidecars, or its largest init container."""
    before = pod_spec.get("initContainers") or []
    sidecars = [container for container in before if container.get("restartPolicy") == "Always"]
    together = sum(_limit(container, resource) for container in [*(pod_spec.get("containers") or []), *sidecars])
    return max(together, max((_limit(container, resource) for container in before), default=0))


def holder(pod: Json, key: str, now: datetime) -> HolderPod | None:
    """The pod as a holder of GPUs behind this token, or None where it holds none (any more)."""
    if not asked_count(pod["spec"], key) or has_ended(pod):
        return None
    metadata = pod["metadata"]
    return HolderPod(
        metadata["namespace"], metadata["name"], pod["status"].get("phase", "Unknown"), _stuck_reason(pod, now)
    )


def deletion_is_due(pod: Json, grace_seconds: int) -> bool:
    """Whether the pod has still to be told to go, or to go sooner than it was told before."""
    metadata = pod["metadata"]
    return "deletionTimestamp" not in metadata or (metadata.get("deletionGracePeriodSeconds") or 0) > grace_seconds


def grace_of(pod: Json, grace_seconds_max: int) -> int:
    """The pod's own grace within the budget; never 0, which would drop the pod's record while its processes live on."""
    own = pod["spec"].get("terminationGracePeriodSeconds")
    return max(1, min(grace_seconds_max, 30 if own is None else own))


def has_ended(pod: Json) -> bool:
    """Whether none of the pod's processes can be alive: it is over, or only its record is held by a finalizer."""
    states = [status.get("state") or {} for status in pod.get("status", {}).get("containerStatuses") or []]
    if pod.get("status", {}).get("phase") in _OVER:
        return not any("running" in state for state in states)
    ended = [state for state in states if "terminated" in state]
    return "deletionTimestamp" in pod["metadata"] and len(ended) == len(states) == len(pod["spec"]["containers"])


def gpus_held_beside(key: str, pods: Iterable[Json], tokens: Mapping[str, int]) -> int:
    """GPUs of a node that are not this token's to use: what other leases have there, and what strangers use.

    Only devices of the kind that the token counts: what else the node has is another part of it.
    """
    resource = resource_of(key)
    used: Counter[str] = Counter()
    for pod in pods:
        if not has_ended(pod):
            used += _use(pod["spec"], resource)
    others = ({*used, *(one for one in tokens if resource_of(one) == resource)} | {_STRANGERS}) - {key}
    return sum(max(used[other], tokens.get(other, 0)) for other in others)


def asks_for_leased_gpus(pod_spec: Json, key: str) -> bool:
    """Whether pods of this template use the GPUs behind this token: a template that names none uses its workspace's."""
    named = token_keys(pod_spec) or (set() if is_lease_token(key) else {key})
    return asked_count(pod_spec, resource_of(key)) > 0 and named == {key}


def _use(pod_spec: Json, resource: str) -> Counter[str]:
    """The pod's devices of this kind, under the token that it has them by."""
    keys = {key for key in token_keys(pod_spec) if resource_of(key) == resource} or {_STRANGERS}
    return Counter({key: asked_count(pod_spec, resource if key is _STRANGERS else key) for key in keys})


def token_keys(pod_spec: Json) -> set[str]:
    """The capacity tokens that a pod asks for, by key."""
    limits = [(container.get("resources") or {}).get("limits") or {} for container in pod_spec.get("containers") or []]
    return {name for limit in limits for name in limit if is_token(name)}


def _stuck_reason(pod: Json, now: datetime) -> str:
    metadata = pod["metadata"]
    if "deletionTimestamp" not in metadata:
        return ""
    overdue = now - datetime.fromisoformat(metadata["deletionTimestamp"])  # the end of the pod's grace, not its begin
    if overdue < STUCK_AFTER:
        return ""
    finalizers = ", ".join(metadata.get("finalizers") or [])
    why = f"held by finalizers {finalizers}" if finalizers else "its containers have not ended"
    return f"should have gone {round(overdue.total_seconds())} s ago: {why}"


def _limit(container: Json, resource: str) -> int:
    return quantity_count(((container.get("resources") or {}).get("limits") or {}).get(resource))
