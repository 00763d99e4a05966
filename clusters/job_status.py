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
_TELLING: Final = (NODE_LOST, "", UNSCHEDULABLE, CREATING, NOT_READY, PLACED, TERMINATING)
"""Which reason is told where pods have several; "" stands for every other: what a container or its image lacks."""


@dataclass(frozen=True, slots=True)
class JobEvidence:
    """What a cluster shows of one job, as Kubernetes describes it."""

    workload: Json | None
    """Its Job, Deployment or StatefulSet."""
    pods: Sequence[Json] = ()
    services: Sequence[Json] = ()
    lost_nodes: Mapping[str, str] = field(default_factory=dict)
    """Nodes of its pods that are not ready, and what they say about it."""


def observed_job(evidence: JobEvidence) -> ObservedJob:
    """The job as it stands."""
    found = [observed_pod(pod, evidence.lost_nodes) for pod in evidence.pods]
    pods = tuple(sorted(found, key=lambda pod: (str(pod.created_at or ""), pod.name)))
    wanted = _wanted(evidence.workload)
    state, reason, message = _verdict(evidence.workload, pods, wanted)
    seen = ObservedJob(state, reason, message, _ready(pods), wanted, pods)
    return replace(seen, service_node_port=_node_port(evidence.services))


def _verdict(workload: Json | None, pods: Sequence[ObservedPod], wanted: int) -> Verdict:
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
        return JobState.FAILED, failure.get("reason", ""), _sentence(failure.get("message"), _told(last))
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


def _told(pod: ObservedPod | None) -> str:
    return f"pod {pod.name}: {_sentence(pod.reason, pod.message)}" if pod else ""


def _sentence(*parts: str | None) -> str:
    return "; ".join(part.rstrip(".") for part in parts if part)


def _ready(pods: Sequence[ObservedPod]) -> int:
    return sum(pod.is_ready for pod in pods)


def _succeeded(job: Json, pods: Sequence[ObservedPod]) -> int:
    counted = int((job.get("status") or {}).get("succeeded") or 0)
    return max(counted, sum(pod.phase == "Succeeded" for pod in pods))


def _wanted(workload: Json | None) -> int:
    if workload is None:
        return 0
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
    ports = [port for service in services for port in service["spec"].get("ports") or []]
    return next((int(port["nodePort"]) for port in ports if port.get("nodePort")), 0)
