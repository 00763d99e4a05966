"""What must be true of a clusters' audit trail beside the ledger's chronicle, rule by rule. Pure.

A write is logged before its answer is complete, so whatever Berth went on from stands in the log. A write that was made and
never answered, because the API server was killed, may be missing: only what rests on such a one is excused.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.system.book_rules import Outages
    from tests.system.stories import Chronicle, Lease
    from tests.system.trail import Write

Json = dict[str, Any]

BERTH: Final = "admin"
"""The user of the kubeconfig that the local stack gives to Berth."""
PLAYERS: Final = frozenset({"kwok"})
"""Who ends pods: their deletion is the last that is heard of them."""
TOKEN_ENDING: Final = ".berth.io/gpu"
GPU: Final = "nvidia.com/gpu"
OWNER_LABEL: Final = "berth.io/workspace"
LEASE_LABEL: Final = "berth.io/lease"
"""On the pods of a job: the fence of the lease that is its own, whose tokens they ask for."""
UNNAMED: Final = "?"
"""Behind the beginning of a name of which the rest is not known yet."""
JOB: Final = "lease-"
"""So begins the name under which the tokens of a job's lease are written; a workspace's bear its tenant's."""
ANCHOR: Final = "berth-access-"
NEVER: Final = datetime.max.replace(tzinfo=UTC)
STRAY_MAX: Final = timedelta(seconds=100)
"""A reconciliation comes every minute, a pod has half a minute to go, and the machine is busy."""
TENANT_DIGITS: Final = 10
"""A tenant's label ends with as many digits of its workspace's id."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A write of one token's count on one node; None took it away."""

    at: datetime
    count: int | None
    user: str
    signed: bool


@dataclass(slots=True)
class GpuPod:
    """A pod of a workspace that asked for GPUs. `gone_at` None: still there."""

    cluster: str
    namespace: str
    name: str
    tenant: str
    """Whose tokens it asks for: its workspace's, or its job's own."""
    gpus: int
    node: str = ""
    bound_at: datetime | None = None
    gone_at: datetime | None = None

    def __str__(self) -> str:
        return f"pod {self.namespace}/{self.name} of {self.gpus} GPU(s) on {self.cluster}/{self.node}"


@dataclass(slots=True)
class Deeds:
    """The trail by subject."""

    marks: dict[tuple[str, str, str], list[Mark]] = field(default_factory=lambda: defaultdict(list))
    """By cluster, node and tenant, or the job's own lease."""
    pods: list[GpuPod] = field(default_factory=list)
    anchors: dict[tuple[str, int], list[tuple[datetime, bool]]] = field(default_factory=lambda: defaultdict(list))
    """By cluster and fence: made (True) or gone."""
    ended_at: datetime = NEVER
    """Of the last write."""

    def count(self, place: tuple[str, str, str], at: datetime) -> int | None:
        """How many tokens stood there at that moment."""
        before = [mark for mark in self.marks.get(place, []) if mark.at <= at]
        return before[-1].count if before else None


def deeds_of(writes: Sequence[Write]) -> Deeds:
    """Who did what to which token, pod and anchor."""
    deeds = Deeds(ended_at=max(write.at for write in writes)) if writes else Deeds()
    owners, open_pods = dict[tuple[str, str], str](), dict[tuple[str, str, str], GpuPod]()
    for write in writes:
        if write.kind in {"nodes", "nodes/status"}:
            for tenant, count in _counts(write.body):
                mark = Mark(write.at, count, write.user, write.signed)
                deeds.marks[write.cluster, write.name, tenant].append(mark)
        elif write.kind == "namespaces":
            labels = (write.body.get("metadata") or {}).get("labels") or {}
            if OWNER_LABEL in labels:
                owners[write.cluster, write.name] = labels[OWNER_LABEL]
        elif write.kind.startswith("pods"):
            _tell_pod(deeds, owners, open_pods, write)
        elif write.kind == "secrets" and write.name.startswith(ANCHOR) and write.verb in {"create", "delete"}:
            fence = int(write.name.removeprefix(ANCHOR))
            deeds.anchors[write.cluster, fence].append((write.at, write.verb == "create"))
    return deeds


