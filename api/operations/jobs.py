"""What one can do with jobs. A job is queued, leased and ended as a Gpr; what is its own is what it runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from uuid import UUID, uuid4

from structlog.contextvars import bind_contextvars

from api.operations.estimates import planned
from api.operations.gprs import Submission, checked_request
from api.operations.permission import visible_workspace_ids, workspace_for, workspace_of_namespace
from domain.failures import InvalidRequest, NotFound, Unavailable
from domain.gpr import EndCause, GprRequest, Phase, PlannedStart, may_come_back
from domain.job import Job, JobEvent, JobKind, JobSpec
from domain.permissions import Action
from ledger import jobs, lifecycle, reading
from ledger.jobs import JobQuery as JobQuery  # noqa: PLC0414 - what dialects ask with
from ledger.sealing import KEYRING

if TYPE_CHECKING:
    from api.operations.call import Call
    from domain.workspace import Workspace
    from ledger.connection import Connection

NAME_BEGINS: Final = frozenset("abcdefghijklmnopqrstuvwxyz")


@dataclass(frozen=True, slots=True)
class JobSubmission:
    """A job to be queued. Amounts are of all its replicas together. `options` change nothing; they are kept.

    Its priority counts where it is named, or where nobody has set one for its kind of workload.
    """

    spec: JobSpec
    priority: int
    names_priority: bool = True
    pool: str = ""
    shape: str = ""
    duration_seconds: int | None = None
    cpu_millis: int = 0
    memory_mib: int = 0
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PodLog:
    """The last lines of a pod's log, each with its time before it."""

    pod: str
    lines: tuple[str, ...]


async def submit(call: Call, wish: JobSubmission) -> UUID:
    """Queue a job; its id. Durable when this returns. AlreadyExists while another job of the namespace has its name."""
    _check(call, wish.spec)
    messages: list[int] = []
    async with call.backends.ledger.transaction() as connection:
        workspace = await workspace_of_namespace(connection, call, wish.spec.namespace, Action.SUBMIT)
        job_id, new = await call.subject(connection, "submit_job", wish, uuid4())
        bind_contextvars(gpr_id=str(job_id))
        if new:
            request = await checked_request(connection, workspace, _submission(workspace, wish))
            who = (workspace.id, call.principal_id)
            options: dict[str, object] = dict(wish.options)
            messages = await jobs.submit(connection, job_id, *who, request, wish.spec, options, call.now)
    call.deliver(messages)
    return job_id


async def try_out(call: Call, wish: JobSubmission) -> PlannedStart:
    """Check it, and say when it would start. Nothing is made."""
    _check(call, wish.spec)
    async with call.backends.ledger.reading() as connection:
        workspace = await workspace_of_namespace(connection, call, wish.spec.namespace, Action.SUBMIT)
        request = await checked_request(connection, workspace, _submission(workspace, wish))
    return await planned(call, workspace, request)


async def find(call: Call, word: str, namespace: str | None = None) -> Job:
    """The job of this name, or of the pod of this name, or NotFound."""
    async with call.backends.ledger.reading() as connection:
        return await jobs.find(connection, await _id_of(connection, call, word, namespace))


async def find_by_id(call: Call, job_id: UUID) -> Job:
    """The job that was just submitted."""
    async with call.backends.ledger.reading() as connection:
        return await jobs.find(connection, job_id)


async def listing(call: Call, query: JobQuery) -> tuple[list[tuple[Job, str]], int]:
    """Pods of the jobs that the caller may see, newest job first, "" for a job without any; and how many there are."""
    async with call.backends.ledger.reading() as connection:
        return await jobs.page(connection, await visible_workspace_ids(connection, call), query, call.now)


async def happenings(call: Call, job: Job) -> Sequence[JobEvent]:
    """What its cluster said about it: live while it has pods, else as it was kept. Nothing where nobody can tell."""
    if job.happenings or job.gpr.phase not in {Phase.PROVISIONING, Phase.ACTIVE, Phase.RELEASING}:
        return job.happenings
    try:
        return await call.backends.logs.events(job.gpr.cluster, job.spec.namespace, str(job.gpr.id))
    except Unavailable:
        return ()


