"""`WS /jobs/{jobId}/logs/ws`: a job's log as it comes, one frame a line.

Refused before it begins, a client is answered as on any other path: status and `{"error": …}` instead of the handshake.
A page's script cannot see those, so where a browser asks, the handshake is accepted and closed with 4000 + status.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any, Final

import structlog
from fastapi import WebSocket, WebSocketDisconnect
from pydantic import BaseModel, Field, ValidationError
from pydantic_core import to_json
from structlog.contextvars import bind_contextvars, clear_contextvars

from api.auth.stream_caller import caller_again, stream_caller
from api.dialects.gpuctl import envelopes
from api.dialects.gpuctl.paths import new_router
from api.operations import job_following
from api.operations.call import Call
from api.operations.job_following import LogDoors, Wish
from api.operations.pod_stream import LINES_KEPT
from api.payloads import fields_of
from api.problems import problem_of
from api.websockets import send_frames, text_frame
from domain.failures import BerthFailure, Unauthenticated, Unavailable
from domain.job import Job, LogLine

log = structlog.get_logger("api")
router = new_router()

PROTOCOL: Final = "gpuctl.logs"
NORMAL, GOING_AWAY, BROKE, TRY_AGAIN = 1000, 1001, 1011, 1013
REFUSED: Final = 4000
"""Plus the HTTP status that the same refusal has elsewhere."""
GONE: Final = 1006
"""The client went without a word; only ever seen in logs and metrics."""
REASON_BYTES_MAX: Final = 123
PIECE_BYTES: Final = 1 << 16
"""What is written to a client in one go, and one line more at most."""
SHARED_MAX: Final = 4_096
"""Longer lines are put into a frame for each client anew, so that what is kept stays small."""
_RFC3339: Final = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)$"
_Word = Annotated[str, Field(max_length=253, pattern=r"^[^\x00]*$")]


class StreamQuery(BaseModel):
    """What stands in the query; anything else there is left alone, as elsewhere."""

    tail: int = Field(100, ge=0, le=LINES_KEPT)
    pod: _Word = ""
    namespace: _Word = ""
    since: str = Field("", pattern=rf"{_RFC3339}|^$")
    """The time of the last line that the client has, as `timestamps=true` puts it before each."""
    timestamps: bool = False


@dataclass(frozen=True, slots=True)
class Ending:
    """How a stream ended."""

    code: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class _Session:
    """One client who follows one job."""

    websocket: WebSocket
    call: Call
    doors: LogDoors
    job: Job
    wish: Wish
    timestamps: bool


@router.websocket("/jobs/{jobId}/logs/ws")
async def stream_log(websocket: WebSocket) -> None:
    """A job's log until the job has ended: what was said last, what comes, and what the next pods say."""
    clear_contextvars()
    bind_contextvars(request_id=uuid.uuid4().hex)
    began = time.perf_counter()
    try:
        session = await _opened(websocket)
        with session.doors.streams.admitted(session.call.caller.key_id):
            await websocket.accept(_protocol(websocket))
            ending = await _until_over(session)
    except BerthFailure as failure:
        ending = await _refuse(websocket, failure)
    websocket.app.state.metrics.stream_ended(ending.code)
    seconds = round(time.perf_counter() - began, 2)
    log.info("log stream", path=websocket.scope["path"], code=ending.code, reason=ending.reason, seconds=seconds)


async def _opened(websocket: WebSocket) -> _Session:
    state = websocket.app.state
    caller = await stream_caller(websocket)
    query = _query(websocket)
    call = Call(state.backends, caller, state.backends.clock())
    wish = Wish(query.pod, query.tail, query.since)
    word = websocket.path_params["jobId"]
    job, wish = await job_following.found(call, word, query.namespace or None, wish)
    return _Session(websocket, call, state.log_doors, job, wish, query.timestamps)


def _query(websocket: WebSocket) -> StreamQuery:
    words = {name: value.replace(" ", "+") if name == "since" else value for name, value in _given(websocket)}
    try:
        return StreamQuery.model_validate(words)
    except ValidationError as error:
        raise fields_of(error.errors()) from error


