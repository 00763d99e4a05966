"""What a long step tells whoever watches it: data only; the words on the screen are the caller's."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum


class Moment(StrEnum):
    """Where a part is in its start or its stop."""

    STARTING = "starting"
    """Begun; nothing to count yet."""
    PROGRESS = "progress"
    """Under way: `done` of `total` where both are known."""
    READY = "ready"
    """Answers its readiness check."""
    FAILED = "failed"
    """Does not start; raised once the parts that were starting beside it are done."""
    ATTACHED = "attached"
    """The user's own part is used; nothing was started."""
    STOPPED = "stopped"
    """Gone."""
    NOTE = "note"
    """Something the user should know, and nothing more."""


@dataclass(frozen=True, slots=True)
class Event:
    """One moment in the life of one part."""

    part: str
    moment: Moment
    message: str = ""
    done: int | None = None
    total: int | None = None
    elapsed_seconds: float = 0.0
    usually_seconds: float | None = None
    """How long the step usually takes, where it is long enough to say so."""


Report = Callable[[Event], None]


def silence(_event: Event) -> None:
    """The report of those who do not watch."""


def one_at_a_time(report: Report) -> Report:
    """Parts start in parallel; a screen takes one event at a time."""
    lock = threading.Lock()

    def locked(event: Event) -> None:
        with lock:
            report(event)

    return locked