async def end(call: Call, word: str, namespace: str | None = None, *, force: bool = False) -> Job:
    """End a job in whatever phase it is. Repeating it changes nothing; forced, its pods have hardly any grace."""
    async with call.backends.ledger.transaction() as connection:
        job_id = await _id_of(connection, call, word, namespace)
        phase = await reading.held_phase(connection, job_id)
        job = await jobs.find(connection, job_id)
        await workspace_for(connection, call, job.gpr.workspace, Action.CHANGE)
        if force:
            await jobs.force(connection, job_id)
        is_to_start = phase in {Phase.QUEUED, Phase.PROVISIONING} or may_come_back(phase, job.gpr.end_cause)
        cause = EndCause.CANCELLED if is_to_start else EndCause.EARLY_RELEASE
        live = is_to_start or phase is Phase.ACTIVE
        messages = (await lifecycle.end_for_user(connection, job_id, cause, call.now, call.actor))[1] if live else []
        ended = await jobs.find(connection, job_id)
    call.deliver(messages)
    return ended


async def log(call: Call, word: str, namespace: str | None, pod: str | None, lines: int) -> PodLog:
    """The last lines of a pod's log: live where it runs, else as they were kept. The first pod, unless one is named."""
    job = await find(call, word, namespace)
    names = [one.name for one in job.observed.pods] if job.observed else []
    names += [name for name in job.logs if name not in names]
    chosen = pod or (word if word in names else next(iter(names), ""))
    if not chosen:
        return PodLog("", ())
    if chosen not in names:
        raise NotFound(f"the job {job.spec.name!r} has no pod {chosen!r}", pod=chosen)
    return PodLog(chosen, await _lines(call, job, chosen, lines))


async def _lines(call: Call, job: Job, pod: str, lines: int) -> tuple[str, ...]:
    kept = job.logs.get(pod)
    if kept is not None:
        return kept[-lines:] if lines else ()
    try:
        return tuple(await call.backends.logs.tail(job.gpr.cluster, job.spec.namespace, pod, lines))
    except NotFound:
        return ()  # it went at this moment; the next look finds what was kept of it


def _check(call: Call, spec: JobSpec) -> None:
    if spec.name[:1] not in NAME_BEGINS:
        raise InvalidRequest(f"the name of a job must begin with a letter, and {spec.name!r} does not")
    if spec.environment:
        KEYRING.require()
    allowed = call.backends.host_path_prefixes
    for path in spec.host_paths:
        if not any(path == prefix or path.startswith(f"{prefix.rstrip('/')}/") for prefix in allowed):
            told = ", ".join(allowed) or "none"
            raise InvalidRequest(f"the host path {path!r} is not under a prefix that an administrator allows ({told})")


def _submission(workspace: Workspace, wish: JobSubmission) -> Submission:
    spec = wish.spec
    request = GprRequest(
        name=spec.name,
        nodes=spec.replicas,
        gpus_per_node=spec.gpus_per_replica,
        duration_seconds=wish.duration_seconds,
        priority=wish.priority,
        shape=wish.shape,
        exclusive=False,
        pool=wish.pool,
        spread=spec.kind is JobKind.TRAINING,
        namespace=spec.namespace,
        cpu_millis=wish.cpu_millis,
        memory_mib=wish.memory_mib,
    )
    ranks_as = "" if wish.names_priority else spec.kind
    return Submission(workspace.request.name, request, any_cluster=True, ranks_as=ranks_as)


async def _id_of(connection: Connection, call: Call, word: str, namespace: str | None) -> UUID:
    found = None
    if "\0" not in word:
        found = await jobs.id_of(connection, await visible_workspace_ids(connection, call), word, namespace)
    if found is None:
        raise NotFound(f"job {word!r} not found", job=word)
    return found
