"""What one pod says about itself: the kubelet's, the scheduler's or its container's own word. Pure: no calls."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from domain.job import ObservedPod

Json = dict[str, Any]
Word = tuple[str, str]
"""Reason and message; a reason of "" says nothing."""

NODE_LOST: Final = "NodeLost"
TERMINATING: Final = "Terminating"
UNSCHEDULABLE: Final = "Unschedulable"
CREATING: Final = "ContainerCreating"
NOT_READY: Final = "ContainersNotReady"
PLACED: Final = "Scheduled"
"""It has a node, whose kubelet has not said anything yet."""

_BEGINNING: Final = frozenset({CREATING, "PodInitializing"})
_OVER: Final = frozenset({"Succeeded", "Failed"})
_SILENT: Final[Word] = ("", "")


def observed_pod(pod: Json, lost_nodes: Mapping[str, str] | None = None) -> ObservedPod:
    """The pod as it stands. A pod of a lost node says what it said last, so its node speaks for it."""
    metadata, status = pod["metadata"], pod.get("status") or {}
    node, phase = pod["spec"].get("nodeName", ""), status.get("phase", "Unknown")
    reason, message = _word(pod, (lost_nodes or {}).get(node))
    times = [_times(state) for state in _states(pod)]
    started, ended = [each[0] for each in times if each[0]], [each[1] for each in times if each[1]]
    return ObservedPod(
        name=metadata["name"],
        phase=phase,
        node=node,
        ip=status.get("podIP", ""),
        is_ready=_is_ready(pod) and reason not in {NODE_LOST, TERMINATING},
        reason=reason,
        message=message,
        restarts=sum(int(container.get("restartCount") or 0) for container in _containers(pod)),
        created_at=_time(metadata.get("creationTimestamp")),
        started_at=min(started, default=None),
        finished_at=max(ended, default=None) if phase in _OVER else None,
        node_address=status.get("hostIP", ""),
    )


def node_in_question(pod: Json) -> str:
    """The node whose word the pod's state hangs on; "" where it has none, or is over."""
    over = (pod.get("status") or {}).get("phase") in _OVER
    return "" if over else str(pod["spec"].get("nodeName", ""))


def _word(pod: Json, lost: str | None) -> Word:
    status = pod.get("status") or {}
    over = status.get("phase") in _OVER
    if not over and (lost is not None or status.get("reason") == NODE_LOST):
        return NODE_LOST, f"node {pod['spec'].get('nodeName', '')}: {lost or status.get('message', '')}"
    if not over and "deletionTimestamp" in pod["metadata"]:
        return TERMINATING, ""
    if status.get("reason"):
        return status["reason"], status.get("message", "")
    words = [_container_word(container) for container in _containers(pod)]
    return next((word for word in words if word[0]), _SILENT if over else _word_before_running(pod))


def _container_word(container: Json) -> Word:
    """What is wrong with it; a container that is still being made has nothing wrong."""
    state = container.get("state") or {}
    waiting, ended = state.get("waiting") or {}, state.get("terminated") or {}
    before = (container.get("lastState") or {}).get("terminated") or {}
    if waiting and waiting.get("reason", CREATING) not in _BEGINNING:
        named = before.get("reason") or "Error"
        last = f"it ended before with {named}, {_ending(before)}" if before.get("exitCode") else ""
        return waiting["reason"], "; ".join(filter(None, [waiting.get("message", ""), last]))
    if ended.get("exitCode"):
        return ended.get("reason") or "Error", _ending(ended)
    return _SILENT


def _ending(ended: Json) -> str:
    said = str(ended.get("message") or "").strip()
    return f"exit code {ended['exitCode']}{f': {said}' if said else ''}"


def _word_before_running(pod: Json) -> Word:
    conditions = {condition["type"]: condition for condition in (pod.get("status") or {}).get("conditions") or []}
    placed = conditions.get("PodScheduled", {})
    if placed.get("status") == "False":
        return placed.get("reason") or UNSCHEDULABLE, placed.get("message", "")
    if any("waiting" in (container.get("state") or {}) for container in _containers(pod)):
        return CREATING, ""
    ready = conditions.get("Ready", {})
    if ready.get("status") == "False":
        return ready.get("reason") or NOT_READY, ready.get("message", "")
    return _SILENT if ready else (PLACED, "")


def _containers(pod: Json) -> list[Json]:
    status = pod.get("status") or {}
    return [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]


def _states(pod: Json) -> list[Json]:
    statuses = (pod.get("status") or {}).get("containerStatuses") or []
    return [state for status in statuses for state in (status.get("state") or {}).values()]


def _times(state: Json) -> tuple[datetime | None, datetime | None]:
    return _time(state.get("startedAt")), _time(state.get("finishedAt"))


def _is_ready(pod: Json) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or []
    return any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
