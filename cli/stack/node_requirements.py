"""What this machine must have before a real node can stand on it; says what is missing, and how to mend it."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from cli.stack import folders, node_traces, toolchain
from cli.stack.failures import StackError
from cli.stack.node_traces import SEARCHED, controllers, hierarchies, program

PROGRAMS = {
    "containerd": "containerd",
    "containerd-shim-runc-v2": "containerd",
    "ctr": "containerd",
    "runc": "runc",
    "busybox": "busybox-static",
    "ip": "iproute2",
    "nsenter": "util-linux",
    "unshare": "util-linux",
}
"""And the Debian package that has each."""
PLUGIN_FOLDERS = (Path("/usr/lib/cni"), Path("/opt/cni/bin"))
PLUGINS = ("bridge", "host-local", "loopback")
CONTROLLERS = ("cpu", "cpuset", "memory", "pids")
LINKED_DYNAMICALLY = b"/ld-linux"
TRIAL = "mount -t tmpfs berth /run && ip link add berth type bridge"
"""In namespaces of its own, so that nothing of it stays."""


def check() -> None:
    """Raise a StackError that names the first thing that is missing here."""
    for requirement in (_root, _programs, _plugins, _cgroups, _namespaces, _binaries):
        requirement()


def lack() -> str:
    """The first thing that is missing and its mend, in one line; "" where a real node can stand."""
    try:
        check()
    except StackError as trouble:
        return f"{trouble.message}; mend: {trouble.mend}"
    return ""


def plugins() -> Path | None:
    """Where the CNI plugins are, if they are all there."""
    return next((place for place in PLUGIN_FOLDERS if all((place / name).exists() for name in PLUGINS)), None)


def _root() -> None:
    if sys.platform != "linux" or not folders.is_root():
        raise StackError("a real node needs Linux and root", mend="run this as root on Linux")


def _programs() -> None:
    missing = [name for name in PROGRAMS if program(name) is None]
    if missing:
        packages = " ".join(sorted({PROGRAMS[name] for name in missing}))
        raise StackError(f"a real node needs {', '.join(missing)}", mend=f"apt-get install {packages}")
    if LINKED_DYNAMICALLY in Path(program("busybox") or "").read_bytes():
        raise StackError("a real node's image needs a static busybox", mend="apt-get install busybox-static")


def _plugins() -> None:
    if plugins() is None:
        places = " or ".join(map(str, PLUGIN_FOLDERS))
        mend = "apt-get install containernetworking-plugins"
        raise StackError(f"a real node needs the CNI plugins {', '.join(PLUGINS)} in {places}", mend=mend)


def _cgroups() -> None:
    missing = set(CONTROLLERS).difference(*(controllers(place) for place in hierarchies()))
    if missing:
        mend = "mount them, or run this outside a container"
        raise StackError(f"a real node needs the cgroup controllers {', '.join(sorted(missing))}", mend=mend)
    with tempfile.TemporaryDirectory() as folder:
        trial = Path(folder)
        try:
            node_traces.make_cgroups(trial)
        except OSError as error:
            mend = "run this outside a container, or in a privileged one"
            raise StackError(f"a real node needs cgroups that it may write: {error}", mend=mend) from error
        finally:
            node_traces.remove(trial)


def _namespaces() -> None:
    trial = ["unshare", "--mount", "--net", "/bin/sh", "-c", TRIAL]
    answer = subprocess.run(trial, capture_output=True, text=True, check=False, env={"PATH": SEARCHED})
    if answer.returncode:
        why = answer.stderr.strip() or "no reason given"
        mend = "run this outside a container, or in a privileged one"
        raise StackError(f"a real node needs to mount and to make bridges: {why}", mend=mend)


def _binaries() -> None:
    """What we build ourselves has them all; a folder that a user gave may not."""
    place = toolchain.place()
    missing = [tool for tool in toolchain.NODE_TOOLS if place.exists() and not (place / tool).exists()]
    if missing:
        mend = f"unset {toolchain.GIVEN}, and they are built"
        raise StackError(f"a real node needs {', '.join(missing)} in {place}", mend=mend)