def _given(websocket: WebSocket) -> list[tuple[str, str]]:
    return [(name, value) for name, value in websocket.query_params.items() if value]


async def _refuse(websocket: WebSocket, failure: BerthFailure) -> Ending:
    problem = problem_of(failure)
    ending = Ending(REFUSED + envelopes.status_of(problem), problem.message)
    with suppress(WebSocketDisconnect):
        if "origin" in websocket.headers:
            await websocket.accept(_protocol(websocket))
            await _close(websocket, ending)
        else:
            await websocket.send_denial_response(envelopes.failure(problem))
    return ending


def _protocol(websocket: WebSocket) -> str | None:
    return PROTOCOL if PROTOCOL in websocket.scope.get("subprotocols", ()) else None


async def _close(websocket: WebSocket, ending: Ending) -> None:
    reason = ending.reason.encode()[:REASON_BYTES_MAX].decode(errors="ignore")
    await websocket.close(ending.code, reason)


async def _until_over(session: _Session) -> Ending:
    """Whatever ends it first: the log, the client, the right to see it, or this process."""
    ways = (_tell, _until_client_goes, _while_allowed, _until_process_stops)
    tasks = [asyncio.create_task(_ended_by(way, session)) for way in ways]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    ending = next(task for task in tasks if task in done).result()
    if ending.code != GONE:
        with suppress(WebSocketDisconnect):
            await _close(session.websocket, ending)
    return ending


async def _ended_by(way: Callable[[_Session], Coroutine[Any, Any, Ending]], session: _Session) -> Ending:
    try:
        return await way(session)
    except WebSocketDisconnect:
        return Ending(GONE)
    except Unavailable as failure:
        return Ending(TRY_AGAIN, failure.message)
    except BerthFailure as failure:
        refused = isinstance(failure, Unauthenticated) or way is _while_allowed
        code = REFUSED + envelopes.status_of(problem_of(failure)) if refused else BROKE
        return Ending(code, failure.message)


async def _tell(session: _Session) -> Ending:
    lines = job_following.follow(session.call, session.doors, session.job, session.wish)
    async with aclosing(lines) as batches:
        async for batch in batches:
            for frames in _frames(batch, timestamps=session.timestamps):
                await send_frames(session.websocket, frames)
            await asyncio.sleep(0)  # a client that takes all at once must not keep the others waiting
    return Ending(NORMAL, "the job has ended")


def _frames(lines: Sequence[LogLine], *, timestamps: bool) -> Iterator[bytes]:
    """Frames in pieces that a slow client's connection can hold."""
    piece, size = list[bytes](), 0
    for line in lines:
        frame = (_frame if len(line.text) > SHARED_MAX else _shared_frame)(line, timestamps)
        piece.append(frame)
        size += len(frame)
        if size >= PIECE_BYTES:
            yield b"".join(piece)
            piece, size = [], 0
    if piece:
        yield b"".join(piece)


def _frame(line: LogLine, timestamps: bool) -> bytes:  # noqa: FBT001 - a key of the cache
    text = f"{line.at} {line.text}" if timestamps and line.at else line.text
    return text_frame(to_json({"type": "log", "data": text}))


_shared_frame = lru_cache(LINES_KEPT * 4)(_frame)
"""All who follow a pod are told the same lines at about the same time."""


async def _until_client_goes(session: _Session) -> Ending:
    """What a client says means nothing, but has to be read."""
    while True:
        message = await session.websocket.receive()
        if message["type"] == "websocket.disconnect":
            return Ending(GONE)


async def _while_allowed(session: _Session) -> Ending:
    while True:
        await asyncio.sleep(session.doors.check_seconds)
        with suppress(Unavailable):
            caller = await caller_again(session.websocket, session.call.caller)
            backends = session.call.backends
            await job_following.require_still(Call(backends, caller, backends.clock()), session.job)


async def _until_process_stops(session: _Session) -> Ending:
    await session.doors.streams.stopping.wait()
    return Ending(GOING_AWAY, "this process stops; connect again")
