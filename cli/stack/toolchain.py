"""The binaries of the development clusters: built once per user from Go modules, then reused.

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
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cli.stack import compiler, folders, locks
from cli.stack.compiler import Work
from cli.stack.events import Event, Moment, Report, silence
from cli.stack.failures import StackError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cli.stack.compiler import Go

GIVEN = "BERTH_DEVCLUSTER_BIN"
TOOLS = ("server", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok", "kubectl")
NODE_TOOLS = ("kubelet", "deviceplugin", "pause")
"""What a real node needs besides; a folder that a user gives may lack them."""
SNAPSHOT_TOOLS = ("snapshot-controller",)
CRDS = "crds"
"""The folder beside the snapshot-controller with the kinds that it knows, as its module ships them."""
VERSION = "v1.36.3"
VERSION_FLAGS = {
    # unstamped, the server calls itself v0.0.0-master and clients warn or refuse
    "k8s.io/component-base/version.gitVersion": VERSION,
    "k8s.io/component-base/version.gitMajor": "1",
    "k8s.io/component-base/version.gitMinor": "36",
    "k8s.io/client-go/pkg/version.gitVersion": VERSION,
}
STRIPPED = ("-s", "-w")


@dataclass(frozen=True, slots=True)
class Toolset:
    """The tools of one Go module, and where they are kept."""

    part: str
    """What people call it."""
    module: Path
    keep: str
    """Its folder in the cache."""
    tools: tuple[str, ...]
    usually_seconds: float
    """To build it, measured on two cores with an empty cache."""
    link_flags: tuple[str, ...] = STRIPPED
    crds_of: str = ""
    """The Go module whose `config/crd` is kept with the tools."""

    @property
    def place(self) -> Path:
        """Where the tools are, or will be once they are built."""
        given = os.environ.get(GIVEN)
        return Path(given).absolute() if given else folders.cache_root() / self.keep / self.fingerprint

    @property
    def fingerprint(self) -> str:
        """Changes with everything that changes the tools."""
        sources = [self.module / "go.mod", self.module / "go.sum", *sorted(self.module.rglob("*.go"))]
        content = [file.read_bytes() for file in sources]
        machine = f"{sys.platform} {platform.machine()} {' '.join(self.link_flags)}"
        return hashlib.sha256(b"\0".join([*content, machine.encode()])).hexdigest()[:16]

    def missing(self, folder: Path) -> list[str]:
        """What a folder lacks."""
        return [tool for tool in (*self.tools, *([CRDS] if self.crds_of else [])) if not (folder / tool).exists()]


KUBERNETES = Toolset(
    part="Kubernetes binaries",
    module=folders.DEVCLUSTER,
    keep="devcluster",
    tools=TOOLS,
    usually_seconds=300.0,
    link_flags=(*STRIPPED, *(f"-X {name}={value}" for name, value in VERSION_FLAGS.items())),
)
SNAPSHOTS = Toolset(
    part="snapshot controller",
    module=folders.DEVCLUSTER / "snapshots",
    keep="snapshots",
    tools=SNAPSHOT_TOOLS,
    usually_seconds=240.0,
    crds_of="github.com/kubernetes-csi/external-snapshotter/client/v8",
)
"""A module of its own: it is made from other versions of Kubernetes' libraries, and changes at other times."""
TOOLSETS = (KUBERNETES, SNAPSHOTS)


def binaries(report: Report = silence) -> Path:
    """The folder of the Kubernetes binaries; builds whatever this user lacks for these modules."""
    if os.environ.get(GIVEN):
        _check_given()
    elif _unbuilt():
        folders.make_enterable(folders.cache_root())
        with locks.held(folders.cache_root() / "devcluster.lock", lambda: _tell_waiting(report)):
            _build_all(report)
    return place()


def place() -> Path:
    """Where the Kubernetes binaries are, or will be once they are built."""
    return KUBERNETES.place


def _unbuilt() -> list[Toolset]:
    return [toolset for toolset in TOOLSETS if not toolset.place.exists()]


def _check_given() -> None:
    folder = place()
    if missing := [tool for toolset in TOOLSETS for tool in toolset.missing(folder)]:
        raise StackError(f"{GIVEN}={folder} lacks {', '.join(missing)}", mend=f"unset {GIVEN}, and they are built")


def _tell_waiting(report: Report) -> None:
    for toolset in _unbuilt():
        report(Event(toolset.part, Moment.PROGRESS, "another run of berth builds it; waiting for it"))


def _build_all(report: Report) -> None:
    go = None
    for toolset in _unbuilt():
        started = time.monotonic()
        report(Event(toolset.part, Moment.STARTING, "first run only", usually_seconds=toolset.usually_seconds))
        go = compiler.find(toolset.part, report)
        _build(toolset, go, report)
        elapsed = time.monotonic() - started
        report(Event(toolset.part, Moment.READY, str(toolset.place), elapsed_seconds=elapsed))
    if go is not None:
        go.forget_scratch()


def _build(toolset: Toolset, go: Go, report: Report) -> None:
    """Into a fresh folder, renamed when whole: an interrupted build leaves nothing that looks finished."""
    folders.make_enterable(toolset.place.parent)
    with _fresh_folder(toolset.place) as fresh:
        work = Work(toolset.part, toolset.usually_seconds, report)
        go.install_tools(toolset.module, fresh, " ".join(toolset.link_flags), work)
        if toolset.crds_of:
            _keep_crds(go.sources_of(toolset.crds_of, toolset.module, fresh), fresh / CRDS)
        if missing := toolset.missing(fresh):
            raise StackError(f"{toolset.part} was built without {', '.join(missing)}", mend="this is a bug in Berth")
        fresh.rename(toolset.place)


def _keep_crds(sources: Path, into: Path) -> None:
    into.mkdir()
    for file in (sources / "config" / "crd").glob("*storage.k8s.io_*.yaml"):
        into.joinpath(file.name).write_bytes(file.read_bytes())


@contextlib.contextmanager
def _fresh_folder(folder: Path) -> Iterator[Path]:
    fresh = folder.with_name(f"{folder.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    try:
        yield fresh
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
