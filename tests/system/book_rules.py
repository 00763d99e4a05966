"""What must be true of a chronicle, rule by rule: each yields what breaks it, in words. Pure.

Order is the order of the books, which is exact. Instants are those that Berth wrote: they say when a step began, not when
it was committed, so times are compared only where one step must have seen the other's result.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from tests.system.stories import ENDS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.system.stories import Chronicle, Lease

LATE_MAX: Final = timedelta(seconds=2)
"""From the end of a lease to the decision that it has expired, when nothing is away and the machine not overloaded."""
RETURN_MAX: Final = timedelta(seconds=15)
"""From the return of what was away until work goes on."""
DECIDERS: Final = frozenset({"core", "temporal", "postgres"})
"""The parts without which nobody can decide that a lease has expired."""
CAUSES: Final = {
    # cause: (from which phases, whether somebody must have asked)
    "expired": ({True}, False),
    "early_release": ({True}, True),
    "cancelled": ({False}, True),
    "workspace_deleted": ({True, False}, True),
    "operator": ({True, False}, True),
    "provisioning_failed": ({False}, False),
    "completed": ({True, False}, False),
    "job_failed": ({True, False}, False),
    "suspended": ({True, False}, True),
    "preempted": ({True}, False),
    "unused": ({True}, True),
    "idle": ({True}, False),
}
WITHDRAWN: Final = {("provisioning_failed", "cancelled"), ("suspended", "cancelled"), ("preempted", "cancelled")}
"""The causes that may be replaced while a lease is torn down, and by which."""
RESTS: Final = {
    # (cause, whether it had been active): where it may come to rest
    ("expired", True): {"expired"},
    ("early_release", True): {"released"},
    ("cancelled", False): {"cancelled"},
    ("cancelled", True): {"released"},
    ("idle", True): {"released"},
    ("unused", True): {"released"},
    ("suspended", True): {"queued"},
    ("preempted", True): {"queued"},
    ("suspended", False): {"queued"},
    ("workspace_deleted", True): {"released"},
    ("workspace_deleted", False): {"cancelled"},
    ("operator", True): {"released"},
    ("operator", False): {"cancelled"},
    ("provisioning_failed", False): {"queued", "failed"},
    ("completed", True): {"released"},
    ("completed", False): {"released"},
    ("job_failed", True): {"failed"},
    ("job_failed", False): {"failed"},
}


@dataclass(frozen=True, slots=True)
class Outage:
    """Something was killed, and back at the end of it. `part` as the stack names it."""

    part: str
    began: datetime
    ended: datetime


@dataclass(frozen=True, slots=True)
class Outages:
    """All of them: they excuse lateness, and nothing else. `late_max`: what is not late yet, when nothing was away."""

    outages: Sequence[Outage] = ()
    late_max: timedelta = LATE_MAX

    def latest(self, due: datetime) -> datetime:
        """By when something that was due must have been done."""
        limit = due + self.late_max
        deciding = [outage for outage in self.outages if outage.part in DECIDERS]
        for outage in sorted(deciding, key=lambda one: one.began):
            if outage.began <= limit and outage.ended + RETURN_MAX > limit:
                limit = outage.ended + RETURN_MAX
        return limit

    def confused(self, cluster: str, at: datetime) -> bool:
        """Whether the cluster's scheduler may still go by what it saw before it was cut off."""
        return any(
            outage.began <= at <= outage.ended + RETURN_MAX
            for outage in self.outages
            if outage.part in {f"{cluster}.kube-apiserver", f"{cluster}.etcd", f"{cluster}.kube-scheduler"}
        )

    def blind(self, cluster: str, begin: datetime, end: datetime) -> bool:
        """Whether the cluster's audit log may lack a write of that time: one that was done, and killed before it was noted."""
        return any(
            outage.began <= end and outage.ended >= begin
            for outage in self.outages
            if outage.part in {f"{cluster}.kube-apiserver", f"{cluster}.etcd"}
        )


def only_legal_moves(chronicle: Chronicle, _: Outages) -> Iterator[str]:
    """Phases only along allowed edges, nothing after an end, everything under the lease that is its own."""
    yield from chronicle.nonsense


def every_gpr_ends_once(chronicle: Chronicle, _: Outages) -> Iterator[str]:
    for story in chronicle.stories.values():
        ends = [state.phase for state in story.states if state.phase in ENDS]
        if len(ends) != 1 or story.phase not in ENDS:
            yield f"{story.gpr_id[:8]} ended {len(ends)} times and is {story.phase}"


