"""Jobs in the ledger: what each is to run, and what was last seen of it. Their phases are their Gprs'."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import asyncpg
from pydantic import TypeAdapter

from domain.failures import AlreadyExists, NotFound
from domain.gpr import EndCause, Phase
from domain.job import FINISHED, Job, JobEvent, JobKind, JobSpec, JobState, JobStatus, ObservedJob, ObservedPod
from domain.messages import RELEASE_SIGNAL, kick_arbiter, start_gpr, tell_gpr
from ledger import gprs, lifecycle, outbox, reading
from ledger.sealing import KEYRING
from ledger.statements import load

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    from domain.gpr import Gpr, GprRequest
    from ledger.connection import Connection, Row

    JobMark = tuple[Phase, datetime | None]

_SQL = load("jobs")
_SPEC: Final = TypeAdapter(JobSpec)
_PODS: Final = TypeAdapter(tuple[ObservedPod, ...])
_EVENTS: Final = TypeAdapter(tuple[JobEvent, ...])

VANISHED: Final = "somebody took away on its cluster what it was made of"


@dataclass(frozen=True, slots=True)
class JobQuery:
    """Which jobs to list; None: all."""

    kinds: Collection[JobKind] | None = None
    pool: str | None = None
    namespace: str | None = None
    status: JobStatus | None = None
    limit: int = 100
    offset: int = 0


async def submit(  # noqa: PLR0913, PLR0917 - one argument for each thing that only the caller knows
    connection: Connection,
    gpr_id: UUID,
    workspace_id: UUID,
    submitted_by: UUID,
    request: GprRequest,
    spec: JobSpec,
    options: dict[str, object],
    now: datetime,
) -> list[int]:
    """Write a new queued job; the ids of the messages to deliver after the commit. AlreadyExists while its name is used."""
    await gprs.insert(connection, gpr_id, workspace_id, submitted_by, request, options, now)
    await insert(connection, gpr_id, workspace_id, spec)
    return await outbox.put_all(connection, [start_gpr(str(gpr_id), is_job=True), kick_arbiter()])


async def insert(connection: Connection, gpr_id: UUID, workspace_id: UUID, spec: JobSpec) -> None:
    """Write what a new Gpr is to run, without telling anybody. AlreadyExists while its name is used.

    NoSecretsKey where it has variables and this process has no key to seal them with.
    """
    row = (gpr_id, workspace_id, spec.namespace, spec.name, spec.kind, _sealed(spec))
    try:
        await connection.execute(_SQL["insert"], *row)
    except asyncpg.UniqueViolationError as error:
        raise AlreadyExists(f"there is a job {spec.name!r} in namespace {spec.namespace!r} already") from error


async def find(connection: Connection, gpr_id: UUID) -> Job:
    """One job without the values of its variables, or NotFound."""
    row = await connection.fetchrow(_SQL["one"], gpr_id)
    if row is None:
        raise NotFound(f"there is no job {gpr_id}")
    return _job(row, await gprs.find(connection, gpr_id))


async def all_of(connection: Connection, ids: Collection[UUID]) -> list[Job]:
    """These jobs, newest first, without their logs and events."""
    own = {row["gpr_id"]: row for row in await connection.fetch(_SQL["of_gprs"], list(ids))}
    return [_job(own[gpr.id], gpr) for gpr in await reading.gprs_of(connection, own)]


async def spec_of(connection: Connection, gpr_id: UUID) -> JobSpec:
    """What it is to run, with the values of its variables. NoSecretsKey where this process cannot open them."""
    row = await connection.fetchrow(_SQL["one"], gpr_id)
    if row is None:
        raise NotFound(f"there is no job {gpr_id}")
    return _spec(row["spec"], KEYRING.opened)


async def marks(connection: Connection, gpr_ids: Collection[UUID]) -> dict[UUID, JobMark]:
    """Of each of these jobs, what differs when there is news of it."""
    rows = await connection.fetch(_SQL["marks"], list(gpr_ids))
    return {row["gpr_id"]: (Phase(row["phase"]), row["observed_at"]) for row in rows}


async def id_of(
    connection: Connection, workspace_ids: Collection[UUID] | None, name: str, namespace: str | None = None
) -> UUID | None:
    """The job, or the job of the pod, that has this name now, or had it last; in these workspaces, or in any for None."""
    where = (_listed(workspace_ids), name, namespace)
    found: UUID | None = await connection.fetchval(_SQL["by_name"], *where)
    return found or await connection.fetchval(_SQL["by_pod"], *where)


async def page(
    connection: Connection, workspace_ids: Collection[UUID] | None, query: JobQuery, now: datetime
) -> tuple[list[tuple[Job, str]], int]:
    """Jobs with the name of each of their pods, or with "" while there is none; and how many such there are in all."""
    rows = await connection.fetch(
        _SQL["page"],
        _listed(workspace_ids),
        None if query.kinds is None else list(query.kinds),
        query.pool,
        query.namespace,
        query.status,
        now,
        query.limit,
        query.offset,
    )
    found = {job.gpr.id: job for job in await all_of(connection, {row["gpr_id"] for row in rows})}
    return [(found[row["gpr_id"]], row["pod"]) for row in rows], rows[0]["total"] if rows else 0


async def observe(connection: Connection, gpr_id: UUID, observed: ObservedJob, now: datetime) -> list[int]:
    """Write what was seen of it; a training job that has ended gives its GPUs back. The ids of the messages to deliver."""
    news = await connection.fetchval(
        _SQL["observe"],
        gpr_id,
        observed.state,
        observed.reason,
        observed.message,
        observed.ready,
        observed.wanted,
        _PODS.dump_python(observed.pods, mode="json"),
        observed.service_node_port,
        now,
    )
    if news is None or observed.state not in FINISHED:
        return []
    return await _end_of_itself(connection, gpr_id, observed, now)


async def keep(
    connection: Connection, gpr_id: UUID, logs: Mapping[str, Sequence[str]], happenings: Sequence[JobEvent]
) -> None:
    """Keep what the cluster forgets when the job goes."""
    told = _EVENTS.dump_python(tuple(happenings), mode="json")
    await connection.execute(_SQL["keep"], gpr_id, {pod: list(lines) for pod, lines in logs.items()}, told)


async def force(connection: Connection, gpr_id: UUID) -> None:
    """Its pods are to go at once when they go."""
    await connection.execute(_SQL["force"], gpr_id)


async def running(connection: Connection, cluster: str) -> Mapping[str, Phase]:
    """Phases of the jobs that should have pods on a cluster, by id."""
    return {row["id"]: Phase(row["phase"]) for row in await connection.fetch(_SQL["running"], cluster)}


async def vanish(connection: Connection, gpr_id: UUID, now: datetime) -> list[int]:
    """End one of which nothing is left on its cluster: its GPUs would be held for nobody. The ids of the messages."""
    if await reading.held_phase(connection, gpr_id) is not Phase.ACTIVE:
        return []
    after = await lifecycle.begin_release(connection, gpr_id, EndCause.JOB_FAILED, now, failure=VANISHED)
    return await outbox.put_all(connection, [tell_gpr(RELEASE_SIGNAL, after), kick_arbiter()])


def _listed(workspace_ids: Collection[UUID] | None) -> list[UUID] | None:
    return None if workspace_ids is None else list(workspace_ids)


async def _end_of_itself(connection: Connection, gpr_id: UUID, observed: ObservedJob, now: datetime) -> list[int]:
    job = await find(connection, gpr_id)
    if not _ends_with_its_pods(job.spec.kind, observed) or job.gpr.phase not in {Phase.PROVISIONING, Phase.ACTIVE}:
        return []
    succeeded = observed.state is JobState.SUCCEEDED
    cause = EndCause.COMPLETED if succeeded else EndCause.JOB_FAILED
    why = "" if succeeded else f"{observed.reason}: {observed.message}".strip(": ")
    after = await lifecycle.begin_release(connection, gpr_id, cause, now, failure=why)
    return await outbox.put_all(connection, [tell_gpr(RELEASE_SIGNAL, after), kick_arbiter()])


def _ends_with_its_pods(kind: JobKind, observed: ObservedJob) -> bool:
    """Nobody makes the pods of a box anew: where one has ended, GPUs would be held for nobody."""
    return kind is JobKind.TRAINING or (kind is JobKind.BOX and observed.state is JobState.FAILED)


def _job(row: Row, gpr: Gpr) -> Job:
    return Job(
        gpr=gpr,
        spec=_spec(row["spec"], _nothing),
        observed=_observed(row) if row["state"] else None,
        observed_at=row["observed_at"],
        is_forced=row["is_forced"],
        logs={pod: tuple(lines) for pod, lines in row["logs"].items()},
        happenings=_EVENTS.validate_python(row["happenings"]),
    )


def _sealed(spec: JobSpec) -> dict[str, object]:
    """As it is written: the values of its variables only where this process's keys are."""
    content: dict[str, object] = _SPEC.dump_python(spec, mode="json")
    variables = [{"name": one.name, "sealed": KEYRING.seal(one.value)} for one in spec.environment]
    return content | {"environment": variables}


def _spec(content: Mapping[str, Any], opened: Callable[[str], str]) -> JobSpec:
    """As it was written. Rows of before values were sealed have them as they are."""
    variables = [
        {"name": one["name"], "value": opened(one["sealed"]) if "sealed" in one else one["value"]}
        for one in content.get("environment", ())
    ]
    spec: JobSpec = _SPEC.validate_python({**content, "environment": variables})
    return spec


def _nothing(_: str) -> str:
    return ""


def _observed(row: Row) -> ObservedJob:
    return ObservedJob(
        state=JobState(row["state"]),
        reason=row["reason"],
        message=row["message"],
        ready=row["ready"],
        wanted=row["wanted"],
        pods=_PODS.validate_python(row["pods"]),
        service_node_port=row["node_port"],
    )
