"""Interceptors that make a step fail: before it did anything, or after it did everything, which makes it run twice."""

from __future__ import annotations

from typing import Any, Literal

from temporalio import activity
from temporalio.exceptions import ApplicationError
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

FOR_EVER = 10**9


class FailingStep(Interceptor):
    """Makes one step fail its first `times` attempts. `failed` counts them, so that a test can tell that it happened."""

    def __init__(self, step: str, *, times: int = 1, when: Literal["before", "after"] = "before") -> None:
        self.step = step
        self.times = times
        self.when = when
        self.failed = 0

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002
        return _Failing(next, self)


class _Failing(ActivityInboundInterceptor):
    def __init__(self, following: ActivityInboundInterceptor, plan: FailingStep) -> None:
        super().__init__(following)
        self._plan = plan

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002
        plan = self._plan
        if activity.info().activity_type != plan.step or plan.failed >= plan.times:
            return await super().execute_activity(input)
        plan.failed += 1
        if plan.when == "after":
            await super().execute_activity(input)
        raise ApplicationError(f"{plan.step} is made to fail {plan.when} it runs", type="disturbance")


class Recording(Interceptor):
    """Notes, in order, the steps that ran for workflows of one type. A worker may also serve what other tests left behind."""

    def __init__(self, workflow_type: str) -> None:
        self.steps: list[str] = []
        self._workflow_type = workflow_type

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002
        return _Recording(next, self)

    def note(self, info: activity.Info) -> None:
        if info.workflow_type == self._workflow_type:
            self.steps.append(info.activity_type)


class _Recording(ActivityInboundInterceptor):
    def __init__(self, following: ActivityInboundInterceptor, recording: Recording) -> None:
        super().__init__(following)
        self._recording = recording

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002
        self._recording.note(activity.info())
        return await super().execute_activity(input)