def every_lease_is_closed(chronicle: Chronicle, _: Outages) -> Iterator[str]:
    for lease in chronicle.leases.values():
        if lease.rested_at is None:
            yield f"{lease} was granted at {lease.granted_at:%H:%M:%S} and never came to rest"


def a_gpu_has_one_holder(chronicle: Chronicle, _: Outages) -> Iterator[str]:
    """In the order of the books; GPUs of a stuck node stay held, whoever closes the lease."""
    for gpu, leases in _by_gpu(chronicle).items():
        for earlier, later in pairwise(leases):
            if not earlier.numbers.get("rested", later.numbers["granted"]) < later.numbers["granted"]:
                yield f"{_name(gpu)} went to {later} while {earlier} held it"
            elif gpu[1] in earlier.stuck and not _was_lifted(chronicle, gpu, earlier, later):
                yield f"{_name(gpu)} went to {later} though it was stuck when {earlier} was closed"


def holders_follow_one_another_in_time(chronicle: Chronicle, outages: Outages) -> Iterator[str]:
    for gpu, leases in _by_gpu(chronicle).items():
        for earlier, later in pairwise(leases):
            rested = earlier.rested_at or later.granted_at
            # a pass is given its time when it is ordered, and may have waited for a part that was away
            if later.granted_at < rested - LATE_MAX and rested > outages.latest(later.granted_at):
                yield f"{_name(gpu)}: {later} counts from {rested - later.granted_at} before the rest of {earlier}"


def fences_grow(chronicle: Chronicle, _: Outages) -> Iterator[str]:
    for gpu, leases in _by_gpu(chronicle).items():
        for earlier, later in pairwise(leases):
            if later.fence <= earlier.fence:
                yield f"{_name(gpu)}: fence {later.fence} came after fence {earlier.fence}"


def an_exclusive_workspace_has_one_lease(chronicle: Chronicle, _: Outages) -> Iterator[str]:
    holding: dict[str, list[Lease]] = defaultdict(list)
    for lease in chronicle.leases.values():
        if lease.is_exclusive:
            holding[lease.workspace_id].append(lease)
    for workspace, leases in holding.items():
        for earlier, later in pairwise(leases):
            if not earlier.numbers.get("rested", later.numbers["granted"]) < later.numbers["granted"]:
                yield f"workspace {workspace[:8]} got {later} while it held {earlier}"


def a_disk_has_one_lease(chronicle: Chronicle, _: Outages) -> Iterator[str]:
    holding: dict[str, list[Lease]] = defaultdict(list)
    for lease in chronicle.leases.values():
        if lease.disk:
            holding[lease.disk].append(lease)
    for disk, leases in holding.items():
        for earlier, later in pairwise(leases):
            if not earlier.numbers.get("rested", later.numbers["granted"]) < later.numbers["granted"]:
                yield f"disk {disk[:8]} went to {later} while {earlier} held it"


def grants_are_what_was_asked(chronicle: Chronicle, _: Outages) -> Iterator[str]:
    for lease in chronicle.leases.values():
        wanted = [lease.wish["gpus_per_node"]] * lease.wish["nodes"]
        held = sorted(lease.nodes.values()) if lease.is_exclusive else [sum(lease.nodes.values())]
        wanted = wanted if lease.is_exclusive else [sum(wanted)]  # replicas of a job may share a node
        if held != wanted or len(set(lease.gpus)) != len(lease.gpus):
            yield f"{lease} holds {lease.gpus}, asked for were {wanted}"


def no_lease_in_a_workspace_that_goes(chronicle: Chronicle, _: Outages) -> Iterator[str]:
    for lease in chronicle.leases.values():
        gone = chronicle.leaving.get(lease.workspace_id)
        if gone is not None and lease.numbers.get("rested", gone + 1) > gone:
            yield f"{lease} was open when its workspace {lease.workspace_id[:8]} began to go"


def a_lease_lasts_as_long_as_asked(chronicle: Chronicle, _: Outages) -> Iterator[str]:
    for lease in chronicle.leases.values():
        if lease.activated_at is not None:
            seconds, end = lease.wish["duration_seconds"], next(iter(lease.ends), None)
            # what was reserved ends when it was to end, however late it began
            begin = lease.fixed_start or lease.activated_at
            wanted = None if seconds is None else begin + timedelta(seconds=seconds)
            if end != wanted:
                yield f"{lease} ends at {end}, by its duration it would at {wanted}"


