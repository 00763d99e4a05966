"""The image of a dev box for a real node, without a registry: Debian by debootstrap, Jupyter from PyPI. Built once per user.

As root on Linux. What is in it is said in `deploy/box`, from which the same image is built where there is a registry.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

from cli.stack import folders, locks, node_image, node_requirements
from cli.stack.events import Event, Moment, Report, silence
from cli.stack.failures import StackError, tail
from cli.stack.node_traces import SEARCHED, program

BOX: Final = "localhost/berth/box:1"
"""What pods on a real node call it."""
PART: Final = "image of a dev box"
BUILD_SECONDS_USUAL: Final = 300.0
"""Guessed: it took 11 minutes on two cores that were busy with much else, nearly all of it Debian's packages."""
DISK_BYTES_MIN: Final = 3 * 1024**3
RELEASE: Final = "bookworm"
PYTHON: Final = "3.11.2"
"""That release's."""
RECIPE: Final = folders.REPOSITORY / "deploy" / "box"
SOURCES: Final = ("packages.txt", "requirements.lock", "install.sh")
PATH: Final = "/opt/venv/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
LEFT_OUT: Final = ("./dev/*", "./proc/*", "./sys/*", "./run/*", "./tmp/*")
"""Of its files: what a container gets from its node."""
NETWORK: Final = re.compile(
    r"failed getting release file|couldn't download|could(n't| not) resolve|temporary failure|unreachable|newconnection",
    re.IGNORECASE,
)


class Unreachable(StackError):
    """What the image is made from cannot be reached from here."""


def archive(report: Report = silence) -> Path:
    """The image as an archive that a node imports; builds it when this user has none of this recipe.

    Unreachable where Debian's packages or PyPI's are.
    """
    place = _place()
    if not place.exists():
        folders.make_enterable(place.parent)
        waiting = Event(PART, Moment.PROGRESS, "another run of berth builds it; waiting for it")
        with locks.held(place.parent / "lock", lambda: report(waiting)):
            if not place.exists():
                _build(place, report)
    return place


def prepare(report: Report) -> None:
    """Build it where this machine can use it; elsewhere those who ask for it say what is missing."""
    if node_requirements.lack() or lack():
        return
    with contextlib.suppress(Unreachable):
        archive(report)


def lack() -> str:
    """What this machine lacks for it, in one line; "" where it has the image, or can build it if packages are reached."""
    if _place().exists():
        return ""
    lacking = program("debootstrap") is None
    return f"the {PART} needs debootstrap; mend: apt-get install debootstrap" if lacking else ""


def _place() -> Path:
    content = [(RECIPE / name).read_bytes() for name in SOURCES]
    made_by = f"{platform.machine()} {RELEASE} {PYTHON} {PATH} {LEFT_OUT}"
    fingerprint = hashlib.sha256(b"\0".join([*content, made_by.encode()])).hexdigest()[:16]
    return folders.cache_root() / "box" / f"{fingerprint}.tar"


def _build(place: Path, report: Report) -> None:
    """Beside its place, renamed when whole: an interrupted build leaves nothing that looks finished."""
    started = time.monotonic()
    report(Event(PART, Moment.STARTING, "first run only", usually_seconds=BUILD_SECONDS_USUAL))
    scratch = place.with_name("new")
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    _require_space(scratch)
    building = _Building(scratch, report, started)
    try:
        building.bootstrap()
        building.fetch_wheels()
        building.install()
        building.pack().rename(place)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    report(Event(PART, Moment.READY, str(place), elapsed_seconds=time.monotonic() - started))


class _Building:
    """One build, in a folder of its own."""

    def __init__(self, scratch: Path, report: Report, started: float) -> None:
        self._scratch, self._root = scratch, scratch / "root"
        self._inside = self._root / "tmp" / "berth-box"
        self._report, self._started = report, started
        self._log = scratch.with_name("build.log")
        self._log.unlink(missing_ok=True)

    def bootstrap(self) -> None:
        self._tell("installing Debian packages")
        lines = (RECIPE / "packages.txt").read_text().splitlines()
        packages = ",".join(line for line in lines if not line.startswith("#"))
        self._run("debootstrap", "--variant=minbase", f"--include={packages}", RELEASE, str(self._root))

    def fetch_wheels(self) -> None:
        """By this machine's own pip, which knows how PyPI is reached from here."""
        self._tell("fetching Jupyter")
        wheels = self._inside / "wheels"
        wheels.mkdir(parents=True)
        for name in SOURCES:
            shutil.copy(RECIPE / name, self._inside)
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        lock = ["--require-hashes", "-r", str(RECIPE / "requirements.lock"), "--dest", str(wheels)]
        kinds = ("manylinux_2_28", "manylinux_2_17", "manylinux2014", "manylinux2010", "manylinux1")
        fitting = [part for kind in kinds for part in ("--platform", f"{kind}_{platform.machine()}")]
        self._run(*pip, *lock, "--only-binary=:all:", "--python-version", PYTHON, *fitting)

    def install(self) -> None:
        self._tell("installing Jupyter")
        self._run("chroot", str(self._root), "/bin/sh", "/tmp/berth-box/install.sh")  # noqa: S108 - of the image

    def pack(self) -> Path:
        self._tell("packing")
        layer, packed = self._scratch / "layer.tar", self._scratch / "image.tar"
        kept = [f"--exclude={pattern}" for pattern in LEFT_OUT]
        self._run("tar", "--numeric-owner", "--sort=name", *kept, "-C", str(self._root), "-cf", str(layer), ".")
        node_image.pack(BOX, layer, {"Cmd": ["/bin/bash"], "Env": [f"PATH={PATH}"]}, packed)
        return packed

    def _tell(self, message: str) -> None:
        elapsed = time.monotonic() - self._started
        self._report(
            Event(PART, Moment.PROGRESS, message, elapsed_seconds=elapsed, usually_seconds=BUILD_SECONDS_USUAL)
        )

    def _run(self, *argv: str) -> None:
        with self._log.open("a") as log:
            nothing = subprocess.DEVNULL
            answer = subprocess.run(argv, stdin=nothing, stdout=log, stderr=log, check=False, env=_environment())
        if answer.returncode:
            detail = tail(self._log)
            kind = Unreachable if NETWORK.search(detail) else StackError
            raise kind(f"the {PART} could not be built", mend=f"read {self._log}", detail=detail)


def _environment() -> dict[str, str]:
    return {**os.environ, "PATH": SEARCHED, "LC_ALL": "C.UTF-8"}


def _require_space(folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    if free < DISK_BYTES_MIN:
        mend = "free some space, or set BERTH_CACHE_DIR to a larger disk"
        raise StackError(f"{folder} has {free / 1024**3:.1f} GiB free; the {PART} needs 3", mend=mend)
