"""What every activity gets without asking: a heartbeat, its Gpr's id in every log line, failures Temporal understands."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any

import structlog
from prometheus_client import Counter, Histogram
from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from domain.failures import BerthFailure, Unavailable

if TYPE_CHECKING:
    from collections.abc import Mapping

HEARTBEAT_SECONDS = 2.0

SECONDS = Histogram("berth_activity_seconds", "How long steps take.", ["step", "outcome"])
FAILURES = Counter("berth_activity_failures_total", "Steps that failed, by code.", ["step", "code"])


class EveryActivity(Interceptor):
    """Wraps each activity of a worker."""

    def __init__(self, heartbeat_seconds: float = HEARTBEAT_SECONDS) -> None:
        self._heartbeat_seconds = heartbeat_seconds

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002 - the SDK's name
        """Put ours before the SDK's own."""
        return _EveryActivity(next, self._heartbeat_seconds)


class _EveryActivity(ActivityInboundInterceptor):
    def __init__(self, next: ActivityInboundInterceptor, heartbeat_seconds: float) -> None:  # noqa: A002 - the SDK's name
        super().__init__(next)
        self._heartbeat_seconds = heartbeat_seconds

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002 - the SDK's name
        info = activity.info()
        with structlog.contextvars.bound_contextvars(**_context(info)):
            heart = asyncio.create_task(_beat(self._heartbeat_seconds, in_thread=not iscoroutinefunction(input.fn)))
            started, outcome = time.perf_counter(), "failed"
            try:
                result = await super().execute_activity(input)
            except BerthFailure as failure:
                FAILURES.labels(info.activity_type, failure.code).inc()
                raise as_application_error(failure) from failure
            else:
                outcome = "done"
                return result
            finally:
                SECONDS.labels(info.activity_type, outcome).observe(time.perf_counter() - started)
                heart.cancel()
                with suppress(asyncio.CancelledError):
                    await heart


def as_application_error(failure: BerthFailure) -> ApplicationError:
    """The failure as Temporal carries it: its code as the type, which retry policies look at (`activity_options.py`)."""
    benign = isinstance(failure, Unavailable)
    return ApplicationError(
        failure.message,
        _plain(failure.details),
        type=failure.code,
        category=ApplicationErrorCategory.BENIGN if benign else ApplicationErrorCategory.UNSPECIFIED,
    )


async def _beat(seconds: float, *, in_thread: bool) -> None:
    while True:
        await asyncio.sleep(seconds)
        if in_thread:
            # from a thread, too: for a step that runs in one, the SDK waits here for this very loop
            await asyncio.to_thread(activity.heartbeat)
        else:
            activity.heartbeat()


def _context(info: activity.Info) -> dict[str, str]:
    kind, _, subject = (info.workflow_id or "").partition("/")
    return {"step": info.activity_type, "attempt": str(info.attempt), **({f"{kind}_id": subject} if subject else {})}


def _plain(details: Mapping[str, object]) -> dict[str, object]:
    return {key: list(value) if isinstance(value, tuple | set) else value for key, value in details.items()}