def nothing_ends_before_its_end_without_cause(chronicle: Chronicle, _: Outages) -> Iterator[str]:
    for lease in chronicle.leases.values():
        if lease.releasing_at is None:
            continue
        _, asked = CAUSES.get(lease.cause, (set(), False))
        phases, _ = CAUSES.get(lease.withdrawn_from or lease.cause, (set(), False))
        if (lease.activated_at is not None) not in phases:
            state = "active" if lease.activated_at else "provisioning"
            yield f"{lease} was ended by {lease.cause or 'nothing'!r} while {state}"
        elif asked != bool(lease.actor):
            yield f"{lease} was ended by {lease.cause!r}, asked for by {lease.actor or 'nobody'!r}"
        elif lease.cause == "expired" and not any(end <= lease.releasing_at for end in lease.ends[-1:]):
            yield f"{lease} expired at {lease.releasing_at}, before its end {lease.ends[-1:]}"
        elif "provisioning_failed" in {lease.cause, lease.withdrawn_from} and not lease.failure:
            yield f"{lease} failed for no reason"
        elif "withdrawn" in lease.numbers and (lease.withdrawn_from, lease.cause) not in WITHDRAWN:
            yield f"{lease} was withdrawn by {lease.cause!r} while it was ended by {lease.withdrawn_from!r}"
    for event in chronicle.cancellations:
        if (
            event["detail"]["cause"] not in {"cancelled", "workspace_deleted", "operator", "missed"}
            or not event["actor"]
        ):
            yield f"{event['gpr_id'][:8]} was taken out of the queue by {event['actor'] or 'nobody'!r}: {event['detail']}"


def what_ends_in_time_ends_at_its_end(chronicle: Chronicle, outages: Outages) -> Iterator[str]:
    for lease in chronicle.leases.values():
        over = lease.releasing_at
        if lease.ends and over is not None and over > outages.latest(lease.ends[-1]):
            yield f"{lease} was ended {over - lease.ends[-1]} after its end"


def what_is_suspended_is_granted_nothing(chronicle: Chronicle, _: Outages) -> Iterator[str]:
    for lease in chronicle.leases.values():
        before = [pause for pause in chronicle.pauses.get(lease.gpr_id, []) if pause[0] < lease.numbers["granted"]]
        if before and max(before)[1]:
            yield f"{lease} was granted though it was suspended"


def leases_rest_as_their_cause_says(chronicle: Chronicle, _: Outages) -> Iterator[str]:
    for lease in chronicle.leases.values():
        rests = RESTS.get((lease.cause, lease.activated_at is not None), set())
        if lease.rested_at is not None and lease.rest not in rests:
            yield f"{lease} was ended by {lease.cause!r} and came to rest as {lease.rest}"


BOOK_RULES: Final = (
    only_legal_moves,
    every_gpr_ends_once,
    every_lease_is_closed,
    a_gpu_has_one_holder,
    holders_follow_one_another_in_time,
    fences_grow,
    an_exclusive_workspace_has_one_lease,
    a_disk_has_one_lease,
    grants_are_what_was_asked,
    no_lease_in_a_workspace_that_goes,
    a_lease_lasts_as_long_as_asked,
    nothing_ends_before_its_end_without_cause,
    what_ends_in_time_ends_at_its_end,
    what_is_suspended_is_granted_nothing,
    leases_rest_as_their_cause_says,
)


def _by_gpu(chronicle: Chronicle) -> dict[tuple[str, str, int], list[Lease]]:
    """Who held each GPU, in the order of the books."""
    held: dict[tuple[str, str, int], list[Lease]] = defaultdict(list)
    for lease in chronicle.leases.values():
        for node, ordinal in lease.gpus:
            held[lease.cluster, node, ordinal].append(lease)
    return held


def _was_lifted(chronicle: Chronicle, gpu: tuple[str, str, int], earlier: Lease, later: Lease) -> bool:
    """Whether the node was seen to be free between two leases."""
    between = range(earlier.numbers["rested"], later.numbers["granted"])
    return any(number in between for number in chronicle.lifted.get(gpu[:2], ()))


def _name(gpu: tuple[str, str, int]) -> str:
    cluster, node, ordinal = gpu
    return f"GPU {ordinal} of {cluster}/{node}"
