"""What a job's objects and pods say, in Berth's words, with the reason that a person needs. Pure: no calls.

A job that is starting has not failed, and neither has one that replaces a failed pod: FAILED is said only where
Kubernetes has given up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from clusters.job_pod_status import CREATING, NODE_LOST, NOT_READY, PLACED, TERMINATING, UNSCHEDULABLE, observed_pod
from clusters.manifests import REPLICAS_ANNOTATION
from domain.job import JobState, ObservedJob, ObservedPod

Json = dict[str, Any]
Verdict = tuple[JobState, str, str]
"""State, reason, message."""

_OVER: Final = frozenset({"Succeeded", "Failed"})
_OF_ITS_PODS: Final = frozenset(
    {"BackoffLimitExceeded", "PodFailurePolicy", "FailedIndexes", "MaxFailedIndexesExceeded"}
)
"""Why Kubernetes gives up a job whose pods failed, which says nothing of why they did."""
_TELLING: Final = (NODE_LOST, "", UNSCHEDULABLE, CREATING, NOT_READY, PLACED, TERMINATING)
"""Which reason is told where pods have several; "" stands for every other: what a container or its image lacks."""
_STARTING: Final = frozenset({UNSCHEDULABLE, CREATING, NOT_READY, PLACED})
MISSING: Final = "PodMissing"
"""A pod of a box was taken away."""


@dataclass(frozen=True, slots=True)
class JobEvidence:
    """What a cluster shows of one job, as Kubernetes describes it."""

    workload: Json | None
    """Its Job, Deployment or StatefulSet; a box has none, and its pods say how many there are to be."""
    pods: Sequence[Json] = ()
    services: Sequence[Json] = ()
    lost_nodes: Mapping[str, str] = field(default_factory=dict)
    """Nodes of its pods that are not ready, and what they say about it."""


def observed_job(evidence: JobEvidence) -> ObservedJob:
    """The job as it stands."""
    found = [_reachable_pod(pod, evidence) for pod in evidence.pods]
    pods = tuple(sorted(found, key=lambda pod: (str(pod.created_at or ""), pod.name)))
    wanted = _wanted(evidence)
    state, reason, message = _verdict(evidence, pods, wanted)
    seen = ObservedJob(state, reason, message, _ready(pods), wanted, pods)
    return replace(seen, service_node_port=_node_port(evidence.services))


def _reachable_pod(pod: Json, evidence: JobEvidence) -> ObservedPod:
    """The pod with the ports of its node that lead to it."""
    own = (pod["metadata"].get("labels") or {}).items()
    leading = [service for service in evidence.services if _selector(service).items() <= own]
    ports = {str(port.get("name", "")): node_port for port, node_port in _node_ports(leading)}
    return replace(observed_pod(pod, evidence.lost_nodes), node_ports=ports)


def _verdict(evidence: JobEvidence, pods: Sequence[ObservedPod], wanted: int) -> Verdict:
    workload, staying = evidence.workload, [pod for pod in pods if pod.name not in _as_good_as_gone(evidence.pods)]
    if workload is None and wanted and any(pod.reason != TERMINATING for pod in staying):
        return _box_verdict(staying, wanted)
    if workload is None or "deletionTimestamp" in workload["metadata"]:
        left = [pod for pod in pods if pod.phase not in _OVER]
        return JobState.TERMINATING, "", f"{len(left)} pods have not gone yet" if left else ""
    if "replicas" in workload["spec"]:
        return _scaled_verdict(workload, pods, wanted)
    return _ending_verdict(workload, pods, wanted)


def _ending_verdict(job: Json, pods: Sequence[ObservedPod], wanted: int) -> Verdict:
    """Of a job that runs to its end. Its outcome is certain a moment before its last pod is gone."""
    conditions = _true_conditions(job)
    if failure := conditions.get("Failed") or conditions.get("FailureTarget"):
        last = _last_failed(pods)
        reason = _with_cause(failure.get("reason", ""), last)
        return JobState.FAILED, reason, _sentence(failure.get("message"), _told(last))
    if "Complete" in conditions or "SuccessCriteriaMet" in conditions:
        return JobState.SUCCEEDED, "", ""
    if job["spec"].get("suspend"):
        return _suspended(pods)
    trouble = _trouble(pods)
    if trouble and trouble.reason == NODE_LOST:
        return JobState.UNKNOWN, trouble.reason, trouble.message
    if _ready(pods) + _succeeded(job, pods) >= wanted:
        return JobState.RUNNING, "", ""
    return _waiting_to_end(job, pods, trouble)


def _waiting_to_end(job: Json, pods: Sequence[ObservedPod], trouble: ObservedPod | None) -> Verdict:
    failures = int((job.get("status") or {}).get("failed") or 0)
    last = _last_failed(pods)
    tried = f"failed pods so far: {failures} (it fails with more than {job['spec'].get('backoffLimit', 6)})"
    if trouble and (trouble.reason not in {CREATING, PLACED} or not failures):
        return JobState.PENDING, trouble.reason, _sentence(trouble.message, tried if failures else "")
    if failures:
        return JobState.PENDING, last.reason if last else "Retrying", _sentence("it is tried again", _told(last), tried)
    return JobState.PENDING, "", "its pods are being made"


def _scaled_verdict(workload: Json, pods: Sequence[ObservedPod], wanted: int) -> Verdict:
    """Of a job that has no end of its own."""
    if not workload["spec"]["replicas"]:
        return _suspended(pods)
    if _ready(pods) >= wanted:
        return JobState.RUNNING, "", ""
    trouble = _trouble(pods)
    reason, message = (trouble.reason, trouble.message) if trouble else _nothing_made(workload)
    if _ready(pods):
        return JobState.DEGRADED, reason, message
    if reason == NODE_LOST:
        return JobState.UNKNOWN, reason, message
    late = _conditions(workload).get("Progressing", {})
    if late.get("status") == "False" and late.get("reason") == "ProgressDeadlineExceeded":
        return JobState.FAILED, "ProgressDeadlineExceeded", _sentence(late.get("message"), _told(trouble))
    return JobState.PENDING, reason, message


def _box_verdict(pods: Sequence[ObservedPod], wanted: int) -> Verdict:
    """Of pods that nothing makes again: all of them, or it has failed."""
    if over := next((pod for pod in pods if pod.phase in _OVER), None):
        return JobState.FAILED, over.reason or over.phase, _told(over)
    if _ready(pods) >= wanted:
        return JobState.RUNNING, "", ""
    trouble = _trouble(pods)
    reason, message = (trouble.reason, trouble.message) if trouble else (MISSING, f"{wanted - len(pods)} are not there")
    if reason == NODE_LOST and not _ready(pods):
        return JobState.UNKNOWN, reason, message
    if _ready(pods) and reason not in _STARTING:
        return JobState.DEGRADED, reason, message
    return JobState.PENDING, reason, message


def _as_good_as_gone(pods: Sequence[Json]) -> set[str]:
    """Those that were told to go, and have ended."""
    going = [pod for pod in pods if "deletionTimestamp" in pod["metadata"]]
    return {pod["metadata"]["name"] for pod in going if (pod.get("status") or {}).get("phase") in _OVER}


def _suspended(pods: Sequence[ObservedPod]) -> Verdict:
    left = [pod for pod in pods if pod.phase not in _OVER]
    return JobState.SUSPENDED, "", f"{len(left)} pods have not gone yet" if left else ""


def _nothing_made(workload: Json) -> tuple[str, str]:
    """Pods that admission refuses leave no trace but this."""
    refused = _true_conditions(workload).get("ReplicaFailure", {})
    return refused.get("reason", ""), refused.get("message", "its pods are being made")


def _trouble(pods: Sequence[ObservedPod]) -> ObservedPod | None:
    """Of the pods that are not well, the one that tells most."""
    unwell = [pod for pod in pods if pod.reason and pod.phase not in _OVER]
    return min(unwell, key=lambda pod: _TELLING.index(pod.reason if pod.reason in _TELLING else ""), default=None)


def _last_failed(pods: Sequence[ObservedPod]) -> ObservedPod | None:
    return next((pod for pod in reversed(pods) if pod.phase == "Failed"), None)


def _with_cause(reason: str, pod: ObservedPod | None) -> str:
    """Why Kubernetes gave up, and what of: `BackoffLimitExceeded: OOMKilled`."""
    return f"{reason}: {pod.reason}" if reason in _OF_ITS_PODS and pod and pod.reason else reason


def _told(pod: ObservedPod | None) -> str:
    return f"pod {pod.name}: {_sentence(pod.reason, pod.message)}" if pod else ""


def _sentence(*parts: str | None) -> str:
    return "; ".join(part.rstrip(".") for part in parts if part)


def _ready(pods: Sequence[ObservedPod]) -> int:
    return sum(pod.is_ready for pod in pods)


def _succeeded(job: Json, pods: Sequence[ObservedPod]) -> int:
    counted = int((job.get("status") or {}).get("succeeded") or 0)
    return max(counted, sum(pod.phase == "Succeeded" for pod in pods))


def _wanted(evidence: JobEvidence) -> int:
    workload = evidence.workload
    if workload is None:
        told = [(pod["metadata"].get("annotations") or {}).get(REPLICAS_ANNOTATION, 0) for pod in evidence.pods]
        return max(map(int, told), default=0)
    spec, kept = workload["spec"], workload["metadata"].get("annotations") or {}
    if "replicas" in spec:
        return int(spec["replicas"] or kept.get(REPLICAS_ANNOTATION, 0))
    return int(spec.get("parallelism", 1))


def _conditions(workload: Json) -> dict[str, Json]:
    conditions = (workload.get("status") or {}).get("conditions") or []
    return {condition["type"]: condition for condition in conditions}


def _true_conditions(workload: Json) -> dict[str, Json]:
    return {kind: condition for kind, condition in _conditions(workload).items() if condition["status"] == "True"}


def _node_port(services: Sequence[Json]) -> int:
    return next((node_port for _, node_port in _node_ports(services)), 0)


def _node_ports(services: Sequence[Json]) -> list[tuple[Json, int]]:
    ports = [port for service in services for port in service["spec"].get("ports") or []]
    return [(port, int(port["nodePort"])) for port in ports if port.get("nodePort")]


def _selector(service: Json) -> Json:
    selector: Json = service["spec"].get("selector") or {}
    return selector
