"""A short history in which all is well, and a pen to spoil it with: for the tests of the checker.

Two workspaces share a node of eight GPUs. `red` holds four, which expire, then two, which are released early, while its third
wish is cancelled in the queue; a pod of its first lease runs and is told to go. `blue` is provisioned on its second try, and
its other wish is withdrawn while the failure of its provisioning is cleared away; and it has a job with a disk, which is
suspended, resumed, and then ends by itself. `red`'s second wish is promised a start, which is moved once when its node is lost;
and it has a reservation for the end of the day, which is booked early.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from tests.system.book_rules import Outages
from tests.system.checker import complaints_about
from tests.system.trail import Write

if TYPE_CHECKING:
    from collections.abc import Callable

Json = dict[str, Any]

BEGIN: Final = datetime(2026, 11, 21, 12, tzinfo=UTC)
CLUSTER: Final = "worker-1"
NODE: Final = "h100-1"
RED, BLUE = "00000000-0000-0000-0000-aaaaaaaaaaaa", "00000000-0000-0000-0000-bbbbbbbbbbbb"
TENANTS: Final = {RED: f"red-{'a' * 10}", BLUE: f"blue-{'b' * 10}"}
NAMESPACES: Final = {RED: "red", BLUE: "blue"}
USER: Final = "ann"
R1, R2, R3, B1, B2, JOB, BOOKED = (f"00000000-0000-0000-0000-00000000000{number}" for number in range(1, 8))
DISK: Final = "00000000-0000-0000-0000-dddddddddddd"
JOB_LIVES: Final = ((6, 10), (7, 16))
"""The job's leases, and when each was granted."""

BOOKED_FENCE: Final = 8
WISHES: Final = ((R1, RED, 4, 10), (R2, RED, 2, 3600), (R3, RED, 1, 60), (B1, BLUE, 3, 8), (B2, BLUE, 1, 60))
"""GPUs, and seconds."""


def moment(seconds: float) -> datetime:
    """So long after the begin."""
    return BEGIN + timedelta(seconds=seconds)


@dataclass(slots=True)
class History:
    """Events and writes, to be changed at will."""

    events: list[Json]
    writes: list[Write]

    def complaints(self, outages: Outages | None = None) -> list[str]:
        """What the checker says."""
        self.writes.sort(key=lambda write: write.at)
        return complaints_about(self.events, self.writes, outages or Outages())

    def broken_rules(self) -> set[str]:
        """The rules that it breaks."""
        return {complaint.partition(":")[0] for complaint in self.complaints()}

    def event(self, kind: str, gpr_id: str | None) -> Json:
        """The first one of a kind about a Gpr, or about none."""
        return next(event for event in self.events if (event["kind"], event["gpr_id"]) == (kind, gpr_id))

    def drop(self, kind: str, gpr_id: str) -> None:
        """It was never written."""
        self.events.remove(self.event(kind, gpr_id))

    def put_before(self, other: Json, event: Json) -> None:
        """Write an event, again or anew, before another one; all are numbered afresh."""
        self.events.insert(self.events.index(other), deepcopy(event))
        self._number()

    def append(self, event: Json, **changes: Any) -> None:
        """Write an event, again or anew, at the end."""
        self.events.append({**deepcopy(event), **changes})
        self._number()

    def rewrite(self, which: Callable[[Write], bool], **changes: Any) -> None:
        """Change some writes."""
        self.writes = [replace(write, **changes) if which(write) else write for write in self.writes]

    def forget(self, which: Callable[[Write], bool]) -> None:
        """Some writes were never made."""
        self.writes = [write for write in self.writes if not which(write)]

    def _number(self) -> None:
        for number, event in enumerate(self.events, 1):
            event["id"] = number


