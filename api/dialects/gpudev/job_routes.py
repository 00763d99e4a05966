"""The paths of boxes, which this API calls jobs: parse, call one operation, render."""

from __future__ import annotations

from typing import Annotated

from fastapi import Response

from api.calls import CreatingCall, CurrentCall
from api.dialects.gpudev import envelopes, schemas
from api.dialects.gpudev import job_translation as gpudev
from api.dialects.gpudev.paths import CHANGE, LIST, LOOK, Board, Limit, Offset, PathWord, StatusWords, new_router
from api.operations import boxes
from api.payloads import body_of, payload

router = new_router()


@router.post(
    "/jobs/submit",
    tags=["Jobs"],
    response_model=schemas.JobSubmitted,
    responses=CHANGE,
    openapi_extra=body_of(schemas.JobSubmission, required=False),
)
async def submit_job(
    call: CreatingCall, board: Board, body: Annotated[schemas.JobSubmission, payload(schemas.JobSubmission)]
) -> Response:
    """Queue a dev box. Durable when answered. Sent again under the same RESERVATION_ID it is answered again."""
    order = gpudev.order_of(body)
    choice = await board.choose(order.kind, order.gpus)
    made = await boxes.submit(call, gpudev.submission_of(order, choice))
    return envelopes.success(gpudev.submitted(made, order, choice))


@router.get("/jobs", tags=["Jobs"], response_model=schemas.JobPage, responses=LIST)
async def list_jobs(call: CurrentCall, status: StatusWords = None, limit: Limit = 50, offset: Offset = 0) -> Response:
    """One's own boxes, newest first."""
    found, total = await boxes.listing(call, gpudev.query_of(status, limit, offset))
    jobs = [gpudev.job(box, call.now) for box in found]
    return envelopes.success(schemas.JobPage(jobs=jobs, total=total, limit=limit, offset=offset))


@router.get("/jobs/{job_id}", tags=["Jobs"], response_model=schemas.Job, responses=LOOK)
async def get_job(call: CurrentCall, job_id: PathWord) -> Response:
    """One of one's own boxes."""
    return envelopes.success(gpudev.job(await boxes.find(call, gpudev.id_of(job_id)), call.now))


@router.post("/jobs/{job_id}/cancel", tags=["Jobs"], response_model=schemas.JobAction, responses=CHANGE)
async def cancel_job(call: CurrentCall, job_id: PathWord) -> Response:
    """End a box, whether it waits or runs. What is on its disk is kept. Repeating it changes nothing."""
    told = await boxes.cancel(call, gpudev.id_of(job_id))
    return envelopes.success(gpudev.action(told, "cancel", "Cancellation request submitted"))


@router.post(
    "/jobs/{job_id}/extend",
    tags=["Jobs"],
    response_model=schemas.JobAction,
    responses=CHANGE,
    openapi_extra=body_of(schemas.Extension),
)
async def extend_job(
    call: CreatingCall, job_id: PathWord, body: Annotated[schemas.Extension, payload(schemas.Extension)]
) -> Response:
    """Let a box last longer: by 48 hours at most, all extensions together. Its `expires_at` has moved when answered."""
    told = await boxes.extend(call, gpudev.id_of(job_id), body.extension_hours)
    sentence = f"Extension request submitted for {body.extension_hours} hours"
    return envelopes.success(gpudev.action(told, "extend", sentence))


@router.post("/jobs/{job_id}/jupyter/enable", tags=["Jobs"], response_model=schemas.JobAction, responses=CHANGE)
async def enable_jupyter(call: CurrentCall, job_id: PathWord) -> Response:
    """Let Jupyter Lab run in a box."""
    told = await boxes.set_jupyter(call, gpudev.id_of(job_id), wanted=True)
    return envelopes.success(gpudev.action(told, "enable_jupyter", "Jupyter enable request submitted"))


@router.post("/jobs/{job_id}/jupyter/disable", tags=["Jobs"], response_model=schemas.JobAction, responses=CHANGE)
async def disable_jupyter(call: CurrentCall, job_id: PathWord) -> Response:
    """Let Jupyter Lab stop."""
    told = await boxes.set_jupyter(call, gpudev.id_of(job_id), wanted=False)
    return envelopes.success(gpudev.action(told, "disable_jupyter", "Jupyter disable request submitted"))


@router.post(
    "/jobs/{job_id}/users",
    tags=["Jobs"],
    response_model=schemas.JobAction,
    responses=CHANGE,
    openapi_extra=body_of(schemas.NewUser),
)
async def add_user(
    call: CurrentCall, job_id: PathWord, body: Annotated[schemas.NewUser, payload(schemas.NewUser)]
) -> Response:
    """Let somebody else in, by the public keys that GitHub knows of them."""
    told = await boxes.add_person(call, gpudev.id_of(job_id), body.github_username)
    sentence = f"Add user request submitted for GitHub user '{body.github_username}'"
    return envelopes.success(gpudev.action(told, "add_user", sentence))
