"""Which processes of a stack run: one record per name on disk, so that any later command finds them.

Owns starting until ready and stopping; leaves signals and births to `processes`.
"""

from __future__ import annotations

import json
import os
import signal
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from cli.stack import processes
from cli.stack.failures import StackError, tail
from cli.stack.processes import Identity

if TYPE_CHECKING:
    from pathlib import Path

    from cli.stack.processes import Program


@dataclass(frozen=True, slots=True)
class Record:
    """A process that was started here."""

    name: str
    pid: int
    birth: str
    started_at: float
    """Seconds since the epoch."""
    stop_signal: int
    stop_seconds_max: float = 10.0
    digest: str = ""
    """Of how it was started: another one calls for a restart."""

    @property
    def identity(self) -> Identity:
        """Which process it is, beyond its pid."""
        return Identity(self.pid, self.birth)


class Roster:
    """The processes of one folder: records in `run/`, output in `log/`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._records = folder / "run"
        self._logs = folder / "log"

    def log(self, name: str) -> Path:
        """Where a process writes."""
        return self._logs / f"{name}.log"

    def names(self) -> list[str]:
        """Every process that was started and not stopped since, running or crashed."""
        return sorted(path.stem for path in self._records.glob("*.json"))

    def record(self, name: str) -> Record | None:
        """What was started under this name, if anything."""
        try:
            return Record(**json.loads((self._records / f"{name}.json").read_text()))
        except FileNotFoundError:
            return None

    def is_running(self, name: str) -> bool:
        """Whether what was started under this name is still there."""
        record = self.record(name)
        return record is not None and processes.is_alive(record.identity)

    def runs_as(self, program: Program) -> bool:
        """Whether it runs, and just as this program would."""
        record = self.record(program.name)
        return record is not None and record.digest == program.digest and processes.is_alive(record.identity)

    def start(self, program: Program) -> bool:
        """Start unless it runs, anew if it runs otherwise, and wait until ready; True when this call started it."""
        fresh = not self.runs_as(program)
        if fresh:
            self.stop(program.name)
            self._spawn(program)
        self._await_ready(program)
        return fresh

    def stop(self, name: str, grace_seconds: float | None = None) -> None:
        """Stop if it runs and forget it; a pid that another process has by now is left alone.

        Without `grace_seconds` it has the time that its program asked for.
        """
        record = self.record(name)
        if record is None:
            return
        grace = record.stop_seconds_max if grace_seconds is None else grace_seconds
        processes.stop(record.identity, signal.Signals(record.stop_signal), grace)
        (self._records / f"{name}.json").unlink(missing_ok=True)

    def kill(self, name: str) -> None:
        """SIGKILL, as a crash would; the record stays, so that the part shows as crashed."""
        record = self.record(name)
        if record is not None:
            processes.kill(record.identity)

    def _spawn(self, program: Program) -> None:
        self._records.mkdir(parents=True, exist_ok=True)
        self._logs.mkdir(parents=True, exist_ok=True)
        identity = processes.spawn(program, self.log(program.name))
        record = Record(
            name=program.name,
            pid=identity.pid,
            birth=identity.birth,
            started_at=time.time(),
            stop_signal=int(program.stop_signal),
            stop_seconds_max=program.stop_seconds_max,
            digest=program.digest,
        )
        fresh = self._records / f".{program.name}.{os.getpid()}.new"
        fresh.write_text(json.dumps(asdict(record)))
        fresh.replace(self._records / f"{program.name}.json")

    def _await_ready(self, program: Program) -> None:
        deadline = time.monotonic() + program.ready_seconds_max
        while not program.ready():
            # asked in this order: a process that was ready and ended since is not ready
            if not self.is_running(program.name):
                raise self._failure(program, "ended while starting")
            if time.monotonic() > deadline:
                raise self._failure(program, f"is not ready after {program.ready_seconds_max:.0f} s")
            time.sleep(processes.POLL_SECONDS)

    def _failure(self, program: Program, what: str) -> StackError:
        log = self.log(program.name)
        return StackError(f"{program.name} {what}", mend=program.mend or f"read {log}", detail=tail(log))
