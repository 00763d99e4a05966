"""What one who follows a job's log is told: what was said, what comes, what the next pod says, and what was kept.

A job without a pod is waited for, a pod that was replaced is followed by the one after it, and a job that has ended by
what the ledger kept. One stream per pod is shared by all (`log_streams.py`).
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from api.operations import jobs
from api.operations.log_streams import LogStreams, PodAddress, as_lines
from api.operations.permission import workspace_for
from api.operations.pod_stream import PodStream, place_after, told_of
from domain.failures import NotFound
from domain.gpr import TERMINAL, Phase
from domain.job import Job, JobKind, LogLine, LogPlace, ObservedPod, moment_of
from domain.permissions import Action

if TYPE_CHECKING:
    from api.operations.call import Call
    from api.operations.job_news import JobNews

OVERLAP: Final = timedelta(seconds=60)
"""A pod's successor may begin to speak so long before the last word of the pod itself, which has time to shut down."""

_NEVER: Final = datetime.min.replace(tzinfo=UTC)
_BEFORE_PODS: Final = frozenset({Phase.QUEUED, Phase.PROVISIONING, Phase.ACTIVE})


@dataclass(frozen=True, slots=True)
class Wish:
    """What to tell: a pod by its name, or whichever is the first; its last lines, or what came after an instant."""

    pod: str = ""
    tail: int = 100
    since: str = ""


@dataclass(frozen=True, slots=True)
class LogDoors:
    """What this process shares between all who follow logs."""

    streams: LogStreams
    news: JobNews
    check_seconds: float = 30.0
    """How long one who lost the right to see a log may go on seeing it."""


async def found(call: Call, word: str, namespace: str | None, wish: Wish) -> tuple[Job, Wish]:
    """The job of this name, or of this pod; and the wish, which then is for that pod. NotFound."""
    job = await jobs.find(call, word, namespace)
    names = {pod.name for pod in _pods(job)} | set(job.logs)
    if wish.pod and wish.pod not in names:
        raise NotFound(f"the job {job.spec.name!r} has no pod {wish.pod!r}", pod=wish.pod)
    return job, Wish(wish.pod or (word if word in names else ""), wish.tail, wish.since)


async def require_still(call: Call, job: Job) -> None:
    """NotFound or Forbidden for one who may no longer see what he follows."""
    async with call.backends.ledger.reading() as connection:
        await workspace_for(connection, call, job.gpr.workspace, Action.VIEW)


async def follow(call: Call, doors: LogDoors, job: Job, wish: Wish) -> AsyncGenerator[Sequence[LogLine], None]:
    """A job's lines until it has ended. FellBehind, Unavailable."""
    follower = _Follower(doors.streams, job, wish)
    while True:
        pod = follower.next_pod(job)
        if pod is not None:
            async with aclosing(follower.tell(job, pod)) as batches:
                async for batch in batches:
                    yield batch
        elif job.gpr.phase in TERMINAL:
            yield follower.kept(job)
            return
        else:
            await doors.news.of(job)
        job = await jobs.find_by_id(call, job.gpr.id)


class _Follower:
    """One who follows a job from pod to pod."""

    def __init__(self, streams: LogStreams, job: Job, wish: Wish) -> None:
        self._streams = streams
        self._wish = wish
        self._place = LogPlace(wish.since) if wish.since else None
        self._wants_tail = not wish.since and (bool(_pods(job)) or job.gpr.phase not in _BEFORE_PODS)
        self._pod: ObservedPod | None = None
        self._told: set[tuple[str, object]] = set()

    def next_pod(self, job: Job) -> ObservedPod | None:
        """The pod to go on with, if there is one already."""
        fresh = [pod for pod in _pods(job) if (pod.name, pod.created_at) not in self._told]
        if self._wish.pod:
            return next((pod for pod in fresh if pod.name == self._wish.pod), None)
        if self._pod is None:
            return next(iter(fresh), None)
        return _successor(self._pod, fresh, job.spec.kind)

    async def tell(self, job: Job, pod: ObservedPod) -> AsyncGenerator[Sequence[LogLine], None]:
        """What a pod says, until it has ended or is gone."""
        if self._pod is not None and self._pod.name != pod.name:
            self._place, self._wants_tail = self._overlapping(), False
        self._pod = pod
        self._told.add((pod.name, pod.created_at))
        address = PodAddress(job.gpr.cluster, job.spec.namespace, pod.name)
        async with self._streams.of_pod(address) as stream:
            async with aclosing(self._catching_up(stream, address)) as batches:
                async for batch in batches:
                    yield self._noted(batch)
            number = self._number(stream)
            while number is not None and (lines := await stream.read(number)):
                number += len(lines)
                yield self._noted(lines)

    def kept(self, job: Job) -> Sequence[LogLine]:
        """What the ledger kept of the pod's log and was not told."""
        name = self._pod.name if self._pod else self._wish.pod or next(iter(job.logs), "")
        lines = as_lines(job.logs.get(name, ()))
        if self._wants_tail:
            return lines[len(lines) - min(self._wish.tail, len(lines)) :]
        return lines[told_of(lines, self._place) :] if self._place else lines

    async def _catching_up(self, stream: PodStream, address: PodAddress) -> AsyncGenerator[Sequence[LogLine], None]:
        """What is older than the shared stream, read for this one alone."""
        if self._number(stream) is not None:
            return
        async with aclosing(self._streams.alone(address, self._place)) as batches:
            async for batch in batches:
                yield batch
                if self._number(stream) is not None:
                    return

    def _number(self, stream: PodStream) -> int | None:
        if self._wants_tail:
            return stream.number_of_tail(self._wish.tail)
        return stream.number_after(self._place)

    def _overlapping(self) -> LogPlace | None:
        """Where a pod is read from that came in another's place."""
        moment = moment_of(self._place.at) if self._place else None
        if moment is None:
            return None
        earlier = LogPlace(f"{moment[0].astimezone(UTC) - OVERLAP:%Y-%m-%dT%H:%M:%S.%fZ}", 0)
        since = moment_of(self._wish.since)
        return LogPlace(self._wish.since) if since and since > (moment[0] - OVERLAP, "") else earlier

    def _noted(self, lines: Sequence[LogLine]) -> Sequence[LogLine]:
        self._place = place_after(self._place, lines)
        self._wants_tail = False
        return lines


def _pods(job: Job) -> Sequence[ObservedPod]:
    return job.observed.pods if job.observed and job.gpr.phase not in TERMINAL else ()


def _successor(last: ObservedPod, fresh: Sequence[ObservedPod], kind: JobKind) -> ObservedPod | None:
    """The newest of those that came in the place of the last one: of the same rank, or made after it."""
    if kind is JobKind.TRAINING:
        able = [pod for pod in fresh if _rank(pod.name) == _rank(last.name)]
    else:
        able = [pod for pod in fresh if pod.name == last.name or _is_later(pod, last)]
    return max(able, key=lambda pod: pod.created_at or _NEVER, default=None)


def _is_later(pod: ObservedPod, last: ObservedPod) -> bool:
    return pod.created_at is not None and last.created_at is not None and pod.created_at > last.created_at


def _rank(pod: str) -> str:
    """`train-0` of `train-0-x7k2p`: what the pods that Kubernetes makes one after another for a rank share."""
    return pod.rpartition("-")[0]
