"""Detached processes, known by pid *and* birth, so that a reused pid is never signalled.

Knows nothing of what the processes do; `roster` remembers them between two runs of the command.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from cli.stack.failures import StackError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

POLL_SECONDS = 0.03
KILLED_SECONDS_MAX = 10.0
"""How long the kernel may take to bury a process after SIGKILL (disk waits)."""
LOG_BYTES_MAX = 32 * 1024 * 1024
"""A log larger than this is set aside at the next start; one old log is kept."""
_THREADS, _STARTED = 16, 18
"""Where `/proc/PID/stat` has these, counted from the field behind the state (proc_pid_stat(5))."""


@dataclass(frozen=True, slots=True)
class Identity:
    """A process that cannot be confused with a later one of the same pid."""

    pid: int
    birth: str


@dataclass(frozen=True, slots=True)
class Program:
    """How to run one process, and how to know that it is ready."""

    name: str
    argv: Sequence[str]
    ready: Callable[[], bool]
    folder: Path
    """Working directory."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """The whole environment, not an addition to ours."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """The part of the environment that, like argv, calls for a restart when it changes."""
    user: int | None = None
    """Another uid (and gid) to run under; needs root."""
    stop_signal: signal.Signals = signal.SIGTERM
    stop_seconds_max: float = 10.0
    """How long it may take to end after its signal, before it is killed."""
    ready_seconds_max: float = 60.0
    mend: str = ""
    """What usually helps when it does not start."""

    @property
    def digest(self) -> str:
        """The same for as long as a running process need not be replaced."""
        content = json.dumps([list(self.argv), dict(self.settings)], sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()[:16]


def spawn(program: Program, log: Path) -> Identity:
    """Start in a session of its own, output appended to `log`; outlives this process."""
    _set_aside_when_large(log)
    with log.open("ab") as output:
        try:
            child = subprocess.Popen(
                list(program.argv),
                cwd=program.folder,
                env=dict(program.environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                umask=0o077,
                user=program.user,
                group=program.user,
                extra_groups=None if program.user is None else [],
            )
        except OSError as error:
            raise StackError(f"{program.name} cannot be started: {error}", mend=program.mend) from error
    return _adopt(child)


def _adopt(child: subprocess.Popen[bytes]) -> Identity:
    """Our child cannot be reaped before we look, so what we read is its own birth."""
    birth = _birth(child.pid)
    child.returncode = 0  # we reap by pid: whoever re-reads the record later has no handle either
    return Identity(child.pid, birth or "gone at once")


def _set_aside_when_large(log: Path) -> None:
    if log.exists() and log.stat().st_size > LOG_BYTES_MAX:
        log.replace(log.with_suffix(".log.1"))


def is_alive(process: Identity) -> bool:
    """Whether any thread of this very process still runs; a zombie does not."""
    _reap(process.pid)
    return _birth(process.pid) == process.birth


def send(process: Identity, number: signal.Signals) -> bool:
    """Signal this very process; False when it is gone, whoever has its pid now."""
    if not hasattr(os, "pidfd_open"):
        return is_alive(process) and _kill(process.pid, number)
    try:
        handle = os.pidfd_open(process.pid)
    except OSError:
        return False
    try:
        # the handle pins the process: looked at after it was opened, the birth is that of what we signal
        if _birth(process.pid) != process.birth:
            return False
        signal.pidfd_send_signal(handle, number)
    except ProcessLookupError:
        return False
    finally:
        os.close(handle)
    return True


def stop(process: Identity, number: signal.Signals, grace_seconds: float) -> None:
    """Ask, wait, then kill; returns when the process is gone."""
    if send(process, number) and _gone_within(process, grace_seconds):
        return
    kill(process)


def kill(process: Identity) -> None:
    """SIGKILL and wait until the kernel has buried it."""
    send(process, signal.SIGKILL)
    if not _gone_within(process, KILLED_SECONDS_MAX):
        raise StackError(f"process {process.pid} does not die", mend=f"look at /proc/{process.pid}/stack")


def await_empty(folder: Path, seconds_max: float) -> None:
    """Wait until no process works in this folder: the orphans of a killed parent end by themselves, soon."""
    deadline = time.monotonic() + seconds_max
    while working_in(folder) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)


def working_in(folder: Path) -> list[int]:
    """Pids whose working directory this is; empty where the system does not tell (only Linux does)."""
    found = []
    for place in Path("/proc").glob("[0-9]*/cwd"):
        with contextlib.suppress(OSError):
            if place.readlink() == folder:
                found.append(int(place.parent.name))
    return found


def _gone_within(process: Identity, seconds_max: float) -> bool:
    deadline = time.monotonic() + seconds_max
    while is_alive(process):
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def _kill(pid: int, number: signal.Signals) -> bool:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


def _reap(pid: int) -> None:
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return  # not our child: someone else's to reap


def _birth(pid: int) -> str | None:
    """What tells this process from a later one of the same pid; None when gone or wholly a zombie."""
    return _birth_from_proc(pid) if sys.platform == "linux" else _birth_from_ps(pid)


def _birth_from_proc(pid: int) -> str | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return None
    # the command in brackets may hold anything, brackets and spaces too
    state, *fields = stat.rpartition(")")[2].split()
    # a killed process whose first thread is a zombie holds its ports until the last thread has ended too
    is_buried = state == "X" or (state == "Z" and int(fields[_THREADS]) <= 1)
    return None if is_buried else f"{boot}/{fields[_STARTED]}"


def _birth_from_ps(pid: int) -> str | None:
    answer = subprocess.run(
        ["/bin/ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    state, _, started = answer.stdout.strip().partition(" ")
    return None if not state or state.startswith("Z") else started.strip()
