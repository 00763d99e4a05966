"""So many callers at once, each asking again as soon as it is answered: what they met, and what it cost each side.

Closed loop: with more callers than the server can serve at once, a duration is mostly the wait for one's turn.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from bench._figures import Samples
from bench._http import Refused
from domain.failures import BerthFailure

Step = Callable[[], Awaitable[object]]

ANSWER_SECONDS_MAX = 30.0
"""Whoever waits longer counts as not answered."""
_USER, _SYSTEM = 11, 12
"""Where `/proc/PID/stat` has these, counted from the field behind the name (proc_pid_stat(5))."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """When to stop: after so many requests, or so many seconds."""

    requests: int
    seconds: float


@dataclass(slots=True)
class Load:
    """What one kind of request met, over one or more turns."""

    samples: Samples = field(default_factory=Samples)
    errors: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    server_seconds: float = 0.0
    """Processor time of the process that answers."""
    client_seconds: float = 0.0
    """Processor time of this process."""

    @property
    def asked(self) -> int:
        """All requests."""
        return len(self.samples.seconds) + self.errors.total()

    @property
    def rate(self) -> float:
        """Successes per second."""
        return len(self.samples.seconds) / self.seconds

    async def turn(self, steps: Sequence[Step], bounds: Bounds, server: int | None = None) -> None:
        """One caller for each step. `server`: pid of the process that answers."""
        began, own, other = time.perf_counter(), time.process_time(), processor_seconds(server)
        left = iter(range(max(bounds.requests, len(steps))))
        async with asyncio.TaskGroup() as group:
            for step in steps:
                group.create_task(self._caller(step, left, began + bounds.seconds))
        self.seconds += time.perf_counter() - began
        self.client_seconds += time.process_time() - own
        self.server_seconds += processor_seconds(server) - other

    async def _caller(self, step: Step, left: Iterator[int], until: float) -> None:
        for _ in left:
            try:
                async with asyncio.timeout(ANSWER_SECONDS_MAX):
                    await self.samples.time(step)
            except Refused as refused:
                self.errors[str(refused.status or refused)] += 1
            except (OSError, TimeoutError, BerthFailure) as error:
                self.errors[type(error).__name__] += 1
            if time.perf_counter() >= until:
                return


def processor_seconds(pid: int | None) -> float:
    """Of a process since its birth, its threads included; 0 where the system does not tell."""
    with suppress(FileNotFoundError):
        if pid is not None:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            return (int(fields[_USER]) + int(fields[_SYSTEM])) / os.sysconf("SC_CLK_TCK")
    return 0.0
