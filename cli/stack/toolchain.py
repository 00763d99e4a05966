"""The Kubernetes binaries of the development clusters: built once per user from Go modules, then reused.

Leaves finding a Go compiler to `compiler`. What exists already is taken: a folder named by BERTH_DEVCLUSTER_BIN.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import shutil
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from cli.stack import compiler, folders, locks
from cli.stack.events import Event, Moment, Report, silence
from cli.stack.failures import StackError

if TYPE_CHECKING:
    from collections.abc import Iterator

PART = "Kubernetes binaries"
GIVEN = "BERTH_DEVCLUSTER_BIN"
TOOLS = ("server", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok", "kubectl")
NODE_TOOLS = ("kubelet", "deviceplugin", "pause")
"""What a real node needs besides; a folder that a user gives may lack them."""
VERSION = "v1.36.3"
VERSION_FLAGS = {
    # unstamped, the server calls itself v0.0.0-master and clients warn or refuse
    "k8s.io/component-base/version.gitVersion": VERSION,
    "k8s.io/component-base/version.gitMajor": "1",
    "k8s.io/component-base/version.gitMinor": "36",
    "k8s.io/client-go/pkg/version.gitVersion": VERSION,
}
LINK_FLAGS = " ".join(["-s", "-w", *(f"-X {name}={value}" for name, value in VERSION_FLAGS.items())])


def binaries(report: Report = silence) -> Path:
    """The folder of all tools; builds them when this user has none for this go.mod."""
    folder = place()
    if os.environ.get(GIVEN):
        return _checked(folder)
    if not folder.exists():
        folders.make_enterable(folder.parent)
        with locks.held(folder.parent / "lock", lambda: _tell_waiting(report)):
            if not folder.exists():
                _build(folder, report)
    return folder


def place() -> Path:
    """Where the tools are, or will be once they are built."""
    given = os.environ.get(GIVEN)
    return Path(given).absolute() if given else folders.cache_root() / "devcluster" / fingerprint()


def fingerprint() -> str:
    """Changes with everything that changes the binaries."""
    sources = [folders.DEVCLUSTER / "go.mod", folders.DEVCLUSTER / "go.sum", *sorted(folders.DEVCLUSTER.rglob("*.go"))]
    content = [file.read_bytes() for file in sources]
    machine = f"{sys.platform} {platform.machine()} {LINK_FLAGS}"
    return hashlib.sha256(b"\0".join([*content, machine.encode()])).hexdigest()[:16]


def _checked(folder: Path) -> Path:
    missing = [tool for tool in TOOLS if not (folder / tool).exists()]
    if missing:
        raise StackError(f"{GIVEN}={folder} lacks {', '.join(missing)}", mend=f"unset {GIVEN}, and they are built")
    return folder


def _tell_waiting(report: Report) -> None:
    report(Event(PART, Moment.PROGRESS, "another run of berth builds them; waiting for it"))


def _build(folder: Path, report: Report) -> None:
    """Into a fresh folder, renamed when whole: an interrupted build leaves nothing that looks finished."""
    started = time.monotonic()
    report(Event(PART, Moment.STARTING, "first run only", usually_seconds=compiler.BUILD_SECONDS_USUAL))
    with _fresh_folder(folder) as fresh:
        go = compiler.find(report)
        go.install_tools(folders.DEVCLUSTER, fresh, LINK_FLAGS, report)
        _checked(fresh)
        fresh.rename(folder)
    go.forget_scratch()
    report(Event(PART, Moment.READY, str(folder), elapsed_seconds=time.monotonic() - started))


@contextlib.contextmanager
def _fresh_folder(folder: Path) -> Iterator[Path]:
    fresh = folder.with_name(f"{folder.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    try:
        yield fresh
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