def a_good_history() -> History:
    """Nothing is wrong with it."""
    history = History([], [])
    for workspace in (RED, BLUE):
        history.writes.append(_write(0, "create", "namespaces", body=_owned(workspace), name=NAMESPACES[workspace]))
        _tell(history, 0, "workspace_created", None, workspace)
    for gpr_id, workspace, gpus, seconds in WISHES:
        wish = {"nodes": 1, "gpus_per_node": gpus, "duration_seconds": seconds, "exclusive": True}
        _tell(history, 1, "submitted", gpr_id, workspace, **wish)
    _grant(history, 2, 1, R1, RED, range(4))
    _activate(history, 3, 1, R1, 10)
    _run_pod(history, 4, RED)
    _fail(history, 4, 2, B1, BLUE, range(4, 7))
    _tell(history, 5, "priority_set", R2, None, actor=USER, priority=150)
    _tell(history, 5, "cancelled", R3, None, actor=USER, cause="cancelled")
    _withdraw(history)
    wish = {"nodes": 1, "gpus_per_node": 1, "duration_seconds": None, "exclusive": False}
    _tell(history, 9, "submitted", JOB, BLUE, **wish)
    _run_job(history, *JOB_LIVES[0])
    wish = {"nodes": 1, "gpus_per_node": 3, "duration_seconds": 2, "exclusive": True}
    _tell(history, 11.5, "submitted", BOOKED, RED, **wish)
    start = moment(26).isoformat()
    _tell(history, 11.5, "booked", BOOKED, RED, reservation="r", start=start, cluster=CLUSTER, nodes=[NODE])
    _tell(history, 12, "suspended", JOB, None, actor=USER)
    _end_job(history, 12, JOB_LIVES[0][0], ("suspended", USER, "queued"))
    _tell(history, 14, "resumed", JOB, None, actor=USER)
    _end(history, 13.2, 1, R1, RED, ("expired", "", "expired"))
    place = {"cluster": CLUSTER, "nodes": [NODE]}
    _tell(history, 14.2, "promised", R2, None, actor=USER, starts_at=moment(14.5).isoformat(), **place)
    _tell(history, 14.3, "nodes_changed", None, None, cluster=CLUSTER, changed=[NODE], gone=[])
    _tell(history, 14.4, "promise_moved", R2, None, why="it is lost", starts_at=moment(16).isoformat(), **place)
    _grant(history, 15, 3, R2, RED, range(2))
    _grant(history, 15, 4, B1, BLUE, range(2, 5))
    _activate(history, 16, 3, R2, 3600)
    _activate(history, 16, 4, B1, 8)
    _run_job(history, *JOB_LIVES[1])
    _end_job(history, 19, JOB_LIVES[1][0], ("completed", "", "released"))
    _end(history, 20, 3, R2, RED, ("early_release", USER, "released"))
    _end(history, 24.1, 4, B1, BLUE, ("expired", "", "expired"))
    _grant(history, 26.1, BOOKED_FENCE, BOOKED, RED, range(2, 5))
    _activate(history, 27, BOOKED_FENCE, BOOKED, 1)
    _end(history, 28.1, BOOKED_FENCE, BOOKED, RED, ("expired", "", "expired"))
    for workspace in (RED, BLUE):
        _tell(history, 30, "workspace_deleting", None, workspace, actor=USER)
    return history


def tokens(workspace: str, seconds: float, count: int | None) -> Write:
    """Berth writes, or takes, a workspace's tokens."""
    return _tokens(TENANTS[workspace], seconds, count)


def job_tokens(fence: int, seconds: float, count: int | None) -> Write:
    """Berth writes, or takes, the tokens of a job's own lease."""
    return _tokens(f"lease-{fence}", seconds, count)


def job_pod(fence: int) -> Json:
    """The pod of a job, as its controller asks for it."""
    container = {"name": "main", "resources": {"limits": {"nvidia.com/gpu": "1"}}}
    metadata = {"generateName": "job-0-", "labels": {"berth.io/lease": str(fence)}}
    return {"metadata": metadata, "spec": {"containers": [container]}}


def _tokens(name: str, seconds: float, count: int | None) -> Write:
    part = {f"{name}.berth.io/gpu": None if count is None else str(count)}
    body = {"status": {"capacity": part, "allocatable": part}}
    return _write(seconds, "patch", "nodes/status", body=body, name=NODE)


def _run_job(history: History, fence: int, seconds: float) -> None:
    _tell(history, seconds, "granted", JOB, BLUE, fence=fence, cluster=CLUSTER, gpus=[[NODE, 7]], disk=DISK)
    history.writes.append(job_tokens(fence, seconds + 0.2, 1))
    made = _write(seconds + 0.4, "create", "pods", body=job_pod(fence), name="", namespace="blue")
    history.writes.append(made)
    bound = replace(made, at=moment(seconds + 0.6), body={"target": {"name": NODE}}, user="kube-scheduler")
    history.writes.append(replace(bound, kind="pods/binding", name=f"job-0-{fence}"))
    _tell(history, seconds + 1, "activated", JOB, None, fence=fence, end_at=None)


def _end_job(history: History, seconds: float, fence: int, how: tuple[str, str, str]) -> None:
    cause, actor, rest = how
    _tell(history, seconds, "releasing", JOB, None, fence=fence, actor=actor, cause=cause, failure="")
    gone = _write(seconds + 0.2, "delete", "pods", body={}, name=f"job-0-{fence}", namespace="blue")
    history.writes.append(gone)  # which is all where its containers had ended
    if cause == "suspended":
        history.writes.append(replace(gone, at=moment(seconds + 0.4), user="kwok"))
    history.writes.append(job_tokens(fence, seconds + 0.5, None))
    _tell(history, seconds + 1, "rested", JOB, None, fence=fence, phase=rest, stuck_nodes=[])


