"""Stops and removes what a test started when the test's process is gone, however it went: `kill -9` too.

Runs as a process of its own, holding one end of a pipe; the kernel closes the other end for us.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from cli.stack import node_traces, processes
from cli.stack.folders import REPOSITORY, temporary
from cli.stack.roster import Roster

if TYPE_CHECKING:
    from collections.abc import Iterator

ORPHAN_SECONDS_MAX = 5.0


@contextmanager
def guarded() -> Iterator[Roster]:
    """A roster in a short-lived folder; at the end its processes are stopped and the folder is gone."""
    folder = temporary()
    with subprocess.Popen(
        [sys.executable, "-m", "cli.stack.guard", str(folder)],
        cwd=REPOSITORY,
        stdin=subprocess.PIPE,
        start_new_session=True,
    ):
        try:
            yield Roster(folder)
        finally:
            clear(folder)


def clear(folder: Path) -> None:
    """Kill what still runs there and remove the folder; safe to do twice, and at once from two processes."""
    roster = Roster(folder)
    for name in roster.names():
        roster.stop(name, grace_seconds=0)
    node_traces.remove(folder)
    for place in [path for path in folder.rglob("*") if path.is_dir()]:
        processes.await_empty(place, ORPHAN_SECONDS_MAX)
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.stdin.read()
    clear(Path(sys.argv[1]))