def tokens_are_written_under_open_leases_only(deeds: Deeds, chronicle: Chronicle, _: Outages) -> Iterator[str]:
    for place, marks in deeds.marks.items():
        leases = _leases_at(chronicle, place)
        for mark in marks:
            if mark.count is None:
                continue
            if mark.user != BERTH or not mark.signed:
                yield f"{mark.user} wrote {mark.count} tokens of {_name(place)} at {mark.at:%H:%M:%S.%f}"
            elif not any(_is_open(lease, mark.at) and lease.nodes[place[1]] == mark.count for lease in leases):
                yield f"{mark.count} tokens of {_name(place)} were written at {mark.at:%H:%M:%S.%f} under no open lease"


def tokens_stand_when_a_lease_becomes_active(deeds: Deeds, chronicle: Chronicle, outages: Outages) -> Iterator[str]:
    for lease in chronicle.leases.values():
        if lease.activated_at is None or outages.blind(lease.cluster, lease.granted_at, lease.activated_at):
            continue
        for node, count in lease.nodes.items():
            seen = deeds.count(_place(deeds, lease, node), lease.activated_at)
            if seen != count:
                yield f"{lease} became active on {node} with {seen} tokens, not {count}"


def tokens_stay_until_the_end_was_decided(deeds: Deeds, chronicle: Chronicle, _: Outages) -> Iterator[str]:
    for lease in chronicle.leases.values():
        begun, over = lease.activated_at, lease.releasing_at
        for node in lease.nodes if begun else ():
            for mark in deeds.marks.get(_place(deeds, lease, node), []):
                if mark.count is None and begun and begun < mark.at and (over is None or mark.at < over):
                    yield f"the tokens of {lease} on {node} were taken at {mark.at:%H:%M:%S.%f}, before its end was decided"


def tokens_are_gone_when_a_lease_rests(deeds: Deeds, chronicle: Chronicle, _: Outages) -> Iterator[str]:
    for lease in chronicle.leases.values():
        if lease.rested_at is None:
            continue
        for node in lease.nodes:
            left = deeds.count(_place(deeds, lease, node), lease.rested_at)
            if left is not None:
                yield f"{lease} came to rest with {left} tokens on {node}"


def tokens_are_gone_in_the_end(deeds: Deeds, _: Chronicle, __: Outages) -> Iterator[str]:
    for place, marks in deeds.marks.items():
        if marks[-1].count is not None:
            yield f"{marks[-1].count} tokens of {_name(place)} are left over from {marks[-1].at:%H:%M:%S}"


def gpu_pods_are_bound_under_their_lease_only(deeds: Deeds, chronicle: Chronicle, outages: Outages) -> Iterator[str]:
    """But by a scheduler that was cut off from its cluster: it binds by tokens that are gone. Such a pod is not left."""
    for pod in deeds.pods:
        place = (pod.cluster, pod.node, pod.tenant)
        if not pod.bound_at:
            continue
        if any(_is_open(lease, pod.bound_at) for lease in _leases_at(chronicle, place)) and not _is_stray(
            deeds, pod, pod.bound_at, outages
        ):
            continue
        gone_at = pod.gone_at or deeds.ended_at
        if not outages.confused(pod.cluster, pod.bound_at):
            yield f"{pod} was bound at {pod.bound_at:%H:%M:%S.%f}, under no lease of {pod.tenant}"
        elif gone_at - pod.bound_at > STRAY_MAX:
            yield f"{pod} was bound under no lease and is there {(gone_at - pod.bound_at).total_seconds():.0f} s later"


