# ruff: noqa: N803 - parameters have the document's names
"""The paths of jobs: parse, call one operation, render."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from http import HTTPStatus
from typing import Annotated

from fastapi import Query, Response

from api.calls import CreatingCall, CurrentCall
from api.dialects.gpuctl import default_namespace, envelopes, job_answers, schemas
from api.dialects.gpuctl.bodies import DocumentBody, document_body_of
from api.dialects.gpuctl.job_document import DEFAULT_POOL, KindWord, read_job
from api.dialects.gpuctl.job_translation import kinds_called, to_domain
from api.dialects.gpuctl.paths import CHANGE, LIST, LOOK, PageNumber, PageSize, PathWord, QueryWord, new_router
from api.dialects.gpuctl.yaml_documents import YamlDocument, load_yaml
from api.operations import jobs, namespaces
from api.operations.call import Call
from api.operations.jobs import JobQuery, JobSubmission
from api.payloads import body_of, content, payload
from domain.failures import BerthFailure, InvalidRequest
from domain.job import JobStatus

LINES_MAX = 10_000

router = new_router()

Force = Annotated[bool, Query()]
Kind = Annotated[KindWord | None, Query()]
StatusWord = Annotated[schemas.StatusWord | None, Query(description="Compared without regard to case.")]
Batch = Annotated[schemas.JobBatch, payload(schemas.JobBatch, bytes_max=schemas.BATCH_BYTES_MAX)]

TRIED_OUT = {
    "model": schemas.JobCreated,
    "description": "A dry run: nothing was made; `message` says when it would start.",
}
CREATE_OR_TRY = {int(HTTPStatus.OK): TRIED_OUT, **CHANGE}


@router.post(
    "/jobs",
    tags=["Jobs"],
    status_code=HTTPStatus.CREATED,
    response_model=schemas.JobCreated,
    responses=CREATE_OR_TRY,
    openapi_extra=body_of(schemas.JobSubmission),
)
async def create_job(call: CreatingCall, body: Annotated[DocumentBody, content(document_body_of)]) -> Response:
    """Queue a job. Durable when answered. With `dryRun` it is checked and planned, and nothing is made."""
    wish = await _wish(call, body.document)
    if body.dry_run:
        start = await jobs.try_out(call, wish)
        return envelopes.success(job_answers.tried_out(wish.spec, start, call.now))
    job = await jobs.find_by_id(call, await jobs.submit(call, wish))
    return envelopes.success(job_answers.created(job), HTTPStatus.CREATED)


@router.post(
    "/jobs/batch",
    tags=["Jobs"],
    status_code=HTTPStatus.CREATED,
    response_model=schemas.BatchResult,
    responses=CHANGE,
    openapi_extra=body_of(schemas.JobBatch),
)
async def create_jobs(call: CurrentCall, body: Batch) -> Response:
    """Queue several jobs, each on its own: one that is refused keeps no other back. At most 1000, 2 MiB together."""
    result = schemas.BatchResult(success=[], failed=[])
    for index, text in enumerate(body.yamlContents):
        await asyncio.sleep(0)  # a text is read in one go: others get their turn in between
        try:
            wish = await _wish(call, load_yaml(text))
            await (jobs.try_out(call, wish) if body.dryRun else jobs.submit(call, wish))
        except BerthFailure as failure:
            result.failed.append(schemas.BatchFailure(index=index, error=failure.message))
        else:
            result.success.append(schemas.BatchSuccess(jobId=wish.spec.name, name=wish.spec.name))
    return envelopes.success(result, HTTPStatus.CREATED)


@router.get("/jobs", tags=["Jobs"], response_model=schemas.JobPage, responses=LIST)
async def list_jobs(  # noqa: PLR0913 - the document's parameters
    call: CurrentCall,
    *,
    kind: Kind = None,
    pool: QueryWord = None,
    status: StatusWord = None,
    namespace: QueryWord = None,
    page: PageNumber = 1,
    pageSize: PageSize = 20,
) -> Response:
    """Jobs, pod by pod; one that has no pod yet by itself. What ended by itself is shown for a day."""
    query = JobQuery(
        kinds=kinds_called(kind) if kind else None,
        pool="" if pool == DEFAULT_POOL else pool or None,
        namespace=_inward(namespace),
        status=_status(status) if status else None,
        limit=pageSize,
        offset=(page - 1) * pageSize,
    )
    found, total = await jobs.listing(call, query)
    items = [job_answers.item(job, pod, call.now) for job, pod in found]
    return envelopes.success(schemas.JobPage(total=total, items=items))


@router.get("/jobs/{jobId}", tags=["Jobs"], response_model=schemas.JobDetail, responses=LOOK)
async def get_job(call: CurrentCall, jobId: PathWord, namespace: QueryWord = None) -> Response:
    """A job by its name, or by the name of one of its pods."""
    job = await jobs.find(call, jobId, _inward(namespace))
    return envelopes.success(job_answers.detail(job, jobId, await jobs.happenings(call, job), call.now))


@router.delete("/jobs/{jobId}", tags=["Jobs"], response_model=schemas.JobDeleted, responses=CHANGE)
async def delete_job(
    call: CurrentCall, jobId: PathWord, namespace: QueryWord = None, *, force: Force = False
) -> Response:
    """End a job; all that was made for it goes. Repeating it changes nothing. Forced, its pods have hardly any grace."""
    return envelopes.success(job_answers.deleted(await jobs.end(call, jobId, _inward(namespace), force=force)))


@router.get("/jobs/{jobId}/logs", tags=["Jobs"], response_model=schemas.Logs, responses=LOOK)
async def get_logs(  # noqa: PLR0913 - the document's parameters
    call: CurrentCall,
    jobId: PathWord,
    *,
    tail: Annotated[int, Query(ge=1, le=LINES_MAX)] = 100,
    pod: QueryWord = None,
    namespace: QueryWord = None,
    timestamps: Annotated[bool, Query()] = False,
    follow: Annotated[bool, Query()] = False,
) -> Response:
    """The last lines of a pod's log; of one that went, as they were kept."""
    if follow:
        raise InvalidRequest("follow=true is not served here: open the WebSocket at …/logs/ws")
    log = await jobs.log(call, jobId, _inward(namespace), pod or None, tail)
    return envelopes.success(job_answers.logs(log, timestamps=timestamps))


async def _wish(call: Call, document: YamlDocument) -> JobSubmission:
    order = to_domain(read_job(document))
    if order.spec.namespace == default_namespace.THEIRS:
        namespace = await namespaces.usual(call, default_namespace.OURS)
        order = replace(order, spec=replace(order.spec, namespace=namespace))
    return job_answers.submission_of(order)


def _inward(namespace: str | None) -> str | None:
    return default_namespace.inward(namespace) if namespace else None


def _status(word: str) -> JobStatus:
    try:
        return JobStatus(word.lower())
    except ValueError as error:
        raise InvalidRequest(f"there is no status {word!r}; there are {', '.join(JobStatus)}") from error
