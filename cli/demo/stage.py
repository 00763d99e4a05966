"""What the demonstration plays on, and how each of its steps is told: what fails, with the log of whoever should act."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cli.client import ApiFailure, BerthClient, Gpr
from cli.clock import Clock, TooLate
from cli.failures import CommandFailed, told
from cli.narration import Narrator


@dataclass(frozen=True, slots=True)
class Stage:
    """What the demonstration plays on. `log_tail` gives the last lines of a part's log."""

    client: BerthClient
    clock: Clock
    narrator: Narrator
    kubectl: Path | None
    log_tail: Callable[[str], str]


@contextmanager
def step(stage: Stage, key: str, part: str) -> Iterator[None]:
    """A step that `part` does: what fails in it is told with the tail of that part's log."""
    stage.narrator.running(key, "")
    try:
        yield
    except (CommandFailed, ApiFailure) as failure:
        known = told(failure)
        stage.narrator.failed(key, known.message)
        raise CommandFailed(
            f"the demonstration stopped at '{key}': {known.message}",
            mend=known.mend or f"`berth status` and `berth logs {part}` say more; `berth up --no-demo` leaves it out",
            detail="\n".join(text for text in (known.detail, stage.log_tail(part)) if text),
            code=known.code,
        ) from failure


@contextmanager
def explained(why: Callable[[], str]) -> Iterator[None]:
    """What came too late is told with what it last waited for."""
    try:
        yield
    except TooLate as failure:
        failure.detail = why()
        raise


def cluster_of(gpr: Gpr) -> str:
    """Where it was granted."""
    return gpr.lease.cluster if gpr.lease else ""
