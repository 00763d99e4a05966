from __future__ import annotations

import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cli.stack import processes
from cli.stack.failures import StackError
from cli.stack.folders import REPOSITORY
from cli.stack.processes import Program
from cli.stack.roster import Roster

if TYPE_CHECKING:
    from collections.abc import Callable


def a_program(folder: Path, code: str = "import time; time.sleep(60)", **changes: object) -> Program:
    program = Program(name="sleeper", argv=[sys.executable, "-c", code], ready=lambda: True, folder=folder)
    return replace(program, **changes)  # type: ignore[arg-type]


def test_a_reused_pid_is_never_signalled(roster: Roster) -> None:
    roster.start(a_program(roster.folder))
    record = roster.record("sleeper")
    assert record is not None
    earlier = replace(record.identity, birth="an earlier process")
    assert not processes.is_alive(earlier)
    assert not processes.send(earlier, signal.SIGKILL)
    processes.stop(earlier, signal.SIGKILL, grace_seconds=0)
    assert processes.is_alive(record.identity)


def test_a_killed_process_is_gone_though_nobody_waited_for_it(roster: Roster) -> None:
    roster.start(a_program(roster.folder))
    roster.kill("sleeper")
    assert not roster.is_running("sleeper")
    assert roster.record("sleeper") is not None, "a crash is remembered"


@pytest.mark.skipif(sys.platform != "linux", reason="only /proc tells a process's threads")
def test_a_process_lives_until_its_last_thread_has_ended(roster: Roster) -> None:
    """What is killed dies thread by thread, and holds its ports until the last is dead."""
    leave_first = (
        "import ctypes, threading, time; threading.Thread(target=time.sleep, args=(60,)).start();"
        "ctypes.CDLL(None).pthread_exit(None)"
    )
    roster.start(a_program(roster.folder, leave_first))
    record = roster.record("sleeper")
    assert record is not None
    status = Path(f"/proc/{record.pid}/status")
    while "State:\tZ" not in status.read_text():
        time.sleep(processes.POLL_SECONDS)
    assert roster.is_running("sleeper")
    roster.kill("sleeper")
    assert not roster.is_running("sleeper")


def test_a_process_that_ignores_its_signal_is_killed(roster: Roster) -> None:
    deaf = "import signal, time; signal.signal(15, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
    log = roster.log("sleeper")
    roster.start(a_program(roster.folder, deaf, ready=lambda: log.read_text() == "deaf\n"))
    roster.stop("sleeper", grace_seconds=0.1)
    assert roster.names() == []


def test_a_process_that_ends_while_starting_shows_its_last_words(roster: Roster) -> None:
    broken = a_program(roster.folder, "raise SystemExit('no such port')", ready=lambda: False)
    with pytest.raises(StackError, match="ended while starting") as failure:
        roster.start(broken)
    assert "no such port" in failure.value.detail


def test_a_process_that_is_never_ready_is_named_with_its_log(roster: Roster) -> None:
    with pytest.raises(StackError, match="not ready after") as failure:
        roster.start(a_program(roster.folder, ready=lambda: False, ready_seconds_max=0.1))
    assert str(roster.log("sleeper")) in failure.value.mend


def test_a_missing_command_is_a_clear_failure(roster: Roster) -> None:
    with pytest.raises(StackError, match="cannot be started"):
        roster.start(a_program(roster.folder, argv=["/no/such/command"]))


def test_a_running_process_is_replaced_only_when_its_settings_changed(roster: Roster) -> None:
    assert roster.start(a_program(roster.folder))
    assert not roster.start(a_program(roster.folder))
    assert roster.start(a_program(roster.folder, settings={"PORT": "2"}))


def test_another_command_finds_what_this_one_started(roster: Roster) -> None:
    roster.start(a_program(roster.folder))
    later = Roster(roster.folder)
    assert later.is_running("sleeper")
    later.stop("sleeper")
    assert not roster.is_running("sleeper")


VICTIM = """
import os, signal, sys
from cli.stack.guard import guarded
from cli.stack.processes import Program
with guarded() as roster:
    roster.start(Program("child", [sys.executable, "-c", "import time; time.sleep(60)"], lambda: True, roster.folder))
    print(roster.folder, roster.record("child").pid, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_test_process_started_is_stopped_and_removed() -> None:
    said = subprocess.run([sys.executable, "-c", VICTIM], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    folder, pid = said.stdout.split()
    eventually(lambda: not Path(folder).exists())
    assert int(pid) not in processes.working_in(Path(folder))


def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
