"""What a real node leaves in the kernel beside processes of its own: cgroups, what runs in them, and a bridge.

All carry a name that follows from the node's folder: whoever has the folder finds them, however the node ended.
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
HANDED = "controllers-"
"""Beside them, for each hierarchy: the controllers that the machine's own cgroup handed down before the node came."""
PARTS = "parts"
"""The cgroup of containerd and kubelet, in one hierarchy; whatever they start begins there."""
PODS = "pods"
"""The cgroup under which the kubelet puts its pods, in every hierarchy."""
SEARCHED = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Where programs of the system are; not every PATH has them all."""
GONE_SECONDS_MAX = 10.0
POLL_SECONDS = 0.03


def name_of(folder: Path) -> str:
    """The name of the node's cgroups and bridge; the kernel allows a bridge 15 characters."""
    return f"berth-{hashlib.sha256(str(folder).encode()).hexdigest()[:8]}"


def program(name: str) -> str | None:
    """Where a program of the system is."""
    return shutil.which(name, path=SEARCHED)


def hierarchies() -> list[Path]:
    """Where cgroups are mounted: one folder for each controller, or one for all; none where the system has none."""
    if not MOUNTS.exists():
        return []
    mounts = (line.split() for line in MOUNTS.read_text().splitlines())
    return [Path(place) for _, place, kind, *_ in mounts if kind in {"cgroup", "cgroup2"}]


def make_cgroups(folder: Path) -> None:
    """Make the cgroups that the node's processes begin in, and those its kubelet expects."""
    name = name_of(folder)
    for hierarchy in hierarchies():
        _remember(hierarchy, folder)
        for place in (hierarchy / name, hierarchy / name / PODS):
            _hand_down(place.parent)
            place.mkdir(exist_ok=True)
            _give_processors(place)
    entrance(name).parent.mkdir(exist_ok=True)


def entrance(name: str) -> Path:
    """The file by which a process enters the cgroup of the node's own parts, and all that it starts with it."""
    counted = next(place for place in hierarchies() if "pids" in controllers(place))
    return counted / name / PARTS / "cgroup.procs"


def controllers(hierarchy: Path) -> set[str]:
    """What is counted and limited there: version 1 says it by the folder's name, version 2 in a file."""
    said = hierarchy / "cgroup.controllers"
    return set(said.read_text().split()) if said.exists() else set(hierarchy.name.split(","))


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
    for hierarchy in hierarchies():
        _take_back(hierarchy, folder)
    if (LINKS / name).exists():
        with contextlib.suppress(subprocess.CalledProcessError):  # somebody else was faster
            _ip("link", "delete", name)
    # what was mounted on these files went with the node's last process
    shutil.rmtree(folder / FILES, ignore_errors=True)


def _ip(*arguments: str) -> None:
    subprocess.run([program("ip") or "ip", *arguments], check=True, capture_output=True)


def _hand_down(place: Path) -> None:
    """In version 2 a cgroup has the controllers that the one above it hands down; the kubelet wants all there are."""
    handed = place / "cgroup.subtree_control"
    if handed.exists():
        for controller in controllers(place) - set(handed.read_text().split()):
            handed.write_text(f"+{controller}")


def _remember(hierarchy: Path, folder: Path) -> None:
    handed = hierarchy / "cgroup.subtree_control"
    if handed.exists():
        (folder / f"{HANDED}{hierarchy.name}").write_text(handed.read_text())


def _take_back(hierarchy: Path, folder: Path) -> None:
    """What the machine's own cgroup did not hand down before, it shall not hand down after."""
    before, handed = folder / f"{HANDED}{hierarchy.name}", hierarchy / "cgroup.subtree_control"
    if before.exists():
        for controller in set(handed.read_text().split()) - set(before.read_text().split()):
            with contextlib.suppress(OSError):  # somebody else has come to need it
                handed.write_text(f"-{controller}")


def _give_processors(place: Path) -> None:
    """In version 1 a new cgroup has no processors, and takes no process until it is given some."""
    for file in ("cpuset.cpus", "cpuset.mems"):
        above = place.parent / file
        if above.exists() and (given := above.read_text()).strip():
            (place / file).write_text(given)


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