def gpu_pods_are_gone_when_their_lease_rests(deeds: Deeds, chronicle: Chronicle, outages: Outages) -> Iterator[str]:
    for pod in deeds.pods:
        for lease in _leases_at(chronicle, (pod.cluster, pod.node, pod.tenant)):
            if pod.bound_at is None or lease.rested_at is None or not _is_open(lease, pod.bound_at):
                continue
            if _is_stray(deeds, pod, pod.bound_at, outages):
                continue  # the rule above judges it
            if pod.node in lease.stuck or _may_be_gone(pod, lease.rested_at, outages):
                continue
            if pod.gone_at is None or pod.gone_at > lease.rested_at:
                yield f"{pod} outlived {lease}: it was gone {pod.gone_at or 'never'}, the lease rested {lease.rested_at}"


def pods_use_no_more_than_the_lease_has(deeds: Deeds, chronicle: Chronicle, outages: Outages) -> Iterator[str]:
    for pod in deeds.pods:
        at = pod.bound_at
        if at is None:
            continue
        others = [
            one for one in deeds.pods if (one.cluster, one.node, one.tenant) == (pod.cluster, pod.node, pod.tenant)
        ]
        beside = [one for one in others if _is_there(one, at) and not _may_be_gone(one, at, outages)]
        held = [lease for lease in _leases_at(chronicle, (pod.cluster, pod.node, pod.tenant)) if _is_open(lease, at)]
        if held and sum(one.gpus for one in beside) > max(lease.nodes[pod.node] for lease in held):
            yield f"{pod} is one too many: {len(beside)} pods use more than {held[-1]} has"


def anchors_live_as_long_as_their_lease(deeds: Deeds, chronicle: Chronicle, _: Outages) -> Iterator[str]:
    for (cluster, fence), steps in deeds.anchors.items():
        lease = chronicle.leases.get(fence)
        if lease is None or lease.cluster != cluster:
            yield f"{ANCHOR}{fence} in {cluster} belongs to no lease there"
            continue
        late = [at for at, made in steps if made and not _is_open(lease, at)]
        yield from (f"{ANCHOR}{fence} was made at {at:%H:%M:%S.%f}, not under {lease}" for at in late)
        if lease.rested_at and [made for at, made in steps if at <= lease.rested_at][-1:] == [True]:
            yield f"{ANCHOR}{fence} outlived {lease}"


TRAIL_RULES: Final = (
    tokens_are_written_under_open_leases_only,
    tokens_stand_when_a_lease_becomes_active,
    tokens_stay_until_the_end_was_decided,
    tokens_are_gone_when_a_lease_rests,
    tokens_are_gone_in_the_end,
    gpu_pods_are_bound_under_their_lease_only,
    gpu_pods_are_gone_when_their_lease_rests,
    pods_use_no_more_than_the_lease_has,
    anchors_live_as_long_as_their_lease,
)


def _tell_pod(
    deeds: Deeds, owners: dict[tuple[str, str], str], known: dict[tuple[str, str, str], GpuPod], write: Write
) -> None:
    place = (write.cluster, write.namespace, write.name)
    if (write.kind, write.verb) == ("pods", "create"):
        tenant, gpus = _tenant(write.body) or owners.get(place[:2], ""), _gpus(write.body)
        if tenant and gpus:
            place = (*place[:2], write.name or f"{write.body['metadata']['generateName']}{UNNAMED}{len(deeds.pods)}")
            known[place] = GpuPod(*place, tenant, gpus)
            deeds.pods.append(known[place])
        return
    _name_it(known, place)
    if (write.kind, write.verb) == ("pods/binding", "create") and place in known:
        known[place].node, known[place].bound_at = write.body["target"]["name"], write.at
    elif (write.kind, write.verb) == ("pods", "delete") and place in known:
        _tell_deletion(known[place], write)
        if _is_final(write, known[place]):
            del known[place]


def _name_it(known: dict[tuple[str, str, str], GpuPod], place: tuple[str, str, str]) -> None:
    """A pod of a controller is named by its API server, which is not in the log: the first that may be meant is."""
    if place in known:
        return
    for cluster, namespace, name in list(known):
        prefix, is_unnamed, _ = name.partition(UNNAMED)
        if is_unnamed and (cluster, namespace) == place[:2] and place[2].startswith(prefix):
            known[place] = known.pop((cluster, namespace, name))
            known[place].name = place[2]
            return


