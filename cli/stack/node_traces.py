"""What a real node leaves in the kernel beside processes of its own: cgroups, what runs in them, and a bridge.

All carry a name that follows from the node's folder, so nothing has to be written down: whoever has the folder finds
the traces, however the node ended.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

LINKS = Path("/sys/class/net")
MOUNTS = Path("/proc/mounts")
FILES = "node"
"""The part of the folder that holds the node's files: images, volumes, logs of its pods."""
PARTS = "parts"
"""The cgroup of containerd and kubelet, in one hierarchy; whatever they start begins there."""
PODS = "pods"
"""The cgroup under which the kubelet puts its pods, in every hierarchy."""
GONE_SECONDS_MAX = 10.0
POLL_SECONDS = 0.03


def name_of(folder: Path) -> str:
    """The name of the node's cgroups and bridge; the kernel allows a bridge 15 characters."""
    return f"berth-{hashlib.sha256(str(folder).encode()).hexdigest()[:8]}"


def hierarchies() -> list[Path]:
    """Where cgroups are mounted: one folder for each controller, or one for all; none where the system has none."""
    if not MOUNTS.exists():
        return []
    mounts = (line.split() for line in MOUNTS.read_text().splitlines())
    return [Path(place) for _, place, kind, *_ in mounts if kind in {"cgroup", "cgroup2"}]


def make_cgroups(name: str) -> None:
    """Make the cgroups that the node's processes begin in, and those its kubelet expects."""
    for hierarchy in hierarchies():
        for place in (hierarchy / name, hierarchy / name / PODS):
            place.mkdir(exist_ok=True)
            _give_processors(place)
    entrance(name).parent.mkdir(exist_ok=True)


def entrance(name: str) -> Path:
    """The file by which a process enters the cgroup of the node's own parts, and all that it starts with it."""
    counted = next(place for place in hierarchies() if "pids" in place.name.split(","))
    return counted / name / PARTS / "cgroup.procs"


def make_bridge(name: str, address: str) -> None:
    """Make the network that the node and its pods share."""
    for command in (["add", name, "type", "bridge"], ["set", name, "up"]):
        _ip("link", *command)
    _ip("address", "add", address, "dev", name)


def processes(name: str, part: str = "") -> set[int]:
    """Everything that runs in the node's cgroups, or in the one among them that is called `part`."""
    found: set[int] = set()
    for place in cgroups(name):
        if not part or part in place.parts:
            with contextlib.suppress(OSError):  # it went while we looked
                found.update(int(pid) for pid in (place / "cgroup.procs").read_text().split())
    return found


def cgroups(name: str) -> Iterator[Path]:
    """The node's cgroups that are there, the inner ones first."""
    for hierarchy in hierarchies():
        for place, _, _ in os.walk(hierarchy / name, topdown=False):
            yield Path(place)


def remove(folder: Path) -> None:
    """Kill what runs in the node's cgroups, and remove them, its bridge and its files; safe to do twice."""
    name = name_of(folder)
    _empty(name)
    if (LINKS / name).exists():
        with contextlib.suppress(subprocess.CalledProcessError):  # somebody else was faster
            _ip("link", "delete", name)
    # what was mounted on these files went with the node's last process
    shutil.rmtree(folder / FILES, ignore_errors=True)


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


def _give_processors(place: Path) -> None:
    """A new cgroup of the cpuset controller has no processors and takes no process until it is given some."""
    for file in ("cpuset.cpus", "cpuset.mems"):
        if (place / file).exists() and not (place / file).read_text().strip():
            (place / file).write_text((place.parent / file).read_text())


def _empty(name: str) -> None:
    deadline = time.monotonic() + GONE_SECONDS_MAX
    while (left := list(cgroups(name))) and time.monotonic() < deadline:
        for pid in processes(name):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for place in left:
            with contextlib.suppress(OSError):  # what was killed is not buried yet: the next round will do
                place.rmdir()
        time.sleep(POLL_SECONDS)
