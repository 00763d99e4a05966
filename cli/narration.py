"""Tells the steps of something long: redrawn in place on a terminal, as plain lines anywhere else.

Leaves what the steps are to `up` and `demo`. Speaks on the error stream, so that the output stays a program's.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live

from cli.clock import Clock
from cli.failures import EXPECTED, told
from cli.stack.events import Event, Moment
from cli.steps import Step, Steps, StepState, picture, plain

REDRAWS_PER_SECOND = 8
PLAIN_REPEAT_SECONDS = 10.0
"""Without a terminal a step that only goes on is told this often: enough to see that it lives."""


class Narrator:
    """Begins, carries on and ends steps; each call is one thing that a watcher should see."""

    def __init__(self, console: Console, clock: Clock, steps: Steps | None = None) -> None:
        self._console = console
        self._clock = clock
        self._told_at: dict[str, float] = {}
        self.steps = steps or Steps()

    def running(self, key: str, text: str, *, title: str = "", usually_seconds: float | None = None) -> None:
        """It has begun, or goes on."""
        before = self.steps.get(key)
        began = before.began if before and before.state is StepState.RUNNING else self._clock.monotonic()
        usually = usually_seconds or (before.usually_seconds if before else None)
        name = title or (before.title if before else key)
        self._put(key, Step(name, StepState.RUNNING, text, began, usually_seconds=usually))

    def done(self, key: str, text: str, *, took_seconds: float = 0.0) -> None:
        """It has ended well; `took_seconds` where its beginning was not told."""
        self._end(key, StepState.DONE, text, took_seconds=took_seconds)

    def failed(self, key: str, text: str) -> None:
        """It has ended badly."""
        self._end(key, StepState.FAILED, text)

    def note(self, text: str, *, title: str = "note") -> None:
        """Something to know."""
        self._end(f"note: {title} {text}", StepState.NOTE, text, title=title)

    def fail_running(self, text: str) -> None:
        """Whatever was under way has failed with this."""
        for key in self.steps.running():
            self.failed(key, text)

    def event(self, event: Event) -> None:
        """What the local stack reports of a part."""
        if event.moment is Moment.NOTE:
            self.note(event.message, title=event.part)
        elif event.moment in {Moment.STARTING, Moment.PROGRESS}:
            self.running(event.part, _progress(event), usually_seconds=event.usually_seconds)
        elif event.moment is Moment.FAILED:
            self.failed(event.part, event.message)
        elif event.moment is Moment.ATTACHED:
            self.done(event.part, f"attached: {event.message}")
        else:
            self.done(event.part, event.message or str(event.moment), took_seconds=event.elapsed_seconds)

    def _end(self, key: str, state: StepState, text: str, *, title: str = "", took_seconds: float = 0.0) -> None:
        before, now = self.steps.get(key), self._clock.monotonic()
        began = before.began if before and before.state is StepState.RUNNING else now - took_seconds
        self._put(key, Step(title or (before.title if before else key), state, text, began, now))

    def _put(self, key: str, step: Step) -> None:
        before = self.steps.get(key)
        self.steps.put(key, step)
        if not self._console.is_terminal and self._is_news(key, before, step):
            self._told_at[key] = self._clock.monotonic()
            self._console.print(plain(step, self._clock.monotonic()), markup=False, highlight=False, soft_wrap=True)

    def _is_news(self, key: str, before: Step | None, step: Step) -> bool:
        if before is None or before.state is not step.state:
            return True
        silent_seconds = self._clock.monotonic() - self._told_at.get(key, 0.0)
        return before.text != step.text and silent_seconds >= PLAIN_REPEAT_SECONDS


@contextmanager
def narrated(console: Console, clock: Clock) -> Iterator[Narrator]:
    """A narrator whose steps stay on the screen when it is done, the failed ones marked."""
    narrator = Narrator(console, clock)
    if not console.is_terminal:
        with _failing(narrator):
            yield narrator
        return
    live = Live(
        console=console,
        get_renderable=lambda: picture(narrator.steps, clock.monotonic()),
        refresh_per_second=REDRAWS_PER_SECOND,
    )
    with live, _failing(narrator):
        yield narrator


@contextmanager
def _failing(narrator: Narrator) -> Iterator[None]:
    try:
        yield
    except EXPECTED as failure:
        narrator.fail_running(told(failure).message)
        raise


def _progress(event: Event) -> str:
    if event.done is None or not event.total:
        return event.message
    return f"{event.message} {event.done}/{event.total}".strip()