def _tell_deletion(pod: GpuPod, write: Write) -> None:
    """Of a job's pod that has ended by itself, which nobody's log says, the first deletion is the last that is heard."""
    if pod.tenant.startswith(JOB) or _is_final(write, pod):
        pod.gone_at = write.at


def _tenant(pod: Json) -> str:
    """Of the pod of a job."""
    fence = ((pod.get("metadata") or {}).get("labels") or {}).get(LEASE_LABEL, "")
    return f"{JOB}{fence}" if fence else ""


def _is_final(write: Write, pod: GpuPod) -> bool:
    """A pod that is on no node goes at once; any other when its node says so."""
    return pod.bound_at is None or write.user in PLAYERS or write.body.get("gracePeriodSeconds") == 0


def _counts(body: Json | list[Json]) -> Iterator[tuple[str, int | None]]:
    """Tokens that a patch of a node sets, by tenant: a merge patch, a whole node, or a list of steps."""
    if isinstance(body, list):
        steps = [(step["path"].rpartition("/")[2].replace("~1", "/"), step) for step in body]
        found = {key: step.get("value") if step["op"] != "remove" else None for key, step in steps}
    else:
        status = body.get("status") or {}
        found = {**(status.get("capacity") or {}), **(status.get("allocatable") or {})}
    for key, count in found.items():
        if key.endswith(TOKEN_ENDING):
            yield key.removesuffix(TOKEN_ENDING), None if count is None else int(count)


def _gpus(pod: Json) -> int:
    limits = [(container.get("resources") or {}).get("limits") or {} for container in pod["spec"]["containers"]]
    return sum(int(limit.get(GPU, 0)) for limit in limits)


def _place(deeds: Deeds, lease: Lease, node: str) -> tuple[str, str, str]:
    return next(
        (place for place in deeds.marks if place[:2] == (lease.cluster, node) and _is_of(lease, place[2])),
        (lease.cluster, node, str(lease)),
    )


def _leases_at(chronicle: Chronicle, place: tuple[str, str, str]) -> list[Lease]:
    """Leases of that tenant, or of that job, on that node."""
    cluster, node, tenant = place
    return [
        lease
        for lease in chronicle.leases.values()
        if lease.cluster == cluster and node in lease.nodes and _is_of(lease, tenant)
    ]


def _is_of(lease: Lease, tenant: str) -> bool:
    """Whether its tokens are written under this name."""
    if not lease.is_exclusive:
        return tenant == f"{JOB}{lease.fence}"
    return not tenant.startswith(JOB) and tenant.endswith(lease.workspace_id.replace("-", "")[-TENANT_DIGITS:])


def _is_open(lease: Lease, at: datetime) -> bool:
    return lease.granted_at <= at and (lease.rested_at is None or at <= lease.rested_at)


def _is_there(pod: GpuPod, at: datetime) -> bool:
    return pod.bound_at is not None and pod.bound_at <= at and (pod.gone_at is None or pod.gone_at > at)


def _is_stray(deeds: Deeds, pod: GpuPod, bound_at: datetime, outages: Outages) -> bool:
    """Whether a scheduler that could not know better bound it by tokens that were taken before."""
    taken = deeds.count((pod.cluster, pod.node, pod.tenant), bound_at) is None
    return taken and outages.confused(pod.cluster, bound_at)


def _may_be_gone(pod: GpuPod, by: datetime, outages: Outages) -> bool:
    """Whether its end may have been made and, the API server being killed, never noted."""
    return pod.gone_at is None and pod.bound_at is not None and outages.blind(pod.cluster, pod.bound_at, by)


def _name(place: tuple[str, str, str]) -> str:
    cluster, node, tenant = place
    return f"{tenant} on {cluster}/{node}"