def _grant(history: History, seconds: float, fence: int, gpr_id: str, workspace: str, ordinals: range) -> None:
    gpus = [[NODE, ordinal] for ordinal in ordinals]
    _tell(history, seconds, "granted", gpr_id, workspace, fence=fence, cluster=CLUSTER, gpus=gpus)
    history.writes.append(tokens(workspace, seconds + 0.3, len(gpus)))
    history.writes.append(_anchor(workspace, seconds + 0.5, "create", fence))


def _activate(history: History, seconds: float, fence: int, gpr_id: str, duration: float) -> None:
    end_at = moment(seconds + duration).isoformat()
    _tell(history, seconds, "activated", gpr_id, None, fence=fence, end_at=end_at)


def _fail(history: History, seconds: float, fence: int, gpr_id: str, workspace: str, ordinals: range) -> None:
    _grant(history, seconds, fence, gpr_id, workspace, ordinals)
    _end(history, seconds + 1, fence, gpr_id, workspace, ("provisioning_failed", "", "queued"))


def _withdraw(history: History) -> None:
    _grant(history, 7, 5, B2, BLUE, range(7, 8))
    _end(history, 8, 5, B2, BLUE, ("provisioning_failed", "", "cancelled"))
    history.put_before(history.event("rested", B2), withdrawal(history.event("releasing", B2)))


def withdrawal(releasing: Json) -> Json:
    """Somebody does not want it any more, while it is torn down."""
    at = (datetime.fromisoformat(releasing["at"]) + timedelta(seconds=0.5)).isoformat()
    return {**releasing, "at": at, "kind": "withdrawn", "actor": USER, "detail": {"cause": "cancelled"}}


def _end(history: History, seconds: float, fence: int, gpr_id: str, workspace: str, how: tuple[str, str, str]) -> None:
    cause, actor, rest = how
    failure = "node h100-1: no" if cause == "provisioning_failed" else ""
    _tell(history, seconds, "releasing", gpr_id, None, fence=fence, actor=actor, cause=cause, failure=failure)
    history.writes.append(tokens(workspace, seconds + 0.1, None))
    history.writes.append(_anchor(workspace, seconds + 0.2, "delete", fence))
    if gpr_id == R1:
        history.writes.append(_pod(workspace, seconds + 0.3, "delete", {"gracePeriodSeconds": 1}))
        history.writes.append(replace(_pod(workspace, seconds + 0.5, "delete", {}), user="kwok"))
    _tell(history, seconds + 1, "rested", gpr_id, None, fence=fence, phase=rest, stuck_nodes=[])


def _run_pod(history: History, seconds: float, workspace: str) -> None:
    container = {"name": "main", "resources": {"limits": {"nvidia.com/gpu": "4"}}}
    history.writes.append(_pod(workspace, seconds - 2.5, "create", {"spec": {"containers": [container]}}))
    bound = _pod(workspace, seconds, "create", {"target": {"name": NODE}})
    history.writes.append(replace(bound, kind="pods/binding", user="kube-scheduler"))


def _pod(workspace: str, seconds: float, verb: str, body: Json) -> Write:
    return _write(seconds, verb, "pods", body=body, name="training", namespace=NAMESPACES[workspace])


def _anchor(workspace: str, seconds: float, verb: str, fence: int) -> Write:
    return _write(seconds, verb, "secrets", body={}, name=f"berth-access-{fence}", namespace=NAMESPACES[workspace])


def _owned(workspace: str) -> Json:
    return {"metadata": {"labels": {"berth.io/workspace": TENANTS[workspace]}}}


def _write(seconds: float, verb: str, kind: str, *, body: Json, name: str, namespace: str = "") -> Write:
    return Write(moment(seconds), CLUSTER, "admin", verb, kind, namespace, name, signed=True, body=body)


def _tell(
    history: History, seconds: float, kind: str, gpr_id: str | None, workspace: str | None, **detail: Any
) -> None:
    history.events.append(
        {
            "id": len(history.events) + 1,
            "at": moment(seconds).isoformat(),
            "kind": kind,
            "gpr_id": gpr_id,
            "workspace_id": workspace,
            "fence": detail.pop("fence", None),
            "actor": detail.pop("actor", ""),
            "detail": detail,
        }
    )
